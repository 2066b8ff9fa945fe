//! The values behind keys such as `password`, in each of oslo.utils' forms.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::Secret;
use super::run::{Run, end_of_run, is_quote, is_space, skip_space, skip_space_after};

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

/// Finds the values behind keys.
pub(super) fn find(text: &str, secrets: &mut Vec<Secret>) {
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
