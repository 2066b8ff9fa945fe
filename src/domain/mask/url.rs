//! The passwords of `scheme://user:password@host`, and of a list of hosts as oslo.messaging writes it.

use std::ops::Range;

use super::Secret;
use super::run::{Run, is_quote, is_space};

const PLAIN: &str = "://";
const ESCAPED: &str = r":\/\/";

/// Finds the passwords of URLs.
pub(super) fn find(text: &str, secrets: &mut Vec<Secret>) {
    let mut word = Run::default();
    let mut from = 0;
    while let Some((key, start)) = next_separator(text, from) {
        from = start;
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-');
        if !text[..key].ends_with(is_scheme) {
            continue;
        }
        let is_escaped = start - key == ESCAPED.len();
        let ends = |c: char| matches!(c, '/' | '?' | '#') || is_escaped && c == '\\';
        let end = end_of_url(text, start, ends);
        from = end;
        let authority = &text[start..end];
        if authority.contains('@') {
            push_credentials(text, key, start..end, secrets);
        } else if let Some((user, rest)) = authority.split_once(':')
            && (rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_digit()))
            && !user.starts_with('[')
        {
            // No port stands there, so it is a password with a bare `/`, `?` or `#` in it if an
            // `@` follows.
            word.end_by(text, start, |start| end_of_url(text, start, |_| false));
            if let Some(at) = word.last_at.filter(|at| *at >= end) {
                secrets.push(Secret { key, start: start + user.len() + 1, end: at });
            }
        }
    }
}

/// Where the next `://` begins and ends; some writers of JSON escape its slashes.
fn next_separator(text: &str, from: usize) -> Option<(usize, usize)> {
    text[from..].match_indices(':').find_map(|(offset, _)| {
        let rest = &text[from + offset..];
        let separator = [PLAIN, ESCAPED].into_iter().find(|one| rest.starts_with(one))?;
        Some((from + offset, from + offset + separator.len()))
    })
}

/// Where a URL ends that goes on at `start`, or the part of it that `ends`. Quotes and angle brackets
/// may stand in a password; they end it where what follows could not go on in one.
fn end_of_url(text: &str, start: usize, ends: impl Fn(char) -> bool) -> usize {
    let mut characters = text[start..].char_indices().peekable();
    while let Some((offset, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        if is_space(character) || ends(character) || closes(character, next) {
            return start + offset;
        }
    }
    text.len()
}

/// Whether a quote or an angle bracket closes what stands before it.
fn closes(character: char, next: Option<char>) -> bool {
    let ends = |next: char| is_space(next) || is_quote(next) || ",;)]}<>/\\".contains(next);
    (is_quote(character) || matches!(character, '<' | '>')) && next.is_none_or(ends)
}

/// Each host of a list has credentials of its own, as oslo.messaging writes it.
fn push_credentials(text: &str, key: usize, authority: Range<usize>, secrets: &mut Vec<Secret>) {
    let mut start = authority.start;
    let mut part_start = authority.start;
    for part in text[authority].split(',') {
        let part_end = part_start + part.len();
        if let Some(at) = part.rfind('@') {
            let at = part_start + at;
            if let Some(colon) = text[start..at].find(':') {
                secrets.push(Secret { key, start: start + colon + 1, end: at });
            }
            start = part_end + 1;
        }
        part_start = part_end + 1;
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::super::mask_passwords;
    use super::super::tests::table;

    #[test]
    fn passwords_in_urls_are_hidden() {
        table(&[
            ("rabbit://user:pa@host:5672/", "rabbit://user:***@host:5672/"),
            ("a mysql+pymysql://u:p:q@h/db, b", "a mysql+pymysql://u:***@h/db, b"),
            ("http://u:p@ss@host/", "http://u:***@host/"),
            ("rabbit://u:pa/ss#?@host/v", "rabbit://u:***@host/v"),
            ("rabbit://u:p@h1:5672,v:q@h2/v", "rabbit://u:***@h1:5672,v:***@h2/v"),
            ("redis://:p@h", "redis://:***@h"),
            ("amqp://u:@h", "amqp://u:***@h"),
            ("<a href='http://u:p@h'>", "<a href='http://u:***@h'>"),
            ("http://u:P'W@h", "http://u:***@h"),
            ("http://u:'P@h", "http://u:***@h"),
            ("http://u:P\"W/x@h", "http://u:***@h"),
            ("http://u:P<W>x@h", "http://u:***@h"),
            ("http://u':P@h", "http://u':***@h"),
            ("'http://u:p@h','a@b'", "'http://u:***@h','a@b'"),
            (r#""http:\/\/u:p@h:80\/v1""#, r#""http:\/\/u:***@h:80\/v1""#),
        ]);
    }

    #[test]
    fn urls_without_a_password_stay() {
        for text in [
            "http://host:8080/v1?mail=a@b",
            "http://[::1]:80/x@y",
            "https://host/@user",
            "http://user@host",
            "://a:b@c",
            "see http://a:b then c@d",
            r#"{"url":"http://h:80","mail":"a@b"}"#,
            r"http:\/\/h:80\/v1?mail=a@b",
            r"http:\/h:80@b",
            "<url>http://h:80</url>a@b",
            "['http://h:80','a@b']",
        ] {
            assert!(matches!(mask_passwords(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
