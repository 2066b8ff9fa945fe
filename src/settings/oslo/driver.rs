//! Which of Karbor's notification drivers is ours. oslo.messaging sends by each driver that is
//! named (`oslo_messaging/notify/notifier.py`); this worker sends by one.

/// The driver to send by, and what of the choice is worth a warning.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// `None` where none of them is one of ours.
    pub driver: Option<&'static str>,
    /// What the others were.
    pub warnings: Vec<String>,
}

/// Those that are ours; an earlier one is preferred.
const OURS: [&str; 3] = ["messagingv2", "messaging", "noop"];

/// Chooses among the drivers of a file.
pub(super) fn choose(drivers: &[String]) -> Choice {
    let named = |driver: &str| drivers.iter().any(|named| named == driver);
    let driver = OURS.into_iter().find(|driver| named(driver));
    let mut warnings: Vec<String> = drivers
        .iter()
        .filter(|driver| !driver.is_empty() && !OURS.contains(&driver.as_str()))
        .map(|driver| {
            format!("the driver {} is not known here, only `{}`", show(driver), OURS.join("`, `"))
        })
        .collect();
    if named("messagingv2") && named("messaging") {
        warnings.push("notifications are sent by `messagingv2`, not by `messaging` too".to_owned());
    }
    if driver.is_none() && !warnings.is_empty() {
        warnings
            .push("none of the drivers is used: `notifications.driver` stays as it is".to_owned());
    }
    Choice { driver, warnings }
}

/// What looks like a driver, or several by mistake; a reference may have put something else there.
fn show(driver: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ',' | ' ');
    if driver.chars().all(is_plain) { format!("`{driver}`") } else { "named there".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_driver_is_chosen_and_the_others_are_said() {
        for (drivers, driver, warned) in [
            (&["messagingv2"][..], Some("messagingv2"), 0),
            (&["noop"], Some("noop"), 0),
            (&["noop", "messaging"], Some("messaging"), 0),
            (&["messaging", "messagingv2"], Some("messagingv2"), 1),
            (&["log", "messaging"], Some("messaging"), 1),
            (&["log", "routing"], None, 3),
            (&["messagingv2,log"], None, 2),
            (&["MessagingV2"], None, 2),
            (&[""], None, 0),
            (&[], None, 0),
        ] {
            let drivers: Vec<String> = drivers.iter().map(|&driver| driver.to_owned()).collect();
            let choice = choose(&drivers);
            assert_eq!((choice.driver, choice.warnings.len()), (driver, warned), "{drivers:?}");
        }
    }

    #[test]
    fn only_what_looks_like_a_driver_is_shown() {
        let warning = |driver: &str| choose(&[driver.to_owned()]).warnings.remove(0);
        assert!(warning("messagingv2,log").contains("`messagingv2,log`"));
        assert!(!warning("rabbit://u:secret@h").contains("secret"));
    }
}
