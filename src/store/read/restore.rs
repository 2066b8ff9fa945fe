//! One restore, from Karbor's row and ours. Gives [`RestoreView`]s; [`super::list`] reads pages of
//! the same rows.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};

use super::super::connection::Connection;
use super::super::hidden::hidden;
use super::super::karbor::KarborRules;
use super::super::pool::Use;
use super::super::statement::{Param, Statement, as_count};
use super::super::{RestoreView, Store, StoreError};
use super::{Shown, count};
use crate::domain::{ResourceKey, ResourceStatus, RestoreId};

/// A row of `restores`, and of `restore_states` where there is one.
#[derive(Debug, QueryableByName)]
pub(super) struct RestoreRow {
    #[diesel(sql_type = Text)]
    pub id: String,
    #[diesel(sql_type = Nullable<Text>)]
    project_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    provider_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    checkpoint_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    restore_target: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    parameters: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    status: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    reason: Option<String>,
    #[diesel(sql_type = Nullable<Timestamp>)]
    created_at: Option<NaiveDateTime>,
    #[diesel(sql_type = Nullable<Timestamp>)]
    updated_at: Option<NaiveDateTime>,
    #[diesel(sql_type = Nullable<Timestamp>)]
    changed_at: Option<NaiveDateTime>,
    /// `None` where only Karbor's table has the restore.
    #[diesel(sql_type = Nullable<BigInt>)]
    expected: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    resources_status: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    resources_reason: Option<String>,
}

/// The columns of [`RestoreRow`], from `restores r` joined with `restore_states s`. The
/// dictionaries may be megabytes, and are read only where there are no rows of ours.
macro_rules! restore_columns {
    () => {
        "r.id AS id, r.project_id AS project_id, r.provider_id AS provider_id, \
         r.checkpoint_id AS checkpoint_id, r.restore_target AS restore_target, \
         r.parameters AS parameters, COALESCE(s.status, r.status) AS status, \
         s.reason AS reason, r.created_at AS created_at, r.updated_at AS updated_at, \
         s.changed_at AS changed_at, s.expected AS expected, \
         CASE WHEN s.restore_id IS NULL THEN r.resources_status END AS resources_status, \
         CASE WHEN s.restore_id IS NULL THEN r.resources_reason END AS resources_reason"
    };
}
pub(super) use restore_columns;

/// The join of both tables. Karbor's MySQL tables are in another character set than ours: without
/// the conversion there, no index of ours would be used.
macro_rules! restore_join {
    () => {
        "restores r LEFT JOIN restore_states s ON s.restore_id = r.id AND (s.transition > 0 OR s.version > 0)"
    };
    (mysql) => {
        "restores r LEFT JOIN restore_states s \
         ON s.restore_id = CONVERT(r.id USING ascii) COLLATE ascii_bin AND (s.transition > 0 OR s.version > 0)"
    };
}
pub(super) use restore_join;

/// As Karbor leaves out what it deleted.
macro_rules! not_deleted {
    () => {
        "(r.deleted IS NULL OR r.deleted = FALSE)"
    };
}
pub(super) use not_deleted;

const FIND_RESTORE: Statement = Statement {
    act: "reading a restore",
    postgresql: concat!(
        "SELECT ",
        restore_columns!(),
        " FROM ",
        restore_join!(),
        " WHERE r.id = ? AND ",
        not_deleted!()
    ),
    mysql: concat!(
        "SELECT ",
        restore_columns!(),
        " FROM ",
        restore_join!(mysql),
        " WHERE r.id = ? AND ",
        not_deleted!()
    ),
    sqlite: concat!(
        "SELECT ",
        restore_columns!(),
        " FROM ",
        restore_join!(),
        " WHERE r.id = ? AND ",
        not_deleted!()
    ),
};

const FIND_PROJECT: Statement = Statement::portable(
    "reading a restore's project",
    concat!(
        "SELECT r.project_id AS project_id FROM restores r WHERE r.id = ? AND ",
        not_deleted!()
    ),
);

const FIND_RESOURCES: Statement = Statement {
    act: "reading the resources of restores",
    postgresql: "SELECT restore_id, resource_type, resource_id, source_id, status, reason \
                 FROM restore_resources \
                 WHERE restore_id IN (SELECT json_array_elements_text(CAST(? AS json))) \
                 ORDER BY restore_id, resource_type, resource_id",
    mysql: "SELECT r.restore_id, r.resource_type, r.resource_id, r.source_id, r.status, r.reason \
            FROM JSON_TABLE(?, '$[*]' COLUMNS (id VARCHAR(36) CHARACTER SET ascii \
            COLLATE ascii_bin PATH '$')) wanted \
            JOIN restore_resources r ON r.restore_id = wanted.id \
            ORDER BY r.restore_id, r.resource_type, r.resource_id",
    sqlite: "SELECT restore_id, resource_type, resource_id, source_id, status, reason \
             FROM restore_resources WHERE restore_id IN (SELECT value FROM json_each(?)) \
             ORDER BY restore_id, resource_type, resource_id",
};

#[derive(QueryableByName)]
struct ProjectRow {
    #[diesel(sql_type = Nullable<Text>)]
    project_id: Option<String>,
}

#[derive(QueryableByName)]
struct ResourceRow {
    #[diesel(sql_type = Text)]
    restore_id: String,
    #[diesel(sql_type = Text)]
    resource_type: String,
    #[diesel(sql_type = Text)]
    resource_id: String,
    #[diesel(sql_type = Nullable<Text>)]
    source_id: Option<String>,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Nullable<Text>)]
    reason: Option<String>,
}

impl Store {
    /// A restore with its resources; `None` where nobody recorded it or it was deleted.
    pub async fn restore_view(&self, id: RestoreId) -> Result<Option<RestoreView>, StoreError> {
        let mut reading = self.pools.begin_read(FIND_RESTORE.act).await?;
        let rows = reading.load(&FIND_RESTORE, &[id.to_string().into()]).await?;
        let views = complete(&mut reading, &self.karbor, rows).await?;
        reading.roll_back().await;
        Ok(views.into_iter().next())
    }

    /// The project of a restore, which says who may see it; `None` where there is no restore to
    /// see.
    pub async fn project_of(&self, id: RestoreId) -> Result<Option<String>, StoreError> {
        let mut connection = self.pools.connect(FIND_PROJECT.act, Use::Read).await?;
        let row: Option<ProjectRow> =
            connection.load_one(&FIND_PROJECT, &[id.to_string().into()]).await?;
        Ok(row.map(|row| row.project_id.unwrap_or_default()))
    }
}

/// Adds their resources, of all of them in one statement. A row whose id is no UUID is none of
/// Karbor's and is left out.
pub(super) async fn complete(
    connection: &mut Connection,
    rules: &KarborRules,
    rows: Vec<RestoreRow>,
) -> Result<Vec<RestoreView>, StoreError> {
    let known: Vec<&str> =
        rows.iter().filter(|row| row.expected.is_some()).map(|row| row.id.as_str()).collect();
    let mut resources: HashMap<String, Vec<ResourceRow>> = HashMap::new();
    if !known.is_empty() {
        let wanted = serde_json::to_string(&known).expect("texts are JSON");
        let found: Vec<ResourceRow> =
            connection.load(&FIND_RESOURCES, &[Param::Text(wanted)]).await?;
        for row in found {
            resources.entry(row.restore_id.clone()).or_default().push(row);
        }
    }
    let views = rows.into_iter().filter_map(|row| {
        let rows = resources.remove(&row.id).unwrap_or_default();
        view(rules, row, &rows)
    });
    Ok(views.collect())
}

fn view(rules: &KarborRules, row: RestoreRow, resources: &[ResourceRow]) -> Option<RestoreView> {
    let id = row.id.parse().ok()?;
    let shown = match row.expected {
        Some(_) => shown_of_rows(resources),
        None => shown_of_columns(rules, &row),
    };
    let counts = count(&shown, row.expected.map_or(0, as_count));
    Some(RestoreView {
        id,
        project_id: row.project_id.unwrap_or_default(),
        provider_id: row.provider_id.unwrap_or_default(),
        checkpoint_id: row.checkpoint_id.unwrap_or_default(),
        restore_target: row.restore_target,
        parameters: row.parameters,
        status: row.status.unwrap_or_default(),
        reason: row.reason,
        created_at: row.created_at.map(|time| time.and_utc()),
        updated_at: row.updated_at.max(row.changed_at).map(|time| time.and_utc()),
        resources: shown,
        counts,
    })
}

/// What the dictionaries show: all that is not hidden.
fn shown_of_rows(rows: &[ResourceRow]) -> Vec<Shown> {
    let hidden = hidden(rows.iter().map(|row| {
        (row.resource_type.as_str(), row.resource_id.as_str(), row.source_id.as_deref())
    }));
    rows.iter()
        .filter(|row| !hidden.contains(&(row.resource_type.as_str(), row.resource_id.as_str())))
        .filter_map(|row| {
            let resource_type = row.resource_type.parse().ok()?;
            let resource_id = row.resource_id.parse().ok()?;
            let key = ResourceKey { resource_type, resource_id };
            Some((key, read_status(&row.status), row.reason.clone()))
        })
        .collect()
}

/// What Karbor's columns say of a restore's resources; `None` where ours are to be read.
pub(super) async fn find_in_columns(
    connection: &mut Connection,
    rules: &KarborRules,
    id: RestoreId,
) -> Result<Option<Vec<Shown>>, StoreError> {
    let row: Option<RestoreRow> =
        connection.load_one(&FIND_RESTORE, &[id.to_string().into()]).await?;
    Ok(row.filter(|row| row.expected.is_none()).map(|row| shown_of_columns(rules, &row)))
}

/// What Karbor's two columns say, where nothing of ours is there yet; read as they will be when
/// the restore is first met.
fn shown_of_columns(rules: &KarborRules, row: &RestoreRow) -> Vec<Shown> {
    let (statuses, reasons) = (row.resources_status.as_deref(), row.resources_reason.as_deref());
    let mut shown: Vec<Shown> = rules
        .read(statuses, reasons)
        .updates
        .into_iter()
        .map(|update| (update.key, update.state.status, update.state.reason))
        .collect();
    shown.sort();
    shown
}

/// A status as it is stored; a word that is none of ours counts as `undefined`.
pub(super) fn read_status(text: &str) -> ResourceStatus {
    text.parse().unwrap_or(ResourceStatus::Undefined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, source: Option<&str>) -> ResourceRow {
        let (resource_type, resource_id) = key.split_once('#').unwrap();
        ResourceRow {
            restore_id: String::new(),
            resource_type: resource_type.to_owned(),
            resource_id: resource_id.to_owned(),
            source_id: source.map(str::to_owned),
            status: "started".to_owned(),
            reason: None,
        }
    }

    #[test]
    fn a_resource_known_by_its_source_is_shown_once() {
        let rows = vec![
            row("N#s1", None),
            row("V#new", Some("s1")),
            row("V#s1", Some("s1")),
            row("V#s2", Some("s2")),
            row("V#next", Some("new")),
        ];
        let shown: Vec<String> =
            shown_of_rows(&rows).into_iter().map(|(key, ..)| key.to_string()).collect();
        assert_eq!(shown, ["N#s1", "V#new", "V#s2", "V#next"]);
    }
}
