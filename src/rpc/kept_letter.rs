//! A dead letter read back from its queue, and the message that it was.
//!
//! Takes a delivery of the dead-letter queue, gives what its headers say, fit to be shown, and the
//! message to send again. Anybody may put a message there, so nothing of it is trusted: texts are
//! cleaned like reasons, and a replay only goes to queues of the worker's own topic.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::dead_letter::{BROKERS_HEADERS, header};
use crate::domain::{RestoreId, clean_name};
use crate::transport::{Delivery, HeaderValue, Message, Properties};
use crate::wire::{open_kept, without_caller};

/// What a dead letter says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLetter {
    /// When it became one; a version without that header left `None`.
    pub kept_at: Option<DateTime<Utc>>,
    /// The error's class.
    pub error: String,
    /// The error's text.
    pub reason: String,
    /// The method; empty where it was not understood.
    pub method: String,
    /// The queue it came from.
    pub queue: String,
    /// Its `_unique_id`, or the one it got at receipt.
    pub unique_id: String,
    /// The `message_id` of all its copies and of its notifications.
    pub message_id: Option<String>,
    /// The restore it was about, where its arguments say so.
    pub restore_id: Option<RestoreId>,
    /// Whether its message was kept; `false` of one kept as a digest, which nobody can send again.
    pub has_message: bool,
}

impl KeptLetter {
    /// Reads a delivery of the dead-letter queue; what is missing is empty.
    pub fn read(delivery: &Delivery) -> Self {
        let text = |name: &str| match delivery.properties.headers.get(name) {
            Some(HeaderValue::Text(text)) => clean_name(text).unwrap_or_default(),
            _ => String::new(),
        };
        let message = open_kept(&delivery.body);
        let kept_at = DateTime::parse_from_rfc3339(&text(header::KEPT_AT)).ok();
        Self {
            kept_at: kept_at.map(|at| at.to_utc()),
            error: text(header::ERROR),
            reason: text(header::REASON),
            method: text(header::METHOD),
            queue: text(header::QUEUE),
            unique_id: text(header::UNIQUE_ID),
            message_id: delivery.properties.message_id.as_deref().and_then(clean_name),
            restore_id: message.as_ref().and_then(restore_of),
            has_message: message.is_some(),
        }
    }
}

/// `restore_id` of an update, `id` of the object of a `restore`.
fn restore_of(message: &Map<String, Value>) -> Option<RestoreId> {
    let args = message.get("args")?;
    let recorded = || {
        let restore = args.get("restore")?;
        restore.get("karbor_object.data").unwrap_or(restore).get("id")
    };
    args.get("restore_id").or_else(recorded)?.as_str()?.parse().ok()
}

/// The message that a letter was, to the queue that it came from: with its `_unique_id`, without
/// our headers, and as a cast, for its caller is gone. Give only one that has its message.
pub fn replayed(delivery: &Delivery, topic: &str) -> Message {
    let mut headers = delivery.properties.headers.clone();
    headers.retain(|name, _| {
        !header::OURS.contains(&name.as_str()) && !BROKERS_HEADERS.contains(&name.as_str())
    });
    let queue = match delivery.properties.headers.get(header::QUEUE) {
        Some(HeaderValue::Text(queue)) if is_requests_queue(queue, topic) => queue,
        _ => topic,
    };
    Message {
        exchange: String::new(),
        routing_key: queue.to_owned(),
        mandatory: true,
        // Its own `message-id` was given up for ours.
        properties: Properties { message_id: None, headers, ..delivery.properties.clone() },
        body: without_caller(&delivery.body),
    }
}

/// Whether the worker consumes it: everyone's, a server's, an observed key's.
fn is_requests_queue(queue: &str, topic: &str) -> bool {
    match queue.strip_prefix(topic) {
        Some("") => true,
        Some(rest) => rest.starts_with('.') && rest != ".dead-letter",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::rpc::{DeadLetter, RpcError};
    use crate::transport::DeliveryTag;
    use crate::wire::samples;

    fn delivery(queue: &str, body: &str) -> Delivery {
        let mut properties =
            Properties { message_id: Some("theirs".to_owned()), ..Properties::oslo() };
        properties.headers.insert("origin".to_owned(), HeaderValue::from("plugin"));
        let error = RpcError::InternalError("http://u:SECRET@h \u{1b}[2J".to_owned());
        let letter = DeadLetter {
            queue,
            properties: &properties,
            body: body.as_bytes(),
            unique_id: "u-1",
            message_id: Uuid::from_u128(1),
            method: Some("restore"),
            sender: &crate::domain::Sender::default(),
            error: &error,
        };
        let mut kept = letter.message("t.dead-letter", DateTime::UNIX_EPOCH);
        kept.properties.headers.insert("x-delivery-count".to_owned(), HeaderValue::Integer(3));
        Delivery {
            tag: DeliveryTag { session: 1, tag: 1 },
            queue: "t.dead-letter".to_owned(),
            redelivered: true,
            exchange: String::new(),
            routing_key: "t.dead-letter".to_owned(),
            properties: kept.properties,
            body: kept.body,
        }
    }

    #[test]
    fn a_letter_is_read_as_it_was_kept_and_cleaned() {
        let sample = samples::named("call-restore-1");
        let letter = KeptLetter::read(&delivery("t", &sample.body));
        assert_eq!(letter.kept_at, Some(DateTime::UNIX_EPOCH));
        assert_eq!((letter.error.as_str(), letter.method.as_str()), ("InternalError", "restore"));
        assert_eq!(letter.reason, "The worker could not do this: http://u:***@h [2J");
        assert_eq!((letter.queue.as_str(), letter.unique_id.as_str()), ("t", "u-1"));
        let id = sample.message["args"]["restore"]["karbor_object.data"]["id"].as_str().unwrap();
        assert_eq!(letter.restore_id.unwrap().to_string(), id);
        assert!(letter.has_message && letter.message_id.is_some());
        assert!(!KeptLetter::read(&delivery("t", "{broken")).has_message);
    }

    #[test]
    fn a_replay_is_the_message_as_a_cast_without_our_headers() {
        let sample = samples::named("call-restore-1");
        let message = replayed(&delivery("t.server", &sample.body), "t");
        assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), ("", "t.server"));
        assert!(message.mandatory);
        assert_eq!(message.properties.message_id, None);
        assert_eq!(message.properties.content_type.as_deref(), Some("application/json"));
        let headers: Vec<_> = message.properties.headers.into_iter().collect();
        assert_eq!(headers, [("origin".to_owned(), HeaderValue::from("plugin"))]);
        let sent = open_kept(&message.body).unwrap();
        assert_eq!(sent["_unique_id"], sample.message["_unique_id"]);
        assert!(!sent.contains_key("_msg_id") && !sent.contains_key("_reply_q"));
    }

    #[test]
    fn a_replay_goes_to_the_workers_own_queues_only() {
        for (kept, goes_to) in [
            ("t", "t"),
            ("t.server", "t.server"),
            ("t.observed.karbor-protection", "t.observed.karbor-protection"),
            ("t.dead-letter", "t"),
            ("notifications.info", "t"),
            ("ts", "t"),
            ("", "t"),
        ] {
            assert_eq!(replayed(&delivery(kept, "{}"), "t").routing_key, goes_to, "{kept}");
        }
    }
}
