//! Applies updates that came before their restore, once it is recorded or found in Karbor's table,
//! and gives up on those that waited too long.
//!
//! An early update is applied like any other: decoded again, judged by its own sender, merged in a
//! batch whose transaction also removes its row. Applied twice by two workers it is unchanged.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::info;

use super::standing::Standing;
use super::turns::Turns;
use crate::bell::Bell;
use crate::crash_point::{self, CrashPoint};
use crate::domain::Outcome;
use crate::http::Metrics;
use crate::intake::{DeadLetterOffice, ItemResult, Parcel, Reject, database_refusal, note_outcome};
use crate::rpc::{Action, Dispatched, Dispatcher, RpcError, properties_from_json};
use crate::store::{BatchItem, EarlyUpdate, IfUnknown, Store, StoreError};

/// How often the table is looked at when no bell rings: a restore may come by Karbor's own table,
/// or through another worker.
const EVERY: Duration = Duration::from_secs(1);

/// Early updates taken at once.
const AT_ONCE: u32 = 200;

/// The duty's parts.
pub(super) struct Early {
    pub store: Store,
    pub turns: Turns,
    pub standing: Standing,
    pub dispatcher: Arc<Dispatcher>,
    pub dead_letters: DeadLetterOffice,
    pub recorded: Bell,
    pub max_age: Duration,
    pub metrics: Metrics,
}

pub(super) async fn run(early: Early, ending: CancellationToken) {
    while !ending.is_cancelled() {
        let taken = early.standing.turn("looking at early updates", early.sweep()).await;
        if taken.is_some_and(|taken| taken >= u64::from(AT_ONCE)) {
            continue;
        }
        ending.run_until_cancelled(early.recorded.wait(EVERY)).await;
    }
}

impl Early {
    /// Applies what is due and gives up on what is too old. Gives how many rows it took.
    async fn sweep(&self) -> Result<u64, StoreError> {
        let due = self.store.early_updates_due(AT_ONCE).await?;
        let mut taken = due.len() as u64;
        if !due.is_empty() {
            crash_point::pass(CrashPoint::EarlyDue);
            self.apply(due).await?;
        }
        let expired = self.store.early_updates_expired(self.max_age, AT_ONCE).await?;
        taken += expired.len() as u64;
        for update in expired {
            // One after the other, each just before it is published: what a worker claims and cannot
            // publish is at most one.
            if !self.store.claim_expired_early_update(update.id, self.max_age).await? {
                continue;
            }
            let (id, waited_s) = (update.restore_id, self.max_age.as_secs());
            info!(restore_id = %id, waited_s, "an early update waited too long for its restore");
            let dispatched = self.dispatcher.dispatch(update.message.body.as_bytes());
            self.give_up(update, dispatched, RpcError::NeverRecorded { id, waited_s }).await?;
        }
        let waiting = self.store.count_early_updates().await?;
        self.metrics.show_early_updates(waiting);
        Ok(taken)
    }

    async fn apply(&self, due: Vec<EarlyUpdate>) -> Result<(), StoreError> {
        let mut items = Vec::with_capacity(due.len());
        let mut applying = Vec::with_capacity(due.len());
        for update in due {
            let mut dispatched = self.dispatcher.dispatch(update.message.body.as_bytes());
            match std::mem::replace(&mut dispatched.action, Action::Ping) {
                Action::Commit { command, .. } => {
                    items.push(BatchItem {
                        command,
                        sender: dispatched.sender.clone(),
                        if_unknown: IfUnknown::Waited(update.id),
                    });
                    applying.push((update, dispatched));
                }
                // It was valid when it was stored: the rules (an alias table) have changed since.
                Action::Refuse(error) => self.give_up(update, dispatched, error).await?,
                Action::GetRestore(_) | Action::Ping => {
                    self.store.remove_early_updates(&[update.id]).await?;
                }
            }
        }
        if items.is_empty() {
            return Ok(());
        }
        let Ok((items, results)) = self.turns.commit(items).await else { return Ok(()) };
        crash_point::pass(CrashPoint::EarlyApplied);
        for ((item, result), (update, dispatched)) in items.iter().zip(results).zip(applying) {
            note_outcome(&self.metrics, &item.command, &result);
            if let Some(error) = refusal(&result) {
                self.give_up(update, dispatched, error).await?;
            }
        }
        Ok(())
    }

    /// Keeps it as a dead letter, and only then removes its row.
    async fn give_up(
        &self,
        update: EarlyUpdate,
        dispatched: Dispatched,
        error: RpcError,
    ) -> Result<(), StoreError> {
        let parcel = Parcel {
            queue: update.message.queue,
            properties: properties_from_json(&update.message.properties),
            body: update.message.body.into_bytes(),
        };
        self.dead_letters.keep(&Reject { parcel, dispatched, error }).await;
        crash_point::pass(CrashPoint::EarlyGivenUp);
        self.store.remove_early_updates(&[update.id]).await?;
        Ok(())
    }
}

/// Why it can never be applied; `None` where it was, or goes on waiting.
fn refusal(result: &ItemResult) -> Option<RpcError> {
    match result {
        Ok(Outcome::Refused(refusal)) => Some((*refusal).into()),
        Ok(
            Outcome::Recorded
            | Outcome::Resources(_)
            | Outcome::Expected(_)
            | Outcome::Restore(..)
            | Outcome::Waiting
            | Outcome::Kept,
        ) => None,
        Err(_) => Some(database_refusal()),
    }
}
