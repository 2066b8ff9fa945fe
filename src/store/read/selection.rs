//! Committed events by what an operator asks for, in the order of their commit.

use chrono::{DateTime, Utc};

use super::super::batch::time_text;
use super::super::events::{EVENT_COLUMNS, EventRow};
use super::super::pool::Use;
use super::super::statement::Param;
use super::super::{Dialect, EventSelection, Store, StoreError};
use crate::domain::Event;

impl Store {
    /// At most `limit` of the selected events, oldest first, that follow `after`. Those of a later
    /// version, in words that this one does not know, are left out.
    pub async fn select_events(
        &self,
        selection: &EventSelection,
        after: Option<&Event>,
        limit: u32,
    ) -> Result<Vec<Event>, StoreError> {
        let act = "selecting events";
        let mut conditions = vec!["e.occurred_at < ?"];
        let mut params = vec![self.moment(selection.until)];
        if let Some(since) = selection.since {
            conditions.push("e.occurred_at >= ?");
            params.push(self.moment(since));
        }
        if let Some(restore) = selection.restore {
            conditions.push("e.restore_id = ?");
            params.push(restore.to_string().into());
        }
        if let Some(publisher) = selection.publisher {
            conditions.push("e.publisher_id = ?");
            params.push(publisher.to_string().into());
        }
        if let Some(after) = after {
            conditions.push(
                "e.occurred_at >= ? AND (e.occurred_at > ? OR e.publisher_id > ? \
                 OR (e.publisher_id = ? AND e.number > ?))",
            );
            let (at, publisher) = (self.moment(after.occurred_at), after.publisher.to_string());
            params.extend([at.clone(), at, publisher.clone().into(), publisher.into()]);
            params.push(after.number.into());
        }
        params.push(limit.into());
        let text = format!(
            "SELECT {EVENT_COLUMNS} FROM restore_events e WHERE {} \
             ORDER BY e.occurred_at, e.publisher_id, e.number LIMIT ?",
            conditions.join(" AND ")
        );
        let mut connection = self.pools.connect(act, Use::Read).await?;
        let rows: Vec<EventRow> = connection.load_text(act, &text, &params).await?;
        Ok(rows.into_iter().filter_map(EventRow::into_event).collect())
    }

    /// A moment to compare `occurred_at` with: SQLite holds it as text.
    pub(in crate::store) fn moment(&self, at: DateTime<Utc>) -> Param {
        match self.dialect() {
            Dialect::Sqlite => time_text(at).into(),
            Dialect::Postgresql | Dialect::Mysql => at.into(),
        }
    }
}
