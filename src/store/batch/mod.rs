//! A batch: many commands, one transaction.
//!
//! ```text
//! fence ─▶ find ─▶ lock ─▶ read ─▶ merge ─▶ write ─▶ commit
//!  own row          ours, then Karbor's     state, events, Karbor's status
//! ```
//!
//! Locking is a statement of its own and what it protects is read by a later one. Our rows are
//! locked in the order of their ids, sorted here, and before Karbor's. What it reads and writes
//! follows the batch, not the size of its restores.

mod adopt;
mod apply;
mod counts;
mod journal;
mod load;
mod rows;
mod save;
mod statements;
mod working;
mod writes;

pub(super) use rows::{time_text, to_json};

use chrono::{DateTime, SubsecRound, Utc};

use super::connection::Transaction;
use super::{BatchItem, Committed, Publisher, Store, StoreError, publishers};
use crate::crash_point::{self, CrashPoint};
use apply::Applying;
use journal::Journal;

impl Store {
    /// Does `items` in order, in one transaction that begins with the publisher's row: its
    /// position moves to `published_through`, its lease is renewed. Moves `publisher.next_number`
    /// on once the commit was answered.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] once the publisher is closed, [`StoreError::Doubt`] when the answer
    /// to COMMIT was lost: both mean a new publisher and the batch again. On any other error
    /// nothing was changed.
    pub async fn commit_batch(
        &self,
        publisher: &mut Publisher,
        published_through: u64,
        items: &[BatchItem],
        now: DateTime<Utc>,
    ) -> Result<Committed, StoreError> {
        // What is written must be what is returned, and the databases keep microseconds.
        let now = now.trunc_subsecs(6);
        crash_point::pass(CrashPoint::BeforeTransaction);
        let mut transaction = self.pools.begin("committing a batch").await?;
        match self.run(&mut transaction, publisher, published_through, items, now).await {
            Ok(committed) => {
                crash_point::pass(CrashPoint::InTransaction);
                crash_point::pass_within(CrashPoint::CommitSent, transaction.commit()).await?;
                crash_point::pass(CrashPoint::Committed);
                publisher.next_number += committed.events.len() as u64;
                Ok(committed)
            }
            Err(error) => {
                transaction.roll_back().await;
                Err(error)
            }
        }
    }

    async fn run(
        &self,
        transaction: &mut Transaction,
        publisher: &Publisher,
        published_through: u64,
        items: &[BatchItem],
        now: DateTime<Utc>,
    ) -> Result<Committed, StoreError> {
        publishers::fence(transaction, publisher.id, published_through, self.lease).await?;
        if items.is_empty() {
            return Ok(Committed { outcomes: Vec::new(), events: Vec::new() });
        }
        let limit = self.resources_per_restore;
        let restores = load::load(transaction, items, &self.karbor, limit, now).await?;
        let mut applying = Applying {
            restores,
            journal: Journal::new(publisher, now),
            limit,
            early: Vec::new(),
            waited: Vec::new(),
        };
        let outcomes =
            items.iter().enumerate().map(|(index, item)| applying.apply(index, item)).collect();
        save::save(transaction, &applying).await?;
        Ok(Committed { outcomes, events: applying.journal.events })
    }
}
