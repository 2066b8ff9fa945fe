//! A message that cannot be done, kept for people to see.
//!
//! Takes a message as it came and what is wrong with it, gives the message for the dead-letter
//! queue: equal as JSON but for secrets, with its properties, and headers that say what happened.
//! It must be one that the broker always takes: a message refused again and again would be a
//! crash loop, so whatever of its properties the broker acts upon is left out.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::caller::iso_8601;
use super::properties::without_secrets;
use super::{Dispatched, RpcError};
use crate::domain::Sender;
use crate::transport::{HeaderValue, Message, Properties};
use crate::wire::{redact_body, sha256_hex, shown, without_body};

/// A message on its way to the dead-letter queue.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    /// The queue it came from.
    pub queue: &'a str,
    /// Its properties, as it came.
    pub properties: &'a Properties,
    /// Its body, as it came or as it rested.
    pub body: &'a [u8],
    /// Its `_unique_id`, or the one it got at receipt.
    pub unique_id: &'a str,
    /// The same for every copy of the message: made of the `_unique_id` that it carried, else of
    /// its body.
    pub message_id: Uuid,
    /// Its method, cleaned.
    pub method: Option<&'a str>,
    /// Who sent it.
    pub sender: &'a Sender,
    /// What is wrong with it.
    pub error: &'a RpcError,
}

/// The namespace of dead letters' `message_id`s: a UUID of this project's own, chosen once.
const MESSAGE_ID_NAMESPACE: Uuid = Uuid::from_u128(0x9d6b_1c1e_0a3f_4c57_8f0e_27c4_53b7_6e21);

/// What of its headers may be as large at most: a frame of properties is 128 KiB and cannot be
/// split, and ours must fit too.
const SENT_HEADERS_BYTES: usize = 64 * 1024;

/// Headers by which the broker routes, or in which it counts its own deliveries.
pub(super) const BROKERS_HEADERS: [&str; 5] =
    ["CC", "BCC", "x-death", "x-delivery-count", "x-acquired-count"];

/// Headers that a dead letter has from us.
pub(super) mod header {
    /// The error's class.
    pub const ERROR: &str = "error";
    /// The error's text.
    pub const REASON: &str = "reason";
    /// The method, or nothing.
    pub const METHOD: &str = "method";
    /// The `_unique_id`, or the one it got at receipt.
    pub const UNIQUE_ID: &str = "message_unique_id";
    /// The queue it was consumed from.
    pub const QUEUE: &str = "queue";
    /// When it became a dead letter: UTC, ISO 8601.
    pub const KEPT_AT: &str = "dead_lettered_at";
    /// The property `user-id`.
    pub const USER_ID: &str = "user_id";

    /// All of them.
    pub const OURS: [&str; 7] = [ERROR, REASON, METHOD, UNIQUE_ID, QUEUE, KEPT_AT, USER_ID];
}

/// What of an error's text a header holds.
const REASON_CHARS: usize = 1024;

impl<'a> DeadLetter<'a> {
    /// The dead letter of a message that was dispatched.
    pub fn new(
        queue: &'a str,
        properties: &'a Properties,
        body: &'a [u8],
        dispatched: &'a Dispatched,
        error: &'a RpcError,
    ) -> Self {
        Self {
            queue,
            properties,
            body,
            unique_id: &dispatched.unique_id,
            message_id: message_id_of(dispatched, body),
            method: dispatched.method.as_deref(),
            sender: &dispatched.sender,
            error,
        }
    }

    /// The message to publish: persistent, to the default exchange, mandatory.
    pub fn message(&self, dead_letter_queue: &str, now: DateTime<Utc>) -> Message {
        let body = match self.error {
            RpcError::BodyTooLarge { .. } => without_body(self.body),
            RpcError::MalformedMessage(_)
            | RpcError::InvalidInput(_)
            | RpcError::RestoreNotFound(_)
            | RpcError::NeverRecorded { .. }
            | RpcError::TypeError(_)
            | RpcError::NoSuchMethod(_)
            | RpcError::UnsupportedVersion { .. }
            | RpcError::InternalError(_) => redact_body(self.body),
        };
        Message {
            exchange: String::new(),
            routing_key: dead_letter_queue.to_owned(),
            mandatory: true,
            properties: self.kept_properties(now),
            body: body.into_bytes(),
        }
    }

    /// The error's text, bounded; the same in header and notification.
    pub(crate) fn reason(&self) -> String {
        let text = self.error.to_string();
        match text.char_indices().nth(REASON_CHARS) {
            Some((at, _)) => format!("{}...", &text[..at]),
            None => text,
        }
    }

    fn kept_properties(&self, now: DateTime<Utc>) -> Properties {
        let sent = without_secrets(self.properties);
        let mut headers = sent.headers;
        headers.retain(|name, _| !BROKERS_HEADERS.contains(&name.as_str()));
        if size_of_headers(&headers) > SENT_HEADERS_BYTES {
            headers.clear();
        }
        let mut put = |name: &str, value: String| {
            headers.insert(name.to_owned(), HeaderValue::Text(value));
        };
        put(header::ERROR, self.error.class().to_owned());
        put(header::REASON, self.reason());
        put(header::METHOD, self.method.unwrap_or_default().to_owned());
        put(header::UNIQUE_ID, self.unique_id.to_owned());
        put(header::QUEUE, self.queue.to_owned());
        put(header::KEPT_AT, iso_8601(now));
        if let Some(user_id) = &self.properties.user_id {
            // RabbitMQ refuses a `user-id` that is not the publisher's own.
            put(header::USER_ID, shown(user_id));
        }
        Properties {
            // A dead letter outlives the broker whatever its sender asked for.
            delivery_mode: Some(2),
            expiration: None,
            message_id: Some(self.message_id.to_string()),
            user_id: None,
            headers,
            ..sent
        }
    }
}

fn message_id_of(dispatched: &Dispatched, body: &[u8]) -> Uuid {
    let name = if dispatched.sent_unique_id {
        format!("unique_id/{}", dispatched.unique_id)
    } else {
        format!("sha256/{}", sha256_hex(body))
    };
    Uuid::new_v5(&MESSAGE_ID_NAMESPACE, name.as_bytes())
}

fn size_of_headers(headers: &BTreeMap<String, HeaderValue>) -> usize {
    headers.iter().map(|(name, value)| name.len() + size_of_header(value)).sum()
}

fn size_of_header(value: &HeaderValue) -> usize {
    const OVERHEAD: usize = 16;
    match value {
        HeaderValue::Text(text) => OVERHEAD + text.len(),
        HeaderValue::Array(items) => OVERHEAD + items.iter().map(size_of_header).sum::<usize>(),
        HeaderValue::Table(table) => OVERHEAD + size_of_headers(table),
        HeaderValue::Integer(_)
        | HeaderValue::Boolean(_)
        | HeaderValue::Double(_)
        | HeaderValue::Void => OVERHEAD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::samples;

    fn letter<'a>(
        properties: &'a Properties,
        body: &'a [u8],
        dispatched: &'a Dispatched,
        error: &'a RpcError,
    ) -> DeadLetter<'a> {
        DeadLetter::new("karbor-restore", properties, body, dispatched, error)
    }

    fn dispatched(unique_id: &str, sent_unique_id: bool) -> Dispatched {
        Dispatched {
            unique_id: unique_id.to_owned(),
            sent_unique_id,
            method: Some("restore".to_owned()),
            sender: Sender::default(),
            caller: None,
            action: crate::rpc::Action::Ping,
        }
    }

    #[test]
    fn it_keeps_what_came_and_says_what_happened() {
        let sample = samples::named("call-restore-1");
        let mut properties =
            Properties { expiration: Some("60000".to_owned()), ..Properties::oslo() };
        properties.headers.insert("x".to_owned(), HeaderValue::Integer(7));
        let secret = HeaderValue::from("SECRET-TOKEN");
        properties.headers.insert("restore_auth".to_owned(), secret.clone());
        let table = [("_context_auth_token".to_owned(), secret)];
        properties.headers.insert("table".to_owned(), HeaderValue::Table(table.into()));
        let text = HeaderValue::from("{\"restore_auth\": \"SECRET-TOKEN\"}");
        properties.headers.insert("list".to_owned(), HeaderValue::Array(vec![text]));
        properties.headers.insert("error".to_owned(), HeaderValue::from("theirs"));
        let dispatched = dispatched("u-1", true);
        let error = RpcError::InvalidInput("`id` must be a UUID".to_owned());
        let message = letter(&properties, sample.body.as_bytes(), &dispatched, &error)
            .message("q", DateTime::UNIX_EPOCH);
        assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), ("", "q"));
        assert!(message.mandatory);
        let kept = &message.properties;
        assert_eq!(kept.expiration, None);
        assert_eq!(kept.content_type.as_deref(), Some("application/json"));
        for (name, value) in [
            ("error", "InvalidInput"),
            ("reason", "Invalid input received: `id` must be a UUID"),
            ("method", "restore"),
            ("message_unique_id", "u-1"),
            ("queue", "karbor-restore"),
            ("dead_lettered_at", "1970-01-01T00:00:00.000000+00:00"),
        ] {
            assert_eq!(kept.headers[name], HeaderValue::from(value));
        }
        assert_eq!(kept.headers["x"], HeaderValue::Integer(7));
        assert_eq!(kept.headers["restore_auth"], HeaderValue::Void);
        assert!(!format!("{:?}", kept.headers).contains("SECRET-TOKEN"));
        let body = String::from_utf8(message.body).unwrap();
        assert!(!body.contains("SECRET-TOKEN") && !body.contains("password"));
        assert!(body.contains("dcb20606-ad71-40a3-80e4-ef0fafdad0c3"));
    }

    #[test]
    fn its_properties_keep_no_secret() {
        const SECRET: &str = r#"{"restore_auth": "TOK"}"#;
        let text = || Some(SECRET.to_owned());
        let properties = Properties {
            content_type: text(),
            content_encoding: text(),
            correlation_id: text(),
            reply_to: text(),
            kind: text(),
            app_id: text(),
            headers: [(SECRET.to_owned(), HeaderValue::Integer(7))].into(),
            ..Properties::oslo()
        };
        let (dispatched, error) = (dispatched("u", true), RpcError::InternalError(String::new()));
        let kept = letter(&properties, b"{}", &dispatched, &error)
            .message("q", DateTime::UNIX_EPOCH)
            .properties;
        assert!(!format!("{kept:?}").contains("TOK"), "{kept:?}");
        assert_eq!(kept.headers[r#"{"***"#], HeaderValue::Integer(7));
    }

    #[test]
    fn its_id_is_made_of_the_sent_id_and_of_the_body_where_there_is_none() {
        let (properties, error) =
            (Properties::default(), RpcError::MalformedMessage(String::new()));
        let id = |unique_id: &str, sent, body: &[u8]| {
            letter(&properties, body, &dispatched(unique_id, sent), &error).message_id
        };
        assert_eq!(id("a", true, b"1"), id("a", true, b"2"));
        assert_ne!(id("a", true, b"1"), id("b", true, b"1"));
        assert_eq!(id("a", false, b"1"), id("b", false, b"1"));
        assert_ne!(id("a", false, b"1"), id("a", false, b"2"));
    }

    #[test]
    fn what_the_broker_acts_upon_is_left_out() {
        let mut properties = Properties {
            user_id: Some("someone".to_owned()),
            delivery_mode: Some(1),
            ..Properties::default()
        };
        properties.headers.insert("CC".to_owned(), HeaderValue::from("[elsewhere]"));
        properties.headers.insert("y".to_owned(), HeaderValue::from("z".repeat(70_000)));
        let (dispatched, error) =
            (dispatched("u", true), RpcError::InternalError("x".repeat(5000)));
        let kept = letter(&properties, b"{}", &dispatched, &error)
            .message("q", DateTime::UNIX_EPOCH)
            .properties;
        assert_eq!((kept.user_id, kept.delivery_mode), (None, Some(2)));
        assert_eq!(kept.headers["user_id"], HeaderValue::from("someone"));
        assert!(!kept.headers.contains_key("CC") && !kept.headers.contains_key("y"));
        assert!(size_of_header(&kept.headers["reason"]) < 1200);
    }

    #[test]
    fn a_body_that_is_too_large_is_not_kept() {
        let body = format!("{{\"a\": \"{}\"}}", "x".repeat(1000));
        let (dispatched, error) =
            (dispatched("u", false), RpcError::BodyTooLarge { bytes: 1009, limit: 9 });
        let properties = Properties::default();
        let message = letter(&properties, body.as_bytes(), &dispatched, &error)
            .message("q", DateTime::UNIX_EPOCH);
        assert!(message.body.len() < 500);
        assert_eq!(message.properties.headers["error"], HeaderValue::from("MalformedMessage"));
    }
}
