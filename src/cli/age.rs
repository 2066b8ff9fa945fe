//! An age as an operator writes it: `30s`, `15m`, `12h`, `7d`.

use std::time::Duration;

/// Reads a whole number with its unit.
///
/// # Errors
/// What is accepted.
pub(super) fn parse_age(text: &str) -> Result<Duration, String> {
    let seconds = || {
        let (number, seconds) = match text.split_at_checked(text.len().checked_sub(1)?)? {
            (number, "s") => (number, 1),
            (number, "m") => (number, 60),
            (number, "h") => (number, 60 * 60),
            (number, "d") => (number, 24 * 60 * 60),
            _ => return None,
        };
        let number: u32 = number.parse().ok()?;
        Some(u64::from(number) * seconds)
    };
    let accepted = "a whole number of seconds, minutes, hours or days: `30s`, `15m`, `12h`, `7d`";
    seconds().map(Duration::from_secs).ok_or_else(|| accepted.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_with_its_unit() {
        for (text, seconds) in [("30s", 30), ("15m", 900), ("12h", 43_200), ("7d", 604_800)] {
            assert_eq!(parse_age(text), Ok(Duration::from_secs(seconds)));
        }
        for bad in ["", "s", "30", "-1s", "1.5h", "1w", "é", "99999999999d"] {
            assert!(parse_age(bad).is_err(), "{bad}");
        }
    }
}
