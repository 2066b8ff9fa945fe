//! What may be kept of a message: everything but its credentials.
//!
//! Takes a body, gives what may rest in a queue or a table. Where the body parses, the four
//! secrets are null wherever they stand, also in JSON inside a text; a text that gives one a value
//! but is no JSON ends there, and all else stays as it came. A body that does not parse, or is too
//! large, is kept as its length, its SHA-256 and its beginning up to the first of these names, in
//! whatever spelling.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::envelope::MESSAGE_KEY;
use super::json;
use super::spelt::Spelt;

/// What is never kept. `restore_auth` is an argument, the others are keys of the context.
const SECRETS: [&str; 4] =
    ["_context_auth_token", "_context_auth_token_info", "_context_service_catalog", "restore_auth"];

/// The bytes of the shortest of these names; a value has one sign more at least.
const SHORTEST_SECRET: usize = "restore_auth".len();

/// Their cores, in lower case: other formats write the names in other ways (`X-Auth-Token`).
const CORES: [&str; 3] = ["auth_token", "service_catalog", "restore_auth"];

/// What stands before a core and belongs to the name.
const BEFORE_CORE: [&str; 3] = ["_context_", "context_", "x_"];

/// How much is kept of a body that does not parse.
const BEGINNING_BYTES: usize = 256;

/// What is put for a secret inside a text.
const MASK: &str = "***";

/// The body without its secrets.
pub(crate) fn redact_body(body: &[u8]) -> String {
    redacted(body).unwrap_or_else(|| without_body(body))
}

fn redacted(body: &[u8]) -> Option<String> {
    let mut value = json::loads(std::str::from_utf8(body).ok()?).ok()?;
    redact_whole(&mut value).ok()?;
    Some(json::dumps_compact(&value))
}

/// An error where an envelope parses around a message that does not: as a whole it does not.
fn redact_whole(value: &mut Value) -> Result<(), serde_json::Error> {
    let message = match value.get_mut(MESSAGE_KEY) {
        Some(Value::String(text)) => Some(std::mem::take(text)),
        _ => None,
    };
    redact_values(value);
    if let Some(mut text) = message {
        // Here the secrets are, and much of a message is in them.
        let (inner, nulled) = match json::loads_nulled(&text, is_secret) {
            Ok((inner, nulled)) => (Value::Object(inner), nulled),
            Err(_) => (json::loads(&text)?, false),
        };
        redact_parsed(&mut text, inner, nulled);
        value[MESSAGE_KEY] = Value::String(text);
    }
    Ok(())
}

/// Nulls the secrets by their keys alone, at any depth: a text stays as it came.
pub(crate) fn null_entry(key: &str, value: &mut Value) {
    if is_secret(key) {
        *value = Value::Null;
        return;
    }
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(key, inner)| null_entry(key, inner)),
        Value::Array(items) => items.iter_mut().for_each(|inner| null_entry("", inner)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether `key` names a secret.
pub(crate) fn is_secret(key: &str) -> bool {
    SECRETS.contains(&key)
}

/// Nulls `value` if `key` names a secret, and the secrets within it otherwise. Whether it changed.
pub(crate) fn redact_entry(key: &str, value: &mut Value) -> bool {
    if is_secret(key) { !std::mem::take(value).is_null() } else { redact_values(value) }
}

/// Nulls the secrets within `value`, at any depth. Whether there were any.
fn redact_values(value: &mut Value) -> bool {
    let mut changed = false;
    match value {
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                changed |= redact_entry(key, inner);
            }
            if map.keys().any(|key| first_value(key).is_some()) {
                changed = true;
                *map = std::mem::take(map)
                    .into_iter()
                    .map(|(key, inner)| (without_values(&key).into_owned(), inner))
                    .collect();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| changed |= redact_values(inner)),
        Value::String(text) => changed = redact_text(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    changed
}

/// A text may be a message in itself.
fn redact_text(text: &mut String) -> bool {
    if !text.contains('{') && first_value(text).is_none() {
        return false;
    }
    match json::loads(text) {
        Ok(inner) => redact_parsed(text, inner, false),
        Err(_) => cut(text),
    }
}

/// Redacts a text that was read as `inner`, some of whose secrets may be `nulled` already.
fn redact_parsed(text: &mut String, mut inner: Value, nulled: bool) -> bool {
    if !inner.is_object() && !inner.is_array() {
        return cut(text);
    }
    // Of a key that comes twice the first is not in `inner`, but still in the text.
    let changed = redact_values(&mut inner) || nulled || names_a_secret(text);
    if changed {
        *text = json::dumps_compact(&inner);
    }
    changed
}

fn cut(text: &mut String) -> bool {
    let Cow::Owned(shown) = without_values(text) else { return false };
    *text = shown;
    true
}

/// A text up to the first secret's value that stands in it.
pub(crate) fn without_values(text: &str) -> Cow<'_, str> {
    match first_value(text) {
        Some(at) => Cow::Owned(format!("{}{MASK}", &text[..at])),
        None => Cow::Borrowed(text),
    }
}

/// Where a word begins that ends with one of the names and has a value behind it, escaped or not.
/// A name alone is no secret.
fn first_value(text: &str) -> Option<usize> {
    if !may_name_a_secret(text) {
        return None;
    }
    let names_a_secret =
        |word: &[u8]| SECRETS.iter().any(|secret| word.ends_with(secret.as_bytes()));
    Spelt::of(text).first_value(names_a_secret)
}

/// Most texts are told by a look: an escape is never shorter than what it stands for.
fn may_name_a_secret(text: &str) -> bool {
    text.len() > SHORTEST_SECRET
        && ["_auth", "_catalog", "\\u00"].iter().any(|sign| text.contains(sign))
}

/// Whether one of the names stands in a text, escaped or not.
fn names_a_secret(text: &str) -> bool {
    if !may_name_a_secret(text) {
        return false;
    }
    let spelt = Spelt::of(text);
    SECRETS.iter().any(|secret| spelt.contains(secret))
}

/// What is kept of a body that does not parse or is too large.
pub(crate) fn without_body(body: &[u8]) -> String {
    let beginning = beginning(body);
    // A name that begins within the beginning may end beyond it; the rest is not looked at.
    let named_within = &body[..body.len().min(BEGINNING_BYTES + SECRETS[2].len())];
    let shown = match first_hint(named_within) {
        Some(at) if at < beginning.len() => {
            format!("{}{MASK}", String::from_utf8_lossy(&beginning[..at]))
        }
        _ => String::from_utf8_lossy(beginning).into_owned(),
    };
    let mut kept = Map::new();
    kept.insert("length".to_owned(), Value::from(body.len()));
    kept.insert("sha256".to_owned(), Value::from(sha256_hex(body)));
    kept.insert("beginning".to_owned(), Value::from(shown));
    json::dumps(&kept)
}

/// The first bytes, without a character that would be cut in two.
fn beginning(body: &[u8]) -> &[u8] {
    let end = body.len().min(BEGINNING_BYTES);
    let is_cut = |start: &usize| {
        (end + 1..=body.len().min(start + 4))
            .filter_map(|stop| std::str::from_utf8(&body[*start..stop]).ok())
            .any(|text| text.chars().count() == 1)
    };
    &body[..(end.saturating_sub(3)..end).find(is_cut).unwrap_or(end)]
}

/// The SHA-256 in lower-case hexadecimal digits.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Where one of the names begins in any spelling: in capitals, with `-` for `_`, or with a character
/// escaped as JSON, Python, a URL or XML have it. What only may hide one counts too, and a NUL, as
/// other encodings of Unicode have it.
fn first_hint(bytes: &[u8]) -> Option<usize> {
    let plain: Vec<u8> = bytes
        .iter()
        .map(|byte| if *byte == b'-' { b'_' } else { byte.to_ascii_lowercase() })
        .collect();
    let named = CORES
        .iter()
        .filter_map(|core| plain.windows(core.len()).position(|window| window == core.as_bytes()))
        .min()
        .map(|at| {
            let before = &plain[..at];
            let belongs = BEFORE_CORE.iter().find(|word| before.ends_with(word.as_bytes()));
            at - belongs.map_or(0, |word| word.len())
        });
    let hidden = (0..plain.len()).find(|at| plain[*at] == 0 || is_escape(&plain[*at..]));
    named.into_iter().chain(hidden).min()
}

/// `\u005f`, `\U0000005f`, `\x5f`, `\137`, `%5f`, `&#95;`; in lower case.
fn is_escape(rest: &[u8]) -> bool {
    match rest {
        [b'\\', b'u' | b'x', digit, ..] | [b'%', digit, _, ..] => digit.is_ascii_hexdigit(),
        [b'\\', digit, ..] => digit.is_ascii_digit(),
        [b'&', b'#', ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{open, samples};

    fn nulled(message: &Value) -> Value {
        let mut message = message.clone();
        for secret in SECRETS {
            if let Some(value) = message.get_mut(secret) {
                *value = Value::Null;
            }
            if let Some(value) = message.pointer_mut(&format!("/args/{secret}")) {
                *value = Value::Null;
            }
        }
        message
    }

    #[test]
    fn a_sample_is_kept_equal_but_for_its_secrets() {
        for sample in samples::all() {
            let kept = redact_body(sample.body.as_bytes());
            let message = Value::Object(open(kept.as_bytes()).unwrap());
            assert_eq!(message, nulled(&sample.message), "{}", sample.name);
            assert!(!kept.contains("SECRET-TOKEN") && !kept.contains("password"));
            assert!(kept.len() <= sample.body.len() + 64);
        }
    }

    #[test]
    fn secrets_are_found_at_any_depth_and_inside_texts() {
        for body in [
            r#"[{"x": [{"restore_auth": {"password": "SECRET"}}]}]"#,
            r#"{"oslo.version": "9", "oslo.message": "{\"_context_auth_token\": \"SECRET\"}"}"#,
            r#"{"oslo.message": "{\"_context_auth\\u005ftoken\": \"SECRET\"}"}"#,
            r#"{"oslo.message": "broken {\"_context_auth_token\": \"SECRET\""}"#,
            r#"{"a": "[\"{\\\"restore_auth\\\": \\\"SECRET\\\"}\"]"}"#,
            r#"{"a": "{'restore\\u005fauth': 'SECRET'}", "b": "<restore_auth>SECRET"}"#,
            r#"{"a": "\"{\\\"_\\\\u0063ontext_auth_token\\\": \\\"SECRET\\\"}\""}"#,
            r#"{"{'restore_auth': 'SECRET'}": 1, "a": "x_context_auth_token_info = SECRET"}"#,
            r#"{"oslo.message": "{\"restore_auth\": \"SECRET\", \"restore_auth\": null}"}"#,
            r#"{"oslo.message": "{\"a\": {\"restore_auth\": \"SECRET\"}, \"a\": 1}"}"#,
            r#"{"oslo.message": "{\"k\": \"restore_auth\\u003dSECRET\", \"k\": 1}"}"#,
            r#"{"oslo.message": "{\"k\": \"restore_auth\\n= SECRET\", \"k\": 1}"}"#,
            r#"{"oslo.message": "{\"k\": \"{\\u0022restore_auth\\u0022:\\u0022SECRET\\u0022}\", \"k\": 1}"}"#,
            r#"{"oslo.message": "{\"k\": \"{\\\"restore_\\\\u006\\u0031uth\\\":\\\"SECRET\\\"}\", \"k\": 1}"}"#,
            r#"{"k": "\"{\\u0022restore_auth\\u0022:\\u0022SECRET\\u0022}\""}"#,
            r#"{"k": "answer was \"{\\u0022restore_auth\\u0022: \\u0022SECRET\\u0022}\""}"#,
            r#"{"k": "\"{\\\"restore_\\u005cu0061uth\\\":\\\"SECRET\\\"}\""}"#,
        ] {
            let kept = redact_body(body.as_bytes());
            assert!(!kept.contains("SECRET"), "{kept}");
            assert!(serde_json::from_str::<Value>(&kept).is_ok());
        }
    }

    #[test]
    fn a_body_that_does_not_parse_is_kept_as_its_beginning() {
        let body = format!("{{'a': 'é', '_context_auth_token': 'SECRET'{}", "x".repeat(300));
        let kept: Value = serde_json::from_str(&redact_body(body.as_bytes())).unwrap();
        assert_eq!(kept["length"], body.len());
        assert_eq!(kept["sha256"], sha256_hex(body.as_bytes()));
        assert_eq!(kept["beginning"], "{'a': 'é', '***");
        let long = format!("x{}", "é".repeat(300));
        let kept: Value = serde_json::from_str(&redact_body(long.as_bytes())).unwrap();
        assert_eq!(kept["beginning"], format!("x{}", "é".repeat(127)));
        let kept: Value = serde_json::from_str(&redact_body(b"\xffabc")).unwrap();
        assert_eq!(kept["beginning"], "\u{fffd}abc");
        let kept: Value = serde_json::from_str(&redact_body(&[0xff; 300])).unwrap();
        assert_eq!(kept["beginning"], "\u{fffd}".repeat(256));
    }

    #[test]
    fn a_name_that_is_escaped_or_in_another_encoding_ends_the_beginning_too() {
        let utf_16: Vec<u8> = "{\"_context_auth_token\": \"PLANTED\""
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for body in [
            br#"{"a": 1, "_context_auth_t\u006fken": "PLANTED", "method":"#.to_vec(),
            br#"{"\u005fcontext_auth_token": "PLANTED","#.to_vec(),
            br#"{"oslo.message": "{\"\\u005fcontext_auth_token\": \"PLANTED\","#.to_vec(),
            utf_16,
            b"X-Auth-Token: PLANTED".to_vec(),
            b"_CONTEXT_AUTH_TOKEN=PLANTED".to_vec(),
            b"a=1&_context_auth%5Ftoken=PLANTED".to_vec(),
            br"{'_context_auth\x5ftoken': 'PLANTED'".to_vec(),
            br"{'restore\U0000005fauth': {'password': 'PLANTED'".to_vec(),
            br"{'restore\137auth': {'password': 'PLANTED'".to_vec(),
            b"<restore&#95;auth>PLANTED".to_vec(),
            b"<_context-service-catalog>PLANTED".to_vec(),
        ] {
            let kept: Value = serde_json::from_str(&redact_body(&body)).unwrap();
            let beginning = kept["beginning"].as_str().unwrap();
            assert!(beginning.ends_with("***"), "{beginning}");
            assert!(!beginning.replace('\0', "").contains("PLANTED"), "{beginning}");
        }
    }

    #[test]
    fn a_text_without_a_secrets_value_stays_as_it_came() {
        for text in [
            "KeyError: 'restore_auth' in flow step 3",
            "my_restore_auth_vol",
            "_context_auth_token-1",
            r#"{"message": "Volume \u0027abc\u0027 not found"} (HTTP 404)"#,
            r"c:\u0041x, caf\u00e9 down",
            "u\0x",
        ] {
            let body = json::dumps_compact(&Value::from(vec![text]));
            assert_eq!(redact_body(body.as_bytes()), body);
        }
    }

    #[test]
    fn numbers_and_texts_stay_as_they_came() {
        let body = r#"{"a":1180591620717411303424,"b":1.50,"c":NaN,"d":"{\"x\": 1}","e":"é"}"#;
        assert_eq!(redact_body(body.as_bytes()), body);
    }

    proptest! {
        #[test]
        fn no_damage_to_a_sample_lets_its_token_out(
            sample in proptest::sample::select(samples::all()),
            at in any::<proptest::sample::Index>(),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut body = sample.body.into_bytes();
            // The name of the secret itself stays whole; without it nothing tells a token.
            let name = body.windows(19).position(|w| w == b"_context_auth_token");
            let index = at.index(name.unwrap_or(body.len()));
            body[index] = b'#';
            prop_assert!(!redact_body(&body).contains("SECRET-TOKEN"));
            body.truncate(cut.index(body.len()));
            prop_assert!(!redact_body(&body).contains("SECRET-TOKEN"));
        }

        #[test]
        fn keeping_never_panics(body in any::<Vec<u8>>()) {
            let kept = redact_body(&body);
            prop_assert!(json::loads(&kept).is_ok());
        }
    }
}
