//! What to declare on a broker: exchanges, queues and bindings, as data.

/// AMQP's kinds of exchange that oslo.messaging uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeKind {
    /// Routes by key.
    Topic,
    /// Routes to every bound queue.
    Fanout,
}

/// RabbitMQ's queue types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueType {
    /// Replicated, always durable.
    Quorum,
    /// One node's; durable where a [`Queue`] says so.
    Classic,
}

/// An exchange to declare. One that exists with other flags is adopted as it is, with a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: ExchangeKind,
    /// Whether it outlives the broker.
    pub durable: bool,
    /// Whether it goes with its last binding.
    pub auto_delete: bool,
}

/// A queue to declare. One that exists with other arguments is used all the same, with a warning
/// that says which, both values, and `setting`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Its type.
    pub queue_type: QueueType,
    /// Whether it outlives the broker (a quorum queue always does).
    pub durable: bool,
    /// Whether only this connection may use it, and it goes with the connection.
    pub exclusive: bool,
    /// `x-expires`: milliseconds without use after which the broker deletes it.
    pub expires_ms: Option<u32>,
    /// `x-delivery-limit` of a quorum queue.
    pub delivery_limit: Option<i64>,
    /// Further `x-` arguments: `x-message-ttl`, `x-max-length-bytes`, `x-dead-letter-exchange`, ...
    pub arguments: Vec<(String, super::message::HeaderValue)>,
    /// The setting that decides its type, named in messages to the operator.
    pub setting: &'static str,
    /// The setting that decides whether it is durable, if one does.
    pub durable_setting: Option<&'static str>,
}

/// A queue bound to an exchange by a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The exchange.
    pub exchange: String,
    /// The queue.
    pub queue: String,
    /// The key.
    pub routing_key: String,
}

/// All that is declared together, in this order: exchanges, queues, bindings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    /// Exchanges.
    pub exchanges: Vec<Exchange>,
    /// Queues.
    pub queues: Vec<Queue>,
    /// Bindings.
    pub bindings: Vec<Binding>,
}

impl Topology {
    /// Adds what `other` holds and this does not yet.
    pub fn merge(&mut self, other: Topology) {
        for exchange in other.exchanges {
            if !self.exchanges.contains(&exchange) {
                self.exchanges.push(exchange);
            }
        }
        for queue in other.queues {
            if !self.queues.contains(&queue) {
                self.queues.push(queue);
            }
        }
        for binding in other.bindings {
            if !self.bindings.contains(&binding) {
                self.bindings.push(binding);
            }
        }
    }
}

/// What a consumer declares and consumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerSpec {
    /// The connection's name, as RabbitMQ's management shows it.
    pub name: String,
    /// Declared on every (re)connect.
    pub topology: Topology,
    /// Consumed in this order, all on one channel, so that delivery tags have one order. One that
    /// does not answer is gone without; RabbitMQ keeps for a minute what it has delivered of those
    /// before, so what matters most comes last.
    pub queues: Vec<String>,
    /// Deliveries of each queue that may be unsettled at once: quorum queues refuse a limit over
    /// all queues of a channel.
    pub prefetch: u16,
}
