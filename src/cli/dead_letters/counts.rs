//! What a command counted, in words or as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::table::printable;
use crate::rpc::KeptLetter;

/// Of the letters that a command looked at.
#[derive(Debug, Default, Serialize)]
pub(super) struct Counts {
    /// All that were in the queue.
    pub looked_at: u64,
    /// Those that were selected.
    pub selected: u64,
    /// The selected ones by class.
    pub by_error: BTreeMap<String, u64>,
}

impl Counts {
    /// Counts a selected one.
    pub fn select(&mut self, letter: &KeptLetter) {
        self.selected += 1;
        *self.by_error.entry(letter.error.clone()).or_default() += 1;
    }

    /// `3 of 7 letters: 2 InvalidInput, 1 TypeError`, without an end.
    pub fn in_words(&self) -> String {
        let Self { looked_at, selected, by_error } = self;
        let letters = if *looked_at == 1 { "letter" } else { "letters" };
        let mut text = format!("{selected} of {looked_at} {letters}");
        for (index, (error, count)) in by_error.iter().enumerate() {
            let error = if error.is_empty() { "of no class" } else { &printable(error) };
            let between = if index == 0 { ": " } else { ", " };
            write!(text, "{between}{count} {error}").expect("a String takes any text");
        }
        text
    }
}

/// Pretty JSON with a line's end.
pub(super) fn to_json<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("the shapes are JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_by_class() {
        let by_error = [("InvalidInput".to_owned(), 2), ("TypeError".to_owned(), 1)].into();
        let counts = Counts { looked_at: 7, selected: 3, by_error };
        assert_eq!(counts.in_words(), "3 of 7 letters: 2 InvalidInput, 1 TypeError");
        assert_eq!(Counts::default().in_words(), "0 of 0 letters");
        let by_error = [("a\nall is well".to_owned(), 1)].into();
        let counts = Counts { looked_at: 1, selected: 1, by_error };
        assert_eq!(counts.in_words(), "1 of 1 letter: 1 a all is well");
    }
}
