//! Brings the schema to this version's: the migrations of `migrations/`, embedded, under a lock
//! of the database's own, so that workers that start together do it once. Never touches a
//! database that Karbor created, and leaves a newer schema alone as long as it serves this
//! version: the version before can go on, and come back.

mod alone;
mod lock;
mod report;
mod step;

use diesel::sql_types::{BigInt, Text};

use super::connection::Connection;
use super::fault::{Fault, FaultClass};
use super::link::Link;
use super::pool::Use;
use super::statement::Statement;
use super::{DatabaseFault, Dialect, Store, StoreError};

pub use report::{MigrateError, MigrationReport};

/// The schema this version writes and reads.
pub const SCHEMA_VERSION: i64 = 3;

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
        let ours = recorded.iter().any(|row| step::MAKES_FACTS.starts_with(&row.name));
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
        lock::take(&mut link).await.map_err(fault)?;
        Ok(Self { store: store.clone(), _lock: link })
    }

    /// Runs `texts`, which change Karbor's table, while nobody else uses it, and makes our indexes
    /// on it. MySQL only.
    pub async fn change_karbors(&mut self, texts: &[&str]) -> Result<(), StoreError> {
        let texts = [texts, &step::INDEXES_OF_RESTORES].concat();
        let fault = |fault: Fault| fault.before_commit(ACT);
        let mut link = self.open().await.map_err(fault)?;
        alone::change_restores(&mut link, &texts).await.map_err(fault)
    }

    /// A connection without time limits.
    async fn open(&mut self) -> Result<Link, Fault> {
        let mut link = self.store.pools.opener().open().await?;
        lock::lift_time_limits(&mut link).await?;
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
            (Link::Sqlite(_), connection) => step::run_sqlite(connection),
            (link, _) => step::run_remote(link, restores),
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
        let names = step::names(connection.dialect());
        let is_missing = |name: &String| {
            name != step::MAKES_RESTORES && !recorded.iter().any(|row| name.starts_with(&row.name))
        };
        Ok(names.into_iter().filter(is_missing).collect())
    }
}
