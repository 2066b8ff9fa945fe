//! A consumer that keeps all it got: notifications, replies and dead letters as a test sees them.
//!
//! Takes queue names, gives messages in their order of arrival, acknowledged on receipt.

use futures_util::StreamExt;
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Broker, PATIENCE};

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// The queue it was in.
    pub queue: String,
    /// Its AMQP properties, headers included.
    pub properties: BasicProperties,
    /// Its bytes.
    pub body: Vec<u8>,
    /// The inner message, out of its envelope if it had one; null where it is not JSON.
    pub message: Value,
}

impl Received {
    /// The `failure` of a reply, decoded; fails where there is none.
    pub fn failure(&self) -> Value {
        let text = self.message["failure"].as_str();
        let text = text.unwrap_or_else(|| panic!("no failure in {}", self.message));
        serde_json::from_str(text).expect("a failure is JSON")
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let headers = self.properties.headers().as_ref()?;
        let value = headers.inner().get(name)?;
        value.as_long_string().map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned())
    }
}

/// What came to some queues since the inbox was opened.
pub struct Inbox {
    seen: Vec<Received>,
    next: usize,
    arriving: mpsc::UnboundedReceiver<Received>,
    _channel: Channel,
}

impl Inbox {
    /// Consumes queues that exist.
    pub async fn open(broker: &Broker, queues: &[&str]) -> Self {
        let channel = broker.channel().await;
        let (sender, arriving) = mpsc::unbounded_channel();
        for queue in queues {
            let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
            let consumer = channel
                .basic_consume((*queue).into(), "".into(), options, FieldTable::default())
                .await
                .unwrap_or_else(|error| panic!("queue `{queue}` is not consumed: {error}"));
            let (sender, queue) = (sender.clone(), (*queue).to_owned());
            tokio::spawn(consumer.for_each(move |delivery| {
                if let Ok(delivery) = delivery {
                    let message = inner_message(&delivery.data);
                    let (queue, properties) = (queue.clone(), delivery.properties);
                    sender.send(Received { queue, properties, body: delivery.data, message }).ok();
                }
                std::future::ready(())
            }));
        }
        Self { seen: Vec::new(), next: 0, arriving, _channel: channel }
    }

    /// The next message that [`Inbox::next`] has not given yet.
    pub async fn next(&mut self, what: &str) -> Received {
        while self.seen.len() <= self.next {
            self.receive(what).await;
        }
        self.next += 1;
        self.seen[self.next - 1].clone()
    }

    /// All messages so far, once `enough` holds of them.
    pub async fn until(&mut self, what: &str, enough: impl Fn(&[Received]) -> bool) -> &[Received] {
        while !enough(self.so_far()) {
            self.receive(what).await;
        }
        &self.seen
    }

    /// The first notification of this type that tells of this restore.
    pub async fn of_restore(&mut self, restore_id: &str, event_type: &str) -> Received {
        let is = |one: &Received| {
            one.message["event_type"] == event_type
                && one.message["payload"]["restore_id"] == restore_id
        };
        let all = self.until(event_type, |all| all.iter().any(is)).await;
        all.iter().find(|one| is(one)).expect("it was waited for").clone()
    }

    /// What came until now, without waiting.
    pub fn so_far(&mut self) -> &[Received] {
        while let Ok(message) = self.arriving.try_recv() {
            self.seen.push(message);
        }
        &self.seen
    }

    async fn receive(&mut self, what: &str) {
        match timeout(PATIENCE, self.arriving.recv()).await {
            Ok(Some(message)) => self.seen.push(message),
            Ok(None) => panic!("the broker ended the consumer while a test waited for {what}"),
            Err(_) => {
                let seen: Vec<_> = self.seen.iter().map(|m| m.message.to_string()).collect();
                panic!("nothing within {PATIENCE:?}: {what}; until now: {seen:#?}")
            }
        }
    }
}

fn inner_message(body: &[u8]) -> Value {
    let outer: Value = serde_json::from_slice(body).unwrap_or_default();
    match outer["oslo.message"].as_str() {
        Some(inner) => serde_json::from_str(inner).unwrap_or_default(),
        None => outer,
    }
}
