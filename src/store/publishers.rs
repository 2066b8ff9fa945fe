//! Publishers: workers as the writers of events. A running one holds a lease, by the database's
//! clock; whoever finds a lease that ran out closes that publisher, and a closed one writes no
//! more, since each batch begins by writing its own publisher's row.
//!
//! Positions never move backwards, and no lock is held while anything is published.

use std::time::Duration;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};
use uuid::Uuid;

use super::batch::to_json;
use super::connection::Connection;
use super::pool::Use;
use super::statement::{Param, Statement, as_count, as_number};
use super::{LeftBehind, Publisher, Store, StoreError};
use crate::domain::PublisherId;

/// A row that is there is this publisher's own, of an attempt whose answer was lost.
const OPEN: Statement = Statement {
    act: "opening a publisher",
    postgresql: "INSERT INTO restore_publishers (lease_until, id, host, published_through, closed) \
        VALUES ((clock_timestamp() AT TIME ZONE 'UTC') + ? * interval '1 microsecond', ?, ?, 0, 0) \
        ON CONFLICT (id) DO NOTHING",
    mysql: "INSERT INTO restore_publishers (lease_until, id, host, published_through, closed) \
        VALUES (UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, ?, ?, 0, 0) \
        ON DUPLICATE KEY UPDATE id = id",
    sqlite: "INSERT INTO restore_publishers (lease_until, id, host, published_through, closed) \
        VALUES (strftime('%Y-%m-%d %H:%M:%f', 'now', (? / 1000000.0) || ' seconds'), ?, ?, 0, 0) \
        ON CONFLICT (id) DO NOTHING",
};

/// The fence: a closed publisher finds no row.
const RENEW: Statement = Statement {
    act: "renewing a publisher's lease",
    postgresql: "UPDATE restore_publishers SET published_through = GREATEST(published_through, ?), \
        lease_until = (clock_timestamp() AT TIME ZONE 'UTC') + ? * interval '1 microsecond' \
        WHERE id = ? AND closed = 0",
    mysql: "UPDATE restore_publishers SET published_through = GREATEST(published_through, ?), \
        lease_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND WHERE id = ? AND closed = 0",
    sqlite: "UPDATE restore_publishers SET published_through = MAX(published_through, ?), \
        lease_until = strftime('%Y-%m-%d %H:%M:%f', 'now', (? / 1000000.0) || ' seconds') \
        WHERE id = ? AND closed = 0",
};

const CLOSE: Statement = Statement::portable(
    "closing a publisher",
    "UPDATE restore_publishers SET closed = 1 WHERE id = ? AND closed = 0",
);

const EXPIRED: Statement = Statement {
    act: "looking for leases that ran out",
    postgresql: "SELECT id FROM restore_publishers \
        WHERE closed = 0 AND lease_until < (clock_timestamp() AT TIME ZONE 'UTC')",
    mysql: "SELECT id FROM restore_publishers WHERE closed = 0 AND lease_until < UTC_TIMESTAMP(6)",
    sqlite: "SELECT id FROM restore_publishers \
        WHERE closed = 0 AND lease_until < strftime('%Y-%m-%d %H:%M:%f', 'now')",
};

/// Looks at the lease again, under the row's lock that an UPDATE takes first.
const CLOSE_EXPIRED: Statement = Statement {
    act: "closing an expired publisher",
    postgresql: "UPDATE restore_publishers SET closed = 1 \
        WHERE id = ? AND closed = 0 AND lease_until < (clock_timestamp() AT TIME ZONE 'UTC')",
    mysql: "UPDATE restore_publishers SET closed = 1 \
        WHERE id = ? AND closed = 0 AND lease_until < UTC_TIMESTAMP(6)",
    sqlite: "UPDATE restore_publishers SET closed = 1 \
        WHERE id = ? AND closed = 0 AND lease_until < strftime('%Y-%m-%d %H:%M:%f', 'now')",
};

const LEFT_BEHIND: Statement = Statement::portable(
    "looking for what closed publishers left",
    "SELECT p.id, p.host, p.published_through FROM restore_publishers p WHERE p.closed = 1 \
     AND EXISTS (SELECT 1 FROM restore_events e \
                 WHERE e.publisher_id = p.id AND e.number > p.published_through) \
     ORDER BY CASE WHEN p.host = ? THEN 0 ELSE 1 END, p.id",
);

const MOVE: Statement = Statement::portable(
    "moving a closed publisher's position",
    "UPDATE restore_publishers SET published_through = ? \
     WHERE id = ? AND closed = 1 AND published_through < ?",
);

const LOCK_CLOSED: Statement = Statement {
    act: "forgetting publishers",
    postgresql: "SELECT id FROM restore_publishers WHERE closed = 1 ORDER BY id FOR UPDATE SKIP LOCKED",
    mysql: "SELECT id FROM restore_publishers WHERE closed = 1 ORDER BY id FOR UPDATE SKIP LOCKED",
    sqlite: "SELECT id FROM restore_publishers WHERE closed = 1",
};

const FORGET: Statement = Statement {
    act: "forgetting publishers",
    postgresql: "DELETE FROM restore_publishers WHERE closed = 1 \
        AND id IN (SELECT json_array_elements_text(?::json)) \
        AND NOT EXISTS (SELECT 1 FROM restore_events e WHERE e.publisher_id = restore_publishers.id \
                        AND e.number > restore_publishers.published_through)",
    mysql: "DELETE FROM restore_publishers WHERE closed = 1 \
        AND id IN (SELECT x.i FROM JSON_TABLE(?, '$[*]' COLUMNS (\
            i VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS x) \
        AND NOT EXISTS (SELECT 1 FROM restore_events e WHERE e.publisher_id = restore_publishers.id \
                        AND e.number > restore_publishers.published_through)",
    sqlite: "DELETE FROM restore_publishers WHERE closed = 1 \
        AND id IN (SELECT value FROM json_each(?)) \
        AND NOT EXISTS (SELECT 1 FROM restore_events e WHERE e.publisher_id = restore_publishers.id \
                        AND e.number > restore_publishers.published_through)",
};

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = Text)]
    id: String,
}

#[derive(QueryableByName)]
struct LeftBehindRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    host: String,
    #[diesel(sql_type = BigInt)]
    published_through: i64,
}

/// Writes the publisher's row: its position and its lease. The first statement of each batch.
pub(super) async fn fence(
    connection: &mut Connection,
    id: PublisherId,
    published_through: u64,
    lease: Duration,
) -> Result<(), StoreError> {
    let params = [published_through.into(), microseconds(lease), id.to_string().into()];
    match connection.execute(&RENEW, &params).await? {
        0 => Err(StoreError::Fenced),
        _ => Ok(()),
    }
}

fn microseconds(duration: Duration) -> Param {
    Param::Number(as_number(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
}

impl Store {
    /// Begins a publisher, under an id that no other has. After a failure it may have begun all the
    /// same: another attempt under the same id finds it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] once it is closed, its lease having run out between two attempts.
    pub async fn open_publisher(
        &self,
        id: PublisherId,
        host: &str,
    ) -> Result<Publisher, StoreError> {
        let mut connection = self.pools.connect(OPEN.act, Use::Write).await?;
        let params = [microseconds(self.lease), id.to_string().into(), host.into()];
        connection.execute(&OPEN, &params).await?;
        fence(&mut connection, id, 0, self.lease).await?;
        Ok(Publisher { id, host: host.to_owned(), next_number: 1 })
    }

    /// Renews a publisher's lease and moves its position, never backwards.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] once it is closed.
    pub async fn renew_publisher(
        &self,
        id: PublisherId,
        published_through: u64,
    ) -> Result<(), StoreError> {
        let mut connection = self.pools.connect(RENEW.act, Use::Write).await?;
        fence(&mut connection, id, published_through, self.lease).await
    }

    /// Closes a publisher: its own worker's act, at the end or in doubt. Closed already is fine.
    pub async fn close_publisher(&self, id: PublisherId) -> Result<(), StoreError> {
        let mut connection = self.pools.connect(CLOSE.act, Use::Write).await?;
        connection.execute(&CLOSE, &[id.to_string().into()]).await?;
        Ok(())
    }

    /// Closes every publisher whose lease ran out, whichever host it is of, and says which were
    /// closed by this very call.
    pub async fn close_expired_publishers(&self) -> Result<Vec<PublisherId>, StoreError> {
        let mut connection = self.pools.connect(EXPIRED.act, Use::Write).await?;
        let expired: Vec<IdRow> = connection.load(&EXPIRED, &[]).await?;
        let mut closed = Vec::new();
        for row in expired {
            if connection.execute(&CLOSE_EXPIRED, &[row.id.as_str().into()]).await? > 0 {
                closed.extend(parse(&row.id));
            }
        }
        Ok(closed)
    }

    /// Closed publishers with events beyond their position, those of `host` first.
    pub async fn left_behind(&self, host: &str) -> Result<Vec<LeftBehind>, StoreError> {
        let mut connection = self.pools.connect(LEFT_BEHIND.act, Use::Read).await?;
        let rows: Vec<LeftBehindRow> = connection.load(&LEFT_BEHIND, &[host.into()]).await?;
        let left = rows.into_iter().filter_map(|row| {
            let published_through = as_count(row.published_through);
            parse(&row.id).map(|id| LeftBehind { id, host: row.host, published_through })
        });
        Ok(left.collect())
    }

    /// Moves a closed publisher's position, never backwards.
    pub async fn move_left_behind(
        &self,
        id: PublisherId,
        published_through: u64,
    ) -> Result<(), StoreError> {
        let mut connection = self.pools.connect(MOVE.act, Use::Write).await?;
        let params = [published_through.into(), id.to_string().into(), published_through.into()];
        connection.execute(&MOVE, &params).await?;
        Ok(())
    }

    /// Forgets closed publishers with nothing beyond their position; gives how many.
    pub async fn forget_publishers(&self) -> Result<u64, StoreError> {
        let mut transaction = self.pools.begin(FORGET.act).await?;
        let closed: Vec<IdRow> = transaction.load(&LOCK_CLOSED, &[]).await?;
        let ids: Vec<&str> = closed.iter().map(|row| row.id.as_str()).collect();
        let forgotten = if ids.is_empty() {
            0
        } else {
            transaction.execute(&FORGET, &[to_json(&ids).into()]).await?
        };
        transaction.commit().await?;
        Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
    }
}

fn parse(id: &str) -> Option<PublisherId> {
    Uuid::parse_str(id).ok().map(PublisherId)
}
