//! Old events: which may go, and their deletion, a bounded page at a time.
//!
//! An event stays as long as anybody needs it: beyond its publisher's position it is still to be
//! published, and a restore under way keeps its timeline whole. A publisher's row is not needed for
//! its events: each holds the host it was written on, and one whose publisher was forgotten is
//! published. What is read here may be old when it is deleted, and never wrong: positions do not
//! move backwards, and nothing is ever derived from old events.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer, Text, Timestamp};
use serde::Serialize;

use super::batch::to_json;
use super::pool::Use;
use super::statement::Statement;
use super::{Store, StoreError};
use crate::domain::RestoreId;

/// Where the next page of old events begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldEvent {
    publisher_id: String,
    number: i64,
    occurred_at: NaiveDateTime,
}

/// What one page came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeletedPage {
    /// Events that were deleted.
    pub deleted: u64,
    /// Old events that somebody still needs.
    pub kept: u64,
    /// Where the next page begins; `None` at the end.
    pub next: Option<OldEvent>,
}

/// Reads the columns of [`OldRow`]; a page begins behind the last event of the one before.
macro_rules! old {
    () => {
        "SELECT e.publisher_id, e.number, e.occurred_at, \
         CASE WHEN (p.id IS NULL OR e.number <= p.published_through) \
              AND (s.restore_id IS NULL OR s.final_since IS NOT NULL) THEN 1 ELSE 0 END AS done \
         FROM restore_events e \
         LEFT JOIN restore_publishers p ON p.id = e.publisher_id \
         LEFT JOIN restore_states s ON s.restore_id = e.restore_id \
         WHERE e.occurred_at < ? AND e.occurred_at >= ? AND (e.occurred_at > ? \
             OR e.publisher_id > ? OR (e.publisher_id = ? AND e.number > ?)) \
         ORDER BY e.occurred_at, e.publisher_id, e.number LIMIT ?"
    };
}

const OLD: Statement = Statement::portable("looking for old events", old!());

const DELETE: Statement = Statement {
    act: "deleting old events",
    postgresql: "DELETE FROM restore_events e \
        USING json_to_recordset(?::json) AS d(p text, n bigint) \
        WHERE e.publisher_id = d.p AND e.number = d.n",
    mysql: "DELETE e FROM restore_events e JOIN JSON_TABLE(?, '$[*]' COLUMNS (\
            p VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin PATH '$.p', \
            n BIGINT PATH '$.n')) AS d ON e.publisher_id = d.p AND e.number = d.n",
    sqlite: "DELETE FROM restore_events WHERE (publisher_id, number) IN \
        (SELECT value ->> '$.p', value ->> '$.n' FROM json_each(?))",
};

/// The first event of a restore is its own first transition; what is older than any other goes
/// first.
const FIRST_IS_GONE: Statement = Statement::portable(
    "looking for a restore's first event",
    "SELECT CASE WHEN s.transition >= 1 AND NOT EXISTS (SELECT 1 FROM restore_events e \
         WHERE e.restore_id = s.restore_id AND e.resource_type IS NULL AND e.transition = 1) \
         THEN 1 ELSE 0 END AS gone \
     FROM restore_states s WHERE s.restore_id = ?",
);

#[derive(QueryableByName)]
struct OldRow {
    #[diesel(sql_type = Text)]
    publisher_id: String,
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Timestamp)]
    occurred_at: NaiveDateTime,
    #[diesel(sql_type = Integer)]
    done: i32,
}

#[derive(QueryableByName)]
struct GoneRow {
    #[diesel(sql_type = Integer)]
    gone: i32,
}

#[derive(Serialize)]
struct Key<'a> {
    p: &'a str,
    n: i64,
}

impl Store {
    /// Deletes what may go of the next `limit` events that were committed before `before`, in one
    /// statement that stands alone.
    pub async fn delete_old_events(
        &self,
        before: DateTime<Utc>,
        after: Option<&OldEvent>,
        limit: u32,
    ) -> Result<DeletedPage, StoreError> {
        let (at, publisher, number) = match after {
            Some(last) => (last.occurred_at.and_utc(), last.publisher_id.as_str(), last.number),
            None => (DateTime::UNIX_EPOCH, "", 0),
        };
        let at = self.moment(at);
        let params = [
            self.moment(before),
            at.clone(),
            at,
            publisher.into(),
            publisher.into(),
            number.into(),
            limit.into(),
        ];
        let mut connection = self.pools.connect(OLD.act, Use::Write).await?;
        let rows: Vec<OldRow> = connection.load(&OLD, &params).await?;
        let going = rows.iter().filter(|row| row.done == 1);
        let keys: Vec<_> = going.map(|row| Key { p: &row.publisher_id, n: row.number }).collect();
        if !keys.is_empty() {
            // How many it found is another worker's doing too.
            connection.execute(&DELETE, &[to_json(&keys).into()]).await?;
        }
        let (deleted, all) = (keys.len() as u64, rows.len() as u64);
        let is_full = all >= u64::from(limit);
        let next = rows.into_iter().next_back().filter(|_| is_full).map(|row| OldEvent {
            publisher_id: row.publisher_id,
            number: row.number,
            occurred_at: row.occurred_at,
        });
        Ok(DeletedPage { deleted, kept: all - deleted, next })
    }

    /// Whether the beginning of a restore's timeline was deleted.
    pub async fn earlier_events_deleted(&self, id: RestoreId) -> Result<bool, StoreError> {
        let mut connection = self.pools.connect(FIRST_IS_GONE.act, Use::Read).await?;
        let row: Option<GoneRow> =
            connection.load_one(&FIRST_IS_GONE, &[id.to_string().into()]).await?;
        Ok(row.is_some_and(|row| row.gone == 1))
    }
}
