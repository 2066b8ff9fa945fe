//! The bench's own hands on the broker, plain lapin: publishes with confirms, asks how much a
//! queue holds, takes out what it holds. Shares no code with the worker.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};

/// Confirms that may be missing, of a backlog and in the relay.
const IN_FLIGHT: usize = 1000;
/// Messages that the relay may hold, and the bench when it takes a queue's content.
const PREFETCH: u16 = 2000;
const SILENCE: Duration = Duration::from_secs(30);

/// How a queue stands; all zero where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages that wait; those that a consumer holds are not counted.
    pub ready: usize,
    pub consumers: u32,
}

/// A connection of the bench to the broker.
pub struct Broker {
    connection: Connection,
    watching: Channel,
}

impl Broker {
    /// Connects to `url` in oslo.messaging's spelling, `rabbit://user:password@host:port/vhost`.
    pub async fn connect(url: &str, name: &str) -> anyhow::Result<Self> {
        let rest =
            url.strip_prefix("rabbit://").context("the broker's URL begins with `rabbit://`")?;
        let (server, vhost) = rest.split_once('/').unwrap_or((rest, ""));
        let vhost = if matches!(vhost, "" | "/") { "%2f" } else { vhost };
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connection =
            Connection::connect(&format!("amqp://{server}/{vhost}"), properties).await?;
        let watching = connection.create_channel().await?;
        Ok(Self { connection, watching })
    }

    /// A channel of its own.
    pub async fn open_channel(&self) -> anyhow::Result<Channel> {
        Ok(self.connection.create_channel().await?)
    }

    pub async fn declare_quorum_queue(&self, queue: &str) -> anyhow::Result<()> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        self.watching
            .queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments)
            .await?;
        Ok(())
    }

    /// How a queue stands.
    pub async fn read_depth(&mut self, queue: &str) -> anyhow::Result<Depth> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let found = self.watching.queue_declare(queue.into(), passive, FieldTable::default()).await;
        let Ok(found) = found else {
            // The broker closes the channel that asks for what is not there.
            self.watching = self.connection.create_channel().await?;
            return Ok(Depth::default());
        };
        let ready = found.message_count() as usize;
        Ok(Depth { ready, consumers: found.consumer_count() })
    }

    /// Publishes all bodies into one queue; returns once the broker has confirmed each.
    pub async fn publish_all(&self, queue: &str, bodies: &[Vec<u8>]) -> anyhow::Result<()> {
        let mut window = self.open_window().await?;
        for body in bodies {
            window.publish(queue, body, 0).await?;
        }
        window.finish().await?;
        Ok(window.channel.close(200, "done".into()).await?)
    }

    /// A channel that confirms what is published.
    pub async fn open_window(&self) -> anyhow::Result<Window> {
        let channel = self.open_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Window { channel, unconfirmed: VecDeque::with_capacity(IN_FLIGHT) })
    }

    /// Takes what a queue without a consumer holds.
    pub async fn take_all(&mut self, queue: &str) -> anyhow::Result<Vec<Vec<u8>>> {
        let ready = self.read_depth(queue).await?.ready;
        let channel = self.open_channel().await?;
        let mut deliveries = consume(&channel, queue).await?;
        let mut bodies = Vec::with_capacity(ready);
        while bodies.len() < ready {
            let delivery = tokio::time::timeout(SILENCE, deliveries.next()).await?;
            let delivery = delivery.context("the broker ended the consumer")??;
            bodies.push(delivery.data);
            if bodies.len().is_multiple_of(500) || bodies.len() == ready {
                ack_through(&channel, delivery.delivery_tag).await?;
            }
        }
        channel.close(200, "done".into()).await?;
        Ok(bodies)
    }

    pub async fn delete_queue(&self, queue: &str) -> anyhow::Result<()> {
        self.watching.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
        Ok(())
    }
}

/// Consumes a queue, a prefetch at a time.
pub async fn consume(channel: &Channel, queue: &str) -> anyhow::Result<Consumer> {
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    Ok(channel.basic_consume(queue.into(), "".into(), options, arguments).await?)
}

/// Acknowledges this and every earlier delivery of the channel.
pub async fn ack_through(channel: &Channel, tag: u64) -> anyhow::Result<()> {
    Ok(channel.basic_ack(tag, BasicAckOptions { multiple: true }).await?)
}

/// What was published and is not confirmed yet, each with a number of the caller's.
pub struct Window {
    channel: Channel,
    unconfirmed: VecDeque<(u64, BoxFuture<'static, lapin::Result<Confirmation>>)>,
}

impl Window {
    /// Hands one persistent message to the connection, as oslo.messaging and the worker send
    /// theirs. Where the window was full, waits for the oldest confirms and gives the last number.
    pub async fn publish(
        &mut self,
        queue: &str,
        body: &[u8],
        number: u64,
    ) -> anyhow::Result<Option<u64>> {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("utf-8".into())
            .with_delivery_mode(2)
            .with_priority(0);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let publishing =
            self.channel.basic_publish("".into(), queue.into(), options, body, properties);
        self.unconfirmed.push_back((number, publishing.await?.boxed()));
        if self.unconfirmed.len() < IN_FLIGHT {
            return Ok(None);
        }
        self.await_confirms(IN_FLIGHT / 4).await
    }

    /// Waits for every confirm and gives the last number.
    pub async fn finish(&mut self) -> anyhow::Result<Option<u64>> {
        self.await_confirms(self.unconfirmed.len()).await
    }

    async fn await_confirms(&mut self, count: usize) -> anyhow::Result<Option<u64>> {
        let mut last = None;
        for (number, confirm) in self.unconfirmed.drain(..count) {
            let confirmation = confirm.await?;
            ensure!(confirmation.is_ack(), "the broker did not take a message");
            ensure!(confirmation.take_message().is_none(), "no queue took a message");
            last = Some(number);
        }
        Ok(last)
    }
}
