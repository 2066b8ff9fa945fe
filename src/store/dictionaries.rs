//! Writes Karbor's two dictionaries (and its status, should it lag) from our rows: a restore once,
//! however many updates it had. Locks ours, then Karbor's row, and looks at what that holds
//! before it writes: what Karbor itself said there and we have not merged is never erased.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};
use tracing::warn;

use super::connection::Transaction;
use super::hidden::hidden;
use super::karbor::{Entry, KarborRules, Said, digest, write_dictionaries};
use super::pool::Use;
use super::statement::{Param, Statement, as_count};
use super::{DatabaseFault, Store, StoreError};
use crate::crash_point::{self, CrashPoint};
use crate::domain::{ResourceStatus, RestoreId, RestoreStatus, State};

/// What [`Store::write_dictionaries`] did.
#[derive(Debug, Default)]
pub struct Dictionaries {
    /// Restores whose dictionaries were written.
    pub written: u64,
    /// Restores whose dictionaries still lag.
    pub behind: u64,
    /// For how long the one that lags the longest has.
    pub oldest_delay: Option<Duration>,
    /// Restores in whose row Karbor said something that is not merged yet; they were left alone.
    pub found: Vec<RestoreId>,
    /// Restores that could not be written, and why; the others were.
    pub failed: Vec<(RestoreId, StoreError)>,
}

const BEHIND: Statement = Statement::portable(
    "looking for dictionaries to write",
    "SELECT restore_id AS id FROM restore_states WHERE behind_since IS NOT NULL \
     ORDER BY behind_since LIMIT ?",
);

const LAG: Statement = Statement::portable(
    "measuring the dictionaries' delay",
    "SELECT COUNT(*) AS number, MIN(behind_since) AS oldest FROM restore_states \
     WHERE behind_since IS NOT NULL",
);

const LOCK: Statement = Statement {
    act: "locking a restore",
    postgresql: "SELECT restore_id AS id FROM restore_states WHERE restore_id = ? FOR UPDATE",
    mysql: "SELECT restore_id AS id FROM restore_states WHERE restore_id = ? FOR UPDATE",
    sqlite: "SELECT restore_id AS id FROM restore_states WHERE restore_id = ?",
};

const LOCK_KARBOR: Statement = Statement {
    act: "locking Karbor's row",
    postgresql: "SELECT id FROM restores WHERE id = ? FOR UPDATE",
    mysql: "SELECT id FROM restores WHERE id = ? FOR UPDATE",
    sqlite: "SELECT id FROM restores WHERE id = ?",
};

const READ: Statement = Statement::portable(
    "reading Karbor's row",
    "SELECT s.sequence, s.status, s.reason, s.version, s.written_version, s.digest, \
     r.status AS karbor_status, r.resources_status, r.resources_reason \
     FROM restore_states s JOIN restores r ON r.id = s.restore_id WHERE s.restore_id = ?",
);

const RESOURCES: Statement = Statement::portable(
    "reading a restore's resources",
    "SELECT resource_type, resource_id, source_id, sequence, status, reason \
     FROM restore_resources WHERE restore_id = ? ORDER BY resource_type, resource_id",
);

const WRITE: Statement = Statement::portable(
    "writing Karbor's dictionaries",
    "UPDATE restores SET resources_status = ?, resources_reason = ?, status = ?, updated_at = ? \
     WHERE id = ?",
);

const WRITTEN: Statement = Statement::portable(
    "writing Karbor's dictionaries",
    "UPDATE restore_states SET written_version = version, behind_since = NULL, digest = ? \
     WHERE restore_id = ?",
);

/// Karbor's row is gone (somebody purged the database), or holds what must not be written over.
const NO_ROW: Statement = Statement::portable(
    "writing Karbor's dictionaries",
    "UPDATE restore_states SET written_version = version, behind_since = NULL WHERE restore_id = ?",
);

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = Text)]
    id: String,
}

#[derive(QueryableByName)]
struct LagRow {
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Nullable<Timestamp>)]
    oldest: Option<NaiveDateTime>,
}

#[derive(QueryableByName)]
struct StateRow {
    #[diesel(sql_type = Nullable<BigInt>)]
    sequence: Option<i64>,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Nullable<Text>)]
    reason: Option<String>,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = BigInt)]
    written_version: i64,
    #[diesel(sql_type = Nullable<Text>)]
    digest: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    karbor_status: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    resources_status: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    resources_reason: Option<String>,
}

#[derive(QueryableByName)]
struct ResourceRow {
    #[diesel(sql_type = Text)]
    resource_type: String,
    #[diesel(sql_type = Text)]
    resource_id: String,
    #[diesel(sql_type = Nullable<Text>)]
    source_id: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    sequence: Option<i64>,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Nullable<Text>)]
    reason: Option<String>,
}

enum Written {
    Yes,
    /// Another worker wrote it, or it is gone.
    NotNeeded,
    /// Karbor said something there.
    Found,
}

/// What is to be written for a restore.
enum Composed {
    Columns {
        statuses: Option<String>,
        reasons: Option<String>,
        digest: Option<String>,
    },
    /// A column of Karbor's is no dictionary.
    Damaged,
    /// Karbor said something there.
    Found,
}

impl Store {
    /// Writes the dictionaries of at most `limit` restores whose rows grew since they were written,
    /// those that lag the longest first, and `spared` ones not at all. One that cannot be written
    /// does not hold up the others. Two workers may both do it.
    ///
    /// # Errors
    ///
    /// The database is away, or answers nothing about any restore.
    pub async fn write_dictionaries(
        &self,
        limit: u32,
        spared: &HashSet<RestoreId>,
    ) -> Result<Dictionaries, StoreError> {
        let number = limit.saturating_add(u32::try_from(spared.len()).unwrap_or(u32::MAX));
        let mut connection = self.pools.connect(BEHIND.act, Use::Read).await?;
        let behind: Vec<IdRow> = connection.load(&BEHIND, &[number.into()]).await?;
        drop(connection);
        let mut done = Dictionaries::default();
        let ids = behind.iter().filter_map(|row| row.id.parse::<RestoreId>().ok());
        for id in ids.filter(|id| !spared.contains(id)).take(limit as usize) {
            let transaction = self.pools.begin(WRITE.act).await?;
            match self.write_one(transaction, &id.to_string(), Utc::now()).await {
                Ok(Written::Yes) => done.written += 1,
                Ok(Written::NotNeeded) => {}
                Ok(Written::Found) => done.found.push(id),
                Err(error) => done.failed.push((id, error)),
            }
        }
        // While the database is away, no restore is at fault.
        let mut connection = self.pools.connect(LAG.act, Use::Read).await?;
        if let Some(lag) = connection.load_one::<LagRow>(&LAG, &[]).await? {
            done.behind = as_count(lag.number);
            done.oldest_delay =
                lag.oldest.map(|at| (Utc::now() - at.and_utc()).to_std().unwrap_or_default());
        }
        Ok(done)
    }

    async fn write_one(
        &self,
        mut transaction: Transaction,
        id: &str,
        now: DateTime<Utc>,
    ) -> Result<Written, StoreError> {
        match self.write_locked(&mut transaction, id, now).await {
            Ok(written) => {
                let wrote = matches!(written, Written::Yes);
                if wrote {
                    crash_point::pass(CrashPoint::DictionariesWritten);
                }
                transaction.commit().await?;
                if wrote {
                    crash_point::pass(CrashPoint::DictionariesCommitted);
                }
                Ok(written)
            }
            Err(error) => {
                transaction.roll_back().await;
                Err(error)
            }
        }
    }

    async fn write_locked(
        &self,
        transaction: &mut Transaction,
        id: &str,
        now: DateTime<Utc>,
    ) -> Result<Written, StoreError> {
        let key = [Param::from(id)];
        let _: Vec<IdRow> = transaction.load(&LOCK, &key).await?;
        let _: Vec<IdRow> = transaction.load(&LOCK_KARBOR, &key).await?;
        let Some(row) = transaction.load_one::<StateRow>(&READ, &key).await? else {
            transaction.execute(&NO_ROW, &key).await?;
            return Ok(Written::NotNeeded);
        };
        if row.version == row.written_version {
            return Ok(Written::NotNeeded);
        }
        let resources: Vec<ResourceRow> = transaction.load(&RESOURCES, &key).await?;
        let (row, composed) = self.compose(row, resources).await?;
        let (statuses, reasons, written) = match composed {
            Composed::Columns { statuses, reasons, digest } => (statuses, reasons, digest),
            Composed::Found => return Ok(Written::Found),
            Composed::Damaged => {
                warn!(
                    restore_id = id,
                    "a dictionary in Karbor's row is no JSON object; it is left as it is"
                );
                transaction.execute(&NO_ROW, &key).await?;
                return Ok(Written::NotNeeded);
            }
        };
        // A word of Karbor's own that says no less than ours is left.
        let status = match row.karbor_status {
            Some(held) if held.parse::<RestoreStatus>().is_err() && row.status == IN_PROGRESS => {
                held
            }
            _ => row.status,
        };
        let params = [
            statuses.into(),
            reasons.into(),
            status.into(),
            Param::from(now_in_seconds(now)),
            id.into(),
        ];
        expect_one(transaction.execute(&WRITE, &params).await?)?;
        expect_one(transaction.execute(&WRITTEN, &[written.into(), id.into()]).await?)?;
        Ok(Written::Yes)
    }

    /// Reads and writes JSON that may be tens of megabytes: not where leases and heartbeats are
    /// waiting for their turn.
    async fn compose(
        &self,
        row: StateRow,
        resources: Vec<ResourceRow>,
    ) -> Result<(StateRow, Composed), StoreError> {
        let karbor = Arc::clone(&self.karbor);
        let composing = tokio::task::spawn_blocking(move || {
            compose(&row, &resources, &karbor).map(|composed| (row, composed))
        });
        composing.await.unwrap_or_else(|panic| {
            let source = DatabaseFault(format!("the worker failed on it: {panic}"));
            Err(StoreError::Refused { act: WRITE.act, source })
        })
    }
}

fn compose(
    row: &StateRow,
    resources: &[ResourceRow],
    karbor: &KarborRules,
) -> Result<Composed, StoreError> {
    let said = karbor.read(row.resources_status.as_deref(), row.resources_reason.as_deref());
    if said.is_damaged {
        return Ok(Composed::Damaged);
    }
    if karbor_said_more(row, &said, resources)? {
        return Ok(Composed::Found);
    }
    let (statuses, reasons) = dictionaries(resources, &said, karbor)?;
    let digest = digest(statuses.as_deref(), reasons.as_deref());
    Ok(Composed::Columns { statuses, reasons, digest })
}

/// Whether Karbor's row holds anything greater than what we know.
fn karbor_said_more(
    row: &StateRow,
    said: &Said,
    resources: &[ResourceRow],
) -> Result<bool, StoreError> {
    let known = State {
        sequence: row.sequence.map(as_count),
        status: row.status.parse::<RestoreStatus>().map_err(|_| unreadable())?,
        reason: row.reason.clone(),
    };
    let ends = known.ends_resources();
    let held = row.karbor_status.as_deref().and_then(|status| status.parse().ok());
    if held.is_some_and(|status| State { sequence: None, status, reason: None } > known) {
        return Ok(true);
    }
    if said.digest == row.digest {
        return Ok(false);
    }
    for update in &said.updates {
        let key = (update.key.resource_type.as_str(), update.key.resource_id.as_str());
        let known = resources
            .binary_search_by(|row| {
                (row.resource_type.as_str(), row.resource_id.as_str()).cmp(&key)
            })
            .ok()
            .map(|index| state(&resources[index]))
            .transpose()?;
        let said = update.state.clone();
        let counts_as = if ends { said.ended() } else { said };
        if known.is_none_or(|known| counts_as > known) {
            return Ok(true);
        }
    }
    Ok(false)
}

const IN_PROGRESS: &str = "in_progress";

fn now_in_seconds(now: DateTime<Utc>) -> DateTime<Utc> {
    use chrono::SubsecRound;
    now.trunc_subsecs(0)
}

/// The dictionaries of these resources. A word of Karbor's own for one whose status counts as
/// `undefined`, and what is no entry of a resource, stay as they are.
fn dictionaries(
    resources: &[ResourceRow],
    said: &Said,
    rules: &KarborRules,
) -> Result<(Option<String>, Option<String>), StoreError> {
    let hidden = hidden(resources.iter().map(|row| {
        (row.resource_type.as_str(), row.resource_id.as_str(), row.source_id.as_deref())
    }));
    let mut shown = Vec::with_capacity(resources.len());
    for row in resources {
        let (resource_type, resource_id) = (row.resource_type.as_str(), row.resource_id.as_str());
        if hidden.contains(&(resource_type, resource_id)) {
            continue;
        }
        let status: ResourceStatus = row.status.parse().map_err(|_| unreadable())?;
        let word = match status {
            ResourceStatus::Undefined => {
                said.foreign_status(rules, &format!("{resource_type}#{resource_id}"))
            }
            _ => None,
        };
        let status = word.unwrap_or(status.as_str());
        shown.push(Entry { resource_type, resource_id, status, reason: row.reason.as_deref() });
    }
    Ok(write_dictionaries(shown.into_iter(), said))
}

fn state(row: &ResourceRow) -> Result<crate::domain::ResourceState, StoreError> {
    Ok(State {
        sequence: row.sequence.map(as_count),
        status: row.status.parse().map_err(|_| unreadable())?,
        reason: row.reason.clone(),
    })
}

fn expect_one(found: usize) -> Result<(), StoreError> {
    if found == 1 {
        Ok(())
    } else {
        let source = DatabaseFault(format!("{found} rows were found instead of one"));
        Err(StoreError::Refused { act: WRITE.act, source })
    }
}

fn unreadable() -> StoreError {
    let source = DatabaseFault("a status is none that this version knows".to_owned());
    StoreError::Fatal { act: READ.act, source }
}
