//! A hand-made client on the real broker: it publishes bodies with confirms and calls like
//! oslo.messaging, without any code of the worker's.
//!
//! Takes requests, gives replies. It declares nothing but its own reply queue, as a client does.

use std::time::Duration;

use futures_util::future::join_all;
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeleteOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};

use super::{
    Inbox, PATIENCE_WITH_SERVERS, Received, Request, broker_url, eventually, eventually_within,
    finish, new_id,
};

/// How long a client waits before it offers again what was not taken.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);

/// How long the broker may take to answer, an alarm of a test's own included.
const ANSWER: Duration = Duration::from_secs(15);

/// A client of the broker: one connection, made anew where a test ended it.
pub struct Broker {
    url: String,
    live: Mutex<Live>,
}

/// A connection and its channel for what is published.
struct Live {
    connection: Connection,
    channel: Channel,
}

impl Live {
    /// Connects to the first host of `url` that answers.
    async fn open(url: &str) -> Result<Self, String> {
        let mut failure = String::new();
        for host in amqp_urls(url) {
            match answer(Self::open_at(&host)).await {
                Ok(live) => return Ok(live),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn open_at(host: &str) -> Result<Self, lapin::Error> {
        let connection = Connection::connect(host, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { connection, channel })
    }

    fn is_connected(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }
}

/// What lapin gives within [`ANSWER`]: on a connection that ends meanwhile it may never answer.
async fn answer<T>(asked: impl Future<Output = Result<T, lapin::Error>>) -> Result<T, String> {
    match timeout(ANSWER, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {ANSWER:?}")),
    }
}

impl Broker {
    /// Connects to the broker at `url`, which may name several hosts.
    pub async fn connect(url: &str) -> Self {
        let live = Live::open(url).await.expect("broker is up");
        Self { url: url.to_owned(), live: Mutex::new(live) }
    }

    /// A channel of its own, for what may fail.
    pub async fn channel(&self) -> Channel {
        let live = self.live().await;
        answer(live.connection.create_channel()).await.expect("a channel opens")
    }

    /// The connection, another one if that has ended.
    async fn live(&self) -> MutexGuard<'_, Live> {
        let mut live = self.live.lock().await;
        if !live.is_connected() {
            self.renew(&mut live).await;
        }
        live
    }

    async fn renew(&self, live: &mut Live) {
        // Somebody else may be starting it.
        let open = async || Live::open(&self.url).await;
        *live = eventually_within(PATIENCE_WITH_SERVERS, "the broker is up", open).await;
    }

    /// The channel for what is published, with confirms.
    async fn publishing(&self) -> Channel {
        self.live().await.channel.clone()
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
            .publishing()
            .await
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
        let publishing = self.publishing().await;
        for body in bodies {
            let options = BasicPublishOptions { mandatory: true, ..Default::default() };
            let (exchange, key) = (exchange.into(), key.into());
            let confirm = publishing.basic_publish(exchange, key, options, body, oslo_properties());
            confirms.push(confirm.await.expect("the message is written"));
        }
        for confirm in confirms {
            let confirm = confirm.await.expect("the broker answers");
            assert!(confirm.is_ack() && confirm.take_message().is_none(), "not taken");
        }
    }

    /// Publishes bodies as oslo.messaging does, again and on another connection where need be,
    /// until the broker has confirmed and routed each.
    pub async fn publish_until_taken(&self, exchange: &str, key: &str, bodies: &[Vec<u8>]) {
        let mut left: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        let started = Instant::now();
        loop {
            let why;
            (left, why) = self.not_taken(exchange, key, left).await;
            if left.is_empty() {
                return;
            }
            let count = left.len();
            assert!(started.elapsed() < PATIENCE_WITH_SERVERS, "{count} are not taken: {why}");
            // Where the broker has no queue for them, a client has nothing to wait for but time.
            tokio::time::sleep(BETWEEN_ATTEMPTS).await;
        }
    }

    /// One attempt to publish: what the broker did not take, and why the last of it.
    async fn not_taken<'b>(
        &self,
        exchange: &str,
        key: &str,
        bodies: Vec<&'b [u8]>,
    ) -> (Vec<&'b [u8]>, String) {
        let publishing = self.publishing().await;
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let publish = async |body: &[u8]| {
            let (exchange, key) = (exchange.into(), key.into());
            publishing.basic_publish(exchange, key, options, body, oslo_properties()).await?.await
        };
        let attempts = bodies.into_iter().map(async |body| (body, answer(publish(body)).await));
        let mut returned = Vec::new();
        let mut left = Vec::new();
        let mut taken = Vec::new();
        let mut why = "no queue for them".to_owned();
        let mut renew = false;
        for (body, confirm) in join_all(attempts).await {
            match confirm {
                Ok(confirm) if confirm.is_ack() => {
                    taken.push(body);
                    // lapin gives a returned message to any confirm: it is known by its bytes.
                    returned.extend(confirm.take_message().map(|message| message.data.clone()));
                }
                other => {
                    // Another channel may be taken better: see the worker's `Lane::is_refused`.
                    renew = true;
                    why = format!("{other:?}");
                    left.push(body);
                }
            }
        }
        left.extend(taken.into_iter().filter(|body| returned.iter().any(|one| one == body)));
        if renew {
            self.renew(&mut *self.live.lock().await).await;
        }
        (left, why)
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

    /// Declares a durable queue for replies, quorum or classic, that outlives connections and
    /// servers; nobody consumes it yet.
    pub async fn lasting_reply_queue(&self, queue_type: &str) -> String {
        let name = format!("reply_{}", new_id().replace('-', ""));
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(queue_type.into()));
        let channel = self.channel().await;
        channel.queue_declare(name.as_str().into(), options, arguments).await.expect("own queue");
        name
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

    /// How many messages wait in a queue, and how many consumers it has; `None` without the queue, or
    /// where the connection ends meanwhile.
    pub async fn depth(&self, queue: &str) -> Option<(u32, u32)> {
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let live = self.live().await;
        let queue = answer(async {
            let channel = live.connection.create_channel().await?;
            channel.queue_declare(queue.into(), options, FieldTable::default()).await
        })
        .await
        .ok()?;
        Some((queue.message_count(), queue.consumer_count()))
    }

    /// Waits until so many messages wait in a queue, and it has so many consumers.
    pub async fn until_depth(&self, queue: &str, expected: (u32, u32)) {
        eventually(&format!("messages and consumers of `{queue}` are {expected:?}"), || async {
            let depth = self.depth(queue).await;
            if depth == Some(expected) { Ok(()) } else { Err(format!("{depth:?}")) }
        })
        .await;
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

/// Removes queues and exchanges of the broker at `url`; used by destructors. A broker of the test's
/// own takes all with it.
pub fn remove_later(url: String, queues: Vec<String>, exchanges: Vec<String>) {
    if url != broker_url() {
        return;
    }
    finish(async move {
        let broker = Broker::connect(&url).await;
        let live = broker.live().await;
        for queue in queues {
            let name = queue.as_str().into();
            live.channel.queue_delete(name, QueueDeleteOptions::default()).await.ok();
        }
        for exchange in exchanges {
            let name = exchange.as_str().into();
            live.channel.exchange_delete(name, ExchangeDeleteOptions::default()).await.ok();
        }
        live.connection.close(200, "bye".into()).await.ok();
    });
}

/// The address of each host in the spelling of AMQP, where the vhost `/` is written out.
pub fn amqp_urls(url: &str) -> Vec<String> {
    let rest = url.split_once("://").expect("a URL has a scheme").1;
    let (hosts, vhost) = rest.split_once('/').unwrap_or((rest, ""));
    let vhost = if vhost.is_empty() { "%2f" } else { vhost };
    hosts.split(',').map(|host| format!("amqp://{host}/{vhost}")).collect()
}
