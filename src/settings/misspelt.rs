//! Environment variables that were meant for us and are not read: `KARBOR_RESTORE_` with one
//! underscore where two belong.
//!
//! Takes names, never values, which may be secrets. Gives a sentence for the operator. Kubernetes
//! puts `KARBOR_RESTORE_PORT`, `KARBOR_RESTORE_SERVICE_HOST` and their like into every container
//! beside a service `karbor-restore`: those must not be complained of.

use super::rule::RULES;
use super::source::{PREFIX, variable};

/// What to say of a variable that is not read, if it was meant to be.
pub(super) fn warning(name: &str) -> Option<String> {
    let single = PREFIX.strip_suffix('_').expect("it ends in two underscores");
    let rest = name.strip_prefix(single).filter(|_| !name.starts_with(PREFIX))?;
    let meant = RULES
        .iter()
        .map(|(section, key, _)| variable(&format!("{section}.{key}")))
        .find(|right| is_meant(name, right))
        // No setting either way; but only ours have two underscores together.
        .or_else(|| rest.contains("__").then(|| format!("{PREFIX}{rest}")))?;
    Some(format!("the environment variable `{name}` is not read; did you mean `{meant}`?"))
}

/// Whether `name` is `right` with fewer underscores.
fn is_meant(name: &str, right: &str) -> bool {
    let bare = |text: &str| text.replace('_', "").to_uppercase();
    bare(name) == bare(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_with_one_underscore_missing_is_told_its_right_spelling() {
        for (name, right) in [
            ("KARBOR_RESTORE_DATABASE__URL", "KARBOR_RESTORE__DATABASE__URL"),
            ("KARBOR_RESTORE_DATABASE_URL", "KARBOR_RESTORE__DATABASE__URL"),
            ("KARBOR_RESTORE_HTTP__TOKENS_FILE", "KARBOR_RESTORE__HTTP__TOKENS_FILE"),
            ("KARBOR_RESTORE_EARLY_UPDATES_MAX_AGE_S", "KARBOR_RESTORE__EARLY_UPDATES__MAX_AGE_S"),
            ("KARBOR_RESTORE_DATABASE__ULR", "KARBOR_RESTORE__DATABASE__ULR"),
        ] {
            let said = warning(name).expect(name);
            assert!(said.contains(&format!("`{name}`")), "{said}");
            assert!(said.contains(&format!("`{right}`")), "{said}");
        }
    }

    #[test]
    fn others_variables_are_left_alone() {
        for name in [
            "KARBOR_RESTORE__DATABASE__URL",
            "KARBOR_RESTORE_SERVICE_HOST",
            "KARBOR_RESTORE_PORT_8798_TCP_ADDR",
            "KARBOR_RESTORE",
            "DATABASE__URL",
        ] {
            assert_eq!(warning(name), None, "{name}");
        }
    }
}
