//! Brings the schema to this version's: the migrations of `migrations/`, embedded, under a lock
//! of the database's own, so that workers that start together do it once. Never touches a
//! database that Karbor created, and leaves a newer schema alone as long as it serves this
//! version: the version before can go on, and come back.

use diesel::migration::MigrationSource;
use diesel::sql_types::{BigInt, Text};
use diesel_async::AsyncMigrationHarness;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::Connection;
use super::fault::{Fault, FaultClass, by_mysql_number, by_sqlite_words, by_sqlstate};
use super::link::{self, Link};
use super::pool::Use;
use super::statement::{Query, Statement};
use super::{DatabaseFault, Dialect, Store, StoreError};

const POSTGRESQL: EmbeddedMigrations = embed_migrations!("migrations/postgresql");
const MYSQL: EmbeddedMigrations = embed_migrations!("migrations/mysql");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// The schema this version writes and reads.
pub const SCHEMA_VERSION: i64 = 1;

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
        "the database holds Karbor's `restores` table and must be adopted: run \
         `karbor-restore-worker migrate --adopt`, of a version that has it"
    )]
    NeedsAdoption,
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
            Self::Store(StoreError::Transient { .. } | StoreError::Doubt { .. }) => true,
            Self::Store(
                StoreError::Refused { .. } | StoreError::Fenced | StoreError::Fatal { .. },
            )
            | Self::NeedsAdoption
            | Self::NewerSchema { .. } => false,
        }
    }
}

const ACT: &str = "migrating the schema";

const TABLES: Statement = Statement {
    act: ACT,
    postgresql: "SELECT table_name::text AS name FROM information_schema.tables \
                 WHERE table_schema = ANY (current_schemas(false)) \
                 AND table_name IN ('restores', 'restore_schema_facts')",
    mysql: "SELECT table_name AS name FROM information_schema.tables \
            WHERE table_schema = DATABASE() AND table_name IN ('restores', 'restore_schema_facts')",
    sqlite: "SELECT name FROM sqlite_master \
             WHERE type = 'table' AND name IN ('restores', 'restore_schema_facts')",
};

const FACTS: Statement = Statement::portable(
    "reading the schema's version",
    "SELECT fact AS name, value FROM restore_schema_facts",
);

#[derive(diesel::QueryableByName)]
struct Table {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(diesel::QueryableByName)]
struct Fact {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    value: i64,
}

impl Store {
    /// Brings the schema to this version's, and says what it did. Safe to call at every start and
    /// by many workers at once. Needs tokio's multi-threaded runtime.
    pub async fn migrate(&self) -> Result<MigrationReport, MigrateError> {
        let fault = |fault: Fault| fault.before_commit(ACT);
        let mut link = self.pools.opener().open().await.map_err(fault)?;
        lock(&mut link).await.map_err(fault)?;
        // Under the lock, so that what is seen is no half of another worker's migration.
        let found = self.look().await?;
        if found.must_be_adopted {
            return Err(MigrateError::NeedsAdoption);
        }
        if let Some(oldest_served) = found.oldest_served.filter(|oldest| *oldest > SCHEMA_VERSION) {
            return Err(MigrateError::NewerSchema { oldest_served });
        }
        let sqlite = match link {
            Link::Sqlite(_) => Some(self.pools.opener().open_blocking_sqlite().map_err(fault)?),
            _ => None,
        };
        let run = tokio::task::spawn_blocking(move || match (link, sqlite) {
            (Link::Sqlite(_), connection) => run_sqlite(connection),
            (link, _) => run_remote(link),
        });
        let applied = match run.await {
            Ok(result) => result.map_err(fault)?,
            Err(panic) => {
                return Err(fault(Fault::new(FaultClass::Fatal, panic.to_string())).into());
            }
        };
        // A pooled connection may have prepared statements for the schema as it was.
        self.pools.forget_idle();
        Ok(MigrationReport { applied })
    }

    /// Whether the database answers, and its schema is one this version can work with.
    pub async fn check(&self) -> Result<(), StoreError> {
        let mut connection = self.pools.connect(FACTS.act, Use::Read).await?;
        let facts: Vec<Fact> = connection.load(&FACTS, &[]).await?;
        let fact = |name: &str| facts.iter().find(|fact| fact.name == name).map(|fact| fact.value);
        let text = match (fact("schema_version"), fact("oldest_version_served")) {
            (_, Some(oldest)) if oldest > SCHEMA_VERSION => {
                MigrateError::NewerSchema { oldest_served: oldest }.to_string()
            }
            (Some(version), _) if version >= SCHEMA_VERSION => return Ok(()),
            _ => "the schema is not migrated: run `karbor-restore-worker migrate`".to_owned(),
        };
        Err(StoreError::Fatal { act: FACTS.act, source: DatabaseFault(text) })
    }

    async fn look(&self) -> Result<Found, StoreError> {
        let mut connection = self.pools.connect(ACT, Use::Read).await?;
        let tables: Vec<Table> = connection.load(&TABLES, &[]).await?;
        let has = |name: &str| tables.iter().any(|table| table.name == name);
        let mut found = Found {
            must_be_adopted: has("restores") && !has("restore_schema_facts"),
            oldest_served: None,
        };
        if has("restore_schema_facts") {
            found.oldest_served = oldest_served(&mut connection).await?;
        }
        Ok(found)
    }
}

struct Found {
    must_be_adopted: bool,
    oldest_served: Option<i64>,
}

async fn oldest_served(connection: &mut Connection) -> Result<Option<i64>, StoreError> {
    let facts: Vec<Fact> = connection.load(&FACTS, &[]).await?;
    let oldest = facts.into_iter().find(|fact| fact.name == "oldest_version_served");
    Ok(oldest.map(|fact| fact.value))
}

#[derive(diesel::QueryableByName)]
struct Locked {
    #[diesel(sql_type = BigInt)]
    #[diesel(column_name = locked)]
    value: i64,
}

/// Takes the lock, which ends with the connection. SQLite's is taken by the transaction itself.
async fn lock(link: &mut Link) -> Result<(), Fault> {
    let (settings, text) = match link.dialect() {
        // The number is this project's own, chosen once.
        Dialect::Postgresql => (
            "SET statement_timeout TO '60s'; SET lock_timeout TO '60s'",
            "SELECT 1::bigint AS locked FROM (SELECT pg_advisory_lock(5741650218342910321)) AS taken",
        ),
        Dialect::Mysql => (
            "SET SESSION innodb_lock_wait_timeout = 60",
            "SELECT CAST(COALESCE(GET_LOCK(LEFT(CONCAT('karbor-restore-worker/', DATABASE()), 64), 60), \
             0) AS SIGNED) AS locked",
        ),
        Dialect::Sqlite => return Ok(()),
    };
    link.command(settings).await?;
    if link.dialect() == Dialect::Mysql {
        // MariaDB's limit for statements holds for DDL and for waiting; MySQL has no such limit.
        let _ = link.command("SET SESSION max_statement_time = 0").await;
    }
    let rows: Vec<Locked> = link.load(Query { text, params: &[] }).await?;
    if rows.iter().any(|row| row.value == 1) {
        // What a migration does may take longer than a batch.
        if link.dialect() == Dialect::Postgresql {
            link.command("SET statement_timeout TO 0").await?;
        }
        Ok(())
    } else {
        Err(Fault::new(FaultClass::Transient, "another worker is migrating"))
    }
}

fn run_sqlite(connection: Option<diesel::SqliteConnection>) -> Result<Vec<String>, Fault> {
    let mut connection = connection.expect("an SQLite store opens one to migrate");
    connection
        .exclusive_transaction(|connection| {
            run_pending(connection, SQLITE).map_err(diesel::result::Error::QueryBuilderError)
        })
        .map_err(|error| by_sqlite_words(&error.to_string()))
}

fn run_remote(link: Link) -> Result<Vec<String>, Fault> {
    match link {
        Link::Postgresql(opened) => {
            let opened = *opened;
            let mut harness = AsyncMigrationHarness::new(opened.connection);
            run_pending(&mut harness, POSTGRESQL).map_err(|error| match opened.last.take() {
                Some(code) => by_sqlstate(&code, &error.to_string()),
                None => Fault::new(FaultClass::Lost, error.to_string()),
            })
        }
        Link::Mysql(connection) => {
            let mut harness = AsyncMigrationHarness::new(*connection);
            run_pending(&mut harness, MYSQL).map_err(|error| {
                let mut connection = harness.into_inner();
                let runtime = tokio::runtime::Handle::current();
                match runtime.block_on(link::last_error_number(&mut connection)) {
                    Some(number) => by_mysql_number(number, &error.to_string()),
                    None => Fault::new(FaultClass::Lost, error.to_string()),
                }
            })
        }
        Link::Sqlite(_) => unreachable!("SQLite migrates on a connection of its own"),
    }
}

fn run_pending<DB, H, S>(
    harness: &mut H,
    source: S,
) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>>
where
    DB: diesel::backend::Backend,
    H: MigrationHarness<DB>,
    S: MigrationSource<DB>,
{
    let mut applied = Vec::new();
    for migration in harness.pending_migrations(source)? {
        harness.run_migration(migration.as_ref())?;
        applied.push(migration.name().to_string());
    }
    Ok(applied)
}
