//! A hand-made client on the real broker: it publishes bodies with confirms and calls like
//! oslo.messaging, without any code of the worker's.
//!
//! Takes requests, gives replies. It declares nothing but its own reply queue, as a client does.

use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeleteOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use super::{Inbox, Received, Request, finish, new_id};

/// One connection to the broker.
pub struct Broker {
    connection: Connection,
    channel: Channel,
}

impl Broker {
    /// Connects to the broker at `url`.
    pub async fn connect(url: &str) -> Self {
        let properties = ConnectionProperties::default();
        let connection =
            Connection::connect(&amqp_url(url), properties).await.expect("broker is up");
        let channel = connection.create_channel().await.expect("a channel opens");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms are on");
        Self { connection, channel }
    }

    /// A channel of its own, for what may fail.
    pub async fn channel(&self) -> Channel {
        self.connection.create_channel().await.expect("a channel opens")
    }

    /// Publishes a body and waits until the broker has taken it and routed it to a queue.
    pub async fn publish(
        &self,
        exchange: &str,
        key: &str,
        properties: BasicProperties,
        body: &[u8],
    ) {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let confirm = self
            .channel
            .basic_publish(exchange.into(), key.into(), options, body, properties)
            .await
            .expect("the message is written")
            .await
            .expect("the broker answers");
        assert!(confirm.is_ack(), "not confirmed: {confirm:?}");
        assert!(confirm.take_message().is_none(), "no queue for `{key}` on `{exchange}`");
    }

    /// Casts a request as oslo.messaging does.
    pub async fn cast(&self, exchange: &str, key: &str, request: &Request) {
        self.publish(exchange, key, oslo_properties(), &request.body()).await;
    }

    /// Casts many requests, waiting for all confirms at the end.
    pub async fn cast_all(&self, exchange: &str, key: &str, requests: &[Request]) {
        let bodies: Vec<_> = requests.iter().map(Request::body).collect();
        self.publish_all(exchange, key, &bodies).await;
    }

    /// Publishes bodies as oslo.messaging does, waiting for all confirms at the end.
    pub async fn publish_all(&self, exchange: &str, key: &str, bodies: &[Vec<u8>]) {
        let mut confirms = Vec::with_capacity(bodies.len());
        for body in bodies {
            let options = BasicPublishOptions { mandatory: true, ..Default::default() };
            let (exchange, key) = (exchange.into(), key.into());
            let confirm =
                self.channel.basic_publish(exchange, key, options, body, oslo_properties());
            confirms.push(confirm.await.expect("the message is written"));
        }
        for confirm in confirms {
            let confirm = confirm.await.expect("the broker answers");
            assert!(confirm.is_ack() && confirm.take_message().is_none(), "not taken");
        }
    }

    /// Opens a reply queue as oslo.messaging does, for the calls of one test.
    pub async fn reply_queue(&self) -> (String, Inbox) {
        let name = format!("reply_{}", new_id().replace('-', ""));
        let options = QueueDeclareOptions { auto_delete: true, ..Default::default() };
        let channel = self.channel().await;
        channel
            .queue_declare(name.as_str().into(), options, FieldTable::default())
            .await
            .expect("own queue");
        let inbox = Inbox::open(self, &[&name]).await;
        (name, inbox)
    }

    /// Calls and gives the last reply.
    pub async fn call(&self, exchange: &str, key: &str, request: Request) -> Received {
        let (reply_q, mut replies) = self.reply_queue().await;
        let request = request.call(&reply_q, &new_id(), None);
        self.cast(exchange, key, &request).await;
        replies.next("the reply to a call").await
    }

    /// Declares a queue by the name of a routing key and binds it, as oslo.messaging's server does;
    /// the exchange must be there.
    pub async fn bind_queue(&self, exchange: &str, key: &str) {
        let channel = self.channel().await;
        let (options, table) = (QueueDeclareOptions::default(), FieldTable::default());
        channel.queue_declare(key.into(), options, table.clone()).await.expect("the queue is free");
        let options = QueueBindOptions::default();
        channel
            .queue_bind(key.into(), exchange.into(), key.into(), options, table)
            .await
            .expect("the exchange is there");
    }

    /// How many messages wait in a queue, and how many consumers it has; `None` without the queue.
    pub async fn depth(&self, queue: &str) -> Option<(u32, u32)> {
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let channel = self.channel().await;
        let queue =
            channel.queue_declare(queue.into(), options, FieldTable::default()).await.ok()?;
        Some((queue.message_count(), queue.consumer_count()))
    }
}

/// Properties of a message of oslo.messaging's.
pub fn oslo_properties() -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_delivery_mode(2)
        .with_priority(0)
}

/// Removes queues and exchanges of the broker at `url`; used by destructors.
pub fn remove_later(url: String, queues: Vec<String>, exchanges: Vec<String>) {
    finish(async move {
        let broker = Broker::connect(&url).await;
        for queue in queues {
            let name = queue.as_str().into();
            broker.channel.queue_delete(name, QueueDeleteOptions::default()).await.ok();
        }
        for exchange in exchanges {
            let name = exchange.as_str().into();
            broker.channel.exchange_delete(name, ExchangeDeleteOptions::default()).await.ok();
        }
        broker.connection.close(200, "bye".into()).await.ok();
    });
}

/// The broker's address in the spelling of AMQP, where the vhost `/` is written out.
pub fn amqp_url(url: &str) -> String {
    let rest = url.split_once("://").expect("a URL has a scheme").1;
    let (host, vhost) = rest.split_once('/').unwrap_or((rest, ""));
    format!("amqp://{host}/{}", if vhost.is_empty() { "%2f" } else { vhost })
}
