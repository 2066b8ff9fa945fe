//! Brings the schema to this version's: the migrations of `migrations/`, embedded, under a lock
//! of the database's own, so that workers that start together do it once. Never touches a
//! database that Karbor created, and leaves a newer schema alone as long as it serves this
//! version: the version before can go on, and come back.

use diesel::backend::Backend;
use diesel::connection::BoxableConnection;
use diesel::migration::{Migration, MigrationMetadata, MigrationName, MigrationSource};
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
pub const SCHEMA_VERSION: i64 = 3;

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

const ACT: &str = "migrating the schema";

const TABLES: Statement = Statement {
    act: "looking at the schema",
    postgresql: "SELECT table_name::text AS name FROM information_schema.tables \
                 WHERE table_schema = ANY (current_schemas(false)) \
                 AND table_name IN ('restores', 'restore_schema_facts', '__diesel_schema_migrations')",
    mysql: "SELECT table_name AS name FROM information_schema.tables \
            WHERE table_schema = DATABASE() AND table_name IN ('restores', 'restore_schema_facts', '__diesel_schema_migrations')",
    sqlite: "SELECT name FROM sqlite_master \
             WHERE type = 'table' AND name IN ('restores', 'restore_schema_facts', '__diesel_schema_migrations')",
};

const FACTS: Statement = Statement::portable(
    "reading the schema's version",
    "SELECT fact AS name, value FROM restore_schema_facts",
);

const ANY_RESTORE: Statement =
    Statement::portable(ACT, "SELECT CAST(id AS CHAR) AS name FROM restores LIMIT 1");

/// Which migrations are applied, as diesel notes it: by what stands before the first `_`.
const RECORDS: &str = "__diesel_schema_migrations";

const RECORDED: Statement =
    Statement::portable(ACT, "SELECT version AS name FROM __diesel_schema_migrations");

/// The migration that comes first.
const MAKES_FACTS: &str = "0001_restore_schema_facts";

/// The migration that makes Karbor's table, where Karbor did not.
const MAKES_RESTORES: &str = "0002_restores";

#[derive(diesel::QueryableByName)]
struct Named {
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
        let mut migrating = Migrating::begin(self).await?;
        // Under the lock, so that what is seen is no half of another worker's migration.
        let found = self.look().await?;
        if found.must_be_adopted {
            return Err(MigrateError::NeedsAdoption);
        }
        found.refuse_newer()?;
        Ok(MigrationReport { applied: migrating.run(Restores::Ours).await? })
    }

    /// Whether the database answers, and its schema is one this version can work with.
    ///
    /// # Errors
    ///
    /// As [`Self::check_schema`]; a schema that is not fit is [`StoreError::Fatal`].
    pub async fn check(&self) -> Result<(), StoreError> {
        self.check_schema().await.map_err(|error| match error {
            MigrateError::Store(error) => error,
            unfit => StoreError::Fatal { act: FACTS.act, source: DatabaseFault(unfit.to_string()) },
        })
    }

    /// Whether the database answers, and its schema is one this version can work with. What is not
    /// migrated yet is transient.
    pub async fn check_schema(&self) -> Result<(), MigrateError> {
        let mut connection = self.pools.connect(FACTS.act, Use::Read).await?;
        let tables: Vec<Named> = connection.load(&TABLES, &[]).await?;
        let has = |name: &str| tables.iter().any(|table| table.name == name);
        if !has("restore_schema_facts") {
            return Err(if has("restores") {
                MigrateError::NeedsAdoption
            } else {
                MigrateError::NoSchema
            });
        }
        let facts: Vec<Fact> = connection.load(&FACTS, &[]).await?;
        let fact = |name: &str| facts.iter().find(|fact| fact.name == name).map(|fact| fact.value);
        match (fact("schema_version"), fact("oldest_version_served")) {
            _ if fact("adopting").is_some() => Err(MigrateError::NeedsAdoption),
            (_, Some(oldest_served)) if oldest_served > SCHEMA_VERSION => {
                Err(MigrateError::NewerSchema { oldest_served })
            }
            (Some(version), _) if version >= SCHEMA_VERSION => Ok(()),
            _ => Err(MigrateError::OldSchema),
        }
    }

    pub(super) async fn look(&self) -> Result<Found, StoreError> {
        let mut connection = self.pools.connect(ACT, Use::Read).await?;
        let tables: Vec<Named> = connection.load(&TABLES, &[]).await?;
        let has = |name: &str| tables.iter().any(|table| table.name == name);
        let facts: Vec<Fact> = if has("restore_schema_facts") {
            connection.load(&FACTS, &[]).await?
        } else {
            Vec::new()
        };
        let recorded: Vec<Named> =
            if has(RECORDS) { connection.load(&RECORDED, &[]).await? } else { Vec::new() };
        // On MySQL a step may be done and not recorded; that of the facts comes first, and with
        // it, in Karbor's database, the fact that its rows are not taken in.
        let ours = recorded.iter().any(|row| MAKES_FACTS.starts_with(&row.name));
        let fact = |name: &str| facts.iter().find(|fact| fact.name == name).map(|fact| fact.value);
        let has_restores = has("restores") || is_hidden(&mut connection).await?;
        Ok(Found {
            has_restores,
            must_be_adopted: has_restores && (!ours || fact("adopting").is_some()),
            oldest_served: fact("oldest_version_served"),
        })
    }
}

/// Whether the table `restores` is there though it is not listed: MySQL leaves it out while its
/// columns are being widened, for an adoption that died perhaps. A reader waits for that.
async fn is_hidden(connection: &mut Connection) -> Result<bool, StoreError> {
    if connection.dialect() != Dialect::Mysql {
        return Ok(false);
    }
    match connection.load::<Named>(&ANY_RESTORE, &[]).await {
        Ok(_) => Ok(true),
        Err(StoreError::Fatal { source, .. }) if source.0.starts_with("error 1146") => Ok(false),
        Err(error) => Err(error),
    }
}

/// What the database holds.
pub(super) struct Found {
    pub has_restores: bool,
    /// Karbor made the table `restores`, and that is not adopted, or not to its end.
    pub must_be_adopted: bool,
    oldest_served: Option<i64>,
}

impl Found {
    pub fn refuse_newer(&self) -> Result<(), MigrateError> {
        match self.oldest_served.filter(|oldest| *oldest > SCHEMA_VERSION) {
            Some(oldest_served) => Err(MigrateError::NewerSchema { oldest_served }),
            None => Ok(()),
        }
    }
}

/// Whose table `restores` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restores {
    /// A migration makes it.
    Ours,
    /// Karbor made it: that migration is noted as done, with a fact that the rows are not taken in.
    Karbors,
}

/// A migration under the database's lock, which is given back when this is dropped.
pub(super) struct Migrating {
    store: Store,
    /// Its connection has the lock.
    _lock: Link,
}

impl Migrating {
    pub async fn begin(store: &Store) -> Result<Self, StoreError> {
        let fault = |fault: Fault| fault.before_commit(ACT);
        let mut link = store.pools.opener().open().await.map_err(fault)?;
        lock(&mut link).await.map_err(fault)?;
        Ok(Self { store: store.clone(), _lock: link })
    }

    /// Runs one statement that may take longer than a batch.
    pub async fn command(&mut self, text: &str) -> Result<(), StoreError> {
        let fault = |fault: Fault| fault.before_commit(ACT);
        self.open().await.map_err(fault)?.command(text).await.map_err(fault)
    }

    /// A connection without time limits.
    async fn open(&mut self) -> Result<Link, Fault> {
        let mut link = self.store.pools.opener().open().await?;
        lift_time_limits(&mut link).await?;
        Ok(link)
    }

    /// Applies what is missing; gives the names of the steps. A migration blocks.
    pub async fn run(&mut self, restores: Restores) -> Result<Vec<String>, StoreError> {
        let fault = |fault: Fault| fault.before_commit(ACT);
        let link = self.open().await.map_err(fault)?;
        let opener = self.store.pools.opener();
        let sqlite = match link {
            Link::Sqlite(_) => Some(opener.open_blocking_sqlite().map_err(fault)?),
            _ => None,
        };
        let run = tokio::task::spawn_blocking(move || match (link, sqlite) {
            (Link::Sqlite(_), connection) => run_sqlite(connection),
            (link, _) => run_remote(link, restores),
        });
        let applied = match run.await {
            Ok(result) => result.map_err(fault)?,
            Err(panic) => return Err(fault(Fault::new(FaultClass::Fatal, panic.to_string()))),
        };
        // A pooled connection may have prepared statements for the schema as it was.
        self.store.pools.forget_idle();
        Ok(applied)
    }

    /// The steps that are missing, the making of Karbor's table aside. Changes nothing.
    pub async fn missing_steps(&mut self) -> Result<Vec<String>, StoreError> {
        let mut connection = self.store.pools.connect(ACT, Use::Read).await?;
        let tables: Vec<Named> = connection.load(&TABLES, &[]).await?;
        let recorded: Vec<Named> = if tables.iter().any(|table| table.name == RECORDS) {
            connection.load(&RECORDED, &[]).await?
        } else {
            Vec::new()
        };
        let names = match connection.dialect() {
            Dialect::Postgresql => names_of::<diesel::pg::Pg>(&POSTGRESQL),
            Dialect::Mysql => names_of::<diesel::mysql::Mysql>(&MYSQL),
            Dialect::Sqlite => names_of::<diesel::sqlite::Sqlite>(&SQLITE),
        };
        let is_missing = |name: &String| {
            name != MAKES_RESTORES && !recorded.iter().any(|row| name.starts_with(&row.name))
        };
        Ok(names.into_iter().filter(is_missing).collect())
    }
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
        // The connection is idle while another one migrates.
        Dialect::Mysql => (
            "SET SESSION wait_timeout = 86400",
            "SELECT CAST(COALESCE(GET_LOCK(LEFT(CONCAT('karbor-restore-worker/', DATABASE()), 64), 60), \
             0) AS SIGNED) AS locked",
        ),
        Dialect::Sqlite => return Ok(()),
    };
    link.command(settings).await?;
    if link.dialect() == Dialect::Mysql {
        // MariaDB's limit for statements holds for waiting too; MySQL has no such limit.
        let _ = link.command("SET SESSION max_statement_time = 0").await;
    }
    let rows: Vec<Locked> = link.load(Query { text, params: &[] }).await?;
    if rows.iter().any(|row| row.value == 1) {
        Ok(())
    } else {
        Err(Fault::new(FaultClass::Transient, "another worker is migrating"))
    }
}

/// What a migration does may take longer than a batch.
async fn lift_time_limits(link: &mut Link) -> Result<(), Fault> {
    match link.dialect() {
        Dialect::Postgresql => {
            link.command("SET statement_timeout TO 0; SET lock_timeout TO '60s'").await
        }
        Dialect::Mysql => {
            link.command("SET SESSION innodb_lock_wait_timeout = 60").await?;
            // MariaDB's limit holds for DDL too; MySQL has no such limit.
            let _ = link.command("SET SESSION max_statement_time = 0").await;
            Ok(())
        }
        Dialect::Sqlite => Ok(()),
    }
}

fn run_sqlite(connection: Option<diesel::SqliteConnection>) -> Result<Vec<String>, Fault> {
    let mut connection = connection.expect("an SQLite store opens one to migrate");
    connection
        .exclusive_transaction(|connection| {
            run_pending(connection, SQLITE, Restores::Ours)
                .map_err(diesel::result::Error::QueryBuilderError)
        })
        .map_err(|error| by_sqlite_words(&error.to_string()))
}

fn run_remote(link: Link, restores: Restores) -> Result<Vec<String>, Fault> {
    match link {
        Link::Postgresql(opened) => {
            let opened = *opened;
            let mut harness = AsyncMigrationHarness::new(opened.connection);
            run_pending(&mut harness, POSTGRESQL, restores).map_err(|error| {
                match opened.last.take() {
                    Some(code) => by_sqlstate(&code, &error.to_string()),
                    None => Fault::new(FaultClass::Lost, error.to_string()),
                }
            })
        }
        Link::Mysql(connection) => {
            let mut harness = AsyncMigrationHarness::new(*connection);
            run_pending(&mut harness, MYSQL, restores).map_err(|error| {
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

fn run_pending<DB, H>(
    harness: &mut H,
    source: EmbeddedMigrations,
    restores: Restores,
) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>>
where
    DB: Backend,
    H: MigrationHarness<DB>,
{
    let mut applied = Vec::new();
    for migration in harness.pending_migrations(source)? {
        let name = migration.name().to_string();
        let step = match (restores, name.as_str()) {
            (Restores::Karbors, MAKES_FACTS) => Step::AndKarborMadeRestores,
            (Restores::Karbors, MAKES_RESTORES) => Step::Nothing,
            _ => Step::Itself,
        };
        harness.run_migration(&Repeatable { migration, step })?;
        if step != Step::Nothing {
            applied.push(name);
        }
    }
    Ok(applied)
}

/// What is done in the place of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// What it says.
    Itself,
    /// That, and a fact that the rows of Karbor's table are still to be taken in.
    AndKarborMadeRestores,
    /// It is noted as done.
    Nothing,
}

/// A migration that may have been done before without being noted: MySQL commits each DDL statement
/// by itself, so a process that ends between the two leaves it so. One step a migration makes that
/// plain: what it was to make is there.
struct Repeatable<DB: Backend> {
    migration: Box<dyn Migration<DB>>,
    step: Step,
}

impl<DB: Backend> Migration<DB> for Repeatable<DB> {
    fn run(&self, connection: &mut dyn BoxableConnection<DB>) -> diesel::migration::Result<()> {
        if self.step != Step::Nothing {
            self.migration.run(connection).or_else(|error| {
                if is_there_already(&error.to_string()) { Ok(()) } else { Err(error) }
            })?;
        }
        if self.step == Step::AndKarborMadeRestores {
            connection.batch_execute("DELETE FROM restore_schema_facts WHERE fact = 'adopting'")?;
            connection.batch_execute(
                "INSERT INTO restore_schema_facts (fact, value) VALUES ('adopting', 1)",
            )?;
        }
        Ok(())
    }

    fn revert(&self, connection: &mut dyn BoxableConnection<DB>) -> diesel::migration::Result<()> {
        self.migration.revert(connection)
    }

    fn metadata(&self) -> &dyn MigrationMetadata {
        self.migration.metadata()
    }

    fn name(&self) -> &dyn MigrationName {
        self.migration.name()
    }
}

/// MySQL's words for a table (1050), a column (1060) or an index (1061) that exists. PostgreSQL's
/// and SQLite's migrations are all or nothing, and such an error ends their transaction.
fn is_there_already(error: &str) -> bool {
    (error.contains("Table '") && error.contains("already exists"))
        || error.contains("Duplicate column name")
        || error.contains("Duplicate key name")
}

fn names_of<DB: Backend>(source: &EmbeddedMigrations) -> Vec<String> {
    let migrations = MigrationSource::<DB>::migrations(source).expect("they are compiled in");
    let mut names: Vec<String> = migrations.iter().map(|m| m.name().to_string()).collect();
    names.sort();
    names
}
