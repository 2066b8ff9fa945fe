//! Any bytes at all: what opens, what is kept of it, what is shown of it.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;
use crate::fuzz::{PLANTED, damaged, hold, is_plain, json};

const KEYS: &[&str] = &[
    "oslo.version",
    "oslo.message",
    "method",
    "args",
    "restore",
    "karbor_object.name",
    "karbor_object.version",
    "karbor_object.data",
    "_unique_id",
    "_msg_id",
    "_reply_q",
];
const SECRETS: &[&str] = &[
    "_context_auth_token",
    "_context_auth_token_info",
    "_context_service_catalog",
    "restore_auth",
];

fn sampled() -> Vec<Vec<u8>> {
    samples::all().into_iter().map(|sample| sample.body.into_bytes()).collect()
}

/// Anything a sender may put on the broker.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => damaged(sampled(), &[]),
        2 => messages(),
        1 => any::<Vec<u8>>(),
    ]
}

/// Sound JSON with planted secrets, in an envelope or not.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    (json(KEYS, SECRETS), any::<bool>()).prop_map(|(message, in_envelope)| {
        let envelope = || {
            let text = serde_json::to_string(&message).expect("a text");
            format!("{{\"oslo.version\": \"2.0\", \"oslo.message\": {text}}}")
        };
        if in_envelope { envelope() } else { message.clone() }.into_bytes()
    })
}

#[test]
fn a_body_opens_to_what_it_says_or_to_a_short_reason() {
    hold(bodies(), |body| {
        prop_assert_eq!(open(&body).is_ok(), open_request(&body).is_ok());
        match open(&body) {
            Ok(message) => prop_assert_eq!(open(&seal(&message)), Ok(message)),
            Err(reason) => {
                let reason = reason.to_string();
                prop_assert!(reason.len() < 120 && is_plain(&reason), "{}", reason);
            }
        }
        Ok(())
    });
}

#[test]
fn what_is_kept_of_a_sound_body_is_equal_but_for_its_secrets() {
    hold(messages(), |body| {
        let kept = redact_body(&body);
        prop_assert!(!kept.contains(PLANTED), "{}", kept);
        let read = |text: &str| without_secrets(&loads(text).expect("JSON"));
        let sent = std::str::from_utf8(&body).expect("UTF-8");
        // An envelope around what does not parse, or is nested too deep, is kept as a digest.
        if open_kept(kept.as_bytes()).is_some() {
            prop_assert_eq!(read(&kept), read(sent));
            let again = redact_body(kept.as_bytes());
            prop_assert_eq!(loads(&again).expect("JSON"), loads(&kept).expect("JSON"));
        }
        Ok(())
    });
}

/// Every secret null; a text that is JSON as what it says, so that its spelling does not count.
fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| {
                let is_secret = SECRETS.contains(&key.as_str());
                (key.clone(), if is_secret { Value::Null } else { without_secrets(value) })
            };
            Value::Object(map.iter().map(entry).collect())
        }
        Value::Array(items) => items.iter().map(without_secrets).collect(),
        Value::String(text) => match loads(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => {
                Value::Object(Map::from_iter([("JSON".to_owned(), without_secrets(&inner))]))
            }
            // Named in a text that is no JSON: it ends there.
            _ if SECRETS.iter().any(|name| text.contains(name))
                || text.contains("\\u00")
                || text.contains('\0') =>
            {
                Value::from("cut")
            }
            _ if text.ends_with("***") => Value::from("cut"),
            _ => value.clone(),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[test]
fn nothing_that_is_kept_or_shown_of_a_damaged_body_has_its_secrets() {
    // With the quote before it: a longer name is no secret's.
    const NAMED: &str = "\\\"_context_auth_token\\\": \\\"PLANTED";
    let planted: Vec<Vec<u8>> = samples::all()
        .into_iter()
        .map(|sample| sample.body.replace("SECRET-TOKEN", PLANTED))
        .filter(|body| body.contains(NAMED))
        .map(String::into_bytes)
        .collect();
    hold(damaged(planted, &[NAMED, PLANTED]), |body| {
        let kept = redact_body(&body);
        prop_assert!(!kept.contains(PLANTED), "{}", kept);
        let digest = without_body(&body);
        prop_assert!(!digest.contains(PLANTED) && digest.len() < 2000, "{}", digest);
        let shown = shown_body(kept.as_bytes()).to_string();
        prop_assert!(!shown.contains(PLANTED), "{}", shown);
        Ok(())
    });
}

#[test]
fn what_is_kept_can_be_shown_and_sent_again_as_a_cast() {
    hold(bodies(), |body| {
        let kept = redact_body(&body);
        let again = without_caller(kept.as_bytes());
        if let Some(message) = open_kept(&again) {
            prop_assert!(read_call(&message) == Ok(None), "{:?}", message);
        }
        prop_assert!(all_plain(&shown_body(kept.as_bytes())));
        Ok(())
    });
}

fn all_plain(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.iter().all(|(key, value)| is_plain(key) && all_plain(value)),
        Value::Array(items) => items.iter().all(all_plain),
        Value::String(text) => is_plain(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

#[test]
fn an_object_is_its_fields_or_refused_in_the_same_words() {
    hold(json(KEYS, SECRETS), |text| {
        let value = loads(&text).expect("JSON");
        let fields = value.get("karbor_object.data").unwrap_or(&value).clone();
        match data_of_object(value.clone(), "Restore") {
            Ok(data) => prop_assert_eq!(Value::Object(data), fields),
            Err(reason) => prop_assert!(reason.starts_with("must be a Karbor `Restore` object")),
        }
        Ok(())
    });
}
