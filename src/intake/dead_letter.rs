//! Keeps what cannot be applied: a dead letter, confirmed, then its error notification,
//! confirmed, and only then the original is let go.

use std::sync::Arc;

use chrono::Utc;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tracing::warn;

use super::settle::Settler;
use crate::crash_point::{self, CrashPoint};
use crate::http::Metrics;
use crate::log_limit::LogLimit;
use crate::outbox::{Refusals, publish_until_confirmed};
use crate::rpc::{DeadLetter, Dispatched, Notifier, RpcError};
use crate::transport::{DeliveryTag, Properties, Publisher};

/// Letters on their way at once: a confirm of a quorum queue takes milliseconds, and a flood of bad
/// messages must not hold up the good ones between them.
const LETTERS_IN_FLIGHT: usize = 4096;

/// How large they may be together, in bytes of what came: they never fill the memory.
const BYTES_IN_FLIGHT: usize = 32 * 1024 * 1024;

/// Letters that wait for one on its way.
pub(super) const LETTERS_WAITING: usize = 1024;

static DEAD_LETTERS: LogLimit = LogLimit::new("dead letters");

/// What came, as it came.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// The queue it was consumed from.
    pub queue: String,
    /// Its properties.
    pub properties: Properties,
    /// Its body.
    pub body: Vec<u8>,
}

/// A message that cannot be applied, with the reason.
#[derive(Debug)]
pub struct Reject {
    /// What came.
    pub parcel: Parcel,
    /// What was understood of it.
    pub dispatched: Dispatched,
    /// What is wrong with it.
    pub error: RpcError,
}

/// Sends dead letters. Shared by intake and keeper.
#[derive(Clone)]
pub struct DeadLetterOffice {
    /// Publishes the letters, on the request broker.
    pub letters: Arc<dyn Publisher>,
    /// Publishes their notifications.
    pub notifications: Arc<dyn Publisher>,
    /// Writes the notifications.
    pub notifier: Arc<Notifier>,
    /// The queue that keeps them.
    pub queue: String,
    /// This worker's host.
    pub host: String,
    /// Told of what the broker does not take.
    pub refusals: Refusals,
    /// What is counted.
    pub metrics: Metrics,
}

impl DeadLetterOffice {
    /// Sends the letter and its notification; returns when the broker has confirmed both, however
    /// long that takes.
    pub async fn keep(&self, reject: &Reject) {
        let Reject { parcel, dispatched, error } = reject;
        let letter =
            DeadLetter::new(&parcel.queue, &parcel.properties, &parcel.body, dispatched, error);
        if DEAD_LETTERS.admits() {
            warn!(
                error = error.class(),
                reason = %error,
                method = letter.method,
                unique_id = dispatched.unique_id,
                queue = letter.queue,
                "a message cannot be applied and goes to the dead letters"
            );
        }
        self.metrics.count_dead_letter(error.class());
        let now = Utc::now();
        let write = || vec![letter.message(&self.queue, now)];
        publish_until_confirmed(self.letters.as_ref(), &self.refusals, write).await;
        crash_point::pass(CrashPoint::LetterConfirmed);
        let write = || self.notifier.dead_letter(&self.host, &letter, &self.queue, Utc::now());
        publish_until_confirmed(self.notifications.as_ref(), &self.refusals, write).await;
        crash_point::pass(CrashPoint::LetterTold);
    }
}

/// Keeps each reject and then acknowledges what it came in, many at once, until `rejects` closes.
pub(super) async fn keep_all(
    office: DeadLetterOffice,
    settler: Settler,
    mut rejects: mpsc::Receiver<(Reject, Option<DeliveryTag>)>,
) {
    let mut keeping = FuturesUnordered::new();
    let mut bytes = 0;
    loop {
        let has_room = keeping.len() < LETTERS_IN_FLIGHT && bytes < BYTES_IN_FLIGHT;
        tokio::select! {
            reject = rejects.recv(), if has_room => {
                let Some((reject, settles)) = reject else { break };
                let office = office.clone();
                let size = reject.parcel.body.len();
                bytes += size;
                keeping.push(async move {
                    office.keep(&reject).await;
                    (settles, size)
                });
            }
            Some((settles, size)) = keeping.next() => {
                bytes -= size;
                settler.acknowledge(settles.into_iter().collect());
            }
        }
    }
    while let Some((settles, _)) = keeping.next().await {
        settler.acknowledge(settles.into_iter().collect());
    }
}
