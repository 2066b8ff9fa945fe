//! A reply to a call, or a heartbeat while it lasts
//! (`oslo_messaging/_drivers/amqpdriver.py`, `_send_reply`).
//!
//! Takes a result or a failure, gives the keys in the order in which Python writes them, and, for
//! the client, reads them again.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::Failure;

/// What a caller is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    /// The call is still being worked on.
    Heartbeat,
    /// The call's return value.
    Result(Value),
    /// What the call raised.
    Failure(Failure),
}

impl Reply {
    /// The message, with an id of its own.
    pub(crate) fn to_message(&self, msg_id: &str) -> Map<String, Value> {
        let (result, failure, ending) = match self {
            Self::Heartbeat => (Value::Null, Value::Null, false),
            Self::Result(result) => (result.clone(), Value::Null, true),
            Self::Failure(failure) => (Value::Null, Value::from(failure.to_text()), true),
        };
        let mut message = Map::new();
        message.insert("result".to_owned(), result);
        message.insert("failure".to_owned(), failure);
        message.insert("ending".to_owned(), Value::from(ending));
        message.insert("_msg_id".to_owned(), Value::from(msg_id));
        message.insert("_unique_id".to_owned(), Value::from(fresh_unique_id()));
        message
    }

    /// Reads a reply and the `_msg_id` of the call it answers.
    pub(crate) fn from_message(mut message: Map<String, Value>) -> Option<(String, Self)> {
        let msg_id = message.get("_msg_id")?.as_str()?.to_owned();
        let reply = match message.get("failure") {
            Some(Value::String(failure)) => Self::Failure(Failure::from_text(failure)?),
            _ if message.get("ending") == Some(&Value::Bool(true)) => {
                Self::Result(message.remove("result").unwrap_or_default())
            }
            _ => Self::Heartbeat,
        };
        Some((msg_id, reply))
    }
}

/// An id as oslo.messaging gives every message it sends: `uuid4().hex`.
pub(crate) fn fresh_unique_id() -> String {
    Uuid::new_v4().as_simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{open, samples, seal};

    #[test]
    fn what_python_answered_is_written_byte_for_byte() {
        let mut replies = 0;
        for sample in samples::all().iter().filter(|s| s.message.get("ending").is_some()) {
            replies += 1;
            let sent = open(sample.body.as_bytes()).unwrap();
            let (msg_id, reply) = Reply::from_message(sent.clone()).unwrap();
            let mut ours = reply.to_message(&msg_id);
            assert_ne!(ours["_unique_id"], sent["_unique_id"]);
            assert_eq!(ours["_unique_id"].as_str().unwrap().len(), 32);
            ours["_unique_id"] = sent["_unique_id"].clone();
            if let Some(text) = sent["failure"].as_str() {
                // Ours have no traceback.
                let mut failure: Map<String, Value> = serde_json::from_str(text).unwrap();
                failure["tb"] = Value::Array(Vec::new());
                let mut sent = sent.clone();
                sent["failure"] = Value::from(crate::wire::dumps(&failure));
                assert_eq!(seal(&ours), seal(&sent), "{}", sample.name);
            } else {
                assert_eq!(String::from_utf8(seal(&ours)).unwrap(), sample.body, "{}", sample.name);
            }
        }
        assert_eq!(replies, 12);
    }

    #[test]
    fn a_heartbeat_is_read_as_one() {
        let sample = samples::named("call-with-monitor-timeout-2");
        let (_, reply) = Reply::from_message(open(sample.body.as_bytes()).unwrap()).unwrap();
        assert_eq!(reply, Reply::Heartbeat);
    }
}
