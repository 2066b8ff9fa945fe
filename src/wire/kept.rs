//! Bodies that were kept: what `redact` made of a message, read again.
//!
//! Takes a dead letter's body, gives its message, the body to send again, or what a reader may see
//! of it. The credentials that were blanked are gone for good.

use serde_json::{Map, Value};

use super::envelope::{MESSAGE_KEY, VERSION_KEY, open};
use super::json;
use super::redact::redact_entry;
use super::spelt::Spelt;
use crate::domain::{clean_name, mask_passwords};

/// What makes a message a call (`oslo_messaging/_drivers/amqpdriver.py`, `_send`).
const CALLERS_KEYS: [&str; 3] = ["_msg_id", "_reply_q", "_timeout"];

/// A restore's, which may hold passwords under any name.
const PARAMETERS: &str = "parameters";

/// What is put for a value that is not shown.
const MASK: &str = "***";

/// The message in a kept body; `None` of a body that was kept as a digest, or of none of ours.
pub(crate) fn open_kept(body: &[u8]) -> Option<Map<String, Value>> {
    open(body).ok().filter(|message| !is_digest(message))
}

/// What `redact::without_body` writes.
fn is_digest(message: &Map<String, Value>) -> bool {
    message.len() == 3 && ["length", "sha256", "beginning"].iter().all(|k| message.contains_key(*k))
}

/// The body as a cast: nobody waits for an answer any more. One that is a cast stays byte for byte.
pub(crate) fn without_caller(body: &[u8]) -> Vec<u8> {
    rewritten(body).unwrap_or_else(|| body.to_vec())
}

fn rewritten(body: &[u8]) -> Option<Vec<u8>> {
    let Value::Object(mut outer) = json::loads(std::str::from_utf8(body).ok()?).ok()? else {
        return None;
    };
    let inner = outer.get(MESSAGE_KEY).filter(|_| outer.contains_key(VERSION_KEY));
    if let Some(inner) = inner {
        let Value::Object(mut message) = json::loads(inner.as_str()?).ok()? else { return None };
        remove_caller(&mut message)?;
        outer.insert(MESSAGE_KEY.to_owned(), Value::from(json::dumps(&message)));
    } else {
        remove_caller(&mut outer)?;
    }
    Some(json::dumps(&outer).into_bytes())
}

/// `None` where there was none.
fn remove_caller(message: &mut Map<String, Value>) -> Option<()> {
    let before = message.len();
    for key in CALLERS_KEYS {
        message.shift_remove(key);
    }
    (message.len() < before).then_some(())
}

/// What a reader may see of a kept body: its message, or its digest, with `parameters` and every
/// value that oslo.utils' `mask_password` knows by its key as `***`, texts cleaned like reasons. In
/// JSON within a text `parameters` are hidden too; a text that is none and gives them a value ends
/// there.
pub(crate) fn shown_body(body: &[u8]) -> Value {
    let mut shown = match open(body) {
        Ok(message) => Value::Object(message),
        Err(_) => Value::String(String::from_utf8_lossy(body).into_owned()),
    };
    redact_entry("", &mut shown);
    clean(&mut shown);
    shown
}

fn clean(value: &mut Value) {
    match value {
        Value::Object(map) => {
            *map = std::mem::take(map)
                .into_iter()
                .map(|(key, mut value)| {
                    let name = cleaned(&key);
                    if (is_hidden(&key) || is_hidden(&name)) && !value.is_null() {
                        value = Value::from(MASK);
                    }
                    clean(&mut value);
                    (name, value)
                })
                .collect();
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::String(text) => *text = cleaned(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn cleaned(text: &str) -> String {
    let text = clean_name(text).unwrap_or_default();
    let spelt = Spelt::of(&text);
    if !spelt.bytes.windows(PARAMETERS.len()).any(ends_with_parameters) {
        return text;
    }
    match json::loads(&text) {
        Ok(mut inner @ (Value::Object(_) | Value::Array(_) | Value::String(_))) => {
            clean(&mut inner);
            json::dumps_compact(&inner)
        }
        _ => match spelt.first_value(ends_with_parameters) {
            Some(at) => format!("{}{MASK}", &text[..at]),
            None => text,
        },
    }
}

/// In any case: a log or another service may have written it so.
fn ends_with_parameters(word: &[u8]) -> bool {
    let at = word.len().saturating_sub(PARAMETERS.len());
    word[at..].eq_ignore_ascii_case(PARAMETERS.as_bytes())
}

fn is_hidden(key: &str) -> bool {
    let assigned = format!("'{key}': 'value'");
    key.eq_ignore_ascii_case(PARAMETERS) || mask_passwords(&assigned) != assigned
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::{redact_body, samples, without_body};

    #[test]
    fn a_kept_call_is_sent_again_as_a_cast_and_else_as_it_is() {
        for sample in samples::all() {
            let kept = redact_body(sample.body.as_bytes());
            let again = without_caller(kept.as_bytes());
            let message = open_kept(&again).unwrap();
            let mut expected = open_kept(kept.as_bytes()).unwrap();
            let is_cast = !CALLERS_KEYS.iter().any(|key| expected.contains_key(*key));
            remove_caller(&mut expected);
            assert_eq!(message, expected, "{}", sample.name);
            assert!(!is_cast || again == kept.as_bytes(), "{}", sample.name);
        }
        assert_eq!(without_caller(br#"{"a":1,"_msg_id":2}"#), br#"{"a": 1}"#);
        assert_eq!(without_caller(b"nonsense"), b"nonsense");
    }

    #[test]
    fn a_digest_has_no_message() {
        assert_eq!(open_kept(without_body(b"{broken").as_bytes()), None);
        assert_eq!(open_kept(b"\xff"), None);
        assert!(open_kept(br#"{"method": "x"}"#).is_some());
    }

    #[test]
    fn what_is_shown_has_no_parameters_no_passwords_and_no_control_characters() {
        let body = r#"{"oslo.version": "2.0", "oslo.message": "{\"args\": {\"restore\":
            {\"karbor_object.data\": {\"parameters\": {\"a\": {\"x\": \"SECRET\"}}, \"id\": \"1\"}},
            \"reason\": \"a\\u202eb http://u:SECRET@h password=SECRET\",
            \"admin_password\": {\"value\": \"SECRET\"}, \"restore_auth\": {\"x\": \"SECRET\"}}}"}"#;
        let shown = shown_body(body.replace('\n', " ").as_bytes());
        assert!(!shown.to_string().contains("SECRET"), "{shown}");
        assert_eq!(shown["args"]["restore"]["karbor_object.data"]["parameters"], "***");
        assert_eq!(shown["args"]["restore"]["karbor_object.data"]["id"], "1");
        assert_eq!(shown["args"]["reason"], "ab http://u:***@h password=***");
        assert_eq!(shown["args"]["restore_auth"], Value::Null);
    }

    #[test]
    fn parameters_are_hidden_in_texts_and_in_any_case() {
        let object = r#"{"restore": {"parameters": {"a": "HIDDEN"}, "id": "1"}}"#;
        let once = Value::from(object).to_string();
        let twice = Value::from(once.as_str()).to_string();
        for (body, shown) in [
            (
                format!(r#"{{"args": {once}}}"#),
                json!({"args": r#"{"restore":{"parameters":"***","id":"1"}}"#}),
            ),
            (
                format!(r#"{{"args": {twice}}}"#),
                json!({"args": r#""{\"restore\":{\"parameters\":\"***\",\"id\":\"1\"}}""#}),
            ),
            (once, json!(r#""{\"restore\":{\"parameters\":\"***\",\"id\":\"1\"}}""#)),
            (
                r#"{"PARAMETERS": {"a": "HIDDEN"}, "Parameters": ["HIDDEN"]}"#.to_owned(),
                json!({"PARAMETERS": "***", "Parameters": "***"}),
            ),
            (
                r#"{"a": "{\"p\u0061rameters\": \"HIDDEN\", \"parameters\": null}"}"#.to_owned(),
                json!({"a": r#"{"parameters":null}"#}),
            ),
            (
                r#"{"a": "Restore(id=1, Parameters={'a': 'HIDDEN'})"}"#.to_owned(),
                json!({"a": "Restore(id=1, ***"}),
            ),
            (
                r#"{"{'id': 1, u'parameters': {'a': 'HIDDEN'}}": 1}"#.to_owned(),
                json!({"{'id': 1, u'***": 1}),
            ),
        ] {
            assert_eq!(shown_body(body.as_bytes()), shown, "{body}");
        }
        for kept in [
            json!({"a": "{ \"id\":1.50 }", "b": "no parameters were given", "parameters": null}),
            json!({"c": "\"parameters\"", "d": 1}),
        ] {
            assert_eq!(shown_body(kept.to_string().as_bytes()), kept);
        }
    }
}
