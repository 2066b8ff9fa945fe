//! Consumes over as many sessions as it takes.
//!
//! Takes a [`ConsumerSpec`], gives deliveries in the order of their tags. One task owns the
//! connection; acknowledgements go straight to lapin from the caller, in the order of the calls,
//! and only to the session that their delivery came in. Whatever ends one queue's consumer (its
//! queue deleted, its channel closed, the connection lost) ends the session, and the next one
//! declares all again. Without a queue that does not answer it goes on until that does. Must never
//! deliver what an ended session still held: the broker will.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicRejectOptions};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connection::Session;
use super::delivery_count::DeliveryCounts;
use super::properties::to_delivery;
use super::silent::{NotConsumed, SilentQueues, any_answers, consume, open_channel};
use super::streams::Streams;
use super::supervisor::{Supervisor, Target};
use crate::transport::{
    Acker, Consumer, ConsumerSpec, Delivery, DeliveryTag, Link, TransportError,
};

/// How long the broker may be silent once it is to deliver no more.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
const LIVENESS_CHECK: Duration = Duration::from_millis(250);

/// What the task, the consumer and its ackers share.
struct Shared {
    /// The live session's number; 0 while there is none.
    session: AtomicU64,
    live: Mutex<Option<Live>>,
    link: watch::Receiver<Link>,
    /// No new deliveries.
    cancelled: CancellationToken,
    /// No connection any more.
    closing: CancellationToken,
    /// The task has ended.
    closed: CancellationToken,
}

/// The session that acknowledgements may go to.
struct Live {
    session: u64,
    channel: Channel,
    consumer_tags: Vec<String>,
}

struct RabbitConsumer {
    deliveries: mpsc::UnboundedReceiver<Delivery>,
    acker: Arc<RabbitAcker>,
}

struct RabbitAcker {
    shared: Arc<Shared>,
    // A consumer and ackers that are gone without `close` leave no connection behind.
    _close_on_drop: DropGuard,
}

/// Starts the task that consumes.
pub(super) fn start(target: Arc<Target>, spec: ConsumerSpec) -> Box<dyn Consumer> {
    let (link_sender, link) = watch::channel(Link::Down("connecting".to_owned()));
    // Unbounded here, bounded by the prefetch.
    let (sender, deliveries) = mpsc::unbounded_channel();
    let closing = CancellationToken::new();
    let shared = Arc::new(Shared {
        session: AtomicU64::new(0),
        live: Mutex::new(None),
        link,
        cancelled: closing.child_token(),
        closing: closing.clone(),
        closed: CancellationToken::new(),
    });
    let counts = DeliveryCounts::of(&target.url.virtual_host);
    let supervisor = Supervisor::new(target, spec.name.clone(), link_sender);
    let silent = SilentQueues::default();
    let task = Task { shared: Arc::clone(&shared), spec, sender: Some(sender), counts, silent };
    tokio::spawn(task.run(supervisor));
    let acker = Arc::new(RabbitAcker { shared, _close_on_drop: closing.drop_guard() });
    Box::new(RabbitConsumer { deliveries, acker })
}

/// A session, and what it consumes.
type Opened = (Session, Channel, Streams);

struct Task {
    shared: Arc<Shared>,
    spec: ConsumerSpec,
    /// Dropped once nothing more will be delivered.
    sender: Option<mpsc::UnboundedSender<Delivery>>,
    counts: DeliveryCounts,
    /// Those that the live session goes without, and the next one will.
    silent: SilentQueues,
}

impl Task {
    async fn run(mut self, mut supervisor: Supervisor) {
        let shared = Arc::clone(&self.shared);
        let mut number = 0;
        while !shared.cancelled.is_cancelled() {
            match self.open(&mut supervisor).await {
                Ok(None) => break,
                Ok(Some((session, channel, streams))) => {
                    number += 1;
                    supervisor.connected(self.silent.link());
                    self.silent.tell();
                    shared.begin(number, channel, &streams);
                    let end = self.consume(&session, &supervisor, number, streams).await;
                    if let Err(error) = &end {
                        shared.end();
                        supervisor.lost(error);
                    }
                    session.close().await;
                    shared.end();
                }
                Err(error) => supervisor.failed(&error),
            }
            tokio::select! {
                () = tokio::time::sleep(supervisor.pause()) => {}
                () = shared.cancelled.cancelled() => {}
            }
        }
        supervisor.closed();
        shared.closed.cancel();
    }

    /// One attempt at a session that consumes all queues that answer; `None` when it is cancelled
    /// before anything is consumed. Once something is, the broker has delivered, and a session that
    /// ended here would give that back.
    async fn open(
        &mut self,
        supervisor: &mut Supervisor,
    ) -> Result<Option<Opened>, TransportError> {
        let shared = Arc::clone(&self.shared);
        loop {
            let connecting = supervisor.connect(&self.spec.topology);
            let Some(declared) = shared.cancelled.run_until_cancelled(connecting).await else {
                return Ok(None);
            };
            let declared = declared?;
            supervisor.warn_of(declared.differences);
            let session = declared.session;
            match self.consume_queues(&session).await {
                Ok((channel, streams)) => return Ok(Some((session, channel, streams))),
                Err(NotConsumed::Failed(error)) => {
                    session.close().await;
                    return Err(error);
                }
                // Its channel is stuck in the broker: another connection at once, without it.
                Err(NotConsumed::Silent(queue)) => {
                    self.silent.add(queue, &self.spec.queues)?;
                }
            }
        }
    }

    /// Consumes one queue after the other; those that are left when it is cancelled are not.
    async fn consume_queues(&self, session: &Session) -> Result<(Channel, Streams), NotConsumed> {
        let channel = open_channel(session, self.spec.prefetch).await?;
        let mut streams = Streams::default();
        for (index, queue) in self.spec.queues.iter().enumerate() {
            if self.silent.contains(queue) {
                continue;
            }
            let tag = format!("{index}");
            let cancelled = async {
                self.shared.cancelled.cancelled().await;
                sleep(CANCEL_TIMEOUT).await;
            };
            let consumer = tokio::select! {
                consumer = consume(session, &channel, queue, &tag) => consumer?,
                () = cancelled => break,
            };
            streams.push(queue.clone(), tag, consumer);
            if self.shared.cancelled.is_cancelled() {
                break;
            }
        }
        Ok((channel, streams))
    }

    /// Hands out deliveries until the session ends (`Err`) or is to be closed (`Ok`).
    async fn consume(
        &mut self,
        session: &Session,
        supervisor: &Supervisor,
        number: u64,
        mut streams: Streams,
    ) -> Result<(), TransportError> {
        let mut silent_ones = pin!(any_answers(supervisor, self.silent.names()));
        let mut batch = Vec::new();
        let mut liveness = tokio::time::interval(LIVENESS_CHECK);
        loop {
            tokio::select! {
                biased;
                () = self.shared.closing.cancelled() => return Ok(()),
                more = streams.next_batch(&mut batch), if self.sender.is_some() => {
                    more?;
                    if self.hand_out(number, &streams, &mut batch).is_err() {
                        return Ok(());
                    }
                }
                () = self.shared.cancelled.cancelled(), if self.sender.is_some() => {
                    self.cancel_and_drain(number, &mut streams).await;
                }
                answered = &mut silent_ones, if self.sender.is_some() => {
                    self.silent.remove(&answered);
                    return Ok(());
                }
                _ = liveness.tick() => {
                    if !session.is_connected() {
                        return Err(TransportError::Lost("the connection ended".to_owned()));
                    }
                }
            }
        }
    }

    fn hand_out(
        &mut self,
        session: u64,
        streams: &Streams,
        batch: &mut Vec<(usize, lapin::message::Delivery)>,
    ) -> Result<(), ConsumerGone> {
        let sender = self.sender.as_ref().ok_or(ConsumerGone)?;
        for (source, delivery) in batch.drain(..) {
            let delivery = to_delivery(session, streams.queue(source), delivery);
            self.counts.look(&delivery);
            sender.send(delivery).map_err(|_| ConsumerGone)?;
        }
        Ok(())
    }

    /// After `cancel`: asks the broker for no more, and hands out what had come before it agreed. As
    /// long as anything comes it goes on: what is not handed out is delivered again.
    async fn cancel_and_drain(&mut self, session: u64, streams: &mut Streams) {
        if let Some((channel, tags)) = self.shared.live_channel() {
            streams.drain();
            // All at once: until the last one has its answer the broker goes on delivering. An error
            // is a session that ends, which ends the streams as well.
            let options = BasicCancelOptions::default();
            let mut cancelling: FuturesUnordered<_> =
                tags.iter().map(|tag| channel.basic_cancel(tag.as_str().into(), options)).collect();
            let mut batch = Vec::new();
            loop {
                let sign = async {
                    tokio::select! {
                        biased;
                        Some(_) = cancelling.next() => Ok(()),
                        more = streams.next_batch(&mut batch) => more,
                    }
                };
                // On a frozen link nothing answers: what is here is enough then.
                let Ok(Ok(())) = timeout(CANCEL_TIMEOUT, sign).await else { break };
                if self.hand_out(session, streams, &mut batch).is_err() {
                    break;
                }
            }
        }
        self.sender = None;
    }
}

/// Nobody receives deliveries any more.
struct ConsumerGone;

impl Shared {
    fn begin(&self, session: u64, channel: Channel, streams: &Streams) {
        let consumer_tags = streams.tags();
        *self.lock_live() = Some(Live { session, channel, consumer_tags });
        self.session.store(session, Ordering::Release);
    }

    fn end(&self) {
        self.session.store(0, Ordering::Release);
        *self.lock_live() = None;
    }

    fn live_channel(&self) -> Option<(Channel, Vec<String>)> {
        self.lock_live().as_ref().map(|live| (live.channel.clone(), live.consumer_tags.clone()))
    }

    fn lock_live(&self) -> std::sync::MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stale(&self, delivery: &Delivery) -> bool {
        delivery.tag.session != self.session.load(Ordering::Acquire)
    }

    /// Runs `settle` on the channel that `tag` came in, if that still lives. One poll queues
    /// lapin's frame; what the rest would wait for is that it was written.
    fn settle<F: Future>(&self, tag: DeliveryTag, settle: impl FnOnce(Channel) -> F) {
        let live = self.lock_live();
        if let Some(live) = live.as_ref().filter(|live| live.session == tag.session) {
            // Under the lock, so that frames leave in the order of the calls.
            let _ = settle(live.channel.clone()).now_or_never();
        }
    }
}

impl Consumer for RabbitConsumer {
    fn next(&mut self) -> BoxFuture<'_, Option<Delivery>> {
        Box::pin(async {
            loop {
                let delivery = self.deliveries.recv().await?;
                if !self.acker.shared.is_stale(&delivery) {
                    return Some(delivery);
                }
            }
        })
    }

    fn try_next(&mut self) -> Option<Delivery> {
        loop {
            let delivery = self.deliveries.try_recv().ok()?;
            if !self.acker.shared.is_stale(&delivery) {
                return Some(delivery);
            }
        }
    }

    fn acker(&self) -> Arc<dyn Acker> {
        self.acker.clone()
    }
}

impl Acker for RabbitAcker {
    fn ack(&self, tag: DeliveryTag) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.shared.settle(tag, async move |channel| {
                channel.basic_ack(tag.tag, BasicAckOptions { multiple: false }).await
            });
        })
    }

    fn ack_through(&self, tag: DeliveryTag) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.shared.settle(tag, async move |channel| {
                channel.basic_ack(tag.tag, BasicAckOptions { multiple: true }).await
            });
        })
    }

    fn requeue(&self, tag: DeliveryTag) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.shared.settle(tag, async move |channel| {
                channel.basic_reject(tag.tag, BasicRejectOptions { requeue: true }).await
            });
        })
    }

    fn cancel(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.shared.cancelled.cancel() })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.shared.closing.cancel();
            // The task itself works under deadlines; this one is for a runtime that is going down.
            let _ = timeout(CLOSE_TIMEOUT, self.shared.closed.cancelled()).await;
        })
    }

    fn link(&self) -> watch::Receiver<Link> {
        self.shared.link.clone()
    }
}
