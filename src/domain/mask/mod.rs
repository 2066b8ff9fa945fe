//! Finds passwords in free text and hides them.
//!
//! Takes any text, gives it with `***` in place of the password of `scheme://user:password@host`
//! and of every value that oslo.utils' `mask_password` hides (`oslo_utils/strutils.py`: the keys
//! of `_SANITIZE_KEYS`, the forms of `_FORMAT_PATTERNS_1`, `_2` and `_WILDCARD`). Where oslo's
//! patterns leave the rest of a value that holds a quote or a `^`, or one whose closing quote is
//! missing, all of it is hidden; what merely stands behind a value is kept, which oslo's wildcard
//! eats. Masking twice equals masking once, and the time grows as the text does. Must never need
//! a second look at what it has hidden: what it gives is safe to cut, log and publish.

mod key;
mod run;
mod url;

use std::borrow::Cow;

const MASK: &str = "***";

/// Hides passwords. A text with no key of oslo.utils' and no `://` is given back as it is.
pub fn mask_passwords(text: &str) -> Cow<'_, str> {
    let Some(mut masked) = mask_once(text) else { return Cow::Borrowed(text) };
    // One pass is enough but for texts in which forms overlap so that hiding one makes another.
    for _ in 0..8 {
        let Some(again) = mask_once(&masked) else { return Cow::Owned(masked) };
        masked = again;
    }
    Cow::Borrowed(MASK)
}

/// Where the first thing begins, its key included, that [`mask_passwords`] would change.
pub(super) fn first_unmasked(text: &str) -> Option<usize> {
    unmasked(text).iter().map(|secret| secret.key).min()
}

fn mask_once(text: &str) -> Option<String> {
    let secrets = unmasked(text);
    let mut shown_to = 0;
    let mut masked = String::with_capacity(text.len());
    for secret in &secrets {
        masked.push_str(&text[shown_to..secret.start]);
        masked.push_str(MASK);
        shown_to = secret.end;
    }
    masked.push_str(&text[shown_to..]);
    (!secrets.is_empty()).then_some(masked)
}

/// A value to hide, as byte offsets, and where the key (or the `://`) that reveals it begins.
#[derive(Debug, Clone, Copy)]
struct Secret {
    key: usize,
    start: usize,
    end: usize,
}

/// What is to be hidden and is not yet, in order; nothing in it overlaps or touches.
fn unmasked(text: &str) -> Vec<Secret> {
    let mut secrets = Vec::new();
    url::find(text, &mut secrets);
    key::find(text, &mut secrets);
    secrets.sort_unstable_by_key(|secret| (secret.start, secret.end));
    secrets.dedup_by(|next, last| {
        let touches = next.start <= last.end;
        if touches {
            last.end = last.end.max(next.end);
            last.key = last.key.min(next.key);
        }
        touches
    });
    secrets.retain(|secret| &text[secret.start..secret.end] != MASK);
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn table(rows: &[(&str, &str)]) {
        for (text, masked) in rows {
            assert_eq!(mask_passwords(text), *masked, "{text}");
            assert_eq!(mask_passwords(masked), *masked, "again: {text}");
        }
    }

    #[test]
    fn masks_as_oslo_utils_does() {
        // Pairs of a text and what `oslo_utils.strutils.mask_password` of oslo.utils 10.2.0 makes
        // of it; the texts are those of its own tests and one or more of each form.
        let pairs = include_str!("../../../tests/fixtures/mask_password.json");
        let pairs: Vec<(String, String)> = serde_json::from_str(pairs).unwrap();
        for (text, masked) in pairs {
            table(&[(&text, &masked)]);
        }
    }

    #[test]
    fn all_of_a_value_is_hidden_where_oslo_leaves_its_rest() {
        table(&[
            ("password=Pa^ss next", "password=*** next"),
            ("--password Pa^ss next", "--password *** next"),
            (r#""password": "te'st", "id": "7""#, r#""password": "***", "id": "7""#),
            ("{'adminPass': u'abc', 'x': 1}", "{'adminPass': u'***', 'x': 1}"),
            ("'password': 'pass'word', 'id': '7'", "'password': '***', 'id': '7'"),
            (r#"{"password": "a\"b", "c": 1}"#, r#"{"password": "***", "c": 1}"#),
            ("password='cut off her", "password='***"),
            (r#"{"auth_token": "cut off he"#, r#"{"auth_token": "***"#),
            ("token = password = abc", "token = *** = ***"),
        ]);
    }

    #[test]
    fn text_without_secrets_is_not_copied() {
        for text in ["", "no such volume", "the token has expired", "<token> <password>", "token="]
        {
            assert!(matches!(mask_passwords(text), Cow::Borrowed(_)), "{text}");
        }
    }

    /// The processor's time that this thread has had, in nanoseconds.
    fn processor_time() -> u64 {
        // The kernel counts up to the last time that it looked.
        std::thread::yield_now();
        let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        told.split(' ').next().unwrap().parse().unwrap()
    }

    #[test]
    fn long_texts_of_many_keys_take_linear_time() {
        for piece in
            ["token=", "token ", "token-", "token'", "'token':'", "<token>", "x://a:", "--token "]
        {
            let cost = |bytes: usize| {
                let text = piece.repeat(bytes / piece.len());
                let before = processor_time();
                mask_passwords(&text);
                processor_time() - before
            };
            // Linear is eight times as much, quadratic sixty-four.
            let (short, long) = (cost(1 << 17), cost(1 << 20));
            assert!(long < 24 * short, "{piece}: {short} and {long} ns");
        }
    }
}
