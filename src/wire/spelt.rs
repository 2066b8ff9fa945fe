//! A text as it reads without its escapes, and where each byte of that came from.
//!
//! JSON within JSON escapes what is escaped already, so an escape is undone as soon as it stands
//! there, also when others made it: `\\u005cu0061`, `\u0061` and `a` read alike. A few steps a byte,
//! whatever the text.

/// Stands for every character beyond ASCII.
const OTHER: u8 = 0x80;

/// A text without escapes.
pub(super) struct Spelt {
    /// Its bytes; what was escaped and is no ASCII is a byte that is none either.
    pub bytes: Vec<u8>,
    /// Where each of them begins in the text.
    pub origins: Vec<usize>,
}

impl Spelt {
    pub(super) fn of(text: &str) -> Self {
        let mut spelt =
            Self { bytes: Vec::with_capacity(text.len()), origins: Vec::with_capacity(text.len()) };
        for (at, byte) in text.bytes().enumerate() {
            spelt.bytes.push(byte);
            spelt.origins.push(at);
            while let Some(Escape { length, left, character }) = escape_at_end(&spelt.bytes) {
                let end = spelt.bytes.len() - length + left;
                spelt.bytes.truncate(end);
                spelt.bytes.push(character);
                spelt.origins.truncate(end + 1);
            }
        }
        spelt
    }

    /// Where a word begins, in the text as it came, that `is_name` takes and that has a value behind
    /// it: `name: x`, `'name'='x'`, `<name>x`.
    pub(super) fn first_value(&self, is_name: impl Fn(&[u8]) -> bool) -> Option<usize> {
        let mut at = 0;
        while at < self.bytes.len() {
            let is_in_name = |byte: &&u8| byte.is_ascii_alphabetic() || **byte == b'_';
            let end = at + self.bytes[at..].iter().take_while(is_in_name).count();
            if is_name(&self.bytes[at..end]) && has_value(&self.bytes[end..]) {
                return Some(self.origins[at]);
            }
            at = end.max(at + 1);
        }
        None
    }

    /// Whether `word` stands in it.
    pub(super) fn contains(&self, word: &str) -> bool {
        self.bytes.windows(word.len()).any(|window| window == word.as_bytes())
    }
}

/// Whether a name before this is given a value: white space may stand between, escaped or not.
fn has_value(mut rest: &[u8]) -> bool {
    loop {
        rest = match rest {
            [b'\\', b'n' | b'r' | b't', rest @ ..]
            | [b'\\' | b'"' | b'\'' | b']' | b' ' | b'\t' | b'\n' | b'\r', rest @ ..] => rest,
            _ => return matches!(rest.first(), Some(b':' | b'=' | b'>')),
        }
    }
}

/// An escape at the end of a text.
struct Escape {
    /// All its bytes, with all backslashes before it.
    length: usize,
    /// How many of these backslashes stay, being escaped ones.
    left: usize,
    character: u8,
}

/// Those of white space are none: a name may begin with their letter.
fn escape_at_end(bytes: &[u8]) -> Option<Escape> {
    let (tail, character) = match bytes {
        [.., b'\\', character @ (b'"' | b'\'' | b'/')] => (1, *character),
        [.., b'\\', b'u', first, second, third, fourth] => {
            let mut code = 0;
            for digit in [first, second, third, fourth] {
                code = code * 16 + char::from(*digit).to_digit(16)?;
            }
            (5, u8::try_from(code).ok().filter(u8::is_ascii).unwrap_or(OTHER))
        }
        _ => return None,
    };
    let before = &bytes[..bytes.len() - tail];
    let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
    // Pairs are halved, once a level, until one stands alone before the rest.
    let left = (backslashes >> backslashes.trailing_zeros()) / 2;
    Some(Escape { length: backslashes + tail, left, character })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_however_often_they_were_made() {
        for text in [
            r#"x"a": 1"#,
            r#"x\"a\": 1"#,
            r#"x\\\\"\u0061\\\\": 1"#,
            r"x\u0022\\u0061\u0022\u003a 1",
            r#"x"\\u006\u0031": 1"#,
            r#"x"\u005cu0061": 1"#,
            r#"x"\\\u0075006\\u0031": 1"#,
        ] {
            let spelt = Spelt::of(text);
            assert_eq!(String::from_utf8_lossy(&spelt.bytes), r#"x"a": 1"#, "{text}");
            assert_eq!(spelt.origins.len(), spelt.bytes.len());
            assert_eq!((spelt.origins[0], spelt.origins[1]), (0, 1));
        }
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in [r"c:\temp\new", r"\u00", r"\u00zz", "é", r"\x5f"] {
            let spelt = Spelt::of(text);
            assert_eq!(spelt.bytes, text.as_bytes());
            assert!(spelt.origins.iter().copied().eq(0..text.len()));
        }
        assert_eq!(Spelt::of(r"a\u00e9b").bytes, [b'a', OTHER, b'b']);
    }
}
