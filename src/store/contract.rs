//! What the rest of the crate asks of a store and gets from it: plain types, no SQL.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::{
    Command, Counts, Event, Outcome, PublisherId, ResourceId, ResourceKey, ResourceStatus,
    ResourceType, RestoreId, Sender,
};

/// One command of a batch, with what the store must know of its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchItem {
    /// What to do.
    pub command: Command,
    /// Who asks: the tenant rule is judged here, under the restore's lock.
    pub sender: Sender,
    /// What to do when nobody has recorded its restore.
    pub if_unknown: IfUnknown,
}

/// What becomes of an update whose restore is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfUnknown {
    /// Refuse it (a call, or a message that was given up waiting).
    Refuse,
    /// Keep it until the restore is recorded (a cast).
    Wait(EarlyMessage),
    /// It waited already: leave its row where it is while the restore is unknown, delete the row
    /// in this transaction otherwise.
    Waited(Uuid),
}

/// A cast that came before its restore, in the form in which it may rest in a table: no token,
/// no `restore_auth`, reasons masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyMessage {
    /// The message's `_unique_id`.
    pub unique_id: String,
    /// The queue it came from.
    pub queue: String,
    /// Its AMQP properties as JSON, for the dead letter that it may become.
    pub properties: String,
    /// The body that decodes to the same command.
    pub body: String,
}

/// An early update at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyUpdate {
    /// Its row.
    pub id: Uuid,
    /// The restore it waits for.
    pub restore_id: RestoreId,
    /// When it was stored, by the database's clock.
    pub received_at: DateTime<Utc>,
    /// The message.
    pub message: EarlyMessage,
}

/// A publisher as its own worker holds it: numbers are given in memory, under the row's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// Its id.
    pub id: PublisherId,
    /// Its host, for `restore-worker.HOST`.
    pub host: String,
    /// The number its next event gets; 1 at first. Moved on by `commit_batch` only when the
    /// commit was answered.
    pub next_number: u64,
}

/// What a batch's transaction left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// One for each item, in order.
    pub outcomes: Vec<Outcome>,
    /// The events it wrote, numbers ascending without a gap.
    pub events: Vec<Event>,
}

/// A publisher whose lease ran out, or that was closed, with events beyond its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftBehind {
    /// Its id.
    pub id: PublisherId,
    /// Its host.
    pub host: String,
    /// Events up to this number are published.
    pub published_through: u64,
}

/// A restore as `get_restore` and REST show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreView {
    /// Its id.
    pub id: RestoreId,
    /// Its project.
    pub project_id: String,
    /// Its provider.
    pub provider_id: String,
    /// Its checkpoint.
    pub checkpoint_id: String,
    /// Its target.
    pub restore_target: Option<String>,
    /// Its parameters as JSON text.
    pub parameters: Option<String>,
    /// Its status; text, since Karbor's table may hold words of its own.
    pub status: String,
    /// Its reason.
    pub reason: Option<String>,
    /// When it was recorded.
    pub created_at: Option<DateTime<Utc>>,
    /// When anything of it last changed.
    pub updated_at: Option<DateTime<Utc>>,
    /// `TYPE#ID`, status, reason of every resource that the dictionaries show, by key.
    pub resources: Vec<(ResourceKey, ResourceStatus, Option<String>)>,
    /// How many resources stand where.
    pub counts: Counts,
}

/// Which restores a list shows, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// Only this project's; `None` is all of them.
    pub project_id: Option<String>,
    /// Equality filters on columns.
    pub filters: Vec<(RestoreColumn, String)>,
    /// Sort keys, first is the most significant; `id` is added as the last by the store.
    pub sort: Vec<(RestoreColumn, Direction)>,
    /// Start after this restore.
    pub marker: Option<RestoreId>,
    /// At most this many.
    pub limit: u32,
    /// Skip this many.
    pub offset: u64,
}

/// The columns of `restores` that can be filtered and sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the column of its name")]
pub enum RestoreColumn {
    Id,
    ProjectId,
    ProviderId,
    CheckpointId,
    RestoreTarget,
    Status,
    CreatedAt,
    UpdatedAt,
}

/// Which way a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Greatest first.
    Descending,
}

/// One line of a restore's resources, as our own REST and `show` list them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceLine {
    /// Its type.
    pub resource_type: ResourceType,
    /// Its id; `None` for an expected one not begun.
    pub resource_id: Option<ResourceId>,
    /// Its source.
    pub source_id: Option<ResourceId>,
    /// Its name.
    pub name: Option<String>,
    /// Its status; `None` for an expected one not begun.
    pub status: Option<ResourceStatus>,
    /// Why.
    pub reason: Option<String>,
    /// The attempt.
    pub sequence: Option<u64>,
    /// Since when it stands so.
    pub since: Option<DateTime<Utc>>,
}

/// A page of a restore's resources: ascending by type and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceQuery {
    /// Those of these statuses; all of them are `ResourceStatus::ALL`.
    pub statuses: Vec<ResourceStatus>,
    /// Whether expected ones not begun are listed too (after the begun, by type and source).
    pub not_begun: bool,
    /// At most this many.
    pub limit: u32,
    /// Skip this many.
    pub offset: u64,
}

/// A page of a restore's timeline: oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventQuery {
    /// Start after this event; nothing follows one that is not there.
    pub after: Option<(PublisherId, u64)>,
    /// At most this many.
    pub limit: u32,
    /// Skip this many.
    pub offset: u64,
}

/// Which committed events: those that all of this holds of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSelection {
    /// Of this restore.
    pub restore: Option<RestoreId>,
    /// Written by this publisher.
    pub publisher: Option<PublisherId>,
    /// Committed at this moment or later.
    pub since: Option<DateTime<Utc>>,
    /// Committed before this moment.
    pub until: DateTime<Utc>,
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was changed and the same may succeed later: no connection, a deadlock, a time-out.
    #[error("the database could not do it: {act}")]
    Transient {
        /// What was being done.
        act: &'static str,
        /// The database's or driver's words, without passwords.
        #[source]
        source: DatabaseFault,
    },
    /// It may or may not have been committed: the answer to COMMIT was lost, or the connection is
    /// in doubt. End this publisher and do the batch again with a new one.
    #[error("the database may or may not have committed: {act}")]
    Doubt {
        /// What was being done.
        act: &'static str,
        /// What was met.
        #[source]
        source: DatabaseFault,
    },
    /// The database refuses this data (SQLSTATE 22, 23), or the worker itself fails on it; nothing
    /// was changed. Halve the batch until the one is alone.
    #[error("the database refuses the data: {act}")]
    Refused {
        /// What was being done.
        act: &'static str,
        /// The database's words.
        #[source]
        source: DatabaseFault,
    },
    /// This publisher was closed by another worker: become a new one and do the batch again.
    #[error("this publisher was closed by another worker")]
    Fenced,
    /// The database does not let this worker in: a wrong password, a user or a database that is
    /// not there. Somebody must act, here or there; a worker that runs tries again.
    #[error("the database refuses the login: {act}")]
    Denied {
        /// What was being done.
        act: &'static str,
        /// The database's words.
        #[source]
        source: DatabaseFault,
    },
    /// It will not get better by itself: a missing table, a missing permission, a newer schema.
    #[error("the database cannot be used: {act}")]
    Fatal {
        /// What was being done.
        act: &'static str,
        /// The database's words.
        #[source]
        source: DatabaseFault,
    },
}

/// A fault in the words of the database or its driver; never holds a bound value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DatabaseFault(pub String);
