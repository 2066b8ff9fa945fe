//! What a migration did, or why it did nothing.

use super::SCHEMA_VERSION;
use crate::store::StoreError;

/// What [`Store::migrate`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationReport {
    /// The steps that were applied now, oldest first; none if the schema was there.
    pub applied: Vec<String>,
}

impl MigrationReport {
    /// Says in the log what was done.
    pub fn log(&self) {
        if self.applied.is_empty() {
            tracing::info!(schema_version = SCHEMA_VERSION, "the schema is up to date");
        }
        for migration in &self.applied {
            tracing::info!(migration, "applied a migration");
        }
    }
}

/// Why [`Store::migrate`] did nothing, or not all.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Karbor created this database.
    #[error(
        "the database holds Karbor's `restores` table and must be adopted first: run \
         `karbor-restore-worker migrate --adopt` (with `--dry-run` it only says what it would do)"
    )]
    NeedsAdoption,
    /// It is empty, as far as this worker can tell.
    #[error(
        "it holds no schema of this worker's: does `database.url` name the right one? \
         `karbor-restore-worker migrate` makes the schema"
    )]
    NoSchema,
    /// A step is missing.
    #[error("the schema is not up to date: run `karbor-restore-worker migrate`")]
    OldSchema,
    /// There is nothing that could be adopted.
    #[error("there is nothing to adopt in this database: {0}")]
    NothingToAdopt(&'static str),
    /// A newer version was here, and this one is too old for what it left.
    #[error(
        "the schema serves versions from {oldest_served} on, this one is {SCHEMA_VERSION}: \
         use a newer `karbor-restore-worker`"
    )]
    NewerSchema {
        /// The oldest schema version that it serves.
        oldest_served: i64,
    },
    /// The database could not do it; the same may be tried again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl std::fmt::Display for MigrationReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.applied.as_slice() {
            [] => write!(f, "the schema is up to date (version {SCHEMA_VERSION})"),
            applied => write!(f, "applied {}", applied.join(", ")),
        }
    }
}

impl MigrateError {
    /// Whether the same may succeed later, without anybody's doing.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(StoreError::Transient { .. } | StoreError::Doubt { .. })
            | Self::NoSchema
            | Self::OldSchema => true,
            Self::Store(
                StoreError::Refused { .. }
                | StoreError::Fenced
                | StoreError::Denied { .. }
                | StoreError::Fatal { .. },
            )
            | Self::NeedsAdoption
            | Self::NothingToAdopt(_)
            | Self::NewerSchema { .. } => false,
        }
    }

    /// Whether the database refused the login.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Store(StoreError::Denied { .. }))
    }
}
