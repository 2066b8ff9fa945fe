//! Looks through a queue by consumers, one after the other, all on one channel.
//!
//! Takes a session and a queue, gives its messages. Each consumer gives at most its prefetch and is
//! cancelled before any of that is handed out: an acknowledgement brings nothing more, and memory
//! does not grow with the queue. What is not acknowledged goes back in its place, marked as
//! redelivered: by `basic.nack`, in order, when this is closed; when it is cut off, by the broker,
//! which may change the order. An exclusive queue of this connection is the sign that the queue is
//! being looked through: the broker refuses a second one (405, `RESOURCE_LOCKED`) and deletes it
//! with the connection. Never reconnects.
//!
//! A channel of RabbitMQ's that has sent a quorum queue 32 commands which are not applied yet keeps
//! further acknowledgements and returns to itself, to send them when some are, and forgets them when
//! it is closed (`rabbit_fifo_client.erl`, `SOFT_LIMIT`, `unsent_commands`); close-ok does not wait
//! for them. So a close sees to it that there are none.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use lapin::Channel;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    QueueDeclareOptions,
};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use tokio::time::timeout;

use super::connection::Session;
use super::declare::{Declarer, lost, refused, soft_error};
use super::properties::{TooLong, short, to_delivery};
use crate::transport::{Browser, Delivery, DeliveryTag, TransportError};

/// How long the broker may take for an answer.
const ANSWER: Duration = Duration::from_secs(20);

/// How long a delivery is waited for before the broker is asked whether there is one.
const QUIET: Duration = Duration::from_millis(200);

/// What is read at once. Each time costs two answers of the broker.
const PREFETCH: u16 = 128;

/// What goes back by one command: a quorum queue keeps the order of no more than 32, a map of
/// Erlang's that is sorted up to there.
const RUN: usize = 32;

/// Commands that are sent before they are seen to be applied: half of what a channel sends at once.
const RUNS_AT_ONCE: usize = 16;

/// How long the queue's count may stand still while messages go back: somebody else takes them.
const STANDSTILL: Duration = Duration::from_secs(2);

/// Between two looks at that count.
const LOOK: Duration = Duration::from_millis(5);

/// A browser has one session.
const SESSION: u64 = 1;

pub(super) struct RabbitBrowser {
    session: Session,
    channel: Channel,
    queue: String,
    depth: u64,
    /// Consumers there were.
    consumers: u32,
    /// Messages they gave.
    delivered: u64,
    /// Those of the last that are not handed out.
    unread: VecDeque<lapin::message::Delivery>,
    /// Tags of all that was delivered and not acknowledged, with the consumer's number.
    held: BTreeMap<u64, u32>,
    acknowledged: bool,
}

impl RabbitBrowser {
    /// Takes the sign, then looks how much there is; `None` if there is no such queue.
    pub(super) async fn open(
        session: Session,
        queue: &str,
    ) -> Result<Option<Self>, TransportError> {
        let opened = timeout(ANSWER, open(&session, queue)).await.unwrap_or_else(|_| silent());
        match opened {
            Ok(Some((channel, depth))) => Ok(Some(Self {
                session,
                channel,
                queue: queue.to_owned(),
                depth,
                consumers: 0,
                delivered: 0,
                unread: VecDeque::new(),
                held: BTreeMap::new(),
                acknowledged: false,
            })),
            Ok(None) => {
                session.close().await;
                Ok(None)
            }
            Err(error) => {
                session.close().await;
                Err(error)
            }
        }
    }

    /// Reads the next messages; nothing if nothing waits.
    async fn read(&mut self) -> Result<(), TransportError> {
        let waiting = self.depth.saturating_sub(self.delivered);
        let wanted = if waiting == 0 { PREFETCH.into() } else { waiting.min(PREFETCH.into()) };
        self.consume(wanted).await
    }

    /// Takes what one consumer gives until it is cancelled, which it is once that is `wanted`, or
    /// nothing waits.
    async fn consume(&mut self, wanted: u64) -> Result<(), TransportError> {
        let queue = short(&self.queue).expect("its name was declared");
        self.consumers += 1;
        let tag = self.consumers.to_string();
        let (options, table) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = self.channel.basic_consume(queue, tag.as_str().into(), options, table);
        let mut consumer = answer(consumer).await?.map_err(|error| self.unreadable(&error))?;

        let (mut read, mut last) = (0, Instant::now());
        // Asked twice: the broker's count may overtake a delivery.
        let mut is_empty = false;
        while read < wanted {
            match timeout(QUIET, consumer.next()).await {
                Ok(Some(delivery)) => {
                    self.deliver(delivery.map_err(|error| self.unreadable(&error))?);
                    (read, last, is_empty) = (read + 1, Instant::now(), false);
                }
                Ok(None) => {
                    let what = format!("to read `{}`", self.queue);
                    let reason = "the consumer was ended: is the queue deleted?".to_owned();
                    return Err(TransportError::Refused { what, reason });
                }
                Err(_) if is_empty => break,
                Err(_) if last.elapsed() > ANSWER => return silent(),
                Err(_) => is_empty = self.waiting().await? == 0,
            }
        }
        let cancelled = self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
        answer(cancelled).await?.map_err(|error| lost(&error))?;
        while let Some(Ok(delivery)) = consumer.next().await {
            self.deliver(delivery);
        }
        Ok(())
    }

    fn deliver(&mut self, delivery: lapin::message::Delivery) {
        self.delivered += 1;
        self.held.insert(delivery.delivery_tag, self.consumers);
        self.unread.push_back(delivery);
    }

    /// How many messages wait now.
    async fn waiting(&self) -> Result<u64, TransportError> {
        let name = short(&self.queue).expect("its name was declared");
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = answer(self.channel.queue_declare(name, options, FieldTable::default()));
        Ok(queue.await?.map_err(|error| self.unreadable(&error))?.message_count().into())
    }

    /// Returns once every acknowledgement is applied. A consumer's begin and end are answered when
    /// they are applied, behind all that the channel sent before them. The first tells that what was
    /// sent is applied; by the second the channel knows it, and sends what it had kept; the third
    /// tells that this is applied too.
    async fn apply_acknowledgements(&mut self) -> Result<(), TransportError> {
        // What came meanwhile is hardly touched.
        let qos = answer(self.channel.basic_qos(1, BasicQosOptions::default()));
        qos.await?.map_err(|error| lost(&error))?;
        for _ in 0..2 {
            self.consume(0).await?;
        }
        Ok(())
    }

    /// Gives back what was not acknowledged, read or not, in its order.
    async fn give_back(&mut self) -> Result<(), TransportError> {
        let held: Vec<_> = self.held.iter().collect();
        let runs: Vec<_> = held
            .chunk_by(|(_, one), (_, next)| one == next)
            .flat_map(|of_consumer| of_consumer.chunks(RUN))
            .collect();
        let mut expected = self.waiting().await?;
        for runs in runs.chunks(RUNS_AT_ONCE) {
            for run in runs {
                let last = run.last().map_or(0, |(tag, _)| **tag);
                let options = BasicNackOptions { multiple: true, requeue: true };
                let nack = answer(self.channel.basic_nack(last, options));
                nack.await?.map_err(|error| lost(&error))?;
                expected += run.len() as u64;
            }
            self.until_waiting(expected).await?;
        }
        Ok(())
    }

    /// Waits until so many messages wait. Where others take them that is never; they are back all
    /// the same, if not in order.
    async fn until_waiting(&self, expected: u64) -> Result<(), TransportError> {
        let (mut most, mut grown) = (0, Instant::now());
        while grown.elapsed() < STANDSTILL {
            let waiting = self.waiting().await?;
            if waiting >= expected {
                break;
            }
            if waiting > most {
                (most, grown) = (waiting, Instant::now());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), TransportError> {
        if self.acknowledged {
            self.apply_acknowledgements().await?;
        }
        self.give_back().await?;
        answer(self.channel.close(200, "OK".into())).await?.map_err(|error| lost(&error))
    }

    fn unreadable(&self, error: &lapin::Error) -> TransportError {
        refused(format!("to read `{}`", self.queue), error)
    }
}

async fn open(session: &Session, queue: &str) -> Result<Option<(Channel, u64)>, TransportError> {
    let Some(depth) = Declarer::new(&session.connection).inspect(queue).await? else {
        return Ok(None);
    };
    let what = format!("to look through queue `{queue}`");
    let sign = short(&format!("{queue}.browser")).map_err(|TooLong| TransportError::Refused {
        what: what.clone(),
        reason: "AMQP's names end at 255 bytes".to_owned(),
    })?;
    let channel = session.connection.create_channel().await.map_err(|error| lost(&error))?;
    let qos = channel.basic_qos(PREFETCH, BasicQosOptions::default()).await;
    qos.map_err(|error| lost(&error))?;
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    match channel.queue_declare(sign, options, FieldTable::default()).await {
        Ok(_) => Ok(Some((channel, depth.messages))),
        Err(error) if soft_error(&error) == Some(AMQPSoftError::RESOURCELOCKED) => {
            let reason = "somebody else looks through it just now".to_owned();
            Err(TransportError::Refused { what, reason })
        }
        Err(error) => Err(refused(what, &error)),
    }
}

/// What the broker answers, in time.
async fn answer<T>(asked: impl Future<Output = T>) -> Result<T, TransportError> {
    timeout(ANSWER, asked).await.or_else(|_| silent())
}

fn silent<T>() -> Result<T, TransportError> {
    Err(TransportError::Lost(format!("no answer within {} s", ANSWER.as_secs())))
}

impl Browser for RabbitBrowser {
    fn depth(&self) -> u64 {
        self.depth
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Option<Delivery>, TransportError>> {
        Box::pin(async {
            if self.unread.is_empty() {
                self.read().await?;
            }
            let next = self.unread.pop_front();
            Ok(next.map(|delivery| to_delivery(SESSION, &self.queue, delivery)))
        })
    }

    fn ack(&mut self, tag: DeliveryTag) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(async move {
            let acked = self.channel.basic_ack(tag.tag, BasicAckOptions::default()).await;
            acked.map_err(|error| lost(&error))?;
            self.held.remove(&tag.tag);
            self.acknowledged = true;
            Ok(())
        })
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, Result<(), TransportError>> {
        Box::pin(async move {
            let ended = self.end().await;
            self.session.close().await;
            ended
        })
    }
}
