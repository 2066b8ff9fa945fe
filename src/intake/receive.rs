//! Takes deliveries from the consumer, gives decoded work. Never waits for a database: it decodes
//! the next batch while the last one commits.
//!
//! A copy from an observed queue becomes work only if it is ours; the rest is let go here, and
//! nothing of either is ever answered.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{debug, error, warn};

use super::answer::{Answers, Heartbeat};
use super::dead_letter::{Parcel, Reject};
use super::patience::caller_waits;
use super::settle::Settler;
use crate::crash_point::{self, CrashPoint};
use crate::http::{Metrics, Observed};
use crate::log_limit::LogLimit;
use crate::rpc::{Action, Dispatched, Dispatcher, RpcError, observe};
use crate::transport::{Consumer, Delivery, DeliveryTag};

static LARGE_COPIES: LogLimit = LogLimit::new("copies that are too large");

/// A delivery that was understood, or found wanting; whichever, it must be settled.
pub(super) struct Work {
    /// What settles it.
    pub tag: DeliveryTag,
    /// What came, for a dead letter or an early update.
    pub parcel: Parcel,
    /// What it asks for.
    pub dispatched: Dispatched,
    /// Tells the caller that its call is held, until it is dropped.
    #[expect(dead_code, reason = "held for its drop")]
    pub heartbeat: Option<Heartbeat>,
}

impl Work {
    /// For how long its caller waits for the answer.
    pub(super) fn caller_waits(&self) -> Duration {
        caller_waits(&self.parcel.properties)
    }

    /// What is kept of it when it cannot be applied.
    pub(super) fn reject(self, error: RpcError) -> Reject {
        Reject { parcel: self.parcel, dispatched: self.dispatched, error }
    }
}

/// What deliveries are understood with.
pub(super) struct Reception {
    /// Understands requests.
    pub dispatcher: Arc<Dispatcher>,
    /// Sends heartbeats.
    pub answers: Answers,
    /// Acknowledges what is not ours.
    pub settler: Settler,
    /// The queues of copies.
    pub observed_queues: BTreeSet<String>,
    /// What is counted.
    pub metrics: Metrics,
}

impl Reception {
    /// Decodes deliveries until the consumer was cancelled and drained, then closes `works`.
    pub(super) async fn receive(self, mut consumer: Box<dyn Consumer>, works: mpsc::Sender<Work>) {
        while let Some(delivery) = consumer.next().await {
            crash_point::pass(CrashPoint::Received);
            let Some(work) = self.understand(delivery) else { continue };
            if works.send(work).await.is_err() {
                return;
            }
        }
    }

    /// Gives what is to be done; `None` where it is done already.
    fn understand(&self, delivery: Delivery) -> Option<Work> {
        let mut dispatched = self.dispatch(&delivery);
        if self.observed_queues.contains(&delivery.queue) {
            dispatched = self.observe(dispatched, &delivery)?;
        }
        let holds = !matches!(dispatched.action, Action::Refuse(_));
        let heartbeat = dispatched
            .caller
            .as_ref()
            .filter(|_| holds)
            .and_then(|caller| self.answers.start_heartbeat(caller));
        Some(Work {
            tag: delivery.tag,
            parcel: Parcel {
                queue: delivery.queue,
                properties: delivery.properties,
                body: delivery.body,
            },
            dispatched,
            heartbeat,
        })
    }

    /// A panic while decoding must not take the other messages with it: the message is kept as
    /// `InternalError`, and the next is decoded.
    fn dispatch(&self, delivery: &Delivery) -> Dispatched {
        catch_unwind(AssertUnwindSafe(|| self.dispatcher.dispatch(&delivery.body))).unwrap_or_else(
            |_| {
                error!(
                    queue = delivery.queue,
                    "decoding a message panicked; it is kept as a dead letter"
                );
                Dispatched::unread(RpcError::InternalError("decoding it failed".to_owned()))
            },
        )
    }

    /// What of a copy is ours; the rest is acknowledged.
    fn observe(&self, dispatched: Dispatched, delivery: &Delivery) -> Option<Dispatched> {
        let (queue, method) = (delivery.queue.as_str(), dispatched.method.clone());
        let too_large = matches!(dispatched.action, Action::Refuse(RpcError::BodyTooLarge { .. }));
        let ours = observe(dispatched);
        self.metrics.count_observed(match &ours {
            None => Observed::Ignored,
            Some(Dispatched { action: Action::Refuse(_), .. }) => Observed::Refused,
            Some(_) => Observed::Restore,
        });
        if ours.is_none() {
            if too_large {
                let bytes = delivery.body.len();
                if LARGE_COPIES.admits() {
                    warn!(queue, bytes, "a copy is over `limits.body_bytes` and is not read");
                }
            } else {
                debug!(queue, method, "a copy is not ours and is let go");
            }
            self.settler.acknowledge(vec![delivery.tag]);
        }
        ours
    }
}
