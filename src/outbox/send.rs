//! Sends notifications, each copy freshly written: a copy with a `_unique_id` that a listener has
//! seen is dropped by it without acknowledgement (`oslo_messaging/_drivers/amqpdriver.py`).

use std::sync::Arc;

use futures_util::future::join_all;
use tracing::warn;

use super::refusal::Refusals;
use crate::backoff::Pauses;
use crate::crash_point::{self, CrashPoint};
use crate::domain::Event;
use crate::log_limit::LogLimit;
use crate::rpc::Notifier;
use crate::transport::{Confirm, Message, PublishError, Publisher};

/// Events published and not yet confirmed, at most. Confirms take most of the time of a
/// publication; a window hides it.
pub(super) const WINDOW: usize = 1000;

static UNPUBLISHED: LogLimit = LogLimit::new("messages that are not published");

/// Where notifications go.
#[derive(Clone)]
pub struct Sink {
    /// The connection.
    pub publisher: Arc<dyn Publisher>,
    /// Writes them.
    pub notifier: Arc<Notifier>,
    /// Told of what the broker does not take.
    pub refusals: Refusals,
}

impl Sink {
    /// Hands one event's notifications to the broker; the returned future waits for all confirms.
    pub(super) async fn publish(&self, event: &Event) -> Confirm {
        let mut messages = self.notifier.event(event);
        if messages.len() == 1 {
            return self.publisher.publish(messages.remove(0)).await;
        }
        let mut confirms = Vec::with_capacity(messages.len());
        for message in messages {
            confirms.push(self.publisher.publish(message).await);
        }
        Box::pin(async move { join_all(confirms).await.into_iter().collect() })
    }

    /// Publishes events in their order; returns when the broker has confirmed all, however long that
    /// takes. Give no more than may be unconfirmed at once.
    pub async fn publish_all(&self, events: &[Event]) {
        let mut in_flight: Vec<(_, Confirm)> = Vec::with_capacity(events.len());
        for event in events {
            in_flight.push((event, self.publish(event).await));
        }
        crash_point::pass(CrashPoint::TakeOverPublished);
        for (event, confirm) in in_flight {
            if confirm.await.is_err() {
                self.publish_again(event).await;
            }
        }
    }

    /// Publishes an event again until the broker has it.
    pub(super) async fn publish_again(&self, event: &Event) {
        let write = || self.notifier.event(event);
        publish_until_confirmed(self.publisher.as_ref(), &self.refusals, write).await;
    }
}

/// Publishes what `write` gives, one after the other, and again from `write` while anything fails:
/// every attempt carries new `_unique_id`s.
pub async fn publish_until_confirmed(
    publisher: &dyn Publisher,
    refusals: &Refusals,
    write: impl Fn() -> Vec<Message> + Send,
) {
    let mut pauses = Pauses::default();
    let mut watched = refusals.watch();
    loop {
        let mut failed = None;
        for message in write() {
            let (exchange, key) = (message.exchange.clone(), message.routing_key.clone());
            if let Err(error) = publisher.publish(message).await.await {
                failed = Some((error, exchange, key));
                break;
            }
        }
        let Some((error, exchange, key)) = failed else { return };
        if error == PublishError::Lost {
            continue; // the next attempt waits for the next connection
        }
        watched.refused(&error, &key);
        if UNPUBLISHED.admits() {
            warn!(%error, exchange, routing_key = key, "a message is not published; trying again");
        }
        pauses.pause().await;
    }
}
