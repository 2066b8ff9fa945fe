//! Sends answers and heartbeats to callers, and acknowledges a call once its answer is out.
//!
//! An answer that is not taken is offered again for as long as `patience` says, then given up: its
//! caller left, and what the call said is committed all the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::info;

use super::patience::Patience;
use super::settle::Settler;
use crate::crash_point::{self, CrashPoint};
use crate::http::Metrics;
use crate::log_limit::LogLimit;
use crate::rpc::Caller;
use crate::transport::{Confirm, DeliveryTag, Link, Message, Publisher};

static DROPPED: LogLimit = LogLimit::new("answers whose caller is gone");

/// An answer on its way, and the call it settles.
struct Answer {
    message: Message,
    settles: DeliveryTag,
    /// When its caller gives up.
    until: Instant,
}

/// Where answers are handed in; cheap to clone.
#[derive(Clone)]
pub(super) struct Answers {
    queue: mpsc::UnboundedSender<Answer>,
    publisher: Arc<dyn Publisher>,
}

impl Answers {
    /// Starts answering; the returned future ends when every `Answers` is dropped and all is sent. At
    /// most `most_waiting` answers wait for their callers to connect again.
    pub(super) fn new(
        publisher: Arc<dyn Publisher>,
        settler: Settler,
        most_waiting: usize,
        metrics: Metrics,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, receiver) = mpsc::unbounded_channel();
        let patience = Patience::new(most_waiting);
        let run = answer_all(publisher.clone(), settler, patience, metrics, receiver);
        (Self { queue, publisher }, run)
    }

    /// Sends `message` to a caller that waits for so long, then acknowledges `settles`.
    pub(super) fn send(&self, message: Message, settles: DeliveryTag, caller_waits: Duration) {
        let now = Instant::now();
        let until = now.checked_add(caller_waits).unwrap_or(now);
        // Unbounded, but never longer than the prefetch: each holds an unacknowledged delivery.
        let _ = self.queue.send(Answer { message, settles, until });
    }

    /// Tells a caller that asked for it, every half of its timeout, that its call is held.
    pub(super) fn start_heartbeat(&self, caller: &Caller) -> Option<Heartbeat> {
        let every = caller.heartbeat_every()?;
        let (caller, publisher) = (caller.clone(), self.publisher.clone());
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                // A lost heartbeat is made up for by the next one.
                let _ = publisher.publish(caller.heartbeat()).await.await;
            }
        });
        Some(Heartbeat(task.abort_handle()))
    }
}

/// A call's heartbeat; ends when dropped.
pub(super) struct Heartbeat(AbortHandle);

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn answer_all(
    publisher: Arc<dyn Publisher>,
    settler: Settler,
    patience: Patience,
    metrics: Metrics,
    mut queue: mpsc::UnboundedReceiver<Answer>,
) {
    let mut sending = FuturesUnordered::new();
    let mut link = publisher.link();
    // The first connection is nobody's loss.
    let mut was_up = *link.borrow_and_update() == Link::Up;
    loop {
        tokio::select! {
            answer = queue.recv() => {
                let Some(answer) = answer else { break };
                // The first attempt is made here, so that answers leave in order.
                let confirm = publisher.publish(answer.message.clone()).await;
                sending.push(see_through(publisher.as_ref(), &patience, answer, confirm, &metrics));
            }
            Some(settles) = sending.next() => settler.acknowledge(vec![settles]),
            Ok(()) = link.changed() => {
                if *link.borrow_and_update() == Link::Up && std::mem::replace(&mut was_up, true) {
                    patience.note_back(Instant::now());
                }
            }
        }
    }
    patience.end();
    while let Some(settles) = sending.next().await {
        settler.acknowledge(vec![settles]);
    }
}

/// Waits for the confirm, offers the answer again where that may help, and gives up otherwise.
async fn see_through(
    publisher: &dyn Publisher,
    patience: &Patience,
    answer: Answer,
    confirm: Confirm,
    metrics: &Metrics,
) -> DeliveryTag {
    let mut offers = patience.offers(answer.until);
    let mut result = confirm.await;
    while let Err(error) = &result
        && let Some(pause) = offers.next_pause(error, Instant::now())
    {
        tokio::time::sleep(pause).await;
        result = publisher.publish(answer.message.clone()).await.await;
    }
    match result {
        Ok(()) => {
            crash_point::pass(CrashPoint::Replied);
            metrics.replies_sent.inc();
        }
        Err(error) => {
            metrics.replies_dropped.inc();
            if DROPPED.admits() {
                info!(reply_q = answer.message.routing_key, %error, "the caller is gone; its answer is dropped");
            }
        }
    }
    answer.settles
}
