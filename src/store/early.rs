//! Updates that came before their restore, at rest: by the batch that could not apply them, until
//! the keeper finds their restore in Karbor's table, or gives up. Holds no token.

use std::time::Duration;

use chrono::NaiveDateTime;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use super::batch::to_json;
use super::connection::Connection;
use super::pool::Use;
use super::statement::{Statement, as_count};
use super::{EarlyMessage, EarlyUpdate, Store, StoreError};
use crate::domain::RestoreId;

const INSERT: Statement = Statement {
    act: "storing early updates",
    postgresql: "INSERT INTO restore_early_updates \
        (id, restore_id, received_at, unique_id, queue, properties, body) \
        SELECT i, r, clock_timestamp() AT TIME ZONE 'UTC', u, q, p, b FROM json_to_recordset(?::json) \
        AS x(i text, r text, u text, q text, p text, b text)",
    mysql: "INSERT INTO restore_early_updates \
        (id, restore_id, received_at, unique_id, queue, properties, body) \
        SELECT i, r, UTC_TIMESTAMP(6), u, q, p, b FROM JSON_TABLE(?, '$[*]' COLUMNS (\
        i VARCHAR(36) PATH '$.i' ERROR ON ERROR, r VARCHAR(36) PATH '$.r' ERROR ON ERROR, \
        u VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.u' ERROR ON ERROR, \
        q VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.q' ERROR ON ERROR, \
        p LONGTEXT CHARACTER SET utf8mb4 PATH '$.p' ERROR ON ERROR, \
        b LONGTEXT CHARACTER SET utf8mb4 PATH '$.b' ERROR ON ERROR)) AS x",
    sqlite: "INSERT INTO restore_early_updates \
        (id, restore_id, received_at, unique_id, queue, properties, body) \
        SELECT value ->> '$.i', value ->> '$.r', strftime('%Y-%m-%d %H:%M:%f', 'now'), \
        value ->> '$.u', value ->> '$.q', value ->> '$.p', value ->> '$.b' FROM json_each(?)",
};

const REMOVE: Statement = Statement {
    act: "removing early updates",
    postgresql: "DELETE FROM restore_early_updates \
        WHERE id IN (SELECT json_array_elements_text(?::json))",
    mysql: "DELETE FROM restore_early_updates WHERE id IN (SELECT x.i FROM JSON_TABLE(?, '$[*]' \
        COLUMNS (i VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS x)",
    sqlite: "DELETE FROM restore_early_updates WHERE id IN (SELECT value FROM json_each(?))",
};

/// Ids are UUIDs of version 7: their order is that of arrival.
const DUE: Statement = Statement::portable(
    "reading early updates that are due",
    "SELECT e.id, e.restore_id, e.received_at, e.unique_id, e.queue, e.properties, e.body \
     FROM restore_early_updates e JOIN restores r ON r.id = e.restore_id ORDER BY e.id LIMIT ?",
);

const EXPIRED: Statement = Statement {
    act: "reading early updates that waited too long",
    postgresql: "SELECT id, restore_id, received_at, unique_id, queue, properties, body \
        FROM restore_early_updates \
        WHERE received_at < (clock_timestamp() AT TIME ZONE 'UTC') - ? * interval '1 microsecond' \
        ORDER BY received_at, id LIMIT ?",
    mysql: "SELECT id, restore_id, received_at, unique_id, queue, properties, body \
        FROM restore_early_updates WHERE received_at < UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND \
        ORDER BY received_at, id LIMIT ?",
    sqlite: "SELECT id, restore_id, received_at, unique_id, queue, properties, body \
        FROM restore_early_updates \
        WHERE received_at < strftime('%Y-%m-%d %H:%M:%f', 'now', (? / -1000000.0) || ' seconds') \
        ORDER BY received_at, id LIMIT ?",
};

/// Postpones one that waited too long. Of two that postpone the same row, the second finds one
/// that is not due yet.
const POSTPONE: Statement = Statement {
    act: "claiming an early update that waited too long",
    postgresql: "UPDATE restore_early_updates \
        SET received_at = (clock_timestamp() AT TIME ZONE 'UTC') - ? * interval '1 microsecond' \
        WHERE id = ? \
        AND received_at < (clock_timestamp() AT TIME ZONE 'UTC') - ? * interval '1 microsecond'",
    mysql: "UPDATE restore_early_updates \
        SET received_at = UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND \
        WHERE id = ? AND received_at < UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND",
    sqlite: "UPDATE restore_early_updates \
        SET received_at = strftime('%Y-%m-%d %H:%M:%f', 'now', (? / -1000000.0) || ' seconds') \
        WHERE id = ? \
        AND received_at < strftime('%Y-%m-%d %H:%M:%f', 'now', (? / -1000000.0) || ' seconds')",
};

/// How long a worker has for giving up on an early update before another may.
const CLAIM: Duration = Duration::from_secs(60);

const COUNT: Statement = Statement {
    act: "counting early updates",
    postgresql: "SELECT COUNT(*) AS number, CAST(EXTRACT(EPOCH FROM \
        (clock_timestamp() AT TIME ZONE 'UTC') - MIN(received_at)) * 1000000 AS BIGINT) AS age \
        FROM restore_early_updates",
    mysql: "SELECT COUNT(*) AS number, \
        TIMESTAMPDIFF(MICROSECOND, MIN(received_at), UTC_TIMESTAMP(6)) AS age \
        FROM restore_early_updates",
    sqlite: "SELECT COUNT(*) AS number, CAST((julianday('now') - julianday(MIN(received_at))) \
        * 86400000000 AS INTEGER) AS age FROM restore_early_updates",
};

#[derive(QueryableByName)]
struct EarlyRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    restore_id: String,
    #[diesel(sql_type = Timestamp)]
    received_at: NaiveDateTime,
    #[diesel(sql_type = Text)]
    unique_id: String,
    #[diesel(sql_type = Text)]
    queue: String,
    #[diesel(sql_type = Text)]
    properties: String,
    #[diesel(sql_type = Text)]
    body: String,
}

impl EarlyRow {
    fn into_update(self) -> Option<EarlyUpdate> {
        let Self { id, restore_id, received_at, unique_id, queue, properties, body } = self;
        Some(EarlyUpdate {
            id: id.parse().ok()?,
            restore_id: restore_id.parse().ok()?,
            received_at: received_at.and_utc(),
            message: EarlyMessage { unique_id, queue, properties, body },
        })
    }
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    age: Option<i64>,
}

#[derive(Serialize)]
struct EarlyJson<'a> {
    i: String,
    r: String,
    u: &'a str,
    q: &'a str,
    p: &'a str,
    b: &'a str,
}

/// Stores updates that wait from now on, in the transaction of `connection`.
pub(super) async fn insert(
    connection: &mut Connection,
    updates: &[(RestoreId, &EarlyMessage)],
) -> Result<(), StoreError> {
    if updates.is_empty() {
        return Ok(());
    }
    let rows: Vec<EarlyJson> = updates
        .iter()
        .map(|(restore_id, message)| EarlyJson {
            i: Uuid::now_v7().to_string(),
            r: restore_id.to_string(),
            u: &message.unique_id,
            q: &message.queue,
            p: &message.properties,
            b: &message.body,
        })
        .collect();
    connection.execute(&INSERT, &[to_json(&rows).into()]).await?;
    Ok(())
}

/// Removes rows; those that another worker removed are fine.
pub(super) async fn remove(connection: &mut Connection, ids: &[Uuid]) -> Result<u64, StoreError> {
    if ids.is_empty() {
        return Ok(0);
    }
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let removed = connection.execute(&REMOVE, &[to_json(&ids).into()]).await?;
    Ok(u64::try_from(removed).unwrap_or(u64::MAX))
}

impl Store {
    /// Early updates whose restore Karbor's table has now, oldest first.
    pub async fn early_updates_due(&self, limit: u32) -> Result<Vec<EarlyUpdate>, StoreError> {
        let mut connection = self.pools.connect(DUE.act, Use::Read).await?;
        let rows: Vec<EarlyRow> = connection.load(&DUE, &[limit.into()]).await?;
        Ok(rows.into_iter().filter_map(EarlyRow::into_update).collect())
    }

    /// Early updates that have waited for longer than `older_than`, by the database's clock,
    /// oldest first.
    pub async fn early_updates_expired(
        &self,
        older_than: Duration,
        limit: u32,
    ) -> Result<Vec<EarlyUpdate>, StoreError> {
        let mut connection = self.pools.connect(EXPIRED.act, Use::Read).await?;
        let age = u64::try_from(older_than.as_micros()).unwrap_or(u64::MAX);
        let rows: Vec<EarlyRow> = connection.load(&EXPIRED, &[age.into(), limit.into()]).await?;
        Ok(rows.into_iter().filter_map(EarlyRow::into_update).collect())
    }

    /// Takes an early update that [`Self::early_updates_expired`] gave for this worker alone: true
    /// for one of all that try. Its row is postponed by a minute, so that another gives up on it
    /// should this worker die before it removes the row.
    pub async fn claim_expired_early_update(
        &self,
        id: Uuid,
        older_than: Duration,
    ) -> Result<bool, StoreError> {
        let mut connection = self.pools.connect(POSTPONE.act, Use::Write).await?;
        let microseconds = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let age = microseconds(older_than);
        let params = [(age - microseconds(CLAIM)).into(), id.to_string().into(), age.into()];
        Ok(connection.execute(&POSTPONE, &params).await? > 0)
    }

    /// Removes early updates, once they are kept elsewhere; gives how many were still there.
    pub async fn remove_early_updates(&self, ids: &[Uuid]) -> Result<u64, StoreError> {
        let mut connection = self.pools.connect(REMOVE.act, Use::Write).await?;
        remove(&mut connection, ids).await
    }

    /// How many early updates wait.
    pub async fn count_early_updates(&self) -> Result<u64, StoreError> {
        Ok(as_count(self.early_counts().await?.number))
    }

    /// How long the oldest early update has waited; `None` where none waits.
    pub async fn oldest_early_update(&self) -> Result<Option<Duration>, StoreError> {
        let age = self.early_counts().await?.age;
        Ok(age.map(|age| Duration::from_micros(as_count(age))))
    }

    async fn early_counts(&self) -> Result<CountRow, StoreError> {
        let mut connection = self.pools.connect(COUNT.act, Use::Read).await?;
        let row = connection.load_one(&COUNT, &[]).await?;
        Ok(row.unwrap_or(CountRow { number: 0, age: None }))
    }
}
