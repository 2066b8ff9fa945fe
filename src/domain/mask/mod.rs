//! Finds passwords in free text and hides them.
//!
//! Takes any text, gives it with `***` in place of the password of `scheme://user:password@host`
//! and of every value that oslo.utils' `mask_password` hides (`oslo_utils/strutils.py`: the keys
//! of `_SANITIZE_KEYS`, the forms of `_FORMAT_PATTERNS_1`, `_2` and `_WILDCARD`). Where oslo's
//! patterns leave the rest of a value that holds a quote or a `^`, or one whose closing quote is
//! missing, all of it is hidden; what merely stands behind a value is kept, which oslo's wildcard
//! eats. Masking twice equals masking once, and the time grows as the text does. Must never need
//! a second look at what it has hidden: what it gives is safe to cut, log and publish.

mod url;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

const MASK: &str = "***";

/// oslo.utils' `_SANITIZE_KEYS`, sorted so that of two that begin alike the longer is tried first.
static KEYS: LazyLock<Regex> = LazyLock::new(|| {
    let mut keys = [
        "adminpass",
        "admin_pass",
        "password",
        "admin_password",
        "auth_token",
        "new_pass",
        "auth_password",
        "secret_uuid",
        "secret",
        "sys_pswd",
        "token",
        "configdrive",
        "chappassword",
        "encrypted_key",
        "private_key",
        "fernetkey",
        "sslkey",
        "passphrase",
        "cephclusterfsid",
        "octaviaheartbeatkey",
        "rabbitcookie",
        "cephmanilaclientkey",
        "pacemakerremoteauthkey",
        "designaterndckey",
        "cephadminkey",
        "heatauthencryptionkey",
        "cephclientkey",
        "keystonecredential",
        "barbicansimplecryptokek",
        "cephrgwkey",
        "swifthashsuffix",
        "migrationsshkey",
        "cephmdskey",
        "cephmonkey",
        "chapsecret",
    ];
    keys.sort_unstable_by_key(|key| std::cmp::Reverse(key.len()));
    Regex::new(&format!("(?i){}", keys.join("|"))).expect("the keys are plain words")
});

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
    find_behind_keys(text, &mut secrets);
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

fn find_behind_keys(text: &str, secrets: &mut Vec<Secret>) {
    let mut found = KEYS.find(text);
    let first_quote = text.find(is_quote).unwrap_or(text.len());
    let mut runs = Runs::default();
    while let Some(word) = found {
        let name_end = end_of_run(text, word.end(), |c| !c.is_ascii_digit());
        let key = Key {
            text,
            start: word.start(),
            word: word.as_str(),
            name_end,
            gap_end: skip_space(text, name_end),
            may_be_quoted: first_quote < word.start(),
        };
        let values = [
            key.assigned(&mut runs.bare),
            key.quoted_behind(),
            key.behind_flag(&mut runs.flagged),
            key.element(),
            key.dictionary_value(),
            key.list_item(),
            key.behind_option(&mut runs.spaced),
        ];
        // Keys overlap (`new_pass` and `password` in `new_password`), so the next may begin at
        // the next character; only inside quotes that are hidden whole nothing more is looked for.
        let mut next = key.start + word.as_str().chars().next().map_or(1, char::len_utf8);
        for value in values.into_iter().flatten() {
            secrets.push(Secret { key: key.start, start: value.start, end: value.end });
            if value.in_quotes {
                next = next.max(value.end);
            }
        }
        found = KEYS.find_at(text, next);
    }
}

/// One of oslo's keys as it stands in a text. Each method is one of oslo's forms.
struct Key<'t> {
    text: &'t str,
    start: usize,
    word: &'t str,
    /// Behind the digits that may follow the word.
    name_end: usize,
    /// Behind the white space that may follow those.
    gap_end: usize,
    /// Whether any quote stands before it.
    may_be_quoted: bool,
}

struct Value {
    start: usize,
    end: usize,
    in_quotes: bool,
}

impl Key<'_> {
    /// `password = 'value'` and `password=value`
    fn assigned(&self, bare: &mut Run) -> Option<Value> {
        let start = skip_space_after(self.text, self.gap_end, '=')?;
        in_quotes(self.text, start, closing_quote).or_else(|| {
            let end = bare.end(self.text, start, |c| is_space(c) || is_quote(c));
            unquoted(start, end)
        })
    }

    /// `password 'value'`
    fn quoted_behind(&self) -> Option<Value> {
        if self.gap_end == self.name_end {
            return None;
        }
        in_quotes(self.text, self.gap_end, closing_quote)
    }

    /// `--password value`
    fn behind_flag(&self, flagged: &mut Run) -> Option<Value> {
        if self.gap_end == self.name_end || !self.text[..self.start].ends_with("--") {
            return None;
        }
        let ends = |c| is_space(c) || is_quote(c) || c == '=';
        unquoted(self.gap_end, flagged.end(self.text, self.gap_end, ends))
    }

    /// `<password>value</password>`
    fn element(&self) -> Option<Value> {
        if !self.text[..self.start].ends_with('<') || !self.text[self.name_end..].starts_with('>') {
            return None;
        }
        let start = self.name_end + 1;
        let end = end_of_run(self.text, start, |c| c == '<');
        let closing = self.text[end..].strip_prefix("</")?.get(..self.word.len())?;
        closing.eq_ignore_ascii_case(self.word).then_some(Value { start, end, in_quotes: false })
    }

    /// `'my_password': u'value'`
    fn dictionary_value(&self) -> Option<Value> {
        let value = skip_space_after(self.text, self.behind_quoted()?, ':')?;
        in_quotes(self.text, skip_unicode_prefix(self.text, value), end_of_dictionary_value)
    }

    /// `'my_password', '--option', u'value'`
    fn list_item(&self) -> Option<Value> {
        let option = skip_space_after(self.text, self.behind_quoted()?, ',')?;
        self.text[option..].strip_prefix('\'')?;
        let option_end = option_letters(self.text, option + 1)?.end;
        self.text[option_end..].strip_prefix('\'')?;
        let comma = skip_space(self.text, option_end + 1);
        let value = skip_space_after(self.text, comma, ',')?;
        in_quotes(self.text, skip_unicode_prefix(self.text, value), closing_quote)
    }

    /// `password --option value`
    fn behind_option(&self, spaced: &mut Run) -> Option<Value> {
        let letters = option_letters(self.text, self.gap_end)?;
        let start = skip_space(self.text, letters.end);
        unquoted(start, spaced.end(self.text, start, is_space)).or_else(|| {
            // With nothing behind, oslo takes the option's last letter for the value.
            unquoted(letters.end - 1, letters.end).filter(|_| letters.len() > 1)
        })
    }

    /// Where it goes on behind the closing quote of a quoted name that ends with this key.
    fn behind_quoted(&self) -> Option<usize> {
        let is_quoted = self.may_be_quoted && self.text[self.name_end..].starts_with(is_quote);
        is_quoted.then(|| skip_space(self.text, self.name_end + 1))
    }
}

fn unquoted(start: usize, end: usize) -> Option<Value> {
    (start < end).then_some(Value { start, end, in_quotes: false })
}

/// The value whose opening quote stands at `at`; none where the text ends with that quote.
fn in_quotes(text: &str, at: usize, find_end: fn(&str, usize, char) -> usize) -> Option<Value> {
    let quote = text[at..].chars().next().filter(|c| is_quote(*c))?;
    let start = at + 1;
    let value = Value { start, end: find_end(text, start, quote), in_quotes: true };
    (start < text.len()).then_some(value)
}

/// Python's `\s`.
fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

fn is_quote(character: char) -> bool {
    matches!(character, '\'' | '"')
}

fn end_of_run(text: &str, start: usize, ends: impl Fn(char) -> bool) -> usize {
    text[start..].find(ends).map_or(text.len(), |length| start + length)
}

fn skip_space(text: &str, start: usize) -> usize {
    end_of_run(text, start, |c| !is_space(c))
}

/// Skips `sign`, if it stands there, and the white space after it.
fn skip_space_after(text: &str, start: usize, sign: char) -> Option<usize> {
    text[start..].starts_with(sign).then(|| skip_space(text, start + sign.len_utf8()))
}

/// Python 2's `u` before a quoted text.
fn skip_unicode_prefix(text: &str, start: usize) -> usize {
    if text[start..].starts_with(['u', 'U']) { start + 1 } else { start }
}

/// The letters of `-x` or `--option` at `start` (oslo's `--?[A-z]+`, whose `A-z` has six signs
/// besides).
fn option_letters(text: &str, start: usize) -> Option<Range<usize>> {
    let rest = text[start..].strip_prefix('-')?;
    let letters = text.len() - rest.strip_prefix('-').unwrap_or(rest).len();
    let end = end_of_run(text, letters, |c| !matches!(c, 'A'..='z'));
    (letters < end).then_some(letters..end)
}

/// Each `quote` from `start` that no backslash escapes.
fn closing_quotes(text: &str, start: usize, quote: char) -> impl Iterator<Item = usize> {
    text[start..].match_indices(quote).map(move |(at, _)| start + at).filter(move |at| {
        let before = &text[start..*at];
        (before.len() - before.trim_end_matches('\\').len()).is_multiple_of(2)
    })
}

/// The end of a value in quotes; of one whose closing quote is missing, the end of the text.
fn closing_quote(text: &str, start: usize, quote: char) -> usize {
    closing_quotes(text, start, quote).next().unwrap_or(text.len())
}

/// The end of a value in a dictionary: its closing quote is the first after which the dictionary
/// goes on or the text ends. Where none is like that, the last: a password may hold quotes.
fn end_of_dictionary_value(text: &str, start: usize, quote: char) -> usize {
    let mut end = text.len();
    for at in closing_quotes(text, start, quote) {
        end = at;
        let behind = skip_space(text, at + 1);
        if matches!(text[behind..].chars().next(), None | Some(',' | '}' | ']' | ')' | ';')) {
            break;
        }
    }
    end
}

/// The runs of characters that unquoted values of the three kinds consist of.
#[derive(Debug, Default)]
struct Runs {
    bare: Run,
    flagged: Run,
    spaced: Run,
}

/// The end of the run in which a position lies, remembered: many keys in one long word must not
/// each walk to its end.
#[derive(Debug, Default)]
struct Run {
    start: usize,
    end: usize,
    /// The last `@` in it.
    last_at: Option<usize>,
}

impl Run {
    fn end(&mut self, text: &str, start: usize, ends: impl Fn(char) -> bool) -> usize {
        self.end_by(text, start, |start| end_of_run(text, start, ends))
    }

    fn end_by(&mut self, text: &str, start: usize, end: impl FnOnce(usize) -> usize) -> usize {
        if !(self.start..self.end).contains(&start) {
            self.start = start;
            self.end = end(start);
            self.last_at = text[start..self.end].rfind('@').map(|at| start + at);
        }
        self.end
    }
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

    #[test]
    fn long_texts_of_many_keys_take_linear_time() {
        for piece in
            ["token=", "token ", "token-", "token'", "'token':'", "<token>", "x://a:", "--token "]
        {
            let text = piece.repeat((1 << 20) / piece.len());
            let started = std::time::Instant::now();
            mask_passwords(&text);
            // Quadratic time would be minutes.
            assert!(started.elapsed().as_secs() < 5, "{piece}");
        }
    }
}
