//! Takes in the restores that Karbor's table holds when its database is adopted: as they are,
//! without an event. Their first transition comes with the first change.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::rows::{AdoptedRow, ResourceJson, StateJson, time_text, to_json};
use super::{statements, writes};
use crate::domain::{ResourceKey, ResourceState, RestoreId, RestoreState, RestoreStatus, State};
use crate::store::connection::Transaction;
use crate::store::karbor::KarborRules;
use crate::store::statement::Param;
use crate::store::{Store, StoreError};

/// Restores taken in by one transaction: each may have megabytes of dictionaries.
const PAGE: u32 = 50;

/// What of resources one statement writes, in bytes: MySQL ends the connection of a longer one than
/// `max_allowed_packet`, 16 MiB by default in MariaDB, and 4 MiB in old versions of MySQL. Quotes and
/// line breaks may double it.
const STATEMENT_BYTES: usize = 1024 * 1024;
/// A row without its reasons, at most about.
const ROW_BYTES: usize = 1024;

/// What a page brought.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::store) struct Adopted {
    pub restores: u64,
    pub resources: u64,
    pub unread: u64,
}

struct Restore {
    id: String,
    state: RestoreState,
    changed_at: DateTime<Utc>,
    digest: Option<String>,
    unread: u64,
    /// What each counts as, and what is said of it.
    resources: BTreeMap<ResourceKey, (ResourceState, ResourceState)>,
}

impl Store {
    /// Takes in the next restores that we have no row of; `None` after the last. `after` is moved
    /// on.
    pub(in crate::store) async fn adopt_page(
        &self,
        after: &mut String,
        now: DateTime<Utc>,
    ) -> Result<Option<Adopted>, StoreError> {
        let mut transaction = self.pools.begin(statements::ADOPT.act).await?;
        let params = [Param::from(after.as_str()), PAGE.into()];
        let rows: Vec<AdoptedRow> = match transaction.load(&statements::ADOPT, &params).await {
            Ok(rows) => rows,
            Err(error) => {
                transaction.roll_back().await;
                return Err(error);
            }
        };
        let Some(last) = rows.last() else {
            transaction.roll_back().await;
            return Ok(None);
        };
        after.clone_from(&last.id);
        let restores: Vec<Restore> =
            rows.into_iter().filter_map(|row| read(row, &self.karbor, now)).collect();
        if let Err(error) = save(&mut transaction, &restores, now).await {
            transaction.roll_back().await;
            return Err(error);
        }
        transaction.commit().await?;
        let resources = restores.iter().map(|restore| restore.resources.len() as u64).sum();
        let unread = restores.iter().map(|restore| restore.unread).sum();
        Ok(Some(Adopted { restores: restores.len() as u64, resources, unread }))
    }
}

/// A row of Karbor's; `None` where its id is none that Karbor gives.
fn read(row: AdoptedRow, rules: &KarborRules, now: DateTime<Utc>) -> Option<Restore> {
    row.id.parse::<RestoreId>().ok().filter(|id| id.to_string() == row.id)?;
    let status = row.status.as_deref().and_then(|status| status.parse().ok());
    let state =
        State { sequence: None, status: status.unwrap_or(RestoreStatus::InProgress), reason: None };
    let said = rules.read(row.resources_status.as_deref(), row.resources_reason.as_deref());
    let unread = said.unread() as u64 + u64::from(said.is_damaged);
    let ends = state.ends_resources();
    let resources = said.updates.into_iter().map(|update| {
        let said = update.state;
        (update.key, (if ends { said.clone().ended() } else { said.clone() }, said))
    });
    let changed_at = row.changed_at.map_or(now, |at| at.and_utc());
    Some(Restore {
        id: row.id,
        state,
        changed_at,
        digest: said.digest,
        unread,
        resources: resources.collect(),
    })
}

async fn save(
    transaction: &mut Transaction,
    restores: &[Restore],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let resources: Vec<ResourceJson> = restores.iter().flat_map(resource_rows).collect();
    let states: Vec<StateJson> = restores.iter().map(|restore| state_row(restore, now)).collect();
    let mut rest = resources.as_slice();
    while !rest.is_empty() {
        let (some, more) = rest.split_at(how_many_fit(rest));
        transaction.execute(&writes::RESOURCES, &[to_json(some).into()]).await?;
        rest = more;
    }
    if !states.is_empty() {
        transaction.execute(&writes::STATES, &[to_json(&states).into()]).await?;
    }
    Ok(())
}

/// How many of the first fit into one statement, one at least.
fn how_many_fit(resources: &[ResourceJson<'_>]) -> usize {
    let mut bytes = 0;
    let fits = |row: &&ResourceJson<'_>| {
        bytes += ROW_BYTES + row.w.map_or(0, str::len) + row.l.map_or(0, str::len);
        bytes <= STATEMENT_BYTES
    };
    resources.iter().take_while(fits).count().max(1)
}

fn resource_rows(restore: &Restore) -> impl Iterator<Item = ResourceJson<'_>> {
    restore.resources.iter().map(|(key, (counts_as, said))| {
        let differs = (said != counts_as).then_some(said);
        ResourceJson {
            r: &restore.id,
            t: key.resource_type.as_str(),
            i: key.resource_id.as_str(),
            o: None,
            a: None,
            q: None,
            s: counts_as.status.as_str(),
            w: counts_as.reason.as_deref(),
            n: 0,
            c: time_text(restore.changed_at),
            k: differs.map(|said| said.status.as_str()),
            l: differs.and_then(|said| said.reason.as_deref()),
        }
    })
}

/// A restore that said nothing for as long is no news when its database is adopted.
const LONG_SILENT: TimeDelta = TimeDelta::days(1);

/// Version 1 and no transition: known, and no event of it yet. Its silence begins now, unless it
/// has been silent for long: then it counts as told.
fn state_row(restore: &Restore, now: DateTime<Utc>) -> StateJson<'_> {
    StateJson {
        i: &restore.id,
        q: None,
        s: restore.state.status.as_str(),
        w: None,
        n: 0,
        v: 1,
        b: None,
        d: restore.digest.as_deref(),
        h: time_text(now),
        c: time_text(restore.changed_at),
        r: restore.resources.len() as u64,
        e: 0,
        x: u8::from(now - restore.changed_at > LONG_SILENT),
        f: restore.state.status.is_final().then(|| time_text(restore.changed_at)),
    }
}
