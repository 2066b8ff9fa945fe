//! Takes deliveries from the consumer, gives decoded work. Never waits for a database: it decodes
//! the next batch while the last one commits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::error;

use super::answer::{Answers, Heartbeat};
use super::dead_letter::{Parcel, Reject};
use crate::rpc::{Action, Dispatched, Dispatcher, RpcError};
use crate::transport::{Consumer, Delivery, DeliveryTag};

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
    /// What is kept of it when it cannot be applied.
    pub(super) fn reject(self, error: RpcError) -> Reject {
        Reject { parcel: self.parcel, dispatched: self.dispatched, error }
    }
}

/// Decodes deliveries until the consumer was cancelled and drained, then closes `works`.
pub(super) async fn receive(
    mut consumer: Box<dyn Consumer>,
    dispatcher: Arc<Dispatcher>,
    answers: Answers,
    works: mpsc::Sender<Work>,
) {
    while let Some(delivery) = consumer.next().await {
        let work = understand(delivery, &dispatcher, &answers);
        if works.send(work).await.is_err() {
            return;
        }
    }
}

fn understand(delivery: Delivery, dispatcher: &Dispatcher, answers: &Answers) -> Work {
    // A panic while decoding must not take the other messages with it: the message is kept as
    // `InternalError`, and the next is decoded.
    let understood = catch_unwind(AssertUnwindSafe(|| dispatcher.dispatch(&delivery.body)))
        .unwrap_or_else(|_| {
            error!(
                queue = delivery.queue,
                "decoding a message panicked; it is kept as a dead letter"
            );
            Dispatched::unread(RpcError::InternalError("decoding it failed".to_owned()))
        });
    let holds = !matches!(understood.action, Action::Refuse(_));
    let heartbeat = understood
        .caller
        .as_ref()
        .filter(|_| holds)
        .and_then(|caller| answers.start_heartbeat(caller));
    Work {
        tag: delivery.tag,
        parcel: Parcel {
            queue: delivery.queue,
            properties: delivery.properties,
            body: delivery.body,
        },
        dispatched: understood,
        heartbeat,
    }
}
