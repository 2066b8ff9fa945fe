//! The database: what is known of restores, what is still to be published, what came too early.
//! The only room that names diesel; three databases behind one [`Store`].
//!
//! Takes batches of commands, gives their outcomes and events. When a call that writes returns
//! `Ok`, its transaction is committed; on an error nothing is, except in [`StoreError::Doubt`],
//! where nobody knows. Every rule is a merge, so doing a batch again is always right.
//!
//! ```text
//! options ─▶ pool ─▶ connection ─▶ link ─▶ connect/{postgresql,mysql,sqlite}
//!                        │                      fault: what an error means
//!   batch/ publishers early dictionaries watch  statement: the same act in three dialects
//! ```

pub mod contract;
mod options;
mod statement;
mod fault;
mod connect;
mod link;
mod pool;
mod connection;
mod migrate;
mod adopt;
mod karbor;
mod hidden;
mod batch;
mod events;
mod publishers;
mod early;
mod dictionaries;
mod duties;
mod retention;
mod watch;
mod durability;
mod read;

pub use adopt::{Adoption, AdoptionReport};
pub use contract::*;
pub use dictionaries::Dictionaries;
pub use duties::Duty;
pub use migrate::{MigrateError, MigrationReport, SCHEMA_VERSION};
pub use options::{Dialect, SslMode, StoreOptions, TlsOptions};
pub(crate) use options::{check_url, tls_of_url};
pub use retention::{DeletedPage, OldEvent};
pub use watch::{Noticed, NoticedPage};

use std::sync::Arc;
use std::time::Duration;

use crate::domain::AliasTable;
use karbor::KarborRules;
use pool::Pools;

/// A database, reached through pools of connections; cheap to clone.
#[derive(Clone)]
pub struct Store {
    pools: Pools,
    lease: Duration,
    resources_per_restore: u64,
    karbor: Arc<KarborRules>,
}

impl Store {
    /// Opens a store; connects when it is first asked for something.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fatal`] for a URL that no database can be reached with.
    #[expect(clippy::needless_pass_by_value, reason = "a store is what becomes of its options")]
    pub fn new(options: StoreOptions) -> Result<Self, StoreError> {
        let pools = Pools::new(&options)?;
        let StoreOptions { lease, resources_per_restore, .. } = options;
        Ok(Self { pools, lease, resources_per_restore, karbor: Arc::default() })
    }

    /// Reads statuses and reasons in Karbor's columns by these rules instead of the defaults.
    #[must_use]
    pub fn with_rules(mut self, aliases: AliasTable, reason_chars: usize) -> Self {
        self.karbor = Arc::new(KarborRules { aliases, reason_chars });
        self
    }

    /// Whether the database answers a new connection, even if only to refuse it; whatever those of
    /// the pools wait for.
    pub async fn answers(&self) -> bool {
        let opened = self.pools.opener().open().await;
        !matches!(opened, Err(fault) if fault.ends_connection())
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        self.pools.dialect
    }
}
