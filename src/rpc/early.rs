//! How a cast rests in a table until its restore is recorded.
//!
//! Takes the body of an update that dispatches well, gives a text that dispatches to the same
//! command and sender, with the credentials of its context null and its reasons and names as they
//! would be stored. It may become a dead letter later, so all else stays as it came.

use serde_json::{Map, Value};

use crate::domain::{Limits, clean_name, clean_reason};
use crate::wire::{
    CONTEXT_KEYS, cut_context, null_entry, open, redact_entry, seal, without_body, without_values,
};

/// The form in which a cast may rest, for a body that dispatches to a command that may wait; of
/// another body only what a dead letter would keep of one that does not parse. ASCII, so that any
/// column holds it.
pub fn resting_body(body: &[u8], limits: &Limits) -> String {
    let Ok(mut message) = open(body) else {
        return without_body(body);
    };
    cut_context(&mut message);
    if let Some(Value::String(id)) = message.get_mut("_unique_id") {
        *id = without_values(id).into_owned();
    }
    for (key, value) in &mut message {
        match value {
            Value::Object(args) if key == "args" => clean_texts(args, limits),
            // It is judged by them when it is applied.
            Value::String(_) if is_read(key) => {}
            other => {
                redact_entry(key, other);
            }
        }
    }
    String::from_utf8(seal(&message)).expect("JSON is written as UTF-8")
}

/// Whether a text of the message is read when it is dispatched.
fn is_read(key: &str) -> bool {
    CONTEXT_KEYS.contains(&key) || matches!(key, "method" | "version" | "namespace" | "_unique_id")
}

/// Puts the cleaned form of each reason and name. Cleaning twice is cleaning once, so the command
/// stays the same.
fn clean_texts(args: &mut Map<String, Value>, limits: &Limits) {
    for (key, value) in args {
        match (key.as_str(), &mut *value) {
            ("reason", Value::String(text)) => {
                *value = clean_reason(text, limits.reason_chars).into();
            }
            ("name", Value::String(text)) => *value = clean_name(text).into(),
            ("resources", Value::Array(items)) => {
                for item in items {
                    match item {
                        Value::Object(item) => clean_texts(item, limits),
                        other => null_entry("", other),
                    }
                }
            }
            // Ids and types are what they are.
            (key, other) => null_entry(key, other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::domain::AliasTable;
    use crate::rpc::{Action, Dispatcher};
    use crate::wire::dumps;

    #[test]
    fn what_rests_dispatches_to_the_same_command_and_sender_and_holds_no_secret() {
        let limits = Limits { reason_chars: 60, ..Limits::default() };
        let dispatcher = Dispatcher::new(Arc::new(AliasTable::default()), limits);
        let restore_id = "f30fe76e-4715-4cf8-aff3-13deea7170c3";
        let item = json!({
            "resource_type": "X::restore_auth:1", "resource_id": "{\"restore_auth\":\"v\"}",
            "source_id": "c:\\u0041", "status": "BUILD",
            "reason": format!("restore_auth \u{0}{{ http://u:SECRET@h/ {}", "é".repeat(100)),
            "name": "n\u{202e}ame http://u:SECRET@h",
        });
        let mut single = item.as_object().unwrap().clone();
        single.insert("restore_id".to_owned(), restore_id.into());
        for (method, args) in [
            ("update_resource_status", Value::Object(single)),
            ("update_resources_status", json!({"restore_id": restore_id, "resources": [item]})),
            (
                "update_restore_status",
                json!({"restore_id": restore_id, "status": "fail", "reason": "\u{0}"}),
            ),
            (
                "expect_resources",
                json!({"restore_id": restore_id, "resources":
                    [{"resource_type": "t", "source_id": "restore_auth:1", "name": "x\ty"}]}),
            ),
        ] {
            let body = dumps(&json!({
                "method": method, "version": "1.1", "args": args, "_unique_id": "u",
                "_context_auth_token": "SECRET", "_context_auth_token_info": {"a": "SECRET"},
                "_context_service_catalog": ["SECRET"], "_context_project_id": "p_restore_auth=1",
                "_context_user_id": "o\\u0027é", "other": {"restore_auth": "SECRET"},
            }));
            let sent = dispatcher.dispatch(body.as_bytes());
            assert!(matches!(sent.action, Action::Commit { .. }), "{sent:?}");
            let rest = resting_body(body.as_bytes(), &limits);
            assert!(!rest.contains("SECRET"), "{rest}");
            assert!(rest.is_ascii());
            assert_eq!(dispatcher.dispatch(rest.as_bytes()), sent);
            assert_eq!(resting_body(rest.as_bytes(), &limits), rest);
        }
    }

    #[test]
    fn the_ids_of_a_context_rest_without_the_secrets_that_are_read_of_none() {
        let limits = Limits::default();
        let dispatcher = Dispatcher::new(Arc::new(AliasTable::default()), limits);
        for secret in [
            r#"{ "a": 1, "restore_auth": "TOK"}"#,
            "restore\u{0}_auth=TOK",
            "http://u:p@h \u{202e}_context_auth_token: TOK",
        ] {
            let body = dumps(&json!({
                "method": "expect_resources", "version": "1.1", "_unique_id": "restore_auth=TOK",
                "args": {"restore_id": "f30fe76e-4715-4cf8-aff3-13deea7170c3", "resources": []},
                "_context_user_id": secret, "_context_user": secret,
                "_context_request_id": secret, "_context_global_request_id": secret,
                "_context_project_id": secret, "_context_is_admin": true,
            }));
            let sent = dispatcher.dispatch(body.as_bytes());
            let rest = resting_body(body.as_bytes(), &limits);
            assert!(!rest.contains("TOK"), "{rest}");
            assert_eq!(dispatcher.dispatch(rest.as_bytes()), sent);
            assert_eq!(resting_body(rest.as_bytes(), &limits), rest);
        }
    }

    #[test]
    fn what_is_no_message_rests_without_its_body() {
        assert!(resting_body(b"_context_auth_token=SECRET", &Limits::default()).contains("***"));
    }
}
