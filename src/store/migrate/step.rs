//! The steps: the migrations of `migrations/`, each of which may be done again where it was not noted
//! as done.

use diesel::backend::Backend;
use diesel::connection::BoxableConnection;
use diesel::migration::{Migration, MigrationMetadata, MigrationName, MigrationSource};
use diesel_async::AsyncMigrationHarness;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::Restores;
use crate::store::Dialect;
use crate::store::fault::{Fault, FaultClass, by_mysql_number, by_sqlite_words, by_sqlstate};
use crate::store::link::{self, Link};

const POSTGRESQL: EmbeddedMigrations = embed_migrations!("migrations/postgresql");
const MYSQL: EmbeddedMigrations = embed_migrations!("migrations/mysql");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// The migration that comes first.
pub(super) const MAKES_FACTS: &str = "0001_restore_schema_facts";

/// The migration that makes Karbor's table, where Karbor did not.
pub(super) const MAKES_RESTORES: &str = "0002_restores";

/// The migrations that make indexes on it, as MySQL's.
pub(super) const INDEXES_OF_RESTORES: [&str; 2] = [
    include_str!("../../../migrations/mysql/0003_restores_by_project/up.sql"),
    include_str!("../../../migrations/mysql/0014_restores_by_creation/up.sql"),
];

pub(super) fn run_sqlite(
    connection: Option<diesel::SqliteConnection>,
) -> Result<Vec<String>, Fault> {
    let mut connection = connection.expect("an SQLite store opens one to migrate");
    connection
        .exclusive_transaction(|connection| {
            run_pending(connection, SQLITE, Restores::Ours)
                .map_err(diesel::result::Error::QueryBuilderError)
        })
        .map_err(|error| by_sqlite_words(&error.to_string()))
}

pub(super) fn run_remote(link: Link, restores: Restores) -> Result<Vec<String>, Fault> {
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
pub(super) fn is_there_already(error: &str) -> bool {
    (error.contains("Table '") && error.contains("already exists"))
        || error.contains("Duplicate column name")
        || error.contains("Duplicate key name")
}

/// The names of all steps, oldest first.
pub(super) fn names(dialect: Dialect) -> Vec<String> {
    match dialect {
        Dialect::Postgresql => names_of::<diesel::pg::Pg>(&POSTGRESQL),
        Dialect::Mysql => names_of::<diesel::mysql::Mysql>(&MYSQL),
        Dialect::Sqlite => names_of::<diesel::sqlite::Sqlite>(&SQLITE),
    }
}

fn names_of<DB: Backend>(source: &EmbeddedMigrations) -> Vec<String> {
    let migrations = MigrationSource::<DB>::migrations(source).expect("they are compiled in");
    let mut names: Vec<String> = migrations.iter().map(|m| m.name().to_string()).collect();
    names.sort();
    names
}
