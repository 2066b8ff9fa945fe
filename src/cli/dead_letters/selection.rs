//! Which letters a command is about.

use anyhow::bail;
use chrono::{DateTime, Utc};

use super::arguments::Selection;
use crate::domain::clean_name;
use crate::rpc::KeptLetter;
use crate::wire::shown;

/// Ids that were asked for and that no letter has, as far as was looked.
pub(super) struct Unmet(Vec<String>);

impl Unmet {
    /// Looks at one more letter.
    pub(super) fn meet(&mut self, letter: &KeptLetter) {
        self.0.retain(|id| !is_named(letter, id));
    }

    /// Says which there are.
    ///
    /// # Errors
    /// There is one: somebody may have mistaken it for another.
    pub(super) fn refuse(&self) -> anyhow::Result<()> {
        let name = |id: &String| format!("`{}`", clean_name(&shown(id)).unwrap_or_default());
        let ids: Vec<_> = self.0.iter().map(name).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let ids = ids.join(", ");
        bail!(
            "there is no dead letter {ids}: it is nobody's message_id or _unique_id; \
             `dead-letters list` shows those that are there"
        )
    }
}

/// Whether `id` is the letter's `message_id`, or the `_unique_id` of its message.
fn is_named(letter: &KeptLetter, id: &str) -> bool {
    // What a letter says was cleaned, a `_unique_id` at receipt too: so it is typed as it was sent or
    // as it is shown.
    let is_unique_id = |id: Option<String>| id.is_some_and(|id| id == letter.unique_id);
    let typed = clean_name(id);
    typed.is_some() && typed == letter.message_id
        || is_unique_id(typed)
        || is_unique_id(clean_name(&shown(id)))
}

impl Selection {
    /// The ids to be met.
    pub(super) fn unmet(&self) -> Unmet {
        Unmet(self.ids.clone())
    }

    /// Whether all that was asked for holds of `letter` at `now`. One whose age is not known (a
    /// version without that header kept it) is neither old nor new.
    pub(super) fn takes(&self, letter: &KeptLetter, now: DateTime<Utc>) -> bool {
        let age = letter.kept_at.map(|at| (now - at).to_std().unwrap_or_default());
        (self.ids.is_empty() || self.ids.iter().any(|id| is_named(letter, id)))
            && self.error.as_ref().is_none_or(|error| *error == letter.error)
            && self.method.as_ref().is_none_or(|method| *method == letter.method)
            && self.restore.is_none_or(|restore| Some(restore) == letter.restore_id)
            && self.older_than.is_none_or(|least| age.is_some_and(|age| age > least))
            && self.newer_than.is_none_or(|most| age.is_some_and(|age| age < most))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn letter() -> KeptLetter {
        KeptLetter {
            kept_at: Some(DateTime::UNIX_EPOCH),
            error: "TypeError".to_owned(),
            reason: String::new(),
            method: "restore".to_owned(),
            queue: "t".to_owned(),
            unique_id: "u-1".to_owned(),
            message_id: Some("m-1".to_owned()),
            restore_id: Some("f30fe76e-4715-4cf8-aff3-13deea7170c3".parse().unwrap()),
            has_message: true,
        }
    }

    #[test]
    fn all_that_was_asked_for_must_hold() {
        let now = DateTime::UNIX_EPOCH + Duration::from_secs(60);
        let any = Selection::default;
        let text = |text: &str| Some(text.to_owned());
        let age = |seconds| Some(Duration::from_secs(seconds));
        let id = |id: &str| vec!["other".to_owned(), id.to_owned()];
        let other = Some("f30fe76e-4715-4cf8-aff3-13deea7170c4".parse().unwrap());
        for (selection, expected) in [
            (any(), true),
            (Selection { ids: id("m-1"), ..any() }, true),
            (Selection { ids: id("u-1"), ..any() }, true),
            (Selection { ids: id("x"), ..any() }, false),
            (Selection { error: text("TypeError"), method: text("restore"), ..any() }, true),
            (Selection { error: text("TypeError"), method: text("x"), ..any() }, false),
            (Selection { error: text("InvalidInput"), ..any() }, false),
            (Selection { restore: letter().restore_id, ..any() }, true),
            (Selection { restore: other, ..any() }, false),
            (Selection { older_than: age(59), newer_than: age(61), ..any() }, true),
            (Selection { older_than: age(61), ..any() }, false),
            (Selection { newer_than: age(59), ..any() }, false),
        ] {
            assert_eq!(selection.takes(&letter(), now), expected, "{selection:?}");
        }
        let ageless = KeptLetter { kept_at: None, ..letter() };
        assert!(!Selection { older_than: age(0), ..any() }.takes(&ageless, now));
        assert!(!Selection { newer_than: age(99), ..any() }.takes(&ageless, now));
    }
}
