//! A message and a delivery, with the properties that oslo.messaging uses.

use std::collections::BTreeMap;

/// The AMQP basic properties that this worker reads, sends or keeps in a dead letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// `content-type`; oslo.messaging sends `application/json`.
    pub content_type: Option<String>,
    /// `content-encoding`; oslo.messaging sends `utf-8`.
    pub content_encoding: Option<String>,
    /// `delivery-mode`: 2 is persistent.
    pub delivery_mode: Option<u8>,
    /// `priority`
    pub priority: Option<u8>,
    /// `correlation-id`
    pub correlation_id: Option<String>,
    /// `reply-to`
    pub reply_to: Option<String>,
    /// `expiration`: milliseconds as text.
    pub expiration: Option<String>,
    /// `message-id`
    pub message_id: Option<String>,
    /// `timestamp`: seconds since 1970.
    pub timestamp: Option<u64>,
    /// `type`
    pub kind: Option<String>,
    /// `user-id`
    pub user_id: Option<String>,
    /// `app-id`
    pub app_id: Option<String>,
    /// Headers; a decimal number is kept as its text, bytes that are no UTF-8 with U+FFFD.
    pub headers: BTreeMap<String, HeaderValue>,
}

/// A header's value, in the types that survive being kept and sent again.
#[derive(Debug, Clone, PartialEq)]
pub enum HeaderValue {
    /// Text (a long string).
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// A floating-point number.
    Double(f64),
    /// No value.
    Void,
    /// A list.
    Array(Vec<HeaderValue>),
    /// Values by name.
    Table(BTreeMap<String, HeaderValue>),
}

impl Eq for HeaderValue {}

impl From<&str> for HeaderValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for HeaderValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Properties {
    /// What oslo.messaging sets on everything it sends (`wire/*.json`, `properties`).
    pub fn oslo() -> Self {
        Self {
            content_type: Some("application/json".to_owned()),
            content_encoding: Some("utf-8".to_owned()),
            delivery_mode: Some(2),
            priority: Some(0),
            ..Self::default()
        }
    }
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where to; empty is AMQP's default exchange, which routes to the queue of the key's name.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// Whether a message that no queue takes is an error ([`super::PublishError::Returned`]).
    pub mandatory: bool,
    /// Its properties.
    pub properties: Properties,
    /// Its body.
    pub body: Vec<u8>,
}

/// Names a delivery within its consumer: the session it came in, and AMQP's tag within that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryTag {
    /// Grows with every reconnect.
    pub session: u64,
    /// Grows with every delivery of a session, by one.
    pub tag: u64,
}

/// A message that was delivered and must be settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What to settle it by.
    pub tag: DeliveryTag,
    /// The queue it was consumed from.
    pub queue: String,
    /// Whether the broker may have delivered it before.
    pub redelivered: bool,
    /// The exchange it was sent to.
    pub exchange: String,
    /// The routing key it was sent with.
    pub routing_key: String,
    /// Its properties.
    pub properties: Properties,
    /// Its body.
    pub body: Vec<u8>,
}
