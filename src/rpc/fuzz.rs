//! Any body at all: a command that is the same when it is kept and read again, or a refusal of a
//! listed class in few words, without a secret.

use std::sync::Arc;

use chrono::DateTime;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::domain::{AliasTable, Command, Limits};
use crate::fuzz::{PLANTED, damaged, hold, is_plain, json};
use crate::transport::{HeaderValue, Properties};
use crate::wire::{redact_body, samples};

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
        1 => any::<Vec<u8>>(),
    ]
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
        prop_assert!(!sender.contains(PLANTED), "{}", sender);
        if let Some(caller) = &dispatched.caller {
            prop_assert!(caller.reply_q.starts_with("reply_") && caller.reply_q.len() <= 255);
        }
        if let Action::Refuse(error) = &dispatched.action {
            let text = error.to_string();
            prop_assert!(CLASSES.contains(&error.class()), "{}", error.class());
            prop_assert!(text.chars().count() < 3000 && is_plain(&text), "{}", text);
            prop_assert!(!text.contains(PLANTED), "{}", text);
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
        prop_assert!(!shown.contains(PLANTED), "{}", shown);
        if !matches!(command, Command::RecordRestore(_)) {
            let rested = resting_body(&body, &Limits::default());
            prop_assert!(!rested.contains(PLANTED), "{}", rested);
            prop_assert_eq!(&dispatcher().dispatch(rested.as_bytes()).action, &dispatched.action);
        }
        // A text with what may hide a secret's name is cut where it is kept.
        if !String::from_utf8_lossy(&body).contains("\\u00") {
            let kept = dispatcher().dispatch(redact_body(&body).as_bytes());
            prop_assert_eq!(&kept.action, &dispatched.action);
            prop_assert_eq!(&kept.sender, &dispatched.sender);
        }
        Ok(())
    });
}

#[test]
fn a_dead_letter_says_little_and_no_secret() {
    hold(bodies(), |body| {
        let dispatched = dispatcher().dispatch(&body);
        let Action::Refuse(error) = dispatched.action.clone() else { return Ok(()) };
        let properties = Properties::oslo();
        let letter = DeadLetter::new("q", &properties, &body, &dispatched, &error);
        let message = letter.message("q.dead-letter", DateTime::UNIX_EPOCH);
        for (name, value) in &message.properties.headers {
            let HeaderValue::Text(text) = value else { continue };
            prop_assert!(text.chars().count() < 1100 && is_plain(text), "{}: {}", name, text);
            prop_assert!(!text.contains(PLANTED), "{}: {}", name, text);
        }
        let text = String::from_utf8_lossy(&message.body);
        for secret in ["_token\\\": \\\"PLANTED", "_token\": \"PLANTED", "restore_auth\": {\"x\""] {
            prop_assert!(!text.contains(secret), "{}", text);
        }
        Ok(())
    });
}
