//! JSON as Python reads and writes it: `json.loads` and `json.dumps` with their defaults.
//!
//! Takes the text of a body, gives a value, and the other way round. What Python's JSON has beyond
//! the standard must never panic here: a lone surrogate becomes U+FFFD; `NaN` and `Infinity` are
//! kept as numbers that no rule accepts, and written as they came; whole numbers of any size keep
//! their digits; of a key that comes twice the last wins. Nesting beyond 128 is refused.

use std::borrow::Cow;
use std::{fmt, io};

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Map, Value};

/// Numbers that stand for Python's three literals, spelt as serde_json keeps an exponent. No float
/// holds them, so that a rule which asks for a finite number refuses them.
const LITERALS: [(&str, &str); 3] =
    [("NaN", "1e+990097"), ("Infinity", "1e+990099"), ("-Infinity", "-1e+990099")];

/// Reads JSON text.
pub(crate) fn loads(text: &str) -> Result<Value, serde_json::Error> {
    // Nearly no message has any of Python's extras, and without them the first reading is right.
    serde_json::from_str(text).or_else(|error| match without_python_extras(text) {
        Cow::Borrowed(_) => Err(error),
        Cow::Owned(plain) => serde_json::from_str(&plain),
    })
}

/// Reads an object of standard JSON and keeps the keys that `is_kept` names; what the others hold
/// is checked like the rest, and never built.
pub(crate) fn loads_kept(
    text: &str,
    is_kept: fn(&str) -> bool,
) -> Result<Map<String, Value>, serde_json::Error> {
    loads_built(text, |key| if is_kept(key) { Build::Value } else { Build::Nothing })
        .map(|(read, _)| read)
}

/// Reads an object of standard JSON in which the keys that `is_nulled` names are null, whatever they
/// held. Whether any of them held something.
pub(crate) fn loads_nulled(
    text: &str,
    is_nulled: fn(&str) -> bool,
) -> Result<(Map<String, Value>, bool), serde_json::Error> {
    loads_built(text, |key| if is_nulled(key) { Build::Null } else { Build::Value })
}

/// What becomes of a key.
enum Build {
    Value,
    Null,
    Nothing,
}

fn loads_built(
    text: &str,
    build: impl Fn(&str) -> Build,
) -> Result<(Map<String, Value>, bool), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = reader.deserialize_map(BuildKeys(build))?;
    reader.end()?;
    Ok(read)
}

/// Gives what was built, and whether anything was not.
struct BuildKeys<F>(F);

impl<'de, F: Fn(&str) -> Build> Visitor<'de> for BuildKeys<F> {
    type Value = (Map<String, Value>, bool);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut read, mut passed) = (Map::new(), false);
        while let Some(key) = map.next_key::<String>()? {
            let build = (self.0)(&key);
            if matches!(build, Build::Value) {
                read.insert(key, map.next_value()?);
                continue;
            }
            passed |= map.next_value::<Option<Passed>>()?.is_some();
            if matches!(build, Build::Null) {
                read.insert(key, Value::Null);
            }
        }
        Ok((read, passed))
    }
}

/// A value that is read and dropped, nested ones too: unlike serde's own `IgnoredAny` it counts
/// nesting, so a text is refused by the same rule whether a key is kept or not.
struct Passed;

impl<'de> Deserialize<'de> for Passed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Passed {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    // Numbers come this way too: serde_json keeps their digits as a map of its own.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

/// Writes JSON as Python's `json.dumps` does: a space after `,` and `:`, non-ASCII escaped.
pub(crate) fn dumps<T: Serialize + ?Sized>(value: &T) -> String {
    write(value, PythonFormatter)
}

/// Writes JSON in the shortest form: hardly ever longer than what was read.
pub(crate) fn dumps_compact<T: Serialize + ?Sized>(value: &T) -> String {
    write(value, CompactFormatter)
}

fn write<T: Serialize + ?Sized>(value: &T, formatter: impl Formatter) -> String {
    let mut out = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut out, formatter))
        .expect("only values with text keys are written, and memory does not fail");
    String::from_utf8(out).expect("a JSON serializer writes UTF-8")
}

fn write_number<W: io::Write + ?Sized>(writer: &mut W, number: &str) -> io::Result<()> {
    let literal = LITERALS.iter().find(|(_, stand_in)| *stand_in == number);
    writer.write_all(literal.map_or(number, |(literal, _)| literal).as_bytes())
}

struct CompactFormatter;

impl Formatter for CompactFormatter {
    fn write_number_str<W: io::Write + ?Sized>(&mut self, w: &mut W, n: &str) -> io::Result<()> {
        write_number(w, n)
    }
}

struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn write_number_str<W: io::Write + ?Sized>(&mut self, w: &mut W, n: &str) -> io::Result<()> {
        write_number(w, n)
    }

    fn begin_array_value<W: io::Write + ?Sized>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_key<W: io::Write + ?Sized>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(b": ")
    }

    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        mut fragment: &str,
    ) -> io::Result<()> {
        // All of it at once, which the processor does faster than it finds the first.
        if fragment.bytes().fold(true, |plain, b| plain & matches!(b, b' '..=b'~')) {
            return writer.write_all(fragment.as_bytes());
        }
        while let Some(at) = fragment.find(|c: char| !matches!(c, ' '..='~')) {
            let (plain, rest) = fragment.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut rest = rest.chars();
            for unit in rest.next().into_iter().flat_map(|c| {
                let mut units = [0; 2];
                let count = c.encode_utf16(&mut units).len();
                units.into_iter().take(count)
            }) {
                write!(writer, "\\u{unit:04x}")?;
            }
            fragment = rest.as_str();
        }
        writer.write_all(fragment.as_bytes())
    }
}

/// Puts U+FFFD for escaped lone surrogates, and numbers for `NaN` and `Infinity` outside of texts.
fn without_python_extras(text: &str) -> Cow<'_, str> {
    if !may_have_python_extras(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_text = false;
    while let Some(first) = rest.chars().next() {
        let (taken, put) = if in_text { in_string(rest) } else { outside(rest) };
        if first == '"' {
            in_text = !in_text;
        }
        out.push_str(put);
        rest = &rest[taken..];
    }
    Cow::Owned(out)
}

/// One pass over the bytes: most texts that are no JSON have none of it either.
fn may_have_python_extras(bytes: &[u8]) -> bool {
    bytes.iter().enumerate().any(|(at, byte)| match byte {
        b'\\' => matches!(bytes[at..], [_, b'u', b'd' | b'D', ..]),
        b'N' => bytes[at..].starts_with(b"NaN"),
        b'I' => bytes[at..].starts_with(b"Infinity"),
        _ => false,
    })
}

/// What to copy from the start of `rest`, which is inside a JSON text: bytes taken, and what to
/// put for them.
fn in_string(rest: &str) -> (usize, &str) {
    let Some(unit) = escaped_unit(rest) else {
        let taken = match rest.as_bytes() {
            [b'\\', second, ..] if second.is_ascii() => 2,
            [b'\\' | b'"', ..] => 1,
            _ => rest.find(['\\', '"']).unwrap_or(rest.len()),
        };
        return (taken, &rest[..taken]);
    };
    match unit {
        0xd800..=0xdbff => match escaped_unit(&rest[6..]) {
            Some(0xdc00..=0xdfff) => (12, &rest[..12]),
            _ => (6, "\\ufffd"),
        },
        0xdc00..=0xdfff => (6, "\\ufffd"),
        _ => (6, &rest[..6]),
    }
}

fn outside(rest: &str) -> (usize, &str) {
    if let Some((literal, number)) = LITERALS.iter().find(|(text, _)| rest.starts_with(text)) {
        return (literal.len(), number);
    }
    let taken = rest.chars().next().map_or(0, char::len_utf8);
    (taken, &rest[..taken])
}

/// The UTF-16 unit of a `\uXXXX` at the start.
fn escaped_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    if digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        u16::from_str_radix(digits, 16).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lone_surrogates_become_the_replacement_character_and_pairs_stay() {
        for (sent, read) in [
            (r#""a\ud800b""#, "a\u{fffd}b"),
            (r#""\uDC00\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ud800\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ud800\\ud800""#, "\u{fffd}\\ud800"),
            (r#""é\ud800é\"\ud800""#, "é\u{fffd}é\"\u{fffd}"),
        ] {
            assert_eq!(loads(sent).unwrap(), Value::from(read), "{sent}");
        }
        assert!(loads(r#""\ud8"#).is_err());
        assert!(loads(r#""\ud80é""#).is_err());
    }

    #[test]
    fn python_literals_are_read_as_no_finite_number_and_written_as_they_came() {
        let text = r#"{"a": [NaN, Infinity, -Infinity], "b": "NaN \u00e9"}"#;
        let value = loads(text).unwrap();
        assert_eq!(dumps(&value), text);
        assert_eq!(dumps_compact(&value), r#"{"a":[NaN,Infinity,-Infinity],"b":"NaN é"}"#);
        assert!(value["a"].as_array().unwrap().iter().all(|n| n.as_f64().is_none()));
        assert!(loads("NaNa").is_err());
    }

    #[test]
    fn big_numbers_keep_their_digits_and_the_last_of_two_keys_wins() {
        let text = "[1180591620717411303424, 2.50, -0, 1e+16, 1e-07]";
        assert_eq!(dumps(&loads(text).unwrap()), text);
        assert_eq!(dumps(&loads(r#"{"a": 1, "b": 2, "a": 3}"#).unwrap()), r#"{"a": 3, "b": 2}"#);
    }

    #[test]
    fn text_is_escaped_as_python_escapes_it() {
        let text = "\u{7f}é😀\u{fffd}\"\\/\n\t\u{1}";
        assert_eq!(dumps(text), r#""\u007f\u00e9\ud83d\ude00\ufffd\"\\/\n\t\u0001""#);
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(loads(&"[".repeat(100_000)).is_err());
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        assert!(loads(&deep).is_err());
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in r#"(\\u|[dD]8|00|"|\\|[a-f0-9]|é|NaN|Infinity|[\[\]{},: ])*"#) {
            let _ = loads(&text);
        }

        #[test]
        fn any_text_is_read_as_it_was_written(text in any::<String>()) {
            prop_assert_eq!(loads(&dumps(&text)).unwrap(), Value::from(text.clone()));
            prop_assert_eq!(loads(&dumps_compact(&text)).unwrap(), Value::from(text));
        }
    }
}
