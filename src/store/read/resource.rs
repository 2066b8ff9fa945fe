//! A restore's resources line by line, and how many stand where.
//!
//! Two kinds of lines: resources that were reported, and expected ones that no resource of their
//! type names as its source. Hidden ones are not listed.

use chrono::NaiveDateTime;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};

use super::super::hidden::is_hidden;
use super::super::pool::Use;
use super::super::statement::{Statement, as_count};
use super::super::{ResourceLine, ResourceQuery, Store, StoreError};
use super::restore::{find_in_columns, read_status};
use super::{Shown, count};
use crate::domain::{Counts, ResourceStatus, RestoreId};

const COUNT_RESOURCES: Statement = Statement::portable(
    "counting a restore's resources",
    concat!(
        "SELECT r.status AS word, COUNT(*) AS amount FROM restore_resources r \
         WHERE r.restore_id = ? AND NOT ",
        is_hidden!(),
        " GROUP BY r.status \
         UNION ALL SELECT 'expected' AS word, s.expected AS amount FROM restore_states s \
         WHERE s.restore_id = ? AND (s.transition > 0 OR s.version > 0)"
    ),
);

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = Text)]
    word: String,
    #[diesel(sql_type = BigInt)]
    amount: i64,
}

#[derive(QueryableByName)]
struct LineRow {
    #[diesel(sql_type = Text)]
    resource_type: String,
    #[diesel(sql_type = Nullable<Text>)]
    resource_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    source_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    status: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    reason: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    sequence: Option<i64>,
    #[diesel(sql_type = Nullable<Timestamp>)]
    changed_at: Option<NaiveDateTime>,
}

impl Store {
    /// A page of a restore's resources: the reported ones by type and id, then the expected ones
    /// not begun by type and source.
    pub async fn resource_lines(
        &self,
        id: RestoreId,
        query: &ResourceQuery,
    ) -> Result<Vec<ResourceLine>, StoreError> {
        let act = "reading a restore's resources";
        let text = compose(query);
        let restore = id.to_string();
        let params =
            [restore.clone().into(), restore.into(), query.limit.into(), query.offset.into()];
        let mut connection = self.pools.connect(act, Use::Read).await?;
        let rows: Vec<LineRow> = connection.load_text(act, &text, &params).await?;
        if rows.is_empty()
            && let Some(shown) = find_in_columns(&mut connection, &self.karbor, id).await?
        {
            return Ok(page_of_columns(shown, query));
        }
        Ok(rows.into_iter().filter_map(line).collect())
    }

    /// How a restore's resources stand; all zero where there is no such restore.
    pub async fn resource_counts(&self, id: RestoreId) -> Result<Counts, StoreError> {
        let mut connection = self.pools.connect(COUNT_RESOURCES.act, Use::Read).await?;
        let restore = id.to_string();
        let rows: Vec<CountRow> =
            connection.load(&COUNT_RESOURCES, &[restore.clone().into(), restore.into()]).await?;
        if rows.is_empty()
            && let Some(shown) = find_in_columns(&mut connection, &self.karbor, id).await?
        {
            return Ok(count(&shown, 0));
        }
        let mut counts = Counts::default();
        for row in rows {
            let amount = as_count(row.amount);
            if row.word == "expected" {
                counts.expected = amount;
            } else {
                *counts.of_mut(read_status(&row.word)) += amount;
            }
        }
        Ok(counts)
    }
}

/// One text for each set of statuses: 64 at most. Takes the restore's id twice, limit, offset.
fn compose(query: &ResourceQuery) -> String {
    let wanted: Vec<String> = ResourceStatus::ALL
        .iter()
        .filter(|status| query.statuses.contains(status))
        .map(|status| format!("'{status}'"))
        .collect();
    let reported = match wanted.len() {
        0 => "AND 1 = 0".to_owned(),
        n if n == ResourceStatus::ALL.len() => String::new(),
        _ => format!("AND r.status IN ({})", wanted.join(", ")),
    };
    let hidden = is_hidden!();
    let expected = if query.not_begun { "" } else { "AND 1 = 0" };
    format!(
        "SELECT 0 AS part, r.resource_type AS resource_type, r.resource_id AS place, \
         r.resource_id AS resource_id, r.source_id AS source_id, r.name AS name, \
         r.status AS status, r.reason AS reason, r.sequence AS sequence, \
         r.changed_at AS changed_at FROM restore_resources r \
         WHERE r.restore_id = ? {reported} AND NOT {hidden} \
         UNION ALL SELECT 1 AS part, e.resource_type AS resource_type, e.source_id AS place, \
         NULL AS resource_id, e.source_id AS source_id, e.name AS name, \
         NULL AS status, NULL AS reason, NULL AS sequence, NULL AS changed_at \
         FROM restore_expected_resources e WHERE e.restore_id = ? {expected} \
         AND NOT EXISTS (SELECT 1 FROM restore_resources o WHERE o.restore_id = e.restore_id \
         AND o.resource_type = e.resource_type AND o.source_id = e.source_id) \
         ORDER BY part, resource_type, place LIMIT ? OFFSET ?"
    )
}

/// `None` for keys that are none of ours, which validation never lets in.
fn line(row: LineRow) -> Option<ResourceLine> {
    Some(ResourceLine {
        resource_type: row.resource_type.parse().ok()?,
        resource_id: row.resource_id.map(|id| id.parse()).transpose().ok()?,
        source_id: row.source_id.map(|id| id.parse()).transpose().ok()?,
        name: row.name,
        status: row.status.as_deref().map(read_status),
        reason: row.reason,
        sequence: row.sequence.map(as_count),
        since: row.changed_at.map(|time| time.and_utc()),
    })
}

fn page_of_columns(shown: Vec<Shown>, query: &ResourceQuery) -> Vec<ResourceLine> {
    let skip = usize::try_from(query.offset).unwrap_or(usize::MAX);
    shown
        .into_iter()
        .filter(|(_, status, _)| query.statuses.contains(status))
        .skip(skip)
        .take(query.limit as usize)
        .map(|(key, status, reason)| ResourceLine {
            resource_type: key.resource_type,
            resource_id: Some(key.resource_id),
            source_id: None,
            name: None,
            status: Some(status),
            reason,
            sequence: None,
            since: None,
        })
        .collect()
}
