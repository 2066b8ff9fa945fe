//! What a batch knows of its restores while it merges: their rows, as far as the batch touches
//! them, and what it changed. No SQL, no await.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::counts::Tally;
use super::rows::{ExpectedRow, KarborRow, ResourceRow, RestoreRow};
use crate::domain::{
    ResourceId, ResourceKey, ResourceState, ResourceType, RestoreId, RestoreState, RestoreStatus,
    State,
};
use crate::store::karbor::Said;
use crate::store::statement::as_count;

/// What an event says of its restore.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub id: RestoreId,
    pub project_id: String,
    pub provider_id: String,
    pub checkpoint_id: String,
    pub restore_target: Option<String>,
}

/// A resource as it stands.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    pub source_id: Option<ResourceId>,
    pub name: Option<String>,
    /// What it counts as.
    pub state: ResourceState,
    /// What was said of it, where it counts as something else.
    pub said: Option<ResourceState>,
    pub transition: u64,
    pub changed_at: DateTime<Utc>,
    /// It is to be written.
    pub dirty: bool,
}

/// An expected resource's name, and whether it is to be written.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub name: Option<String>,
    pub dirty: bool,
}

/// A restore that Karbor's table has.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact")]
pub(super) struct Restore {
    pub identity: Identity,
    /// The item that records it; what comes before that item does not know it.
    pub born: Option<usize>,
    /// Our row is locked: it may be written.
    pub locked: bool,
    pub deleted: bool,
    /// Karbor's `status`, under that row's lock where `karbor_locked`.
    pub karbor_status: Option<String>,
    pub karbor_locked: bool,
    /// Karbor's status was merged.
    pub took_in: bool,
    /// Karbor's dictionaries, where they were read and are not merged yet.
    pub said: Option<Said>,
    /// `None` as long as its start event is not written.
    pub state: Option<RestoreState>,
    pub transition: u64,
    /// Its silence was told.
    pub stalled: bool,
    /// Since when it is final.
    pub final_since: Option<DateTime<Utc>>,
    pub version: u64,
    pub resource_count: u64,
    pub expected_count: u64,
    pub last_heard_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    pub resources: HashMap<ResourceKey, Resource>,
    pub expected: HashMap<(ResourceType, ResourceId), Expected>,
    /// Counts of what is not in `resources`; see [`Tally`].
    pub others: Tally,
    /// Of Karbor's dictionaries as they were last written or merged.
    pub digest: Option<String>,
    /// Our row is to be written.
    pub dirty: bool,
    /// The dictionaries are to be written anew.
    pub outdated: bool,
}

/// A row in words that this version does not know.
#[derive(Debug)]
pub(super) struct Unreadable(pub String);

impl Restore {
    /// A restore as its rows tell it.
    pub fn from_row(row: RestoreRow, now: DateTime<Utc>) -> Result<Self, Unreadable> {
        let unreadable = |what: &str| Unreadable(format!("{what} of a restore"));
        let id = row.id.parse().map_err(|_| unreadable("the id"))?;
        let transition = as_count(row.transition.unwrap_or(0));
        let version = as_count(row.version.unwrap_or(0));
        let state = match row.status {
            // One that was adopted has a version and no event yet.
            Some(status) if transition > 0 || version > 0 => Some(State {
                sequence: row.sequence.map(as_count),
                status: status.parse().map_err(|_| unreadable("the status"))?,
                reason: row.reason,
            }),
            _ => None,
        };
        Ok(Self {
            identity: Identity {
                id,
                project_id: row.project_id,
                provider_id: row.provider_id,
                checkpoint_id: row.checkpoint_id,
                restore_target: row.restore_target,
            },
            born: None,
            locked: false,
            deleted: row.deleted != 0,
            karbor_status: row.karbor_status,
            karbor_locked: false,
            took_in: false,
            said: None,
            state,
            transition,
            stalled: row.stalled != 0,
            final_since: row.final_since.map(|at| at.and_utc()),
            version,
            resource_count: as_count(row.resources.unwrap_or(0)),
            expected_count: as_count(row.expected.unwrap_or(0)),
            last_heard_at: row.last_heard_at.map_or(now, |at| at.and_utc()),
            changed_at: row.changed_at.map_or(now, |at| at.and_utc()),
            resources: HashMap::new(),
            expected: HashMap::new(),
            others: Tally::default(),
            digest: row.digest,
            dirty: false,
            outdated: false,
        })
    }

    /// Whether an update changes anything of it.
    pub fn is_live(&self) -> bool {
        self.locked && !self.deleted
    }

    /// Whether the start event is still to be written.
    pub fn is_first_met(&self) -> bool {
        self.state.is_none()
    }

    /// Whether what its resources have under way counts as done.
    pub fn ends_resources(&self) -> bool {
        self.state.as_ref().is_some_and(RestoreState::ends_resources)
    }

    /// Takes what Karbor's row holds, now that it is locked.
    pub fn take_karbor_row(&mut self, row: KarborRow) {
        self.deleted = row.deleted != 0;
        self.karbor_status = row.status;
        self.karbor_locked = true;
    }

    /// Takes one of its resources as it is in the table.
    pub fn take_resource(&mut self, row: ResourceRow) -> Result<(), Unreadable> {
        let unreadable = |what: &str| Unreadable(format!("{what} of a resource"));
        let id = |text: &str| text.parse::<ResourceId>().map_err(|_| unreadable("an id"));
        let key = ResourceKey {
            resource_type: row.resource_type.parse().map_err(|_| unreadable("the type"))?,
            resource_id: id(&row.resource_id)?,
        };
        let sequence = row.sequence.map(as_count);
        let state = |status: String, reason| {
            let status = status.parse().map_err(|_| unreadable("the status"))?;
            Ok(State { sequence, status, reason })
        };
        let reason = row.said_reason;
        let resource = Resource {
            source_id: row.source_id.as_deref().map(id).transpose()?,
            name: row.name,
            said: row.said_status.map(|status| state(status, reason)).transpose()?,
            state: state(row.status, row.reason)?,
            transition: as_count(row.transition),
            changed_at: row.changed_at.and_utc(),
            dirty: false,
        };
        self.resources.insert(key, resource);
        Ok(())
    }

    /// Takes one of its expected resources as it is in the table.
    pub fn take_expected(&mut self, row: ExpectedRow) -> Result<(), Unreadable> {
        let unreadable = |_| Unreadable("the key of an expected resource".to_owned());
        let key = (
            row.resource_type.parse().map_err(unreadable)?,
            row.source_id.parse().map_err(unreadable)?,
        );
        self.expected.insert(key, Expected { name: row.name, dirty: false });
        Ok(())
    }

    /// Its status as we know it, or as Karbor says where we know nothing.
    pub fn status(&self) -> RestoreStatus {
        let karbor = || self.karbor_status.as_deref().and_then(|status| status.parse().ok());
        let known = self.state.as_ref().map(|state| state.status);
        known.or_else(karbor).unwrap_or(RestoreStatus::InProgress)
    }

    /// The status that Karbor's row must be given; `None` where it holds it, or holds a word of
    /// its own that says no less.
    pub fn status_to_write(&self) -> Option<RestoreStatus> {
        let status = self.state.as_ref()?.status;
        let held = self.karbor_status.as_deref();
        let says_it = match held {
            Some(text) if text.parse::<RestoreStatus>().is_ok() => text == status.as_str(),
            _ => status == RestoreStatus::InProgress,
        };
        (self.karbor_locked && self.is_live() && !says_it).then_some(status)
    }
}
