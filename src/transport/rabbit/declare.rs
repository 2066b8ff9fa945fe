//! Declares a topology, and lives with what is there already.
//!
//! Takes a connection and a [`Topology`], gives a channel on which all of it exists, or which part
//! the broker refuses and why. An exchange or queue that exists with other flags or arguments is
//! used as it is and named in a [`Difference`]. Never deletes anything; what somebody else deleted is
//! the business of `missing`.

use lapin::options::{
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions as QueueOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ErrorKind};

use super::connection::describe;
use super::difference::Difference;
use super::properties::{TooLong, short, to_table};
use crate::transport::{
    Binding, Exchange, ExchangeKind, HeaderValue, Queue, QueueDepth, QueueType, Topology,
    TransportError,
};

/// Declares on one connection, with a new channel after each refusal, which closes one.
pub(super) struct Declarer<'a> {
    connection: &'a Connection,
    channel: Option<Channel>,
    pub differences: Vec<Difference>,
}

impl<'a> Declarer<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection, channel: None, differences: Vec::new() }
    }

    /// Declares exchanges, queues and bindings, in this order.
    pub(super) async fn declare(&mut self, topology: &Topology) -> Result<(), TransportError> {
        for exchange in &topology.exchanges {
            self.declare_exchange(exchange).await?;
        }
        for queue in &topology.queues {
            self.declare_queue(queue).await?;
        }
        for binding in &topology.bindings {
            self.bind(binding).await?;
        }
        Ok(())
    }

    /// How full `queue` is; `None` if there is no such queue.
    pub(super) async fn inspect(
        &mut self,
        queue: &str,
    ) -> Result<Option<QueueDepth>, TransportError> {
        let Ok(name) = short(queue) else { return Ok(None) };
        let options = QueueOptions { passive: true, ..QueueOptions::default() };
        match self.channel().await?.queue_declare(name, options, FieldTable::default()).await {
            Ok(queue) => Ok(Some(QueueDepth {
                messages: queue.message_count().into(),
                consumers: queue.consumer_count().into(),
            })),
            Err(error) if soft_error(&error) == Some(AMQPSoftError::NOTFOUND) => {
                self.channel = None;
                Ok(None)
            }
            Err(error) => Err(refused(format!("to look at queue `{queue}`"), &error)),
        }
    }

    /// Whether there is an exchange `name`, of whatever type.
    pub(super) async fn has_exchange(&mut self, name: &str) -> Result<bool, TransportError> {
        let Ok(short_name) = short(name) else { return Ok(false) };
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let (kind, table) = (lapin::ExchangeKind::Topic, FieldTable::default());
        match self.channel().await?.exchange_declare(short_name, kind, options, table).await {
            Ok(()) => Ok(true),
            Err(error) if soft_error(&error) == Some(AMQPSoftError::NOTFOUND) => {
                self.channel = None;
                Ok(false)
            }
            Err(error) => Err(refused(format!("to look at exchange `{name}`"), &error)),
        }
    }

    /// The channel that was used last, or a new one.
    pub(super) async fn channel(&mut self) -> Result<Channel, TransportError> {
        if let Some(channel) = self.channel.as_ref().filter(|c| c.status().connected()) {
            return Ok(channel.clone());
        }
        let channel = self.connection.create_channel().await.map_err(|error| lost(&error))?;
        Ok(self.channel.insert(channel).clone())
    }

    pub(super) async fn declare_exchange(
        &mut self,
        exchange: &Exchange,
    ) -> Result<(), TransportError> {
        let what = format!("exchange `{}`", exchange.name);
        let name = short(&exchange.name).map_err(|TooLong| too_long(&what))?;
        let kind = match exchange.kind {
            ExchangeKind::Topic => lapin::ExchangeKind::Topic,
            ExchangeKind::Fanout => lapin::ExchangeKind::Fanout,
        };
        let options = ExchangeDeclareOptions {
            durable: exchange.durable,
            auto_delete: exchange.auto_delete,
            ..ExchangeDeclareOptions::default()
        };
        let channel = self.channel().await?;
        let table = FieldTable::default();
        let declared =
            channel.exchange_declare(name.clone(), kind.clone(), options, table.clone()).await;
        let Err(error) = declared else { return Ok(()) };
        if !may_exist(&error) {
            return Err(refused(what, &error));
        }
        let passive = ExchangeDeclareOptions { passive: true, ..options };
        let channel = self.channel().await?;
        match channel.exchange_declare(name, kind, passive, table).await {
            Ok(()) => {
                let broker_says = describe(&error);
                self.differences.push(Difference::of_exchange(what, exchange.kind, broker_says));
            }
            Err(_) => return Err(refused(what, &error)),
        }
        Ok(())
    }

    pub(super) async fn declare_queue(&mut self, queue: &Queue) -> Result<(), TransportError> {
        let what = describe_queue(queue);
        let name = short(&queue.name).map_err(|TooLong| too_long(&what))?;
        let arguments = queue_arguments(queue);
        let table = to_table(arguments.iter().map(|(name, value)| (name.as_str(), value)))
            .map_err(|TooLong| too_long(&what))?;
        let options = QueueOptions {
            durable: queue.durable || queue.queue_type == QueueType::Quorum,
            exclusive: queue.exclusive,
            ..QueueOptions::default()
        };
        let channel = self.channel().await?;
        let declared = channel.queue_declare(name.clone(), options, table).await;
        let Err(error) = declared else { return Ok(()) };
        if !may_exist(&error) {
            return Err(refused(what, &error));
        }
        let passive = QueueOptions { passive: true, ..options };
        let channel = self.channel().await?;
        match channel.queue_declare(name, passive, FieldTable::default()).await {
            Ok(_) => {
                let what = format!("queue `{}` ({})", queue.name, kind_of(queue));
                self.differences.push(Difference::of_queue(what, queue, describe(&error)));
            }
            Err(_) => return Err(refused(what, &error)),
        }
        Ok(())
    }

    pub(super) async fn bind(&mut self, binding: &Binding) -> Result<(), TransportError> {
        let Binding { exchange, queue, routing_key } = binding;
        let what = format!("to bind queue `{queue}` to exchange `{exchange}` by `{routing_key}`");
        let texts = (short(queue), short(exchange), short(routing_key));
        let (Ok(queue), Ok(exchange), Ok(key)) = texts else { return Err(too_long(&what)) };
        let channel = self.channel().await?;
        let (options, table) = (QueueBindOptions::default(), FieldTable::default());
        let bound = channel.queue_bind(queue, exchange, key, options, table).await;
        bound.map_err(|error| refused(what, &error))
    }
}

fn queue_arguments(queue: &Queue) -> Vec<(String, HeaderValue)> {
    let mut arguments = queue.arguments.clone();
    if queue.queue_type == QueueType::Quorum {
        // Without it a queue is classic, or what the virtual host's default says.
        arguments.push(("x-queue-type".to_owned(), "quorum".into()));
        if let Some(limit) = queue.delivery_limit {
            arguments.push(("x-delivery-limit".to_owned(), HeaderValue::Integer(limit)));
        }
    }
    if let Some(milliseconds) = queue.expires_ms {
        arguments.push(("x-expires".to_owned(), HeaderValue::Integer(milliseconds.into())));
    }
    arguments
}

fn describe_queue(queue: &Queue) -> String {
    let (name, kind, setting) = (&queue.name, kind_of(queue), queue.setting);
    format!("queue `{name}` ({kind}; the setting `{setting}` decides)")
}

fn kind_of(queue: &Queue) -> &'static str {
    match queue.queue_type {
        QueueType::Quorum => "quorum",
        QueueType::Classic if queue.durable => "durable classic",
        QueueType::Classic => "non-durable classic",
    }
}

/// 406: it exists with other flags or arguments. 403: it exists, perhaps, and this user may only
/// use it. Others (405: another connection's own queue) cannot be lived with.
fn may_exist(error: &lapin::Error) -> bool {
    matches!(
        soft_error(error),
        Some(AMQPSoftError::PRECONDITIONFAILED | AMQPSoftError::ACCESSREFUSED)
    )
}

pub(super) fn soft_error(error: &lapin::Error) -> Option<AMQPSoftError> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            AMQPErrorKind::Soft(soft) => Some(soft.clone()),
            AMQPErrorKind::Hard(_) => None,
        },
        _ => None,
    }
}

/// A protocol error is an answer, and so `Refused`; anything else is a lost connection.
pub(super) fn refused(what: String, error: &lapin::Error) -> TransportError {
    match error.kind() {
        ErrorKind::ProtocolError(_) => TransportError::Refused { what, reason: describe(error) },
        _ => lost(error),
    }
}

pub(super) fn lost(error: &lapin::Error) -> TransportError {
    TransportError::Lost(describe(error))
}

fn too_long(what: &str) -> TransportError {
    TransportError::Refused {
        what: what.to_owned(),
        reason: "AMQP's names end at 255 bytes".to_owned(),
    }
}
