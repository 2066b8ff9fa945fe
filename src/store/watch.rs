//! Looks for what Karbor wrote into its `restores` table by itself: restores that are new there,
//! and rows whose status or dictionaries are not what we last wrote or merged. Only reads; a batch
//! with [`Command::TakeIn`](crate::domain::Command::TakeIn) looks again under the locks.
//!
//! Of the restores under way and of the last day it costs an index range; the whole table is read
//! page by page.

use diesel::QueryableByName;
use diesel::sql_types::{Integer, Text};

use chrono::{DateTime, Utc};

use super::pool::Use;
use super::statement::{Param, Statement};
use super::{Store, StoreError};
use crate::domain::RestoreId;

/// What is to be done about Karbor's table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Noticed {
    /// Restores whose row says something that was not merged.
    pub changed: Vec<RestoreId>,
    /// Restores of ours whose row was deleted, or is gone: they are watched no more.
    pub gone: Vec<RestoreId>,
}

/// A page of the whole table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoticedPage {
    /// What is to be done.
    pub noticed: Noticed,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
}

/// The digest of Karbor's dictionaries, as `store::karbor::digest` makes it.
macro_rules! digest {
    (postgresql) => {
        "CASE WHEN r.resources_status IS NULL AND r.resources_reason IS NULL THEN '' ELSE \
         encode(sha256(convert_to(COALESCE(r.resources_status, '') || chr(10) || \
         COALESCE(r.resources_reason, ''), 'UTF8')), 'hex') END"
    };
    (mysql) => {
        "CONVERT(CASE WHEN r.resources_status IS NULL AND r.resources_reason IS NULL THEN '' ELSE \
         SHA2(CONCAT(CONVERT(COALESCE(r.resources_status, '') USING utf8mb4), '\\n', \
         CONVERT(COALESCE(r.resources_reason, '') USING utf8mb4)), 256) END USING ascii) \
         COLLATE ascii_bin"
    };
    (sqlite) => {
        "COALESCE(dictionaries_digest(r.resources_status, r.resources_reason), '')"
    };
}

/// Whether Karbor's row says what was not merged, or not what we wrote: a word of its own says no
/// less than `in_progress`.
macro_rules! changed {
    ($dialect:ident) => {
        concat!(
            "(CASE WHEN r.status IN ('in_progress', 'fail', 'success') THEN r.status <> s.status \
             ELSE s.status <> 'in_progress' END OR COALESCE(s.digest, '') <> ",
            digest!($dialect),
            ")"
        )
    };
}

macro_rules! deleted {
    () => {
        "(r.id IS NULL OR COALESCE(r.deleted, FALSE) = TRUE)"
    };
}

/// Restores under way and of the last day, then those that are new in Karbor's table.
macro_rules! recent {
    ($dialect:ident, $day_ago:literal, $ours:literal) => {
        concat!(
            "SELECT s.restore_id AS id, CASE WHEN ",
            deleted!(),
            " THEN 1 ELSE 0 END AS gone, 1 AS changed \
             FROM restore_states s LEFT JOIN restores r ON r.id = s.restore_id \
             WHERE (s.final_since IS NULL OR s.final_since >= ",
            $day_ago,
            ") AND CASE WHEN ",
            deleted!(),
            " THEN s.final_since IS NULL ELSE ",
            changed!($dialect),
            " END UNION ALL SELECT r.id AS id, 0 AS gone, 1 AS changed \
             FROM restores r LEFT JOIN restore_states s ON ",
            $ours,
            " WHERE r.created_at >= ",
            $day_ago,
            " AND s.restore_id IS NULL AND NOT ",
            deleted!(),
            " LIMIT ?"
        )
    };
}

/// `now()`, since the planner uses no index for a volatile `clock_timestamp()`.
const RECENT: Statement = Statement {
    act: "looking for what Karbor wrote",
    postgresql: recent!(
        postgresql,
        "(now() AT TIME ZONE 'UTC') - interval '1 day'",
        "s.restore_id = r.id"
    ),
    mysql: recent!(
        mysql,
        "UTC_TIMESTAMP(6) - INTERVAL 1 DAY",
        "s.restore_id = CONVERT(r.id USING ascii) COLLATE ascii_bin"
    ),
    sqlite: recent!(
        sqlite,
        "strftime('%Y-%m-%d %H:%M:%f', 'now', '-1 day')",
        "s.restore_id = r.id"
    ),
};

macro_rules! page {
    ($dialect:ident, $ours:literal) => {
        concat!(
            "SELECT r.id AS id, CASE WHEN ",
            deleted!(),
            " AND s.restore_id IS NOT NULL AND s.final_since IS NULL THEN 1 ELSE 0 END AS gone, \
             CASE WHEN ",
            deleted!(),
            " THEN 0 WHEN s.restore_id IS NULL OR ",
            changed!($dialect),
            " THEN 1 ELSE 0 END AS changed FROM restores r LEFT JOIN restore_states s ON ",
            $ours,
            " WHERE r.id > ? ORDER BY r.id LIMIT ?"
        )
    };
}

const PAGE: Statement = Statement {
    act: "looking through Karbor's table",
    postgresql: page!(postgresql, "s.restore_id = r.id"),
    mysql: page!(mysql, "s.restore_id = CONVERT(r.id USING ascii) COLLATE ascii_bin"),
    sqlite: page!(sqlite, "s.restore_id = r.id"),
};

/// A worker of the version before does not write the column.
const FINAL: Statement = Statement::portable(
    "noting which restores are final",
    "UPDATE restore_states SET final_since = changed_at \
     WHERE final_since IS NULL AND status <> 'in_progress'",
);

const GONE: Statement = Statement {
    act: "noting which restores are gone",
    postgresql: "UPDATE restore_states SET final_since = clock_timestamp() AT TIME ZONE 'UTC' \
        WHERE restore_id = ? AND final_since IS NULL",
    mysql: "UPDATE restore_states SET final_since = UTC_TIMESTAMP(6) \
        WHERE restore_id = ? AND final_since IS NULL",
    sqlite: "UPDATE restore_states SET final_since = strftime('%Y-%m-%d %H:%M:%f', 'now') \
        WHERE restore_id = ? AND final_since IS NULL",
};

const SILENT: Statement = Statement::portable(
    "looking for restores that stalled",
    "SELECT restore_id AS id, 0 AS gone, 1 AS changed FROM restore_states \
     WHERE final_since IS NULL AND stalled = 0 AND status = 'in_progress' AND last_heard_at <= ? \
     LIMIT ?",
);

#[derive(QueryableByName)]
struct NoticedRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Integer)]
    gone: i32,
    #[diesel(sql_type = Integer)]
    changed: i32,
}

impl Noticed {
    fn of(rows: &[NoticedRow]) -> Self {
        let mut noticed = Self::default();
        for row in rows {
            let list = match (row.gone, row.changed) {
                (0, 0) => continue,
                (0, _) => &mut noticed.changed,
                (_, _) => &mut noticed.gone,
            };
            // Our rows have ids of one spelling; a row of Karbor's whose id is none is not ours.
            list.extend(row.id.parse::<RestoreId>().ok().filter(|id| id.to_string() == row.id));
        }
        noticed
    }
}

impl Store {
    /// What Karbor wrote of the restores under way and of the last day; at most `limit` restores.
    pub async fn notice_recent(&self, limit: u32) -> Result<Noticed, StoreError> {
        Ok(Noticed::of(&self.read_noticed(&RECENT, &[limit.into()]).await?))
    }

    /// What Karbor wrote of the `limit` restores of the whole table that follow `after`.
    pub async fn notice_page(&self, after: &str, limit: u32) -> Result<NoticedPage, StoreError> {
        let rows = self.read_noticed(&PAGE, &[after.into(), limit.into()]).await?;
        let full = rows.len() as u64 >= u64::from(limit);
        let next = rows.last().filter(|_| full).map(|row| row.id.clone());
        Ok(NoticedPage { noticed: Noticed::of(&rows), next })
    }

    /// Restores under way of which nothing was heard since `since`, and nobody was told; at most
    /// `limit`.
    pub async fn silent_restores(
        &self,
        since: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<RestoreId>, StoreError> {
        let rows = self.read_noticed(&SILENT, &[Param::from(since), limit.into()]).await?;
        Ok(Noticed::of(&rows).changed)
    }

    /// Watches these no more.
    pub async fn forget_gone(&self, gone: &[RestoreId]) -> Result<(), StoreError> {
        let mut connection = self.pools.connect(GONE.act, Use::Write).await?;
        for id in gone {
            connection.execute(&GONE, &[id.to_string().into()]).await?;
        }
        Ok(())
    }

    /// Notes which restores are final where a worker of the version before did not.
    pub async fn note_final(&self) -> Result<(), StoreError> {
        let mut connection = self.pools.connect(FINAL.act, Use::Write).await?;
        connection.execute(&FINAL, &[]).await?;
        Ok(())
    }

    async fn read_noticed(
        &self,
        statement: &Statement,
        params: &[Param],
    ) -> Result<Vec<NoticedRow>, StoreError> {
        let mut connection = self.pools.connect(statement.act, Use::Read).await?;
        connection.load(statement, params).await
    }
}
