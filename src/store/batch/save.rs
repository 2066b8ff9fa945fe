//! Writes what a batch changed: one statement a table, however many rows.

use super::apply::Applying;
use super::rows::{
    ExpectedJson, ResourceJson, StateJson, StatusJson, time_text, to_json, whole_seconds,
};
use super::working::Restore;
use super::writes;
use crate::domain::ResourceId;
use crate::store::connection::Transaction;
use crate::store::statement::Statement;
use crate::store::{StoreError, early, events};
use serde::Serialize;

/// Writes all that changed.
pub(super) async fn save(
    transaction: &mut Transaction,
    applied: &Applying<'_>,
) -> Result<(), StoreError> {
    let now = applied.journal.now;
    let changed: Vec<(String, &Restore)> = applied
        .restores
        .values()
        .filter(|restore| restore.dirty)
        .map(|restore| (restore.identity.id.to_string(), restore))
        .collect();
    let mut resources = Vec::new();
    let mut expected = Vec::new();
    let mut states = Vec::new();
    let mut statuses = Vec::new();
    for (id, restore) in &changed {
        resources.extend(resource_rows(id, restore));
        expected.extend(expected_rows(id, restore));
        states.extend(state_row(id, restore, now));
        let lagging = restore.status_to_write();
        let row = |s| StatusJson { i: id, s, u: whole_seconds(now) };
        statuses.extend(lagging.map(|status| row(status.as_str())));
    }
    write(transaction, &writes::RESOURCES, &resources).await?;
    write(transaction, &writes::EXPECTED, &expected).await?;
    write(transaction, &writes::STATES, &states).await?;
    write(transaction, &writes::KARBOR_STATUS, &statuses).await?;
    events::insert_events(transaction, &applied.journal.events).await?;
    early::insert(transaction, &applied.early).await?;
    early::remove(transaction, &applied.waited).await?;
    Ok(())
}

async fn write<R: Serialize>(
    transaction: &mut Transaction,
    statement: &Statement,
    rows: &[R],
) -> Result<(), StoreError> {
    if !rows.is_empty() {
        transaction.execute(statement, &[to_json(rows).into()]).await?;
    }
    Ok(())
}

fn resource_rows<'a>(
    id: &'a str,
    restore: &'a Restore,
) -> impl Iterator<Item = ResourceJson<'a>> + 'a {
    restore.resources.iter().filter(|(_, resource)| resource.dirty).map(move |(key, resource)| {
        ResourceJson {
            r: id,
            t: key.resource_type.as_str(),
            i: key.resource_id.as_str(),
            o: resource.source_id.as_ref().map(ResourceId::as_str),
            a: resource.name.as_deref(),
            q: resource.state.sequence,
            s: resource.state.status.as_str(),
            w: resource.state.reason.as_deref(),
            n: resource.transition,
            c: time_text(resource.changed_at),
            k: resource.said.as_ref().map(|said| said.status.as_str()),
            l: resource.said.as_ref().and_then(|said| said.reason.as_deref()),
        }
    })
}

fn expected_rows<'a>(
    id: &'a str,
    restore: &'a Restore,
) -> impl Iterator<Item = ExpectedJson<'a>> + 'a {
    restore.expected.iter().filter(|(_, expected)| expected.dirty).map(
        move |((resource_type, source_id), expected)| ExpectedJson {
            r: id,
            t: resource_type.as_str(),
            i: source_id.as_str(),
            a: expected.name.as_deref(),
        },
    )
}

fn state_row<'a>(
    id: &'a str,
    restore: &'a Restore,
    now: chrono::DateTime<chrono::Utc>,
) -> Option<StateJson<'a>> {
    let state = restore.state.as_ref()?;
    let grown = u64::from(restore.outdated);
    Some(StateJson {
        i: id,
        q: state.sequence,
        s: state.status.as_str(),
        w: state.reason.as_deref(),
        n: restore.transition,
        v: restore.version + grown,
        b: restore.outdated.then(|| time_text(now)),
        d: restore.digest.as_deref(),
        h: time_text(restore.last_heard_at),
        c: time_text(if restore.outdated { now } else { restore.changed_at }),
        r: restore.resource_count,
        e: restore.expected_count,
        x: u8::from(restore.stalled),
        f: state.status.is_final().then(|| time_text(restore.final_since.unwrap_or(now))),
    })
}
