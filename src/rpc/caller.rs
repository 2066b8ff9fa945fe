//! Answers: an outcome, a restore or an error as the reply that a caller waits for.
//!
//! Takes what became of a call, gives a message to the caller's reply queue, with a `_unique_id`
//! of its own each: a client drops a repeated one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::notifier::counts_to_json;
use super::{ReplyShape, RpcError};
use crate::domain::{Effect, Outcome};
use crate::store::RestoreView;
use crate::transport::{Message, Properties};
use crate::wire::{Reply, loads, seal};

/// Whom a call is answered to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `_msg_id`, which every reply repeats.
    pub msg_id: String,
    /// `_reply_q`: the queue, on AMQP's default exchange.
    pub reply_q: String,
    /// `_timeout`: within which the caller wants to hear a heartbeat.
    pub timeout: Option<Duration>,
    /// Bytes of a reply's body at most; a longer one becomes `InvalidInput` that says so.
    pub body_limit: usize,
}

impl Caller {
    /// The answer to a command: its result, or the failure that a refusal is.
    pub fn outcome(&self, outcome: &Outcome, reply: ReplyShape) -> Message {
        match result_of(outcome, reply) {
            Ok(result) => self.result(result, ""),
            Err(error) => self.failure(&error),
        }
    }

    /// The answer to `get_restore`: the nine fields of Karbor's REST, and ours. One that is too
    /// large can be read in pages over HTTP.
    pub fn restore(&self, view: &RestoreView) -> Message {
        let pages = format!(
            "; read it over HTTP, its resources in pages: GET /v1/PROJECT/restores/{}/resources",
            view.id
        );
        self.result(restore_to_json(view), &pages)
    }

    /// The answer to a ping.
    pub fn pong(&self) -> Message {
        self.result(Value::from("pong"), "")
    }

    /// The exception that the caller raises.
    pub fn failure(&self, error: &RpcError) -> Message {
        self.message(&Reply::Failure(error.to_failure()))
    }

    /// The call is still being worked on.
    pub fn heartbeat(&self) -> Message {
        self.message(&Reply::Heartbeat)
    }

    /// How often the caller wants a heartbeat: half of its timeout, if that is 2 s or more
    /// (`oslo_messaging/rpc/dispatcher.py`, `_watchdog`).
    pub fn heartbeat_every(&self) -> Option<Duration> {
        self.timeout.filter(|timeout| timeout.as_secs() >= 2).map(|timeout| timeout / 2)
    }

    /// `or_else` ends the failure of a result that is too large.
    fn result(&self, result: Value, or_else: &str) -> Message {
        let message = self.message(&Reply::Result(result));
        let (bytes, limit) = (message.body.len(), self.body_limit);
        if bytes <= limit {
            return message;
        }
        self.failure(&RpcError::InvalidInput(format!(
            "the answer has {bytes} bytes, more than the limit of {limit}{or_else}"
        )))
    }

    fn message(&self, reply: &Reply) -> Message {
        Message {
            exchange: String::new(),
            routing_key: self.reply_q.clone(),
            mandatory: true,
            properties: Properties::oslo(),
            body: seal(&reply.to_message(&self.msg_id)),
        }
    }
}

fn result_of(outcome: &Outcome, reply: ReplyShape) -> Result<Value, RpcError> {
    let mismatch = || RpcError::InternalError("the outcome does not answer the request".to_owned());
    match outcome {
        Outcome::Refused(refusal) => Err((*refusal).into()),
        // Only casts wait; whoever calls wants to know now.
        Outcome::Waiting | Outcome::Kept => Err(mismatch()),
        Outcome::Recorded => match reply {
            ReplyShape::Null => Ok(Value::Null),
            ReplyShape::One | ReplyShape::List | ReplyShape::Count => Err(mismatch()),
        },
        Outcome::Resources(effects) => {
            let mut entries =
                effects.iter().map(|(effect, status)| entry(*effect, status.as_str()));
            match reply {
                ReplyShape::One => entries.next().ok_or_else(mismatch),
                ReplyShape::List => Ok(entries.collect()),
                ReplyShape::Null | ReplyShape::Count => Err(mismatch()),
            }
        }
        Outcome::Expected(count) => match reply {
            ReplyShape::Count => Ok(Value::from(*count)),
            ReplyShape::Null | ReplyShape::One | ReplyShape::List => Err(mismatch()),
        },
        Outcome::Restore(effect, status) => match reply {
            ReplyShape::One => Ok(entry(*effect, status.as_str())),
            ReplyShape::Null | ReplyShape::List | ReplyShape::Count => Err(mismatch()),
        },
    }
}

fn entry(effect: Effect, status: &str) -> Value {
    let mut entry = Map::new();
    entry.insert("outcome".to_owned(), Value::from(effect.as_str()));
    entry.insert("status".to_owned(), Value::from(status));
    Value::Object(entry)
}

/// As Karbor shows a restore (`karbor/api/v1/restores.py`), where null dictionaries are empty.
fn restore_to_json(view: &RestoreView) -> Value {
    let mut statuses = Map::new();
    let mut reasons = Map::new();
    for (key, status, reason) in &view.resources {
        statuses.insert(key.to_string(), Value::from(status.as_str()));
        if let Some(reason) = reason {
            reasons.insert(key.to_string(), Value::from(reason.as_str()));
        }
    }
    // What Karbor's column holds is Karbor's: where it is no JSON, nothing better can be shown.
    let parameters = view
        .parameters
        .as_deref()
        .and_then(|text| loads(text).ok())
        .filter(|value| !value.is_null())
        .unwrap_or_else(|| Value::Object(Map::new()));
    let mut restore = Map::new();
    let mut put = |key: &str, value: Value| restore.insert(key.to_owned(), value);
    put("id", Value::from(view.id.to_string()));
    put("project_id", Value::from(view.project_id.as_str()));
    put("provider_id", Value::from(view.provider_id.as_str()));
    put("checkpoint_id", Value::from(view.checkpoint_id.as_str()));
    put("restore_target", Value::from(view.restore_target.clone()));
    put("parameters", parameters);
    put("status", Value::from(view.status.as_str()));
    put("resources_status", Value::Object(statuses));
    put("resources_reason", Value::Object(reasons));
    put("reason", Value::from(view.reason.clone()));
    put("resources", counts_to_json(&view.counts));
    put("created_at", Value::from(view.created_at.map(iso_8601)));
    put("updated_at", Value::from(view.updated_at.map(iso_8601)));
    Value::Object(restore)
}

/// UTC, as Python's `isoformat` writes it, always with microseconds.
pub(crate) fn iso_8601(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}
