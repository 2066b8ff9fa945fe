//! A restore's timeline: its events, oldest first.
//!
//! Events are ordered by the time of their commit, then by publisher and number, so that a page
//! can begin behind any of them while new ones come in.

use super::super::events::{EVENT_COLUMNS, EventRow};
use super::super::pool::Use;
use super::super::statement::Param;
use super::super::{EventQuery, Store, StoreError};
use crate::domain::{Event, RestoreId};

impl Store {
    /// A page of a restore's timeline.
    pub async fn restore_events(
        &self,
        id: RestoreId,
        query: &EventQuery,
    ) -> Result<Vec<Event>, StoreError> {
        let act = "reading a restore's events";
        let restore = id.to_string();
        let mut params: Vec<Param> = Vec::new();
        let mut text = format!("SELECT {EVENT_COLUMNS} FROM restore_events e");
        if let Some((publisher, number)) = query.after {
            text += " CROSS JOIN (SELECT occurred_at, publisher_id, number FROM restore_events \
                     WHERE publisher_id = ? AND number = ? AND restore_id = ?) m";
            params.extend([publisher.to_string().into(), number.into(), restore.clone().into()]);
        }
        text += " WHERE e.restore_id = ?";
        params.push(restore.into());
        if query.after.is_some() {
            text += " AND e.occurred_at >= m.occurred_at AND (e.occurred_at > m.occurred_at \
                     OR e.publisher_id > m.publisher_id \
                     OR (e.publisher_id = m.publisher_id AND e.number > m.number))";
        }
        text += " ORDER BY e.occurred_at, e.publisher_id, e.number LIMIT ? OFFSET ?";
        params.extend([query.limit.into(), query.offset.into()]);
        let mut connection = self.pools.connect(act, Use::Read).await?;
        let rows: Vec<EventRow> = connection.load_text(act, &text, &params).await?;
        Ok(rows.into_iter().filter_map(EventRow::into_event).collect())
    }
}
