//! Deletes events that are older than the setting says, page by page with pauses, by one worker at
//! a time. Two that do it at once do no harm: what one has deleted the other does not find.

use std::time::Duration;

use chrono::Utc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

use super::standing::Standing;
use crate::http::Metrics;
use crate::store::{Duty, Store, StoreError};

/// Events looked at in one statement: few enough that no lock and no log of the database's grows
/// long.
const PAGE: u32 = 1000;

/// Between two pages; the batches go first.
const PAUSE: Duration = Duration::from_millis(100);

/// How often all old events are looked through.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// How often this worker asks for the duty.
const ASK_EVERY: Duration = Duration::from_secs(60);

/// How long one page may take before another worker goes on.
const LEASE: Duration = Duration::from_secs(60);

/// Looks through old events once an hour; with an age of zero never.
pub(super) async fn run(
    store: Store,
    standing: Standing,
    age: Duration,
    metrics: Metrics,
    ending: CancellationToken,
) {
    if age.is_zero() {
        return;
    }
    let holder = Uuid::new_v4();
    while !ending.is_cancelled() {
        let deleting = delete(&store, age, holder, &metrics, &ending);
        standing.turn("deleting old events", deleting).await;
        ending.run_until_cancelled(sleep(ASK_EVERY)).await;
    }
    // Or the others would wait for the lease. Without a database they wait.
    let _ = store.release_duty(Duty::OldEvents, holder).await;
}

async fn delete(
    store: &Store,
    age: Duration,
    holder: Uuid,
    metrics: &Metrics,
    ending: &CancellationToken,
) -> Result<(), StoreError> {
    let claim = || store.claim_duty(Duty::OldEvents, holder, LEASE, EVERY);
    let before = Utc::now() - age;
    let (mut deleted, mut kept) = (0, 0);
    let mut last = None;
    loop {
        if ending.is_cancelled() || !claim().await? {
            return Ok(());
        }
        let page = store.delete_old_events(before, last.as_ref(), PAGE).await?;
        metrics.count_deleted_events(page.deleted);
        deleted += page.deleted;
        kept += page.kept;
        last = page.next;
        if last.is_none() {
            break;
        }
        ending.run_until_cancelled(sleep(PAUSE)).await;
    }
    store.finish_duty(Duty::OldEvents, holder).await?;
    info!(deleted, kept, %before, "looked through old events");
    Ok(())
}
