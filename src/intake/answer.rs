//! Sends answers and heartbeats to callers, and acknowledges a call once its answer is out.
//!
//! An answer whose queue is gone is given up after a short retry: its caller left, and what the
//! call said is committed all the same.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::info;

use super::settle::Settler;
use crate::crash_point::{self, CrashPoint};
use crate::http::Metrics;
use crate::log_limit::LogLimit;
use crate::rpc::Caller;
use crate::transport::{DeliveryTag, Message, PublishError, Publisher};

/// How often and after which pause an answer is offered again whose queue is not there: a client
/// that just reconnected declares its queue within this time.
const RETRIES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(600)];

static DROPPED: LogLimit = LogLimit::new("answers whose caller is gone");

/// An answer on its way, and the call it settles.
struct Answer {
    message: Message,
    settles: DeliveryTag,
}

/// Where answers are handed in; cheap to clone.
#[derive(Clone)]
pub(super) struct Answers {
    queue: mpsc::UnboundedSender<Answer>,
    publisher: Arc<dyn Publisher>,
}

impl Answers {
    /// Starts answering; the returned future ends when every `Answers` is dropped and all is sent.
    pub(super) fn new(
        publisher: Arc<dyn Publisher>,
        settler: Settler,
        metrics: Metrics,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, receiver) = mpsc::unbounded_channel();
        let run = answer_all(publisher.clone(), settler, metrics, receiver);
        (Self { queue, publisher }, run)
    }

    /// Sends `message`, then acknowledges `settles`.
    pub(super) fn send(&self, message: Message, settles: DeliveryTag) {
        // Unbounded, but never longer than the prefetch: each holds an unacknowledged delivery.
        let _ = self.queue.send(Answer { message, settles });
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
    metrics: Metrics,
    mut queue: mpsc::UnboundedReceiver<Answer>,
) {
    let mut sending = FuturesUnordered::new();
    loop {
        tokio::select! {
            answer = queue.recv() => {
                let Some(answer) = answer else { break };
                // The first attempt is made here, so that answers leave in order.
                let confirm = publisher.publish(answer.message.clone()).await;
                sending.push(see_through(publisher.clone(), answer, confirm, metrics.clone()));
            }
            Some(settles) = sending.next() => settler.acknowledge(vec![settles]),
        }
    }
    while let Some(settles) = sending.next().await {
        settler.acknowledge(vec![settles]);
    }
}

/// Waits for the confirm, offers the answer again where that may help, and gives up otherwise.
async fn see_through(
    publisher: Arc<dyn Publisher>,
    answer: Answer,
    confirm: crate::transport::Confirm,
    metrics: Metrics,
) -> DeliveryTag {
    let mut result = confirm.await;
    for pause in RETRIES {
        match result {
            Ok(()) => break,
            Err(PublishError::Returned | PublishError::Nacked) => tokio::time::sleep(pause).await,
            // Nothing else is wrong: the next connection takes it.
            Err(PublishError::Lost) => {}
        }
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
