//! A notification (`oslo_messaging/notify/notifier.py`, `notify/messaging.py`).
//!
//! Takes what is told, gives the body in the format of the driver `messagingv2` (an envelope) or
//! `messaging` (none), keys in the order in which Python writes them. Of a context only the keys
//! listed here leave.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use super::json;
use super::reply::fresh_unique_id;
use super::{Context, seal};

/// The two formats of a notification's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotificationFormat {
    /// Bare, driver `messaging`.
    V1,
    /// In an envelope, driver `messagingv2`.
    V2,
}

/// What a notification tells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notification<'a> {
    /// The same in every copy.
    pub(crate) message_id: String,
    /// `SERVICE.HOST`
    pub(crate) publisher_id: String,
    /// What happened.
    pub(crate) event_type: &'a str,
    /// `info`, `warn` or `error`.
    pub(crate) priority: &'a str,
    /// The facts.
    pub(crate) payload: Map<String, Value>,
    /// When it happened.
    pub(crate) timestamp: DateTime<Utc>,
    /// Whose request caused it; never shown as an admin's.
    pub(crate) context: Option<Context>,
}

impl Notification<'_> {
    /// The body of one copy, with an id of its own: oslo.messaging's listeners drop a repeated
    /// `_unique_id` without acknowledging it.
    pub(crate) fn to_body(&self, format: NotificationFormat) -> Vec<u8> {
        let message = Body {
            message_id: &self.message_id,
            publisher_id: &self.publisher_id,
            event_type: self.event_type,
            priority: self.priority.to_uppercase(),
            payload: &self.payload,
            // As `str(datetime)` writes it.
            timestamp: self.timestamp.format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
            unique_id: fresh_unique_id(),
            context: self.context.as_ref().map(|context| ContextKeys {
                user_id: context.user_id.as_deref(),
                project_id: context.project_id.as_deref(),
                is_admin: false,
                roles: [],
                request_id: context.request_id.as_deref(),
                global_request_id: context.global_request_id.as_deref(),
            }),
        };
        match format {
            NotificationFormat::V1 => json::dumps(&message).into_bytes(),
            NotificationFormat::V2 => seal(&message),
        }
    }
}

/// A notification's keys in Python's order; written as they are, since every transition pays it.
#[derive(Serialize)]
struct Body<'a> {
    message_id: &'a str,
    publisher_id: &'a str,
    event_type: &'a str,
    priority: String,
    payload: &'a Map<String, Value>,
    timestamp: String,
    #[serde(rename = "_unique_id")]
    unique_id: String,
    #[serde(flatten)]
    context: Option<ContextKeys<'a>>,
}

#[derive(Serialize)]
struct ContextKeys<'a> {
    #[serde(rename = "_context_user_id")]
    user_id: Option<&'a str>,
    #[serde(rename = "_context_project_id")]
    project_id: Option<&'a str>,
    #[serde(rename = "_context_is_admin")]
    is_admin: bool,
    #[serde(rename = "_context_roles")]
    roles: [&'a str; 0],
    #[serde(rename = "_context_request_id")]
    request_id: Option<&'a str>,
    #[serde(rename = "_context_global_request_id")]
    global_request_id: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;

    use super::*;
    use crate::wire::{open, samples};

    #[test]
    fn what_python_notified_is_written_byte_for_byte() {
        for (name, format) in [
            ("notification-v1-1", NotificationFormat::V1),
            ("notification-info-1", NotificationFormat::V2),
            ("notification-error-1", NotificationFormat::V2),
        ] {
            let sample = samples::named(name);
            let sent = &sample.message;
            let text = |key: &str| sent[key].as_str().unwrap();
            let time = NaiveDateTime::parse_from_str(text("timestamp"), "%Y-%m-%d %H:%M:%S%.f");
            let notification = Notification {
                message_id: text("message_id").to_owned(),
                publisher_id: text("publisher_id").to_owned(),
                event_type: text("event_type"),
                priority: &text("priority").to_lowercase(),
                payload: sent["payload"].as_object().unwrap().clone(),
                timestamp: time.unwrap().and_utc(),
                context: None,
            };
            let body = String::from_utf8(notification.to_body(format)).unwrap();
            let ours = open(body.as_bytes()).unwrap();
            let fresh = ours["_unique_id"].as_str().unwrap();
            assert_ne!(fresh, text("_unique_id"));
            assert_eq!(body.replace(fresh, text("_unique_id")), sample.body, "{name}");
        }
    }

    #[test]
    fn a_context_leaves_with_six_keys_and_never_as_admin() {
        let notification = Notification {
            message_id: "m".to_owned(),
            publisher_id: "p".to_owned(),
            event_type: "e",
            priority: "warn",
            payload: Map::new(),
            timestamp: DateTime::UNIX_EPOCH,
            context: Some(Context { is_admin: true, ..Context::default() }),
        };
        let message = open(&notification.to_body(NotificationFormat::V2)).unwrap();
        let context: Vec<_> = message.iter().filter(|(k, _)| k.starts_with("_context_")).collect();
        assert_eq!(context.len(), 6);
        assert_eq!(message["_context_is_admin"], false);
        assert_eq!(message["_context_roles"], Value::Array(Vec::new()));
        assert_eq!(message["priority"], "WARN");
        assert_eq!(message["timestamp"], "1970-01-01 00:00:00.000000");
    }
}
