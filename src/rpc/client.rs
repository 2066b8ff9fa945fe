//! The typed RPC client: what the demo, tests and plugins in Rust speak to the worker with.
//!
//! Takes commands, over any [`Transport`]; gives outcomes, or the error that the worker answered.
//! It has a reply queue of its own, as oslo.messaging's client has. What it sends is what a Python
//! client would send.

mod request;
mod answer;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::answer::{read_outcome, read_restore};
use self::request::{args_of, method_of, request_message};
use super::{RpcError, Target};
use crate::domain::{Command, Outcome, RestoreId, Sender};
use crate::store::RestoreView;
use crate::transport::{
    Acker, Consumer, ConsumerSpec, Link, Message, Properties, PublishError, Publisher, Queue,
    QueueType, Topology, Transport,
};
use crate::wire::{Reply, fresh_unique_id, open, seal};

/// Whom a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// Any worker.
    Topic,
    /// The worker of this name.
    Server(String),
    /// The fanout exchange.
    Fanout,
}

/// Why a request has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The worker refused it.
    #[error("{0}")]
    Refused(RpcError),
    /// No answer came in time; it may have been done all the same.
    #[error("no answer came within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// It was not sent, or is not known to be.
    #[error("the request was not taken by the broker: {0}")]
    NotPublished(#[source] PublishError),
    /// The answer is not what the method answers.
    #[error("the answer cannot be read")]
    Unreadable,
}

type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<Reply>>>>;

/// A client of one worker's topic, as one sender.
pub struct RpcClient {
    target: Target,
    sender: Sender,
    timeout: Duration,
    reply_q: String,
    publisher: Arc<dyn Publisher>,
    acker: Arc<dyn Acker>,
    waiting: Waiting,
    replies: JoinHandle<()>,
}

impl RpcClient {
    /// Connects in the background; `target.server` is not looked at. Must be called within a
    /// tokio runtime. A call waits for `timeout` at most.
    pub fn connect(
        transport: &dyn Transport,
        target: Target,
        sender: Sender,
        timeout: Duration,
    ) -> Self {
        let reply_q = format!("reply_{}", fresh_unique_id());
        let consumer = transport.consume(ConsumerSpec {
            name: reply_q.clone(),
            topology: Topology { queues: vec![reply_queue(&reply_q)], ..Topology::default() },
            queues: vec![reply_q.clone()],
            prefetch: 100,
        });
        // Only the exchanges: the queues are the worker's own matter.
        let exchanges = target.topology().exchanges;
        let publisher =
            transport.publisher("rpc-client", Topology { exchanges, ..Topology::default() });
        let waiting = Waiting::default();
        let acker = consumer.acker();
        let replies =
            tokio::spawn(hand_out_replies(consumer, Arc::clone(&acker), Arc::clone(&waiting)));
        Self { target, sender, timeout, reply_q, publisher, acker, waiting, replies }
    }

    /// Sends what follows as this sender's.
    pub fn set_sender(&mut self, sender: Sender) {
        self.sender = sender;
    }

    /// Sends a command without waiting for its outcome; returns once the broker has it.
    pub async fn cast(&self, to: &To, command: &Command) -> Result<(), CallError> {
        let message = request_message(method_of(command), args_of(command), &self.sender);
        self.publish(to, &message, None).await
    }

    /// Sends a method with arguments of the caller's own making, as a plugin may: nothing is
    /// validated here.
    pub async fn cast_args(
        &self,
        to: &To,
        method: &str,
        args: &impl serde::Serialize,
    ) -> Result<(), CallError> {
        let message = request_message(method, to_args(args)?, &self.sender);
        self.publish(to, &message, None).await
    }

    /// The same as a call; its result is not looked at.
    pub async fn call_args(
        &self,
        to: &To,
        method: &str,
        args: &impl serde::Serialize,
    ) -> Result<(), CallError> {
        self.request(to, method, to_args(args)?).await.map(drop)
    }

    /// Sends a command and waits for its outcome.
    pub async fn call(&self, to: &To, command: &Command) -> Result<Outcome, CallError> {
        let result = self.request(to, method_of(command), args_of(command)).await?;
        read_outcome(command, &result).ok_or(CallError::Unreadable)
    }

    /// Reads a restore.
    pub async fn get_restore(&self, id: RestoreId) -> Result<RestoreView, CallError> {
        let args = Map::from_iter([("restore_id".to_owned(), Value::from(id.to_string()))]);
        let result = self.request(&To::Topic, "get_restore", args).await?;
        read_restore(&result).ok_or(CallError::Unreadable)
    }

    /// Asks for a sign of life.
    pub async fn ping(&self, to: &To) -> Result<(), CallError> {
        match self.request(to, "oslo_rpc_server_ping", Map::new()).await? {
            Value::String(text) if text == "pong" => Ok(()),
            _ => Err(CallError::Unreadable),
        }
    }

    /// Ends both connections by the protocol.
    pub async fn close(self) {
        self.acker.cancel().await;
        self.acker.close().await;
        self.publisher.close().await;
    }

    async fn request(
        &self,
        to: &To,
        method: &str,
        args: Map<String, Value>,
    ) -> Result<Value, CallError> {
        let msg_id = fresh_unique_id();
        let (answer, answered) = oneshot::channel();
        lock(&self.waiting).insert(msg_id.clone(), answer);
        let asked = async {
            // An answer to a queue that is not there yet would be lost.
            let mut link = self.acker.link();
            let up = link.wait_for(|link| *link == Link::Up).await;
            up.map_err(|_| CallError::NotPublished(PublishError::Lost))?;
            let mut message = request_message(method, args, &self.sender);
            message.insert("_msg_id".to_owned(), Value::from(msg_id.as_str()));
            message.insert("_reply_q".to_owned(), Value::from(self.reply_q.as_str()));
            message.insert("_timeout".to_owned(), Value::Null);
            self.publish(to, &message, Some(self.timeout)).await?;
            answered.await.map_err(|_| CallError::Unreadable)
        };
        let asked = tokio::time::timeout(self.timeout, asked).await;
        lock(&self.waiting).remove(&msg_id);
        match asked.map_err(|_| CallError::TimedOut(self.timeout))?? {
            Reply::Result(result) => Ok(result),
            Reply::Failure(failure) => Err(CallError::Refused(RpcError::from_failure(&failure))),
            Reply::Heartbeat => Err(CallError::Unreadable),
        }
    }

    async fn publish(
        &self,
        to: &To,
        message: &Map<String, Value>,
        expires: Option<Duration>,
    ) -> Result<(), CallError> {
        let (exchange, routing_key) = match to {
            To::Topic => (self.target.exchange.clone(), self.target.topic.clone()),
            To::Server(name) => {
                (self.target.exchange.clone(), format!("{}.{name}", self.target.topic))
            }
            To::Fanout => (self.target.fanout_exchange(), String::new()),
        };
        let expiration = expires.map(|timeout| timeout.as_millis().to_string());
        let message = Message {
            exchange,
            routing_key,
            mandatory: true,
            properties: Properties { expiration, ..Properties::oslo() },
            body: seal(message),
        };
        let confirm = self.publisher.publish(message).await;
        confirm.await.map_err(CallError::NotPublished)
    }
}

impl Drop for RpcClient {
    fn drop(&mut self) {
        self.replies.abort();
    }
}

/// Gives each answer to the call that waits for it; heartbeats and late answers to nobody.
async fn hand_out_replies(
    mut consumer: Box<dyn Consumer>,
    acker: Arc<dyn Acker>,
    waiting: Waiting,
) {
    while let Some(delivery) = consumer.next().await {
        let reply = open(&delivery.body).ok().and_then(Reply::from_message);
        match reply {
            None | Some((_, Reply::Heartbeat)) => {}
            Some((msg_id, reply)) => {
                if let Some(answer) = lock(&waiting).remove(&msg_id) {
                    // Whoever gave up waiting has no use for it.
                    let _ = answer.send(reply);
                }
            }
        }
        acker.ack(delivery.tag).await;
    }
}

fn to_args(args: &impl serde::Serialize) -> Result<Map<String, Value>, CallError> {
    match serde_json::to_value(args) {
        Ok(Value::Object(args)) => Ok(args),
        Ok(_) | Err(_) => Err(CallError::Unreadable),
    }
}

fn lock(
    waiting: &Mutex<HashMap<String, oneshot::Sender<Reply>>>,
) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Reply>>> {
    // Nothing between lock and unlock panics, and a map is whole after each call anyway.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// It outlives a lost connection, so that an answer sent meanwhile is not lost, and goes after
/// half an hour without a client, as oslo.messaging's.
fn reply_queue(name: &str) -> Queue {
    const HALF_AN_HOUR_MS: u32 = 30 * 60 * 1000;
    Queue {
        name: name.to_owned(),
        queue_type: QueueType::Classic,
        durable: true,
        exclusive: false,
        expires_ms: Some(HALF_AN_HOUR_MS),
        delivery_limit: None,
        arguments: Vec::new(),
        setting: "none: it is a client's reply queue",
        durable_setting: None,
    }
}

#[cfg(test)]
mod tests;
