//! The envelope around a message: `{"oslo.version": "2.0", "oslo.message": "<JSON text>"}`, or
//! none at all (`oslo_messaging/_drivers/common.py`, `serialize_msg` and `deserialize_msg`).
//!
//! Takes a body, gives the message's keys, and the other way round. What is wrong with a body is
//! said without repeating any of it.

use serde::Serialize;
use serde_json::{Map, Value};

use super::json;
use super::request::CONTEXT_KEYS;

pub(super) const VERSION_KEY: &str = "oslo.version";
pub(super) const MESSAGE_KEY: &str = "oslo.message";

/// Why a body is no message; `Display` never repeats what it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) String);

impl Malformed {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// Opens a body: an envelope of version 2.x, or a bare message.
pub(crate) fn open(body: &[u8]) -> Result<Map<String, Value>, Malformed> {
    open_as(body, |message| object(message, "`oslo.message`"))
}

/// Opens a request, without what of its context no rule reads: most of a message, and the part
/// that holds its secrets.
pub(crate) fn open_request(body: &[u8]) -> Result<Map<String, Value>, Malformed> {
    open_as(body, |message| {
        // What this cannot read has Python's extras, or is no message.
        json::loads_kept(message, is_read).or_else(|_| object(message, "`oslo.message`"))
    })
}

fn open_as(
    body: &[u8],
    read: impl Fn(&str) -> Result<Map<String, Value>, Malformed>,
) -> Result<Map<String, Value>, Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed::new("the body is not UTF-8"))?;
    let outer = object(text, "the body")?;
    let (Some(version), Some(message)) = (outer.get(VERSION_KEY), outer.get(MESSAGE_KEY)) else {
        return Ok(outer);
    };
    let supported = version.as_str().and_then(|v| v.strip_prefix("2.")).is_some_and(|minor| {
        !minor.is_empty() && minor.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    });
    if !supported {
        return Err(Malformed::new("the envelope's `oslo.version` is not 2.x"));
    }
    read(message.as_str().ok_or_else(|| Malformed::new("`oslo.message` is not a text"))?)
}

fn is_read(key: &str) -> bool {
    !key.starts_with("_context_") || CONTEXT_KEYS.contains(&key)
}

fn object(text: &str, what: &str) -> Result<Map<String, Value>, Malformed> {
    match json::loads(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Malformed::new(format!("{what} is not a JSON object"))),
        Err(error) if error.to_string().starts_with("recursion limit") => {
            Err(Malformed::new(format!("{what} is nested too deep")))
        }
        // The category only: serde_json's own words may hold a piece of the text.
        Err(error) => Err(Malformed::new(format!(
            "{what} is not JSON (line {}, column {})",
            error.line(),
            error.column()
        ))),
    }
}

/// Seals a message in an envelope, spelt as Python spells it.
pub(crate) fn seal<T: Serialize + ?Sized>(message: &T) -> Vec<u8> {
    let message = json::dumps(message);
    let mut sealed = Vec::with_capacity(message.len() * 5 / 4 + 64);
    sealed.extend_from_slice(br#"{"oslo.version": "2.0", "oslo.message": ""#);
    // What was written is ASCII without control characters: these two are all that is to escape.
    for byte in message.bytes() {
        if matches!(byte, b'"' | b'\\') {
            sealed.push(b'\\');
        }
        sealed.push(byte);
    }
    sealed.extend_from_slice(b"\"}");
    sealed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::samples;

    #[test]
    fn every_sample_opens_to_its_message_and_seals_to_its_body() {
        for sample in samples::all() {
            let message = open(sample.body.as_bytes()).unwrap();
            assert_eq!(Value::Object(message.clone()), sample.message, "{}", sample.name);
            let mut read = message.clone();
            read.retain(|key, _| is_read(key));
            if sample.body.contains(VERSION_KEY) {
                assert_eq!(open_request(sample.body.as_bytes()), Ok(read), "{}", sample.name);
            }
            if sample.body.contains(VERSION_KEY) {
                let sealed = String::from_utf8(seal(&message)).unwrap();
                assert_eq!(sealed, sample.body, "{}", sample.name);
            }
        }
    }

    #[test]
    fn what_is_no_message_is_said_without_repeating_it() {
        for (body, said) in [
            (&b"\xff\xfe"[..], "the body is not UTF-8"),
            (b"hello SECRET", "the body is not JSON (line 1, column 1)"),
            (b"", "the body is not JSON (line 1, column 0)"),
            (b"[1]", "the body is not a JSON object"),
            (
                br#"{"oslo.version": "3.0", "oslo.message": "{}"}"#,
                "the envelope's `oslo.version` is not 2.x",
            ),
            (
                br#"{"oslo.version": 2.0, "oslo.message": "{}"}"#,
                "the envelope's `oslo.version` is not 2.x",
            ),
            (br#"{"oslo.version": "2.0", "oslo.message": {}}"#, "`oslo.message` is not a text"),
            (
                br#"{"oslo.version": "2.0", "oslo.message": "[]"}"#,
                "`oslo.message` is not a JSON object",
            ),
            (
                br#"{"oslo.version": "2.0", "oslo.message": "{"}"#,
                "`oslo.message` is not JSON (line 1, column 1)",
            ),
        ] {
            assert_eq!(open(body), Err(Malformed::new(said)));
        }
        assert!(open(br#"{"oslo.version": "2.13", "oslo.message": "{}"}"#).is_ok());
        assert!(open(br#"{"oslo.message": "{}"}"#).is_ok());
    }

    proptest! {
        #[test]
        fn opening_never_panics(body in any::<Vec<u8>>()) {
            prop_assert_eq!(open(&body).is_ok(), open_request(&body).is_ok());
        }

        #[test]
        fn opening_a_damaged_sample_never_panics(
            sample in proptest::sample::select(samples::all()),
            at in any::<proptest::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut body = sample.body.into_bytes();
            let index = at.index(body.len());
            body[index] = byte;
            prop_assert_eq!(open(&body).is_ok(), open_request(&body).is_ok());
            body.truncate(cut.index(body.len()));
            prop_assert_eq!(open(&body).is_ok(), open_request(&body).is_ok());
        }
    }
}
