//! A notification (`oslo_messaging/notify/notifier.py`, `notify/messaging.py`).
//!
//! Takes what is told, gives the body in the format of the driver `messagingv2` (an envelope) or
//! `messaging` (none), keys in the order in which Python writes them. Of a context only the keys
//! listed here leave.

use chrono::{DateTime, Utc};
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
        let mut message = Map::new();
        let mut put = |key: &str, value: Value| message.insert(key.to_owned(), value);
        put("message_id", Value::from(self.message_id.as_str()));
        put("publisher_id", Value::from(self.publisher_id.as_str()));
        put("event_type", Value::from(self.event_type));
        put("priority", Value::from(self.priority.to_uppercase()));
        put("payload", Value::Object(self.payload.clone()));
        // As `str(datetime)` writes it.
        let timestamp = self.timestamp.format("%Y-%m-%d %H:%M:%S%.6f").to_string();
        put("timestamp", Value::from(timestamp));
        put("_unique_id", Value::from(fresh_unique_id()));
        if let Some(context) = &self.context {
            put("_context_user_id", Value::from(context.user_id.clone()));
            put("_context_project_id", Value::from(context.project_id.clone()));
            put("_context_is_admin", Value::from(false));
            put("_context_roles", Value::Array(Vec::new()));
            put("_context_request_id", Value::from(context.request_id.clone()));
            put("_context_global_request_id", Value::from(context.global_request_id.clone()));
        }
        match format {
            NotificationFormat::V1 => json::dumps(&message).into_bytes(),
            NotificationFormat::V2 => seal(&message),
        }
    }
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
