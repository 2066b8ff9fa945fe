//! Free text of other services, made fit to be stored, shown and published.
//!
//! Takes a reason or a name as it came, gives it without control characters, without passwords
//! and, a reason, not longer than the limit. Cleaning twice equals cleaning once, so that a text
//! which went round through Karbor's columns is recognised as the same. Must never let half a
//! secret remain: passwords are masked before anything is cut.

use std::borrow::Cow;

use super::mask::first_unmasked;
pub use super::mask::mask_passwords;
use crate::formatting::is_formatting;

/// Cleans a reason: removes control and bidirectional formatting characters (newline and tab
/// stay), masks passwords, and cuts to `max_chars` characters in all, the end then saying how
/// many are missing. `None` where nothing is left.
pub fn clean_reason(text: &str, max_chars: usize) -> Option<String> {
    let cleaned = clean_name(text)?;
    Some(cut(cleaned, max_chars))
}

/// Cleans a name like a reason, but does not cut it.
pub fn clean_name(text: &str) -> Option<String> {
    let printable = remove_formatting(text);
    if printable.is_empty() {
        return None;
    }
    Some(mask_passwords(&printable).into_owned())
}

/// What a reason or a name loses: newline and tab stay.
fn is_unwanted(character: char) -> bool {
    !matches!(character, '\n' | '\t') && is_formatting(character)
}

fn remove_formatting(text: &str) -> Cow<'_, str> {
    if text.contains(is_unwanted) {
        Cow::Owned(text.chars().filter(|character| !is_unwanted(*character)).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Cuts a masked text to `max_chars`, at a place where the cut itself makes nothing look like a
/// password: else cleaning it again would change it.
fn cut(text: String, max_chars: usize) -> String {
    // Bytes are at least as many as characters.
    if text.len() <= max_chars {
        return text;
    }
    let chars = text.chars().count();
    if chars <= max_chars {
        return text;
    }
    // The end's length depends on the number in it.
    let longest_end = cut_end(chars).len();
    let fitting_end = cut_end(chars - max_chars.saturating_sub(longest_end)).len();
    let mut head = prefix(&text, max_chars.saturating_sub(fitting_end));
    loop {
        let end = cut_end(chars - head.chars().count());
        let candidate = format!("{head}{end}");
        match first_unmasked(&candidate) {
            Some(start) if start < head.len() => head = &head[..start],
            _ => return prefix(&candidate, max_chars).to_owned(),
        }
    }
}

/// The end of a cut text; has no character that could make what stands before it a password.
fn cut_end(missing: usize) -> String {
    format!(" ... [{missing} more characters]")
}

fn prefix(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::fuzz::mixed;

    #[test]
    fn nothing_is_none() {
        assert_eq!(clean_reason("", 100), None);
        assert_eq!(clean_reason("\0\u{202e}\r", 100), None);
        assert_eq!(clean_name("\u{7f}"), None);
    }

    #[test]
    fn control_and_bidirectional_characters_are_removed() {
        let text = "a\0b\x1b[31mc\u{85}d\u{202e}e\u{2066}f\u{200f}g\u{61c}h\r\n\ti";
        assert_eq!(clean_reason(text, 100).unwrap(), "ab[31mcdefgh\n\ti");
    }

    #[test]
    fn a_control_character_does_not_hide_a_password() {
        assert_eq!(clean_name("pass\0word=abc").unwrap(), "password=***");
    }

    #[test]
    fn long_text_is_cut_to_the_limit_and_says_what_is_missing() {
        let cut = clean_reason(&"é".repeat(5000), 4096).unwrap();
        assert_eq!(cut.chars().count(), 4096);
        let shown = cut.chars().filter(|c| *c == 'é').count();
        assert!(cut.ends_with(&format!(" ... [{} more characters]", 5000 - shown)));
        assert_eq!(clean_reason(&"é".repeat(4096), 4096).unwrap().chars().count(), 4096);
    }

    #[test]
    fn a_password_at_the_cut_leaves_no_half() {
        for pad in 0..60 {
            let text =
                format!("{}password='{}'{}", "x".repeat(pad), "s3cret".repeat(30), "y".repeat(90));
            let cleaned = clean_reason(&text, 80).unwrap();
            assert!(!cleaned.contains("s3"), "{cleaned}");
            assert!(cleaned.chars().count() <= 80);
            assert_eq!(clean_reason(&cleaned, 80).unwrap(), cleaned);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn cleaning_twice_equals_cleaning_once(text in mixed(), max in 0_usize..80) {
            if let Some(once) = clean_reason(&text, max.max(1)) {
                prop_assert!(once.chars().count() <= max.max(1));
                if max > 40 {
                    prop_assert_eq!(clean_reason(&once, max).unwrap(), once);
                }
            }
        }

        #[test]
        fn names_clean_once(text in mixed()) {
            if let Some(once) = clean_name(&text) {
                prop_assert_eq!(clean_name(&once).unwrap(), once);
            }
        }

        #[test]
        fn any_text_is_cleaned(text in any::<String>(), max in 1_usize..200) {
            if let Some(once) = clean_reason(&text, max) {
                prop_assert!(once.chars().count() <= max);
                prop_assert!(!once.chars().any(is_unwanted));
            }
        }
    }
}
