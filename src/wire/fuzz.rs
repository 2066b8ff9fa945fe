//! Any bytes at all: what opens, what is kept of it, what is shown of it.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value};

use super::*;
use crate::fuzz::{PLANTED, damaged, hold, is_plain, json, json_that_tells};

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
        1 => deep(),
        1 => any::<Vec<u8>>(),
    ]
}

/// A message nested about as deep as one may be, in a key that is read and in one that is not.
fn deep() -> impl Strategy<Value = Vec<u8>> {
    let key = select(vec!["args", "_context_user_id", "_context_roles", "colour"]);
    (key, 110..150_usize, any::<bool>()).prop_map(|(key, depth, in_envelope)| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        in_envelope_or_not(format!("{{\"method\": \"m\", \"{key}\": {open}{close}}}"), in_envelope)
    })
}

fn in_envelope_or_not(message: String, in_envelope: bool) -> Vec<u8> {
    if !in_envelope {
        return message.into_bytes();
    }
    let text = serde_json::to_string(&message).expect("a text");
    format!("{{\"oslo.version\": \"2.0\", \"oslo.message\": {text}}}").into_bytes()
}

/// Sound JSON with planted secrets, in an envelope or not.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    (json_that_tells(KEYS, SECRETS), any::<bool>())
        .prop_map(|(message, in_envelope)| in_envelope_or_not(message, in_envelope))
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
            let inner = loads(sent).expect("JSON")["oslo.message"].take();
            // Where the message is a mere text, and is cut, no message is left.
            if !inner.as_str().is_some_and(|text| matches!(loads(text), Ok(Value::String(_)))) {
                let again = redact_body(kept.as_bytes());
                prop_assert_eq!(loads(&again).expect("JSON"), loads(&kept).expect("JSON"));
            }
        }
        Ok(())
    });
}

/// Every secret null; a text that is JSON as what it says, so that its spelling does not count.
fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| match key.as_str() {
                key if SECRETS.contains(&key) => (key.to_owned(), Value::Null),
                // Of two that are cut to the same one goes.
                key if may_be_cut(key) => ("cut".to_owned(), Value::Null),
                key => (key.to_owned(), without_secrets(value)),
            };
            Value::Object(map.iter().map(entry).collect())
        }
        Value::Array(items) => items.iter().map(without_secrets).collect(),
        Value::String(text) => match loads(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => {
                Value::Object(Map::from_iter([("JSON".to_owned(), without_secrets(&inner))]))
            }
            _ if may_be_cut(text) => Value::from("cut"),
            _ => value.clone(),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Named in a text that is no JSON: it ends there.
fn may_be_cut(text: &str) -> bool {
    SECRETS.iter().any(|name| text.contains(name))
        || text.contains("\\u00")
        || text.contains('\0')
        || text.ends_with("***")
}

#[test]
fn numbers_are_written_as_python_wrote_them() {
    let number = prop_oneof![
        select(vec!["NaN", "Infinity", "-Infinity", "0", "-0", "2.50", "-1.0"])
            .prop_map(str::to_owned),
        any::<i128>().prop_map(|number| number.to_string()),
        (1..10, 16..500).prop_map(|(digit, exponent)| format!("{digit}e+{exponent}")),
        (-9..0, 5..400).prop_map(|(digit, exponent)| format!("{digit}.5e-{exponent:02}")),
    ];
    hold(proptest::collection::vec(number, 0..9), |numbers| {
        let sent = format!("[{}]", numbers.join(", "));
        let written = dumps(&loads(&sent).expect("JSON"));
        prop_assert_eq!(written, sent);
        Ok(())
    });
}

/// A secret's name as other formats may write it, in part or as a whole.
fn spelt_otherwise() -> impl Strategy<Value = Vec<u8>> {
    const STYLES: &[fn(u8) -> String] = &[
        |letter| char::from(letter).to_string(),
        |letter| char::from(letter).to_ascii_uppercase().to_string(),
        |letter| format!("\\u{letter:04x}"),
        |letter| format!("\\U{letter:08X}"),
        |letter| format!("\\x{letter:02x}"),
        |letter| format!("\\{letter:03o}"),
        |letter| format!("%{letter:02X}"),
        |letter| format!("&#{letter};"),
        |letter| if letter == b'_' { "-".to_owned() } else { char::from(letter).to_string() },
    ];
    let name = (select(SECRETS), 0..STYLES.len(), any::<Index>(), any::<bool>());
    let name = name.prop_map(|(name, style, at, is_whole)| {
        let at = at.index(name.len());
        let letters = name.bytes().enumerate();
        letters
            .map(|(n, letter)| STYLES[if is_whole || n == at { style } else { 0 }](letter))
            .collect::<String>()
    });
    let value =
        select(vec![": PLANTED", "=PLANTED", "\": \"PLANTED", "': {'a': 'PLANTED", ">PLANTED"]);
    (" [a-z \"{]{0,120}[ \"{]", name, value, 0..4).prop_map(|(before, name, value, encoding)| {
        let text = format!("{before}{name}{value}");
        match encoding {
            0 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            1 => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            _ => text.into_bytes(),
        }
    })
}

#[test]
fn the_beginning_of_a_body_ends_at_a_secrets_name_however_it_is_spelt() {
    hold(spelt_otherwise(), |body| {
        let kept = loads(&redact_body(&body)).expect("JSON");
        let beginning = kept["beginning"].as_str().expect("a digest");
        prop_assert!(!beginning.replace('\0', "").contains(PLANTED), "{}", beginning);
        Ok(())
    });
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
            let of_a_caller = ["_msg_id", "_reply_q", "_timeout"];
            prop_assert!(!of_a_caller.iter().any(|key| message.contains_key(*key)));
        }
        prop_assert!(all_plain(&shown_body(kept.as_bytes())));
        Ok(())
    });
}

#[test]
fn what_is_shown_has_no_parameters_and_no_passwords() {
    let name =
        select(vec!["parameters", "admin_password", "x_token2", "Passphrase", "restore_auth"]);
    let value = prop_oneof![
        Just(format!("\"{PLANTED}\"")),
        json(KEYS, SECRETS).prop_map(|value| format!("[{value}, {{\"x\": \"{PLANTED}\"}}]")),
    ];
    let hidden = (name, value, 0..4_usize, any::<bool>());
    hold(hidden, |(name, value, depth, in_envelope)| {
        let (open, close) = ("{\"a\": [".repeat(depth), "]}".repeat(depth));
        let args = format!("{open}{{\"{name}\": {value}, \"b\": 1}}{close}");
        let message = format!("{{\"method\": \"m\", \"args\": {args}}}");
        let shown = shown_body(&in_envelope_or_not(message, in_envelope)).to_string();
        prop_assert!(!shown.contains(PLANTED), "{}", shown);
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
    let name = select(vec!["\"Restore\"", "\"restore\"", "\"Plan\"", "null", "1"]);
    let version = select(vec!["\"1.0\"", "\"1.12\"", "\"2.0\"", "\"11.0\"", "\"\"", "null", "1.0"]);
    let fields = || prop_oneof![json(KEYS, SECRETS), Just("{\"id\": \"1\"}".to_owned())];
    let wrapped = (name, version, fields()).prop_map(|(name, version, data)| {
        format!(
            "{{\"karbor_object.name\": {name}, \"karbor_object.version\": {version}, \
             \"karbor_object.data\": {data}, \"id\": \"2\"}}"
        )
    });
    hold(prop_oneof![wrapped, fields()], |text| {
        let value = loads(&text).expect("JSON");
        let data = value.get("karbor_object.data");
        let is = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let is_known =
            is("karbor_object.name") == "Restore" && is("karbor_object.version").starts_with("1.");
        let fields = data.unwrap_or(&value).as_object();
        let expected = fields.filter(|_| data.is_none() || is_known).cloned();
        match data_of_object(value.clone(), "Restore") {
            Ok(fields) => prop_assert_eq!(Some(fields), expected),
            Err(reason) => {
                prop_assert!(reason.starts_with("must be a Karbor `Restore` object"));
                prop_assert_eq!(expected, None);
            }
        }
        Ok(())
    });
}
