//! Reads the resources that a batch touches and those whose place in the counts hangs on them, and
//! counts all others.

use std::collections::BTreeSet;

use super::{Key, Restores, id_list, key_list, restore_of, unreadable};
use crate::domain::{Command, ResourceId, ResourceKey, ResourceType, RestoreId, RestoreStatus};
use crate::store::batch::counts::Tally;
use crate::store::batch::rows::{CountRow, ResourceRow};
use crate::store::batch::statements;
use crate::store::batch::working::Restore;
use crate::store::connection::Transaction;
use crate::store::statement::Statement;
use crate::store::{BatchItem, StoreError};

type OwnedKey = (RestoreId, ResourceType, ResourceId);

fn owned(id: RestoreId, key: &ResourceKey) -> OwnedKey {
    (id, key.resource_type.clone(), key.resource_id.clone())
}

fn borrowed(key: &OwnedKey) -> Key<'_> {
    (key.0, &key.1, &key.2)
}

/// Reads the resources that the items touch; of restores that may change as a whole also what
/// hides them or is hidden by them, what a success ends, and how many there are of all others.
pub(super) async fn load(
    transaction: &mut Transaction,
    restores: &mut Restores,
    items: &[BatchItem],
    as_a_whole: &BTreeSet<RestoreId>,
) -> Result<(), StoreError> {
    let open = load_open(transaction, restores, items, as_a_whole).await?;
    // What a success ends depends on what hides what, as counts do.
    let judged: BTreeSet<RestoreId> = restores
        .iter()
        .filter(|(_, restore)| restore.ends_resources())
        .map(|(id, _)| *id)
        .chain(as_a_whole.iter().copied())
        .collect();
    let said: Vec<OwnedKey> = restores
        .values()
        .filter(|restore| !restore.is_first_met())
        .filter_map(|restore| Some((restore.identity.id, restore.said.as_ref()?)))
        .flat_map(|(id, said)| said.updates.iter().map(move |update| owned(id, &update.key)))
        .collect();
    let mut keys: BTreeSet<Key> = said.iter().map(borrowed).collect();
    let mut around: BTreeSet<Key> = said.iter().chain(&open).map(borrowed).collect();
    for item in items {
        let updates = match &item.command {
            Command::RecordRestore(new) => &new.resources,
            Command::UpdateResources { updates, .. } => updates,
            Command::ExpectResources { .. }
            | Command::UpdateRestore { .. }
            | Command::TakeIn(_)
            | Command::NoteSilence { .. } => continue,
        };
        let id = item.command.restore_id();
        // One that is first met has no rows yet.
        if restores.get(&id).is_none_or(Restore::is_first_met) {
            continue;
        }
        for update in updates {
            let (kind, resource_id) = (&update.key.resource_type, &update.key.resource_id);
            keys.insert((id, kind, resource_id));
            if judged.contains(&id) {
                around.insert((id, kind, resource_id));
                around.extend(update.source_id.iter().map(|source| (id, kind, source)));
            }
        }
    }
    keys.extend(around.iter().copied());
    take(transaction, restores, &statements::RESOURCES, &keys).await?;
    if judged.is_empty() {
        return Ok(());
    }
    // A source that a touched resource carried before is known only now.
    let touched: Vec<OwnedKey> = judged
        .iter()
        .filter_map(|id| restores.get(id))
        .flat_map(|restore| {
            let id = restore.identity.id;
            restore.resources.iter().filter_map(move |(key, resource)| {
                Some((id, key.resource_type.clone(), resource.source_id.clone()?))
            })
        })
        .collect();
    let before: BTreeSet<Key> = touched.iter().map(borrowed).collect();
    let before: BTreeSet<Key> = before.difference(&keys).copied().collect();
    take(transaction, restores, &statements::RESOURCES, &before).await?;
    around.extend(before);
    take(transaction, restores, &statements::RESOURCES_BY_SOURCE, &around).await?;
    count_others(transaction, restores, as_a_whole).await
}

/// Reads the resources that count as something else once their restore is, or is no more, a
/// success that ends them; gives their keys.
async fn load_open(
    transaction: &mut Transaction,
    restores: &mut Restores,
    items: &[BatchItem],
    as_a_whole: &BTreeSet<RestoreId>,
) -> Result<Vec<OwnedKey>, StoreError> {
    let mut may_end: BTreeSet<RestoreId> = items
        .iter()
        .filter(|item| match &item.command {
            Command::RecordRestore(new) => new.status == RestoreStatus::Success,
            Command::UpdateRestore { state, .. } => state.ends_resources(),
            _ => false,
        })
        .map(|item| item.command.restore_id())
        .collect();
    let success = Some(RestoreStatus::Success.as_str());
    may_end.extend(restores.iter().filter_map(|(id, restore)| {
        (restore.ends_resources() || restore.karbor_status.as_deref() == success).then_some(*id)
    }));
    may_end.retain(|id| {
        as_a_whole.contains(id) && restores.get(id).is_some_and(|r| !r.is_first_met())
    });
    if may_end.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<ResourceRow> =
        transaction.load(&statements::OPEN_RESOURCES, &[id_list(may_end.iter())]).await?;
    take_rows(restores, rows)?;
    let loaded = may_end.iter().filter_map(|id| restores.get(id)).flat_map(|restore| {
        let id = restore.identity.id;
        restore.resources.keys().map(move |key| owned(id, key))
    });
    Ok(loaded.collect())
}

async fn take(
    transaction: &mut Transaction,
    restores: &mut Restores,
    statement: &Statement,
    keys: &BTreeSet<Key<'_>>,
) -> Result<(), StoreError> {
    if keys.is_empty() {
        return Ok(());
    }
    let rows: Vec<ResourceRow> = transaction.load(statement, &[key_list(keys)]).await?;
    take_rows(restores, rows)
}

fn take_rows(restores: &mut Restores, rows: Vec<ResourceRow>) -> Result<(), StoreError> {
    for row in rows {
        if let Some(restore) = restore_of(restores, &row.restore_id)? {
            restore.take_resource(row).map_err(|row| unreadable(&row.0))?;
        }
    }
    Ok(())
}

async fn count_others(
    transaction: &mut Transaction,
    restores: &mut Restores,
    as_a_whole: &BTreeSet<RestoreId>,
) -> Result<(), StoreError> {
    let counted =
        as_a_whole.iter().filter(|id| restores.get(id).is_some_and(|r| !r.is_first_met()));
    let counted: Vec<&RestoreId> = counted.collect();
    if counted.is_empty() {
        return Ok(());
    }
    let ids = [id_list(counted.into_iter())];
    let rows: Vec<CountRow> = transaction.load(&statements::COUNTS, &ids).await?;
    for row in rows {
        let status = row.status.parse().map_err(|_| unreadable("the status of a resource"))?;
        if let Some(restore) = restore_of(restores, &row.restore_id)? {
            restore.others.add(status, row.number);
        }
    }
    for id in as_a_whole {
        if let Some(restore) = restores.get_mut(id) {
            restore.others = restore.others.less(Tally::of(&restore.resources));
        }
    }
    Ok(())
}
