//! The event table: events in, events out. History and outbox in one, written with the change and
//! never changed afterwards.

use chrono::NaiveDateTime;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};
use serde::Serialize;

use super::batch::{time_text, to_json};
use super::connection::Connection;
use super::pool::Use;
use super::statement::{Statement, as_count};
use super::{DatabaseFault, Store, StoreError};
use crate::domain::{Event, PublisherId, ResourceId, ResourceKey, Subject};

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
            let counts = self.counts.as_deref().map(serde_json::from_str);
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

#[derive(Serialize)]
struct EventJson<'a> {
    p: String,
    n: u64,
    h: &'a str,
    y: &'static str,
    r: String,
    j: &'a str,
    v: &'a str,
    k: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    g: Option<&'a str>,
    x: u64,
    c: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<&'a str>,
    s: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    w: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    q: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cp: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cu: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cr: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cg: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    t: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    i: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    o: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    a: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    z: Option<String>,
}

impl<'a> EventJson<'a> {
    fn new(event: &'a Event) -> Self {
        let (key, source_id, name, counts) = match &event.subject {
            Subject::Restore { counts } => (None, None, None, Some(to_json(counts))),
            Subject::Resource { key, source_id, name } => {
                (Some(key), source_id.as_ref(), name.as_deref(), None)
            }
        };
        Self {
            p: event.publisher.to_string(),
            n: event.number,
            h: &event.host,
            y: event.event_type.as_str(),
            r: event.restore_id.to_string(),
            j: &event.project_id,
            v: &event.provider_id,
            k: &event.checkpoint_id,
            g: event.restore_target.as_deref(),
            x: event.transition,
            c: time_text(event.occurred_at),
            b: event.old_status.as_deref(),
            s: &event.status,
            w: event.reason.as_deref(),
            q: event.sequence,
            cp: event.context_project_id.as_deref(),
            cu: event.user_id.as_deref(),
            cr: event.request_id.as_deref(),
            cg: event.global_request_id.as_deref(),
            t: key.map(|key| key.resource_type.as_str()),
            i: key.map(|key| key.resource_id.as_str()),
            o: source_id.map(ResourceId::as_str),
            a: name,
            z: counts,
        }
    }
}

macro_rules! columns {
    () => {
        "publisher_id, number, host, event_type, restore_id, project_id, provider_id, \
         checkpoint_id, restore_target, transition, occurred_at, old_status, status, reason, \
         sequence, context_project_id, user_id, request_id, global_request_id, resource_type, \
         resource_id, source_id, name, counts"
    };
}

const INSERT: Statement = Statement {
    act: "writing events",
    postgresql: concat!(
        "INSERT INTO restore_events (",
        columns!(),
        ") SELECT p, n, h, y, r, j, v, k, g, x, c, b, s, w, q, cp, cu, cr, cg, t, i, o, a, z \
         FROM json_to_recordset(?::json) AS e(p text, n bigint, h text, y text, r text, j text, \
         v text, k text, g text, x bigint, c timestamp, b text, s text, w text, q bigint, cp text, \
         cu text, cr text, cg text, t text, i text, o text, a text, z text)"
    ),
    mysql: concat!(
        "INSERT INTO restore_events (",
        columns!(),
        ") SELECT p, n, h, y, r, j, v, k, g, x, c, b, s, w, q, cp, cu, cr, cg, t, i, o, a, z \
         FROM JSON_TABLE(?, '$[*]' COLUMNS (p VARCHAR(36) PATH '$.p' ERROR ON ERROR, \
         n BIGINT PATH '$.n' ERROR ON ERROR, \
         h VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.h' ERROR ON ERROR, \
         y VARCHAR(64) PATH '$.y' ERROR ON ERROR, r VARCHAR(36) PATH '$.r' ERROR ON ERROR, \
         j VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.j' ERROR ON ERROR, \
         v VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.v' ERROR ON ERROR, \
         k VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.k' ERROR ON ERROR, \
         g VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.g' ERROR ON ERROR, \
         x BIGINT PATH '$.x' ERROR ON ERROR, c DATETIME(6) PATH '$.c' ERROR ON ERROR, \
         b VARCHAR(64) PATH '$.b' ERROR ON ERROR, s VARCHAR(64) PATH '$.s' ERROR ON ERROR, \
         w LONGTEXT CHARACTER SET utf8mb4 PATH '$.w' ERROR ON ERROR, \
         q BIGINT PATH '$.q' ERROR ON ERROR, \
         cp VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.cp' ERROR ON ERROR, \
         cu VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.cu' ERROR ON ERROR, \
         cr VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.cr' ERROR ON ERROR, \
         cg VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.cg' ERROR ON ERROR, \
         t VARCHAR(255) PATH '$.t' ERROR ON ERROR, i VARCHAR(255) PATH '$.i' ERROR ON ERROR, \
         o VARCHAR(255) PATH '$.o' ERROR ON ERROR, \
         a VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.a' ERROR ON ERROR, \
         z VARCHAR(255) PATH '$.z' ERROR ON ERROR)) AS e"
    ),
    sqlite: concat!(
        "INSERT INTO restore_events (",
        columns!(),
        ") SELECT value ->> '$.p', value ->> '$.n', value ->> '$.h', value ->> '$.y', \
         value ->> '$.r', value ->> '$.j', value ->> '$.v', value ->> '$.k', value ->> '$.g', \
         value ->> '$.x', value ->> '$.c', value ->> '$.b', value ->> '$.s', value ->> '$.w', \
         value ->> '$.q', value ->> '$.cp', value ->> '$.cu', value ->> '$.cr', value ->> '$.cg', \
         value ->> '$.t', value ->> '$.i', value ->> '$.o', value ->> '$.a', value ->> '$.z' \
         FROM json_each(?)"
    ),
};

macro_rules! columns_of_e {
    () => {
        "e.publisher_id, e.number, e.host, e.event_type, e.restore_id, e.project_id, \
         e.provider_id, e.checkpoint_id, e.restore_target, e.transition, e.occurred_at, \
         e.old_status, e.status, e.reason, e.sequence, e.context_project_id, e.user_id, \
         e.request_id, e.global_request_id, e.resource_type, e.resource_id, e.source_id, e.name, \
         e.counts"
    };
}

/// The columns of [`EventRow`], from `restore_events e`.
pub(super) const EVENT_COLUMNS: &str = columns_of_e!();

const AFTER: Statement = Statement::portable(
    "reading a publisher's events",
    concat!(
        "SELECT ",
        columns_of_e!(),
        " FROM restore_events e WHERE e.publisher_id = ? AND e.number > ? \
         ORDER BY e.number LIMIT ?"
    ),
);

/// Inserts `events` in the transaction of `connection`.
pub(super) async fn insert_events(
    connection: &mut Connection,
    events: &[Event],
) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let rows: Vec<EventJson> = events.iter().map(EventJson::new).collect();
    let inserted = connection.execute(&INSERT, &[to_json(&rows).into()]).await?;
    if inserted == events.len() {
        Ok(())
    } else {
        let text = format!("{inserted} of {} events were inserted", events.len());
        Err(StoreError::Refused { act: INSERT.act, source: DatabaseFault(text) })
    }
}

impl Store {
    /// At most `limit` events of a publisher beyond `number`, in order.
    pub async fn events_after(
        &self,
        id: PublisherId,
        number: u64,
        limit: u32,
    ) -> Result<Vec<Event>, StoreError> {
        let mut connection = self.pools.connect(AFTER.act, Use::Read).await?;
        let params = [id.to_string().into(), number.into(), limit.into()];
        let rows: Vec<EventRow> = connection.load(&AFTER, &params).await?;
        rows.into_iter()
            .map(|row| {
                let number = row.number;
                row.into_event().ok_or_else(|| StoreError::Fatal {
                    act: AFTER.act,
                    source: DatabaseFault(format!("event {number} is in words of a later version")),
                })
            })
            .collect()
    }
}
