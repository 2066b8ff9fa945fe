//! Transitions: what a change is called, and the event that records it.
//!
//! An event is history and outbox in one: it is committed with the change, numbered by the
//! publisher that wrote it, never changed afterwards, and becomes one notification.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ResourceId, ResourceKey, ResourceStatus, RestoreId, RestoreStatus};

/// A running worker as the writer of events; a worker that doubts begins anew with another id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublisherId(pub Uuid);

impl fmt::Display for PublisherId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// The `event_type` of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// `karbor.restore.start`
    RestoreStart,
    /// `karbor.restore.end`
    RestoreEnd,
    /// `karbor.restore.error`
    RestoreError,
    /// `karbor.restore.update`
    RestoreUpdate,
    /// `karbor.restore.stalled`
    RestoreStalled,
    /// `karbor.restore_resource.start`
    ResourceStart,
    /// `karbor.restore_resource.end`
    ResourceEnd,
    /// `karbor.restore_resource.error`
    ResourceError,
    /// `karbor.restore_resource.update`
    ResourceUpdate,
}

impl EventType {
    /// Every event type.
    pub const ALL: [Self; 9] = [
        Self::RestoreStart,
        Self::RestoreEnd,
        Self::RestoreError,
        Self::RestoreUpdate,
        Self::RestoreStalled,
        Self::ResourceStart,
        Self::ResourceEnd,
        Self::ResourceError,
        Self::ResourceUpdate,
    ];

    /// Its spelling in a notification and in the event table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RestoreStart => "karbor.restore.start",
            Self::RestoreEnd => "karbor.restore.end",
            Self::RestoreError => "karbor.restore.error",
            Self::RestoreUpdate => "karbor.restore.update",
            Self::RestoreStalled => "karbor.restore.stalled",
            Self::ResourceStart => "karbor.restore_resource.start",
            Self::ResourceEnd => "karbor.restore_resource.end",
            Self::ResourceError => "karbor.restore_resource.error",
            Self::ResourceUpdate => "karbor.restore_resource.update",
        }
    }
}

impl FromStr for EventType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|event_type| event_type.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no event type of this version"))
    }
}

/// How many resources of a restore stand where; `expected` counts all announced, begun or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// `undefined`
    pub undefined: u64,
    /// `started`
    pub started: u64,
    /// `restoring`
    pub restoring: u64,
    /// `available`
    pub available: u64,
    /// `error`
    pub error: u64,
    /// Announced by `expect_resources`.
    pub expected: u64,
}

impl Counts {
    /// The count of one status, to change.
    pub fn of_mut(&mut self, status: ResourceStatus) -> &mut u64 {
        match status {
            ResourceStatus::Undefined => &mut self.undefined,
            ResourceStatus::Started => &mut self.started,
            ResourceStatus::Restoring => &mut self.restoring,
            ResourceStatus::Available => &mut self.available,
            ResourceStatus::Error => &mut self.error,
        }
    }
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The restore as a whole.
    Restore {
        /// Its resources at that moment.
        counts: Counts,
    },
    /// One of its resources.
    Resource {
        /// Which.
        key: ResourceKey,
        /// Its source, where known at that moment.
        source_id: Option<ResourceId>,
        /// Its name, where known at that moment.
        name: Option<String>,
    },
}

/// One transition, as it is committed, published and shown in the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Who wrote it.
    pub publisher: PublisherId,
    /// 1, 2, 3, ... per publisher.
    pub number: u64,
    /// The name of that publisher's host: `restore-worker.HOST` is the notification's `publisher_id`.
    pub host: String,
    /// What the change is called.
    pub event_type: EventType,
    /// The restore.
    pub restore_id: RestoreId,
    /// The restore's project.
    pub project_id: String,
    /// The restore's provider.
    pub provider_id: String,
    /// The restore's checkpoint.
    pub checkpoint_id: String,
    /// The restore's target, as stored; masked before it is published.
    pub restore_target: Option<String>,
    /// 1, 2, 3, ... per restore and per resource.
    pub transition: u64,
    /// When the change was committed, by the worker's clock; microseconds.
    pub occurred_at: DateTime<Utc>,
    /// The status before; `None` where nothing was known. Text, because Karbor's tables may hold
    /// statuses of their own.
    pub old_status: Option<String>,
    /// The status after.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// The sequence of the state after.
    pub sequence: Option<u64>,
    /// The sender's user, project, request ids; the restore's project where there was no sender.
    pub context_project_id: Option<String>,
    /// `_context_user_id` of the message that caused it.
    pub user_id: Option<String>,
    /// `_context_request_id` of the message that caused it.
    pub request_id: Option<String>,
    /// `_context_global_request_id` of the message that caused it.
    pub global_request_id: Option<String>,
    /// What it is about.
    pub subject: Subject,
}

/// The namespace of `message_id`s: a UUID of this project's own, chosen once.
const MESSAGE_ID_NAMESPACE: Uuid = Uuid::from_u128(0x5f0c_7c52_5d0a_4d0e_9a54_9d7c_3f3b_51a6);

impl Event {
    /// The notification's `message_id`: made of publisher and number, so that every copy, by
    /// whichever worker, carries the same.
    pub fn message_id(&self) -> Uuid {
        let name = format!("{}/{}", self.publisher, self.number);
        Uuid::new_v5(&MESSAGE_ID_NAMESPACE, name.as_bytes())
    }
}

/// What a restore's change is called. `old` is `None` for a restore just recorded.
pub fn restore_event(old: Option<RestoreStatus>, new: RestoreStatus) -> EventType {
    match (old, new) {
        (None, _) => EventType::RestoreStart,
        (Some(old), new) if old == new => EventType::RestoreUpdate,
        (_, RestoreStatus::Success) => EventType::RestoreEnd,
        (_, RestoreStatus::Fail) => EventType::RestoreError,
        (_, RestoreStatus::InProgress) => EventType::RestoreUpdate,
    }
}

/// What a resource's change is called. `old` is `None` where nothing was known.
pub fn resource_event(old: Option<ResourceStatus>, new: ResourceStatus) -> EventType {
    use ResourceStatus::{Available, Error, Restoring, Started, Undefined};
    match (old, new) {
        (Some(old), new) if old == new => EventType::ResourceUpdate,
        (_, Available) => EventType::ResourceEnd,
        (_, Error) => EventType::ResourceError,
        (None | Some(Undefined | Error), Started | Restoring) => EventType::ResourceStart,
        _ => EventType::ResourceUpdate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_types_round_trip() {
        for event_type in EventType::ALL {
            assert_eq!(event_type.as_str().parse(), Ok(event_type));
        }
    }

    #[test]
    fn a_changed_reason_is_an_update() {
        use ResourceStatus as R;
        assert_eq!(resource_event(Some(R::Error), R::Error), EventType::ResourceUpdate);
        assert_eq!(
            restore_event(Some(RestoreStatus::Fail), RestoreStatus::Fail),
            EventType::RestoreUpdate
        );
    }

    #[test]
    fn a_retry_starts_again() {
        use ResourceStatus as R;
        assert_eq!(resource_event(Some(R::Error), R::Restoring), EventType::ResourceStart);
        assert_eq!(resource_event(Some(R::Available), R::Restoring), EventType::ResourceUpdate);
        assert_eq!(resource_event(Some(R::Started), R::Restoring), EventType::ResourceUpdate);
        assert_eq!(resource_event(None, R::Undefined), EventType::ResourceUpdate);
    }
}
