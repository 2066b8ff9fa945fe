//! A restore's timeline: its events, oldest first, and a row of the event table as an [`Event`].
//!
//! Events are ordered by the time of their commit, then by publisher and number, so that a page
//! can begin behind any of them while new ones come in.

use chrono::NaiveDateTime;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};

use super::super::pool::Use;
use super::super::statement::{Param, as_count};
use super::super::{EventQuery, Store, StoreError};
use crate::domain::{Counts, Event, PublisherId, ResourceKey, RestoreId, Subject};

/// A row of `restore_events`.
#[derive(Debug, QueryableByName)]
pub(crate) struct EventRow {
    #[diesel(sql_type = Text)]
    publisher_id: String,
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Text)]
    host: String,
    #[diesel(sql_type = Text)]
    event_type: String,
    #[diesel(sql_type = Text)]
    restore_id: String,
    #[diesel(sql_type = Text)]
    project_id: String,
    #[diesel(sql_type = Text)]
    provider_id: String,
    #[diesel(sql_type = Text)]
    checkpoint_id: String,
    #[diesel(sql_type = Nullable<Text>)]
    restore_target: Option<String>,
    #[diesel(sql_type = BigInt)]
    transition: i64,
    #[diesel(sql_type = Timestamp)]
    occurred_at: NaiveDateTime,
    #[diesel(sql_type = Nullable<Text>)]
    old_status: Option<String>,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Nullable<Text>)]
    reason: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    sequence: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    context_project_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    user_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    request_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    global_request_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    resource_type: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    resource_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    source_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    counts: Option<String>,
}

/// The columns of [`EventRow`], from `restore_events e`.
pub(crate) const EVENT_COLUMNS: &str = "e.publisher_id, e.number, e.host, e.event_type, \
    e.restore_id, e.project_id, e.provider_id, e.checkpoint_id, e.restore_target, e.transition, \
    e.occurred_at, e.old_status, e.status, e.reason, e.sequence, e.context_project_id, e.user_id, \
    e.request_id, e.global_request_id, e.resource_type, e.resource_id, e.source_id, e.name, \
    e.counts";

impl EventRow {
    /// The event; `None` for one that a later version wrote in words this one does not know.
    pub(crate) fn into_event(self) -> Option<Event> {
        let subject = if let (Some(resource_type), Some(resource_id)) =
            (self.resource_type, self.resource_id)
        {
            Subject::Resource {
                key: ResourceKey {
                    resource_type: resource_type.parse().ok()?,
                    resource_id: resource_id.parse().ok()?,
                },
                source_id: self.source_id.map(|id| id.parse()).transpose().ok()?,
                name: self.name,
            }
        } else {
            let counts = self.counts.as_deref().map(serde_json::from_str::<Counts>);
            Subject::Restore { counts: counts.transpose().ok()?.unwrap_or_default() }
        };
        Some(Event {
            publisher: PublisherId(self.publisher_id.parse().ok()?),
            number: as_count(self.number),
            host: self.host,
            event_type: self.event_type.parse().ok()?,
            restore_id: self.restore_id.parse().ok()?,
            project_id: self.project_id,
            provider_id: self.provider_id,
            checkpoint_id: self.checkpoint_id,
            restore_target: self.restore_target,
            transition: as_count(self.transition),
            occurred_at: self.occurred_at.and_utc(),
            old_status: self.old_status,
            status: self.status,
            reason: self.reason,
            sequence: self.sequence.map(as_count),
            context_project_id: self.context_project_id,
            user_id: self.user_id,
            request_id: self.request_id,
            global_request_id: self.global_request_id,
            subject,
        })
    }
}

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
