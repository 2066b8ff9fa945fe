//! Pages of restores, sorted and filtered by Karbor's columns, after a marker.
//!
//! A page begins behind the marker in the order of the sort keys, as oslo.db's `paginate_query`
//! has it; unlike there, rows without a value are neither lost nor repeated. The text depends on
//! the columns asked for and on nothing else: values are always bound.

use chrono::NaiveDateTime;

use super::super::statement::Param;
use super::super::{Dialect, Direction, ListQuery, RestoreColumn, RestoreView, Store, StoreError};
use super::restore::{RestoreRow, complete, not_deleted, restore_columns, restore_join};

impl Store {
    /// A page of restores with their resources. Nothing follows a marker that is not there.
    pub async fn list_restores(&self, query: &ListQuery) -> Result<Vec<RestoreView>, StoreError> {
        let act = "listing restores";
        let Some((text, params)) = compose(query, self.dialect()) else { return Ok(Vec::new()) };
        let mut reading = self.pools.begin_read(act).await?;
        let rows: Vec<RestoreRow> = reading.load_text(act, &text, &params).await?;
        let views = complete(&mut reading, &self.karbor, rows).await?;
        reading.roll_back().await;
        Ok(views)
    }
}

/// The statement and its values; `None` where nothing can match.
fn compose(query: &ListQuery, dialect: Dialect) -> Option<(String, Vec<Param>)> {
    let join = match dialect {
        Dialect::Postgresql | Dialect::Sqlite => restore_join!(),
        Dialect::Mysql => restore_join!(mysql),
    };
    let sort = sort_keys(&query.sort);
    let mut params = Vec::new();
    let mut parts = vec![format!("SELECT {} FROM {join}", restore_columns!())];
    if let Some(marker) = query.marker {
        let keys: Vec<String> = sort
            .iter()
            .enumerate()
            .map(|(index, (column, _))| format!("{} AS key{index}", expression(*column)))
            .collect();
        let keys = keys.join(", ");
        parts.push(format!("CROSS JOIN (SELECT {keys} FROM {join} WHERE r.id = ?) m"));
        params.push(marker.to_string().into());
    }
    parts.push(concat!("WHERE ", not_deleted!()).to_owned());
    let project = query.project_id.iter().map(|id| (RestoreColumn::ProjectId, id));
    for (column, value) in project.chain(query.filters.iter().map(|(c, v)| (*c, v))) {
        let expression = expression(column);
        parts.push(format!("AND {expression} = ?"));
        params.push(filter_value(column, value)?);
        if dialect == Dialect::Mysql && column == RestoreColumn::ProjectId {
            // Karbor's tables compare without case there; tenants must not be mixed up by it.
            parts.push(format!("AND CAST({expression} AS BINARY) = CAST(? AS BINARY)"));
            params.push(filter_value(column, value)?);
        }
    }
    if query.marker.is_some() {
        parts.push(format!("AND ({})", after_marker(&sort, dialect)));
    }
    let order: Vec<String> = sort
        .iter()
        .map(|(column, direction)| {
            let direction = if *direction == Direction::Ascending { "ASC" } else { "DESC" };
            format!("{} {direction}", expression(*column))
        })
        .collect();
    parts.push(format!("ORDER BY {} LIMIT ? OFFSET ?", order.join(", ")));
    params.extend([query.limit.into(), query.offset.into()]);
    Some((parts.join(" "), params))
}

/// The keys that decide: each column once, the id last, in the first key's direction unless asked
/// for; nothing after the id can matter.
fn sort_keys(asked: &[(RestoreColumn, Direction)]) -> Vec<(RestoreColumn, Direction)> {
    let direction = asked.first().map_or(Direction::Descending, |(_, direction)| *direction);
    let mut keys: Vec<(RestoreColumn, Direction)> = Vec::new();
    for key in asked.iter().copied().chain([(RestoreColumn::Id, direction)]) {
        if keys.iter().all(|(column, _)| *column != key.0) {
            keys.push(key);
        }
        if key.0 == RestoreColumn::Id {
            break;
        }
    }
    keys
}

/// "Behind the marker": equal in the keys before, behind it in this one, for any of the keys.
fn after_marker(sort: &[(RestoreColumn, Direction)], dialect: Dialect) -> String {
    let mut alternatives = Vec::new();
    let mut equal: Vec<String> = Vec::new();
    for (index, (column, direction)) in sort.iter().enumerate() {
        let ascending = *direction == Direction::Ascending;
        let value = expression(*column);
        let key = format!("m.key{index}");
        let operator = if ascending { ">" } else { "<" };
        // PostgreSQL takes a missing value for the greatest, the others for the smallest.
        let missing_is_last = ascending == (dialect == Dialect::Postgresql);
        let (absent, present) = if missing_is_last { (value, &*key) } else { (&*key, value) };
        let behind =
            format!("({value} {operator} {key} OR ({absent} IS NULL AND {present} IS NOT NULL))");
        alternatives.push(equal.iter().chain([&behind]).cloned().collect::<Vec<_>>().join(" AND "));
        equal.push(format!("({value} = {key} OR ({value} IS NULL AND {key} IS NULL))"));
    }
    alternatives.join(" OR ")
}

fn expression(column: RestoreColumn) -> &'static str {
    match column {
        RestoreColumn::Id => "r.id",
        RestoreColumn::ProjectId => "r.project_id",
        RestoreColumn::ProviderId => "r.provider_id",
        RestoreColumn::CheckpointId => "r.checkpoint_id",
        RestoreColumn::RestoreTarget => "r.restore_target",
        RestoreColumn::Status => "COALESCE(s.status, r.status)",
        RestoreColumn::CreatedAt => "r.created_at",
        RestoreColumn::UpdatedAt => "r.updated_at",
    }
}

/// `None` for what no row of this column can hold: no time, or a NUL, which PostgreSQL refuses.
fn filter_value(column: RestoreColumn, value: &str) -> Option<Param> {
    match column {
        RestoreColumn::CreatedAt | RestoreColumn::UpdatedAt => {
            let value = value.trim_end_matches('Z').replacen('T', " ", 1);
            let time = NaiveDateTime::parse_from_str(&value, "%Y-%m-%d %H:%M:%S%.f").ok()?;
            Some(Param::Time(time))
        }
        _ => (!value.contains('\0')).then(|| value.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Ascending, Descending};
    use RestoreColumn::{CreatedAt, Id, Status};

    #[test]
    fn a_sort_ends_with_the_id() {
        assert_eq!(sort_keys(&[]), [(Id, Descending)]);
        assert_eq!(sort_keys(&[(Status, Ascending)]), [(Status, Ascending), (Id, Ascending)]);
        assert_eq!(
            sort_keys(&[(Status, Ascending), (Id, Descending), (CreatedAt, Ascending)]),
            [(Status, Ascending), (Id, Descending)]
        );
    }

    #[test]
    fn a_filter_that_nothing_can_match_is_not_asked() {
        assert!(filter_value(CreatedAt, "yesterday").is_none());
        assert!(filter_value(CreatedAt, "2026-01-02T03:04:05Z").is_some());
        assert!(filter_value(CreatedAt, "2026-01-02 03:04:05.5").is_some());
        assert!(filter_value(Status, "a\0b").is_none());
    }
}
