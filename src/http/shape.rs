//! The JSON in which restores, resources and events are shown, by REST and by `show`.
//!
//! [`RestoreShape`] is Karbor's and has its nine fields. Ours only ever gain fields:
//!
//! ```json
//! {"resources": [{"resource_type": "OS::Cinder::Volume", "resource_id": "new-1", "source_id": "v-1",
//!                 "name": "data", "status": "error", "reason": "no space", "sequence": null,
//!                 "since": "2026-01-02T03:04:05.000006Z"}],
//!  "counts": {"undefined": 0, "started": 0, "restoring": 0, "available": 0, "error": 1, "expected": 1}}
//!
//! {"events": [{"id": "PUBLISHER:NUMBER", "message_id": "...", "event_type": "karbor.restore.start",
//!              "occurred_at": "...", "transition": 1, "old_status": null, "status": "in_progress",
//!              "reason": null, "sequence": null, "request_id": "req-...",
//!              "resources": {"undefined": 0, ...}}],
//!  "events_links": [{"rel": "next", "href": "..."}]}
//! ```
//!
//! An expected resource that has not begun has `"resource_id": null` and `"status": "not_begun"`.
//! An event of a resource has `resource_type`, `resource_id`, `source_id` and `name` in the place
//! of `resources`. `id` is the marker of a page, `message_id` that of the notification.

use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::{Counts, Event, PublisherId, ResourceId, Subject};
use crate::store::{ResourceLine, RestoreView};

/// The status shown of an expected resource that no update has named yet.
pub const NOT_BEGUN: &str = "not_begun";

/// A restore with the nine fields of Karbor's API.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "each is Karbor's field of its name")]
pub struct RestoreShape<'a> {
    pub id: String,
    pub project_id: &'a str,
    pub provider_id: &'a str,
    pub checkpoint_id: &'a str,
    pub restore_target: Option<&'a str>,
    pub parameters: Box<RawValue>,
    pub status: &'a str,
    pub resources_status: Map<String, Value>,
    pub resources_reason: Map<String, Value>,
}

impl<'a> From<&'a RestoreView> for RestoreShape<'a> {
    fn from(view: &'a RestoreView) -> Self {
        let mut resources_status = Map::new();
        let mut resources_reason = Map::new();
        for (key, status, reason) in &view.resources {
            let key = key.to_string();
            if let Some(reason) = reason {
                resources_reason.insert(key.clone(), reason.as_str().into());
            }
            resources_status.insert(key, status.as_str().into());
        }
        Self {
            id: view.id.to_string(),
            project_id: &view.project_id,
            provider_id: &view.provider_id,
            checkpoint_id: &view.checkpoint_id,
            restore_target: view.restore_target.as_deref(),
            parameters: parameters_object(view.parameters.as_deref()),
            status: &view.status,
            resources_status,
            resources_reason,
        }
    }
}

/// The parameters as they are stored, untouched by a reader of numbers; `{}` for none, as Karbor
/// shows it, and for what is no JSON object.
fn parameters_object(text: Option<&str>) -> Box<RawValue> {
    let stored = text.and_then(|text| RawValue::from_string(text.to_owned()).ok());
    stored
        .filter(|value| value.get().starts_with('{'))
        .unwrap_or_else(|| RawValue::from_string("{}".to_owned()).expect("an empty object is JSON"))
}

/// One line of a restore's resources.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "described above")]
pub struct ResourceShape<'a> {
    pub resource_type: &'a str,
    pub resource_id: Option<&'a str>,
    pub source_id: Option<&'a str>,
    pub name: Option<&'a str>,
    pub status: &'static str,
    pub reason: Option<&'a str>,
    pub sequence: Option<u64>,
    pub since: Option<String>,
}

impl<'a> From<&'a ResourceLine> for ResourceShape<'a> {
    fn from(line: &'a ResourceLine) -> Self {
        Self {
            resource_type: line.resource_type.as_str(),
            resource_id: line.resource_id.as_ref().map(ResourceId::as_str),
            source_id: line.source_id.as_ref().map(ResourceId::as_str),
            name: line.name.as_deref(),
            status: line.status.map_or(NOT_BEGUN, |status| status.as_str()),
            reason: line.reason.as_deref(),
            sequence: line.sequence,
            since: line.since.map(show_time),
        }
    }
}

/// One event of a restore's timeline.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "described above")]
pub struct EventShape<'a> {
    pub id: String,
    pub message_id: String,
    pub event_type: &'static str,
    pub occurred_at: String,
    pub transition: u64,
    pub old_status: Option<&'a str>,
    pub status: &'a str,
    pub reason: Option<&'a str>,
    pub sequence: Option<u64>,
    pub request_id: Option<&'a str>,
    #[serde(flatten)]
    pub subject: SubjectShape<'a>,
}

/// What an event is about.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "described above")]
pub enum SubjectShape<'a> {
    Restore {
        resources: Counts,
    },
    Resource {
        resource_type: &'a str,
        resource_id: &'a str,
        source_id: Option<&'a str>,
        name: Option<&'a str>,
    },
}

impl<'a> From<&'a Event> for EventShape<'a> {
    fn from(event: &'a Event) -> Self {
        let subject = match &event.subject {
            Subject::Restore { counts } => SubjectShape::Restore { resources: *counts },
            Subject::Resource { key, source_id, name } => SubjectShape::Resource {
                resource_type: key.resource_type.as_str(),
                resource_id: key.resource_id.as_str(),
                source_id: source_id.as_ref().map(ResourceId::as_str),
                name: name.as_deref(),
            },
        };
        Self {
            id: event_id(event),
            message_id: event.message_id().to_string(),
            event_type: event.event_type.as_str(),
            occurred_at: show_time(event.occurred_at),
            transition: event.transition,
            old_status: event.old_status.as_deref(),
            status: &event.status,
            reason: event.reason.as_deref(),
            sequence: event.sequence,
            request_id: event.request_id.as_deref(),
            subject,
        }
    }
}

/// What names an event in a timeline: `PUBLISHER:NUMBER`.
pub fn event_id(event: &Event) -> String {
    format!("{}:{}", event.publisher, event.number)
}

/// Reads what [`event_id`] gave.
pub fn read_event_id(text: &str) -> Option<(PublisherId, u64)> {
    let (publisher, number) = text.split_once(':')?;
    Some((PublisherId(Uuid::from_str(publisher).ok()?), number.parse().ok()?))
}

/// RFC 3339 in UTC, with microseconds.
pub fn show_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_shown_as_stored() {
        let shown = |text| parameters_object(text).get().to_owned();
        assert_eq!(shown(None), "{}");
        assert_eq!(shown(Some("[1]")), "{}");
        assert_eq!(shown(Some("{\"a\": NaN}")), "{}");
        let big = "{\"A#b\": {\"n\": 1180591620717411303424, \"s\": \"\\ud83d\"}}";
        assert_eq!(shown(Some(big)), big);
    }

    #[test]
    fn event_ids_round_trip() {
        let id = "0191d1c0-0000-7000-8000-000000000001:18446744073709551615";
        let (publisher, number) = read_event_id(id).unwrap();
        assert_eq!(format!("{publisher}:{number}"), id);
        assert_eq!(read_event_id("x:1"), None);
        assert_eq!(read_event_id("0191d1c0-0000-7000-8000-000000000001"), None);
    }
}
