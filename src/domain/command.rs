//! What a valid request asks for, and what became of it: the language between `rpc`, `intake`,
//! `keeper` and `store`.

use chrono::{DateTime, Utc};

use super::{
    Effect, ResourceId, ResourceKey, ResourceState, ResourceStatus, ResourceType, RestoreId,
    RestoreState, RestoreStatus,
};

/// Who asks, as the request's context says. Texts are at most 255 characters, without control
/// characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sender {
    /// `_context_project_id`.
    pub project_id: Option<String>,
    /// `_context_is_admin`, exactly true.
    pub is_admin: bool,
    /// `_context_user_id`.
    pub user_id: Option<String>,
    /// `_context_request_id`.
    pub request_id: Option<String>,
    /// `_context_global_request_id`.
    pub global_request_id: Option<String>,
}

impl Sender {
    /// The tenant rule: an admin reaches every project, anyone else only their own, and a sender
    /// without a project nothing.
    pub fn reaches(&self, project_id: &str) -> bool {
        self.is_admin || self.project_id.as_deref() == Some(project_id)
    }
}

/// A restore as `restore` announces it; every field was validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRestore {
    /// Its id.
    pub id: RestoreId,
    /// The project it belongs to.
    pub project_id: String,
    /// The protection provider.
    pub provider_id: String,
    /// The checkpoint restored from.
    pub checkpoint_id: String,
    /// Where to restore to, a URL as a rule; may hold a password.
    pub restore_target: Option<String>,
    /// The parameters as JSON text in the spelling of Python's `json.dumps`; secret.
    /// `None` where the request had null.
    pub parameters: Option<String>,
    /// Its status, without a sequence.
    pub status: RestoreStatus,
    /// Its two dictionaries, as updates without sequence.
    pub resources: Vec<ResourceUpdate>,
}

/// What a plugin says of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceUpdate {
    /// Which resource.
    pub key: ResourceKey,
    /// What is said of it.
    pub state: ResourceState,
    /// The resource in the checkpoint that it is restored from.
    pub source_id: Option<ResourceId>,
    /// Its name, cleaned like a reason.
    pub name: Option<String>,
}

/// A resource that the restore will bring, known by its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedResource {
    /// Its type.
    pub resource_type: ResourceType,
    /// The resource in the checkpoint.
    pub source_id: ResourceId,
    /// Its name, cleaned like a reason.
    pub name: Option<String>,
}

/// A request that changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `restore`: record it, or merge its status and dictionaries into the known one.
    RecordRestore(NewRestore),
    /// `update_resource_status` (one) and `update_resources_status` (1 to 1000), in list order.
    UpdateResources {
        /// Which restore.
        restore_id: RestoreId,
        /// In the order sent.
        updates: Vec<ResourceUpdate>,
    },
    /// `expect_resources`.
    ExpectResources {
        /// Which restore.
        restore_id: RestoreId,
        /// In the order sent.
        resources: Vec<ExpectedResource>,
    },
    /// `update_restore_status`.
    UpdateRestore {
        /// Which restore.
        restore_id: RestoreId,
        /// What is said of it.
        state: RestoreState,
    },
    /// The keeper's own: merge what Karbor's row of it holds.
    TakeIn(RestoreId),
    /// The keeper's own: say that it has stalled, unless something was heard of it.
    NoteSilence {
        /// Which restore.
        restore_id: RestoreId,
        /// Nothing was heard of it since.
        since: DateTime<Utc>,
    },
}

impl Command {
    /// The restore it is about.
    pub fn restore_id(&self) -> RestoreId {
        match self {
            Self::RecordRestore(restore) => restore.id,
            Self::UpdateResources { restore_id, .. }
            | Self::ExpectResources { restore_id, .. }
            | Self::UpdateRestore { restore_id, .. }
            | Self::TakeIn(restore_id)
            | Self::NoteSilence { restore_id, .. } => *restore_id,
        }
    }

    /// How many resources it names: what a batch is bounded by.
    pub fn weight(&self) -> usize {
        match self {
            Self::RecordRestore(restore) => 1 + restore.resources.len(),
            Self::UpdateResources { updates, .. } => updates.len(),
            Self::ExpectResources { resources, .. } => resources.len(),
            Self::UpdateRestore { .. } | Self::TakeIn(_) | Self::NoteSilence { .. } => 1,
        }
    }
}

/// What became of a command, in the transaction that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The restore is recorded now, or was before.
    Recorded,
    /// One entry an update, in order: its effect, and the status known afterwards.
    Resources(Vec<(Effect, ResourceStatus)>),
    /// How many resources are expected now.
    Expected(u64),
    /// The effect on the restore, and its status afterwards.
    Restore(Effect, RestoreStatus),
    /// Stored as an early update, to be applied when its restore is recorded.
    Waiting,
    /// One of the keeper's own was done, or there was nothing to do.
    Kept,
    /// Nothing was changed.
    Refused(Refusal),
}

/// Why a valid command was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No such restore, or none that the sender reaches: the answer is the same.
    RestoreNotFound(RestoreId),
    /// The restore would have more resources than the limit.
    TooManyResources {
        /// The limit in force.
        limit: u64,
    },
}
