//! Any body at all: a command that is the same when it is kept and read again, or a refusal of a
//! listed class in few words, without a secret.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use chrono::DateTime;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::domain::{AliasTable, Command, Limits};
use crate::fuzz::{PLANTED, damaged, hold, is_plain, json};
use crate::transport::{HeaderValue, Properties};
use crate::wire::{open, redact_body, samples};

const CLASSES: [&str; 6] = [
    "MalformedMessage",
    "InvalidInput",
    "RestoreNotFound",
    "UnsupportedVersion",
    "NoSuchMethod",
    "TypeError",
];
const METHODS: &[&str] = &[
    "restore",
    "update_resource_status",
    "update_resources_status",
    "expect_resources",
    "update_restore_status",
    "get_restore",
    "oslo_rpc_server_ping",
    "no_such_method",
    "password=PLANTED",
];
const KEYS: &[&str] = &[
    "restore",
    "restore_id",
    "id",
    "resources",
    "resource_type",
    "resource_id",
    "source_id",
    "name",
    "status",
    "reason",
    "sequence",
    "project_id",
    "provider_id",
    "checkpoint_id",
    "restore_target",
    "resources_status",
    "resources_reason",
    "karbor_object.data",
];
const SECRETS: &[&str] = &["restore_auth", "_context_auth_token", "_context_service_catalog"];

/// What a plugin sends when all is well.
const SOUND: [&str; 5] = [
    r#"{"method": "update_resource_status", "version": "1.1", "args": {"restore_id":
    "f30fe76e-4715-4cf8-aff3-13deea7170c3", "resource_type": "OS::Cinder::Volume", "resource_id":
    "v-1", "status": "error", "reason": "no: http://u:PLANTED@h", "sequence": 7, "source_id": "s-1",
    "name": "data"}, "_context_auth_token": "PLANTED", "_context_project_id": "p"}"#,
    r#"{"method": "update_resources_status", "version": "1.1", "args": {"restore_id":
    "F30FE76E47154cf8aff313deea7170c3", "resources": [{"resource_type": "a", "resource_id": "b",
    "status": "ACTIVE"}, {"resource_type": "a", "resource_id": "c", "status": "undefined"}]}}"#,
    r#"{"method": "expect_resources", "version": "1.1", "args": {"restore_id":
    "f30fe76e-4715-4cf8-aff3-13deea7170c3", "resources": [{"resource_type": "a", "source_id": "b",
    "name": null}]}, "_msg_id": "m", "_reply_q": "reply_1", "_timeout": 60}"#,
    r#"{"method": "update_restore_status", "args": {"restore_id":
    "{f30fe76e-4715-4cf8-aff3-13deea7170c3}", "status": null, "reason": "password=PLANTED"}}"#,
    r#"{"method": "restore", "args": {"restore": {"id": "f30fe76e-4715-4cf8-aff3-13deea7170c3",
    "project_id": "p", "provider_id": "q", "checkpoint_id": "c", "restore_target": "http://h/v3",
    "parameters": {"a": {"b": "PLANTED"}}, "status": "fail", "resources_status": {"t#1":
    "available", "odd": "x"}, "resources_reason": {"t#2": "why"}}, "restore_auth":
    {"x": "PLANTED"}}}"#,
];

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    const NAMED: &str = "\\\"_context_auth_token\\\": \\\"PLANTED";
    let sampled: Vec<Vec<u8>> = samples::all()
        .into_iter()
        .map(|sample| sample.body.replace("SECRET-TOKEN", PLANTED))
        .filter(|body| body.contains(NAMED))
        .map(String::into_bytes)
        .collect();
    let sound = SOUND.map(|body| body.replace('\n', " ").into_bytes()).to_vec();
    let version = select(vec!["\"1.0\"", "\"1.1\"", "null", "\"2.0\"", "1.1", "[[]]"]);
    let called =
        (select(METHODS), version, json(KEYS, SECRETS)).prop_map(|(method, version, args)| {
            format!(r#"{{"method": "{method}", "version": {version}, "args": {args}}}"#)
                .into_bytes()
        });
    // What reveals a secret stays whole: without it nothing tells one.
    prop_oneof![
        2 => damaged(sampled, &[NAMED, PLANTED]),
        4 => damaged(sound, &[
            "\"_context_auth_token\": \"PLANTED\"", "http://u:PLANTED@h", "password=PLANTED",
            "\"parameters\": {\"a\": {\"b\": \"PLANTED\"}}", "{\"x\": \"PLANTED\"}", PLANTED,
        ]),
        2 => called,
        4 => updates(),
        1 => any::<Vec<u8>>(),
    ]
}

/// A password in a URL: unlike a token it may be kept with the message, and is never shown.
const IN_URL: &str = "IN-A-URL";

/// Texts that a sender may put anywhere: sound, long, hostile, and such as only look like a secret.
fn texts() -> impl Strategy<Value = String> {
    let texts = [
        "v-1",
        "",
        "no: http://u:IN-A-URL@h",
        "admin_password = IN-A-URL",
        "a\u{202e}b\u{1b}[2J\u{0}",
        "{\"restore_auth\":\"v\"}",
        "X::restore_auth:1",
        "what is the restore_auth",
        "é",
    ];
    let text = select(texts.to_vec()).prop_map(str::to_owned);
    prop_oneof![9 => text, 1 => (200..6000_usize).prop_map(|length| "é".repeat(length))]
}

/// Sound JSON of an update with anything for its values.
fn updates() -> impl Strategy<Value = Vec<u8>> {
    let reply_q = prop_oneof![
        2 => Just("reply_1".to_owned()),
        1 => Just("amq.gen-1".to_owned()),
        1 => (200..300_usize).prop_map(|length| format!("reply_{}", "1".repeat(length))),
    ];
    // Most of what is not in question is sound, or hardly any would be a command.
    let or_sound = |sound: &'static str| prop_oneof![4 => Just(sound.to_owned()), 1 => texts()];
    let sequence = prop_oneof![4 => Just("null"), 1 => select(SEQUENCES)];
    let item = (
        (or_sound("v-1"), or_sound("s-1"), texts(), texts()),
        (select(vec!["available", "ERROR", "creating", "no such"]), sequence),
        prop_oneof![9 => Just(None), 1 => texts().prop_map(Some)],
    );
    let outer = (
        or_sound("u-1"),
        texts(),
        texts(),
        prop_oneof![1 => Just(None), 1 => reply_q.prop_map(Some)],
    );
    let method = prop_oneof![
        8 => Just("update_resource_status".to_owned()),
        8 => Just("update_resources_status".to_owned()),
        1 => texts(),
    ];
    (method, item, outer).prop_map(|(method, item, (unique_id, user, request, reply_q))| {
        let ((id, source, reason, name), (status, sequence), extra) = item;
        let mut item = format!(
            "\"resource_type\": \"t\", \"status\": \"{status}\", \"sequence\": {sequence}"
        );
        for (key, text) in
            [("resource_id", id), ("source_id", source), ("reason", reason), ("name", name)]
        {
            write!(item, ", \"{key}\": {}", quoted(&text)).expect("a String takes any text");
        }
        if let Some(key) = extra {
            write!(item, ", {}: 1", quoted(&key)).expect("a String takes any text");
        }
        if method == "update_resources_status" {
            item = format!("\"resources\": [{{{item}}}]");
        }
        let called = reply_q.map_or_else(String::new, |queue| {
            format!(", \"_msg_id\": \"m\", \"_reply_q\": {}", quoted(&queue))
        });
        format!(
            "{{\"method\": {}, \"version\": \"1.1\", \"_unique_id\": {}, \"_context_user_id\": {}, \
             \"_context_request_id\": {}, \"_context_auth_token\": \"PLANTED\", \"args\": {{{item}, \
             \"restore_id\": \"f30fe76e-4715-4cf8-aff3-13deea7170c3\"}}{called}}}",
            quoted(&method),
            quoted(&unique_id),
            quoted(&user),
            quoted(&request),
        )
        .into_bytes()
    })
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text")
}

const SEQUENCES: &[&str] = &[
    "null",
    "0",
    "7",
    "-1",
    "-0",
    "1.0",
    "1e3",
    "NaN",
    "Infinity",
    "true",
    "\"1\"",
    "[1]",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1180591620717411303424",
];

#[test]
fn a_sequence_is_taken_as_it_was_sent_or_refused() {
    let methods = select(vec!["update_resource_status", "update_restore_status"]);
    let numbers = prop_oneof![
        select(SEQUENCES).prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<i128>().prop_map(|number| number.to_string()),
    ];
    hold((methods, numbers), |(method, number)| {
        let of_resource = "\"resource_type\": \"t\", \"resource_id\": \"v\", \"status\": \"error\"";
        let says =
            if method == "update_resource_status" { of_resource } else { "\"status\": \"fail\"" };
        let body = format!(
            "{{\"method\": \"{method}\", \"args\": {{\"restore_id\": \
             \"f30fe76e-4715-4cf8-aff3-13deea7170c3\", {says}, \"sequence\": {number}}}}}"
        );
        let taken = match dispatcher().dispatch(body.as_bytes()).action {
            Action::Commit { command: Command::UpdateRestore { state, .. }, .. } => {
                Ok(state.sequence)
            }
            Action::Commit { command: Command::UpdateResources { updates, .. }, .. } => {
                Ok(updates[0].state.sequence)
            }
            Action::Refuse(error) => Err(error.class()),
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        let whole = number.parse::<u64>().ok().filter(|whole| i64::try_from(*whole).is_ok());
        let expected = match whole {
            Some(whole) => Ok(Some(whole)),
            None if number == "null" => Ok(None),
            None => Err("InvalidInput"),
        };
        prop_assert_eq!(taken, expected, "{}", number);
        Ok(())
    });
}

fn dispatcher() -> Dispatcher {
    Dispatcher::new(Arc::new(AliasTable::default()), Limits::default())
}

#[test]
fn a_body_becomes_a_command_or_a_refusal_of_few_words_without_a_secret() {
    hold(bodies(), |body| {
        let dispatched = dispatcher().dispatch(&body);
        prop_assert!((1..=255).contains(&dispatched.unique_id.chars().count()));
        prop_assert!(is_plain(&dispatched.unique_id));
        prop_assert!(dispatched.method.iter().all(|method| is_plain(method)));
        let sender = format!("{:?}", dispatched.sender);
        prop_assert!(!sender.contains(PLANTED) && !sender.contains(IN_URL), "{}", sender);
        if let Some(caller) = &dispatched.caller {
            prop_assert!(caller.reply_q.starts_with("reply_") && caller.reply_q.len() <= 255);
        }
        if let Action::Refuse(error) = &dispatched.action {
            let text = error.to_string();
            prop_assert!(CLASSES.contains(&error.class()), "{}", error.class());
            prop_assert!(text.chars().count() < 3000 && is_plain(&text), "{}", text);
            prop_assert!(!text.contains(PLANTED) && !text.contains(IN_URL), "{}", text);
            prop_assert_eq!(&RpcError::from_failure(&error.to_failure()).class(), &error.class());
        }
        Ok(())
    });
}

#[test]
fn a_command_is_the_same_when_its_message_was_kept() {
    hold(bodies(), |body| {
        let dispatched = dispatcher().dispatch(&body);
        let Action::Commit { command, .. } = &dispatched.action else { return Ok(()) };
        let shown = format!("{command:?}").replace(r#"\"b\": \"PLANTED\""#, "");
        prop_assert!(!shown.contains(PLANTED) && !shown.contains(IN_URL), "{}", shown);
        if !matches!(command, Command::RecordRestore(_)) {
            let rested = resting_body(&body, &Limits::default());
            prop_assert!(!rested.contains(PLANTED), "{}", rested);
            // As they would be stored.
            let args = open(rested.as_bytes()).expect("a message")["args"].take();
            let items =
                args["resources"].as_array().map_or(vec![&args], |items| items.iter().collect());
            for text in items.iter().flat_map(|item| [&item["reason"], &item["name"]]) {
                let text = text.as_str().unwrap_or_default();
                prop_assert!(!text.contains(IN_URL) && is_plain(text), "{}", text);
            }
            prop_assert_eq!(&dispatcher().dispatch(rested.as_bytes()).action, &dispatched.action);
        }
        // A text with what may hide a secret's name, or gives one a value, is cut where it is kept.
        let text = String::from_utf8_lossy(&body);
        if !["\\u00", "restore_auth\\\"", "restore_auth:"].iter().any(|sign| text.contains(sign)) {
            let kept = dispatcher().dispatch(redact_body(&body).as_bytes());
            prop_assert_eq!(&kept.action, &dispatched.action);
            prop_assert_eq!(&kept.sender, &dispatched.sender);
        }
        Ok(())
    });
}

/// What a sender may have among its headers.
fn headers() -> impl Strategy<Value = BTreeMap<String, HeaderValue>> {
    let text = |text: &str| HeaderValue::Text(text.to_owned());
    let table = |name: &str| BTreeMap::from([(name.to_owned(), text(PLANTED))]);
    let header = select(vec![
        ("_context_auth_token", text(PLANTED)),
        ("restore_auth", HeaderValue::Array(vec![text(PLANTED)])),
        ("note", text("{'restore_auth': 'PLANTED'}")),
        ("table", HeaderValue::Table(table("_context_service_catalog"))),
        ("list", HeaderValue::Array(vec![HeaderValue::Table(table("restore_auth"))])),
        ("error", text("a\u{1b}[2J")),
        ("CC", HeaderValue::Array(vec![text("elsewhere")])),
        ("x-death", HeaderValue::Array(Vec::new())),
        ("x-delivery-count", HeaderValue::Integer(7)),
        ("long", text(&"x".repeat(40_000))),
        ("longer", text(&"x".repeat(40_000))),
        ("colour", text("red")),
    ]);
    let header = header.prop_map(|(name, value)| (name.to_owned(), value));
    proptest::collection::vec(header, 0..5).prop_map(|headers| headers.into_iter().collect())
}

#[test]
fn a_dead_letter_says_little_and_no_secret() {
    hold((bodies(), headers()), |(body, headers)| {
        let dispatched = dispatcher().dispatch(&body);
        let Action::Refuse(error) = dispatched.action.clone() else { return Ok(()) };
        let properties = Properties { headers, ..Properties::oslo() };
        let letter = DeadLetter::new("q", &properties, &body, &dispatched, &error);
        let message = letter.message("q.dead-letter", DateTime::UNIX_EPOCH);
        let headers = &message.properties.headers;
        let shown = format!("{headers:?}");
        prop_assert!(!shown.contains(PLANTED) && !shown.contains(IN_URL), "{}", shown);
        prop_assert!(shown.len() < 70_000);
        // The broker would act upon them.
        let acted_upon = ["CC", "x-death", "x-delivery-count"];
        prop_assert!(!acted_upon.iter().any(|name| headers.contains_key(*name)));
        for name in ["error", "reason", "method", "message_unique_id", "queue"] {
            let Some(HeaderValue::Text(text)) = headers.get(name) else {
                return Err(TestCaseError::fail(name));
            };
            prop_assert!(text.chars().count() < 1100 && is_plain(text), "{}: {}", name, text);
        }
        let text = String::from_utf8_lossy(&message.body);
        for secret in ["_token\\\": \\\"PLANTED", "_token\": \"PLANTED", "restore_auth\": {\"x\""] {
            prop_assert!(!text.contains(secret), "{}", text);
        }
        Ok(())
    });
}
