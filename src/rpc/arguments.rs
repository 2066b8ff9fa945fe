//! Keyword arguments, bound as Python binds them, and the values within them.
//!
//! Takes the `args` of a request or one item of a list, gives values by name. What is wrong is
//! said as Python says it of a call's arguments, and with the argument's name of its value, which
//! is never repeated.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::RpcError;
use crate::wire::shown;

/// The names that a call or an item may and must have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signature {
    pub(crate) required: &'static [&'static str],
    pub(crate) optional: &'static [&'static str],
}

impl Signature {
    fn unknown<'a>(&self, given: &'a Map<String, Value>) -> Option<&'a str> {
        given
            .keys()
            .map(String::as_str)
            .find(|name| !self.required.contains(name) && !self.optional.contains(name))
    }

    fn missing(&self, given: &Map<String, Value>) -> Vec<&'static str> {
        self.required.iter().copied().filter(|name| !given.contains_key(*name)).collect()
    }

    /// Checks the arguments of a call: `TypeError`, in Python's words.
    pub(crate) fn check_call(
        &self,
        method: &str,
        given: &Map<String, Value>,
    ) -> Result<(), RpcError> {
        if let Some(name) = self.unknown(given) {
            let name = shown(name);
            return Err(RpcError::TypeError(format!(
                "{method}() got an unexpected keyword argument '{name}'"
            )));
        }
        let missing = self.missing(given);
        let list = match missing.as_slice() {
            [] => return Ok(()),
            [one] => format!(": '{one}'"),
            [one, two] => format!("s: '{one}' and '{two}'"),
            [first @ .., last] => {
                let mut names = "s: ".to_owned();
                for name in first {
                    let _ = write!(names, "'{name}', ");
                }
                format!("{names}and '{last}'")
            }
        };
        let count = missing.len();
        Err(RpcError::TypeError(format!(
            "{method}() missing {count} required positional argument{list}"
        )))
    }

    /// Checks the keys of an item of a list.
    pub(crate) fn check_item(&self, given: &Map<String, Value>) -> Result<(), String> {
        if let Some(name) = self.unknown(given) {
            return Err(format!("unknown key `{}`", shown(name)));
        }
        match self.missing(given).first() {
            Some(name) => Err(format!("`{name}` is missing")),
            None => Ok(()),
        }
    }
}

/// A value that must be a text.
pub(crate) fn text<'a>(given: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    optional_text(given, name)?.ok_or_else(|| match given.get(name) {
        None => format!("`{name}` is missing"),
        Some(_) => format!("`{name}` must be a text"),
    })
}

/// A value that may be null or absent, and a text otherwise.
pub(crate) fn optional_text<'a>(
    given: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, String> {
    match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}` must be a text")),
    }
}

/// A value that may be null or absent, and an object otherwise.
pub(crate) fn optional_object<'a>(
    given: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, String> {
    match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(format!("`{name}` must be null or an object")),
    }
}

/// A text of `least` to 255 printable ASCII characters, or of as many as `most`.
pub(crate) fn printable(
    text: &str,
    name: &str,
    least: usize,
    most: usize,
) -> Result<String, String> {
    let allowed = |b: u8| matches!(b, b' '..=b'~');
    if (least..=most).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{name}` must be {least} to {most} printable ASCII characters"))
    }
}

/// A sequence: null, or a whole number from 0 to 2^63 - 1.
pub(crate) fn sequence(given: &Map<String, Value>) -> Result<Option<u64>, String> {
    const MOST: u64 = i64::MAX.unsigned_abs();
    match given.get("sequence") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) if number <= MOST => Ok(Some(number)),
            _ => Err(format!("`sequence` must be null or a whole number from 0 to {MOST}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::loads;

    const SIGNATURE: Signature = Signature { required: &["a", "b", "c"], optional: &["d"] };

    fn keys(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_bad_call_is_told_in_pythons_words() {
        for (given, said) in [
            (json!({}), "m() missing 3 required positional arguments: 'a', 'b', and 'c'"),
            (json!({"c": 1}), "m() missing 2 required positional arguments: 'a' and 'b'"),
            (json!({"c": 1, "a": null}), "m() missing 1 required positional argument: 'b'"),
            (json!({"x": 1}), "m() got an unexpected keyword argument 'x'"),
        ] {
            let error = SIGNATURE.check_call("m", &keys(given)).unwrap_err();
            assert_eq!(error, RpcError::TypeError(said.to_owned()));
        }
        let given = keys(json!({"a": 1, "b": 1, "c": 1, "d": 1}));
        assert_eq!(SIGNATURE.check_call("m", &given), Ok(()));
        assert_eq!(SIGNATURE.check_item(&given), Ok(()));
    }

    #[test]
    fn a_sequence_is_a_whole_number_to_the_greatest_that_a_database_holds() {
        let read = |text: &str| sequence(&keys(json!({"sequence": loads(text).unwrap()})));
        assert_eq!(read("null"), Ok(None));
        assert_eq!(read("0"), Ok(Some(0)));
        assert_eq!(read("9223372036854775807"), Ok(Some(9_223_372_036_854_775_807)));
        for bad in [
            "9223372036854775808",
            "18446744073709551616",
            "1180591620717411303424",
            "-1",
            "1.0",
            "1e3",
            "NaN",
            "Infinity",
            "true",
            "\"1\"",
            "[1]",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
