//! Takes in what Karbor wrote into its table by itself. One worker at a time looks for it; a dead
//! one's duty is another's once its lease ran out. What is found is merged under the restore's
//! lock, so nothing is wrong where two look at once.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};
use uuid::Uuid;

use super::standing::Standing;
use super::turns::Turns;
use crate::bell::Bell;
use crate::crash_point::{self, CrashPoint};
use crate::domain::Command;
use crate::http::Metrics;
use crate::store::{Duty, Noticed, Store, StoreError};

/// How often the restores under way and of the last day are looked at: within 5 s is promised.
const EVERY: Duration = Duration::from_secs(2);

/// How long the duty stays with a worker that gives no sign.
const LEASE: Duration = Duration::from_millis(4500);

/// How often the whole table is looked through.
const WHOLE_TABLE_EVERY: Duration = Duration::from_secs(60 * 60);

/// How often it is asked whether that is due.
const ASK_EVERY: Duration = Duration::from_secs(30);

/// How long a page of the whole table may take before another worker begins anew.
const PAGE_LEASE: Duration = Duration::from_secs(60);

/// Restores noticed at once.
const AT_ONCE: u32 = 500;

/// The duty's parts.
#[derive(Clone)]
pub(super) struct Karbor {
    pub store: Store,
    pub turns: Turns,
    pub standing: Standing,
    /// Rung when a restore was found: updates may wait for it.
    pub recorded: Bell,
    pub metrics: Metrics,
}

/// Looks at the restores under way and of the last day.
pub(super) async fn watch_recent(karbor: Karbor, ending: CancellationToken) {
    let holder = Uuid::new_v4();
    while !ending.is_cancelled() {
        let duty = "looking for what Karbor wrote";
        if karbor.standing.turn(duty, karbor.look_at_recent(holder)).await == Some(true) {
            continue;
        }
        ending.run_until_cancelled(sleep(EVERY)).await;
    }
    // Or the others would wait for the lease. Without a database they wait.
    let _ = karbor.store.release_duty(Duty::RecentRestores, holder).await;
}

/// Looks through the whole table, once an hour.
pub(super) async fn watch_all(karbor: Karbor, ending: CancellationToken) {
    let holder = Uuid::new_v4();
    while !ending.is_cancelled() {
        let duty = "looking through Karbor's table";
        karbor.standing.turn(duty, karbor.look_through(holder, &ending)).await;
        ending.run_until_cancelled(sleep(ASK_EVERY)).await;
    }
    let _ = karbor.store.release_duty(Duty::AllRestores, holder).await;
}

impl Karbor {
    /// Whether there may be more.
    async fn look_at_recent(&self, holder: Uuid) -> Result<bool, StoreError> {
        let duty = Duty::RecentRestores;
        if !self.store.claim_duty(duty, holder, LEASE, Duration::ZERO).await? {
            return Ok(false);
        }
        let noticed = self.store.notice_recent(AT_ONCE).await?;
        let full = noticed.changed.len() + noticed.gone.len() >= AT_ONCE as usize;
        self.take_in(noticed).await?;
        Ok(full)
    }

    async fn look_through(
        &self,
        holder: Uuid,
        ending: &CancellationToken,
    ) -> Result<(), StoreError> {
        let duty = Duty::AllRestores;
        let claim = || self.store.claim_duty(duty, holder, PAGE_LEASE, WHOLE_TABLE_EVERY);
        if !claim().await? {
            return Ok(());
        }
        self.store.note_final().await?;
        let (mut after, mut found) = (String::new(), 0);
        loop {
            let page = self.store.notice_page(&after, AT_ONCE).await?;
            found += page.noticed.changed.len();
            self.take_in(page.noticed).await?;
            let Some(next) = page.next else { break };
            after = next;
            if ending.is_cancelled() || !claim().await? {
                return Ok(());
            }
        }
        self.store.finish_duty(duty, holder).await?;
        info!(found, "looked through Karbor's table");
        Ok(())
    }

    async fn take_in(&self, noticed: Noticed) -> Result<(), StoreError> {
        let Noticed { changed, gone } = noticed;
        if !gone.is_empty() {
            self.store.forget_gone(&gone).await?;
        }
        if changed.is_empty() {
            return Ok(());
        }
        crash_point::pass(CrashPoint::KarborNoticed);
        let number = changed.len();
        let commands = changed.into_iter().map(Command::TakeIn).collect();
        // Given up while the worker ends, it is noticed again.
        if self.turns.keep(commands).await.is_ok() {
            crash_point::pass(CrashPoint::KarborTakenIn);
            debug!(number, "took in what Karbor wrote of restores");
            self.metrics.count_taken_in(number);
            self.recorded.ring();
        }
        Ok(())
    }
}
