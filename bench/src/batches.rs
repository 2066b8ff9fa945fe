//! What the database can do with the worker's statements and rows alone: the same casts, decoded
//! beforehand, through `Store::commit_batch`, cut as intake cuts them, without a broker. Also asks
//! the database after a drain what became of each resource.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{bail, ensure};
use chrono::Utc;
use karbor_restore_worker::domain::{AliasTable, Limits, PublisherId, RestoreId};
use karbor_restore_worker::rpc::{Action, Dispatcher};
use karbor_restore_worker::store::{BatchItem, IfUnknown, Publisher, Store};
use uuid::Uuid;

use super::backlog::{Backlog, RESTORES};
use super::cpu::Processes;
use super::report::Measure;

/// What intake commits at once.
const BATCH: usize = 500;

/// Records the restores, then commits all updates, batch after batch.
pub async fn commit_all(
    store: &Store,
    processes: Processes,
    backlog: &Backlog,
) -> anyhow::Result<Measure> {
    let restores = decode(&backlog.restore_casts)?;
    let updates = decode(&backlog.update_casts)?;
    let mut publisher = store.open_publisher(PublisherId(Uuid::now_v7()), "bench").await?;
    let mut position = commit(store, &mut publisher, 0, &restores).await?;

    let (before, began) = (processes.read(), Instant::now());
    for batch in updates.chunks(BATCH) {
        // The position moves as if all had been published meanwhile.
        position = commit(store, &mut publisher, position, batch).await?;
    }
    let measure = Measure::since(updates.len(), began, processes.read() - before);

    // Nothing is left for the next worker: no event to take over, no dictionary to write.
    store.renew_publisher(publisher.id, position).await?;
    store.close_publisher(publisher.id).await?;
    while store.write_dictionaries(100, &HashSet::new()).await?.written > 0 {}
    Ok(measure)
}

/// How many of the resources are not `available`.
pub async fn count_lost(store: &Store, backlog: &Backlog) -> anyhow::Result<usize> {
    let resources = backlog.transitions.len() / 3 / RESTORES;
    let mut lost = 0;
    for restore in &backlog.restores {
        let counts = store.resource_counts(RestoreId::new(*restore)).await?;
        lost += resources.saturating_sub(usize::try_from(counts.available)?);
    }
    Ok(lost)
}

fn decode(casts: &[Vec<u8>]) -> anyhow::Result<Vec<BatchItem>> {
    let dispatcher = Dispatcher::new(Arc::new(AliasTable::default()), Limits::default());
    let decode = |cast: &Vec<u8>| {
        let read = dispatcher.dispatch(cast);
        let Action::Commit { command, .. } = read.action else { bail!("a cast is refused") };
        Ok(BatchItem { command, sender: read.sender, if_unknown: IfUnknown::Refuse })
    };
    casts.iter().map(decode).collect()
}

/// Commits one batch; each of its commands must be a transition. Returns the last event's number.
async fn commit(
    store: &Store,
    publisher: &mut Publisher,
    position: u64,
    items: &[BatchItem],
) -> anyhow::Result<u64> {
    let events = store.commit_batch(publisher, position, items, Utc::now()).await?.events;
    ensure!(events.len() == items.len(), "{} commands, {} events", items.len(), events.len());
    Ok(events.last().map_or(position, |event| event.number))
}
