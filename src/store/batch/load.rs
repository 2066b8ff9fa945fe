//! Finds, locks and reads what a batch touches.

mod resources;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use tracing::warn;

use super::apply::reaches;
use super::rows::{
    DictionariesRow, ExpectedRow, FoundRow, IdRow, KarborRow, KeyJson, RecordJson, RestoreRow,
    to_json, whole_seconds,
};
use super::statements;
use super::working::Restore;
use crate::domain::{Command, NewRestore, ResourceId, ResourceType, RestoreId};
use crate::store::connection::Transaction;
use crate::store::karbor::KarborRules;
use crate::store::statement::Param;
use crate::store::{BatchItem, DatabaseFault, StoreError};

type Restores = BTreeMap<RestoreId, Restore>;
type Key<'a> = (RestoreId, &'a ResourceType, &'a ResourceId);

/// The restores that `items` reach, inserted where an item records them, locked, and read as far
/// as the items touch them. What is not in the result is known to nobody.
pub(super) async fn load(
    transaction: &mut Transaction,
    items: &[BatchItem],
    rules: &KarborRules,
    limit: u64,
    now: DateTime<Utc>,
) -> Result<Restores, StoreError> {
    let wanted: BTreeSet<RestoreId> = items.iter().map(|item| item.command.restore_id()).collect();
    let rows: Vec<FoundRow> =
        transaction.load(&statements::FIND, &[id_list(wanted.iter())]).await?;
    let mut found = BTreeMap::new();
    for row in rows {
        found.insert(read_id(&row.id)?, row);
    }
    let born = first_recordings(items, limit, |id| found.contains_key(&id));
    let is_reached = |id: &RestoreId| {
        found.get(id).is_some_and(|row| {
            let mut mine = items.iter().filter(|item| item.command.restore_id() == *id);
            row.deleted == 0 && mine.any(|item| reaches(&item.sender, &row.project_id))
        })
    };
    let to_lock: BTreeSet<RestoreId> =
        wanted.iter().filter(|id| born.contains_key(id) || is_reached(id)).copied().collect();
    if !to_lock.is_empty() {
        let now = Param::from(now);
        let params = [now.clone(), now, id_list(to_lock.iter())];
        transaction.execute(&statements::LOCK, &params).await?;
    }
    record(transaction, &born, now).await?;

    let known: BTreeSet<RestoreId> = found.keys().chain(born.keys()).copied().collect();
    let mut restores = Restores::new();
    if known.is_empty() {
        return Ok(restores);
    }
    let rows: Vec<RestoreRow> =
        transaction.load(&statements::READ, &[id_list(known.iter())]).await?;
    for row in rows {
        let mut restore = Restore::from_row(row, now).map_err(|row| unreadable(&row.0))?;
        let id = restore.identity.id;
        restore.locked = to_lock.contains(&id);
        // Another worker may have recorded it while this one waited for the lock.
        restore.born = born.get(&id).filter(|_| restore.is_first_met()).map(|(index, _)| *index);
        restores.insert(id, restore);
    }
    let as_a_whole = lock_karbor(transaction, &mut restores, items).await?;
    read_dictionaries(transaction, &mut restores, items, rules).await?;
    resources::load(transaction, &mut restores, items, &as_a_whole).await?;
    load_expected(transaction, &mut restores, items).await?;
    Ok(restores)
}

/// The items that record a restore that Karbor's table does not have, the first of each.
fn first_recordings(
    items: &[BatchItem],
    limit: u64,
    is_found: impl Fn(RestoreId) -> bool,
) -> BTreeMap<RestoreId, (usize, &NewRestore)> {
    let mut born = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        let Command::RecordRestore(new) = &item.command else { continue };
        let resources: HashSet<_> = new.resources.iter().map(|update| &update.key).collect();
        if item.sender.reaches(&new.project_id)
            && resources.len() as u64 <= limit
            && !is_found(new.id)
        {
            born.entry(new.id).or_insert((index, new));
        }
    }
    born
}

async fn record(
    transaction: &mut Transaction,
    born: &BTreeMap<RestoreId, (usize, &NewRestore)>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if born.is_empty() {
        return Ok(());
    }
    let rows: Vec<RecordJson> = born
        .values()
        .map(|(_, new)| RecordJson {
            c: whole_seconds(now),
            i: new.id.to_string(),
            p: &new.project_id,
            v: &new.provider_id,
            k: &new.checkpoint_id,
            g: new.restore_target.as_deref(),
            m: new.parameters.as_deref(),
        })
        .collect();
    transaction.execute(&statements::RECORD, &[to_json(&rows).into()]).await?;
    Ok(())
}

/// Locks and reads Karbor's rows of the restores that may change as a whole, and of those first
/// met; says which they are.
async fn lock_karbor(
    transaction: &mut Transaction,
    restores: &mut Restores,
    items: &[BatchItem],
) -> Result<BTreeSet<RestoreId>, StoreError> {
    let mut as_a_whole: BTreeSet<RestoreId> = items
        .iter()
        .filter(|item| {
            !matches!(
                item.command,
                Command::UpdateResources { .. } | Command::ExpectResources { .. }
            )
        })
        .map(|item| item.command.restore_id())
        .collect();
    as_a_whole.extend(restores.iter().filter(|(_, r)| r.is_first_met()).map(|(id, _)| *id));
    as_a_whole.retain(|id| restores.get(id).is_some_and(Restore::is_live));
    if as_a_whole.is_empty() {
        return Ok(as_a_whole);
    }
    let ids = [id_list(as_a_whole.iter())];
    let _: Vec<IdRow> = transaction.load(&statements::LOCK_KARBOR, &ids).await?;
    let rows: Vec<KarborRow> = transaction.load(&statements::READ_KARBOR, &ids).await?;
    for row in rows {
        if let Some(restore) = restore_of(restores, &row.id)? {
            restore.take_karbor_row(row);
        }
    }
    Ok(as_a_whole)
}

/// Reads what Karbor's dictionaries say of restores first met, and of those that are to be taken in.
async fn read_dictionaries(
    transaction: &mut Transaction,
    restores: &mut Restores,
    items: &[BatchItem],
    rules: &KarborRules,
) -> Result<(), StoreError> {
    let mut said: BTreeSet<RestoreId> = items
        .iter()
        .filter(|item| matches!(item.command, Command::TakeIn(_)))
        .map(|item| item.command.restore_id())
        .collect();
    said.extend(restores.iter().filter(|(_, r)| r.is_first_met()).map(|(id, _)| *id));
    said.retain(|id| restores.get(id).is_some_and(Restore::is_live));
    if said.is_empty() {
        return Ok(());
    }
    let ids = [id_list(said.iter())];
    let rows: Vec<DictionariesRow> = transaction.load(&statements::READ_DICTIONARIES, &ids).await?;
    for row in rows {
        if let Some(restore) = restore_of(restores, &row.id)? {
            let said = rules.read(row.resources_status.as_deref(), row.resources_reason.as_deref());
            if said.digest == restore.digest {
                continue;
            }
            if said.unread() > 0 {
                let (id, entries) = (restore.identity.id, said.unread());
                warn!(restore_id = %id, entries, "entries of Karbor's dictionaries are of no resource; left as they are");
            }
            restore.said = Some(said);
        }
    }
    Ok(())
}

async fn load_expected(
    transaction: &mut Transaction,
    restores: &mut Restores,
    items: &[BatchItem],
) -> Result<(), StoreError> {
    let mut keys: BTreeSet<Key> = BTreeSet::new();
    for item in items {
        let Command::ExpectResources { restore_id, resources } = &item.command else { continue };
        if restores.get(restore_id).is_some_and(|restore| !restore.is_first_met()) {
            let named = resources.iter().map(|r| (*restore_id, &r.resource_type, &r.source_id));
            keys.extend(named);
        }
    }
    if keys.is_empty() {
        return Ok(());
    }
    let rows: Vec<ExpectedRow> =
        transaction.load(&statements::EXPECTED, &[key_list(&keys)]).await?;
    for row in rows {
        if let Some(restore) = restore_of(restores, &row.restore_id)? {
            restore.take_expected(row).map_err(|row| unreadable(&row.0))?;
        }
    }
    Ok(())
}

fn id_list<'a>(ids: impl Iterator<Item = &'a RestoreId>) -> Param {
    let ids: Vec<String> = ids.map(ToString::to_string).collect();
    to_json(&ids).into()
}

fn key_list(keys: &BTreeSet<Key<'_>>) -> Param {
    let ids: Vec<String> = keys.iter().map(|(id, ..)| id.to_string()).collect();
    let rows: Vec<KeyJson> = keys
        .iter()
        .zip(&ids)
        .map(|((_, t, i), r)| KeyJson { r, t: t.as_str(), i: i.as_str() })
        .collect();
    to_json(&rows).into()
}

/// The restore that a row belongs to.
fn restore_of<'a>(
    restores: &'a mut Restores,
    id: &str,
) -> Result<Option<&'a mut Restore>, StoreError> {
    Ok(restores.get_mut(&read_id(id)?))
}

fn read_id(id: &str) -> Result<RestoreId, StoreError> {
    id.parse().map_err(|_| unreadable("the id of a restore"))
}

fn unreadable(what: &str) -> StoreError {
    let text = format!("{what} is none that this version knows");
    StoreError::Fatal { act: "reading rows", source: DatabaseFault(text) }
}
