//! Adopts a database that Karbor created: its `restores` table and its rows are taken in, tables of
//! ours are added, nothing of Karbor's is taken away. Interrupted, it is done again from where it
//! was: a fact in our table says that it is not finished, and until then no worker serves.

use chrono::{SubsecRound, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};

use super::connection::Connection;
use super::migrate::{MigrateError, Migrating, MigrationReport, Restores};
use super::pool::Use;
use super::statement::{Statement, as_count};
use super::{Dialect, Store, StoreError};

/// Whether to adopt, or only to say what that would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adoption {
    /// Do it.
    Real,
    /// Change nothing.
    DryRun,
}

/// What [`Store::adopt`] did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptionReport {
    /// Whether it was done.
    pub mode: Adoption,
    /// It was adopted before, or made by this worker: only its schema is brought up to date.
    pub already: bool,
    /// Rows of Karbor's table.
    pub karbor_restores: u64,
    /// Those of them that are deleted: they are left alone.
    pub deleted: u64,
    /// Restores taken in now; those taken in before are not among them.
    pub restores: u64,
    /// Their resources.
    pub resources: u64,
    /// Entries of their dictionaries that are of no resource: they are left as they are.
    pub unread: u64,
    /// Columns of Karbor's table that were widened.
    pub widened: Vec<String>,
    /// The steps that made our tables and indexes.
    pub migrations: MigrationReport,
}

const ACT: &str = "adopting Karbor's database";

/// Names every column of Karbor's that the worker uses: another table of this name is refused.
const SURVEY: Statement = Statement::portable(
    ACT,
    "SELECT COUNT(*) AS number, COUNT(CASE WHEN deleted THEN 1 END) AS deleted \
     FROM (SELECT created_at, updated_at, deleted, id, project_id, \
     provider_id, checkpoint_id, restore_target, parameters, status, resources_status, \
     resources_reason FROM restores) AS karbor",
);

/// TEXT ends at some 900 resources. Only MySQL has columns that are too narrow.
const NARROW: Statement = Statement::portable(
    ACT,
    "SELECT column_name AS name FROM information_schema.columns \
     WHERE table_schema = DATABASE() AND table_name = 'restores' AND data_type <> 'longtext' \
     AND column_name IN ('resources_status', 'resources_reason') ORDER BY column_name",
);

const WIDEN: &str =
    "ALTER TABLE restores MODIFY resources_status LONGTEXT, MODIFY resources_reason LONGTEXT";

const FINISHED: Statement =
    Statement::portable(ACT, "DELETE FROM restore_schema_facts WHERE fact = 'adopting'");

#[derive(QueryableByName)]
struct NumberRow {
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = BigInt)]
    deleted: i64,
}

#[derive(QueryableByName)]
struct NameRow {
    #[diesel(sql_type = Text)]
    name: String,
}

/// PostgreSQL's and MySQL's words for a column that is not there.
fn lacks_a_column(error: &str) -> bool {
    error.starts_with("SQLSTATE 42703") || error.starts_with("error 1054")
}

impl Store {
    /// Adopts Karbor's database, under the lock of a migration. Needs tokio's multi-threaded
    /// runtime.
    ///
    /// # Errors
    ///
    /// [`MigrateError::NothingToAdopt`] where there is no table of Karbor's.
    pub async fn adopt(&self, mode: Adoption) -> Result<AdoptionReport, MigrateError> {
        if self.dialect() == Dialect::Sqlite {
            return Err(MigrateError::NothingToAdopt(
                "Karbor's database is on PostgreSQL or MySQL, this one on SQLite",
            ));
        }
        let mut migrating = Migrating::begin(self).await?;
        let found = self.look().await?;
        found.refuse_newer()?;
        if !found.has_restores {
            return Err(MigrateError::NothingToAdopt(
                "it has no table `restores`: `karbor-manage db sync` makes Karbor's tables",
            ));
        }
        let mut connection = self.pools.connect(ACT, Use::Write).await?;
        let (karbor_restores, deleted) = match survey(&mut connection).await {
            Err(StoreError::Fatal { source, .. }) if lacks_a_column(&source.0) => {
                return Err(MigrateError::NothingToAdopt(
                    "its table `restores` is not Karbor's: columns of Karbor 1.6.0 are missing",
                ));
            }
            other => other?,
        };
        let mut report = AdoptionReport {
            mode,
            already: !found.must_be_adopted,
            karbor_restores,
            deleted,
            restores: 0,
            resources: 0,
            unread: 0,
            widened: Vec::new(),
            migrations: MigrationReport { applied: Vec::new() },
        };
        if report.already {
            report.migrations.applied = match mode {
                Adoption::Real => migrating.run(Restores::Ours).await?,
                Adoption::DryRun => migrating.missing_steps().await?,
            };
            return Ok(report);
        }
        report.widened = narrow_columns(&mut connection).await?;
        if mode == Adoption::DryRun {
            report.migrations.applied = migrating.missing_steps().await?;
            return Ok(report);
        }
        if connection.dialect() == Dialect::Mysql {
            let widen: &[&str] = if report.widened.is_empty() { &[] } else { &[WIDEN] };
            migrating.change_karbors(widen).await?;
        }
        drop(connection);
        report.migrations.applied = migrating.run(Restores::Karbors).await?;
        self.adopt_rows(&mut report).await?;
        let mut connection = self.pools.connect(ACT, Use::Write).await?;
        connection.execute(&FINISHED, &[]).await?;
        Ok(report)
    }

    async fn adopt_rows(&self, report: &mut AdoptionReport) -> Result<(), StoreError> {
        let now = Utc::now().trunc_subsecs(6);
        let mut after = String::new();
        while let Some(adopted) = self.adopt_page(&mut after, now).await? {
            report.restores += adopted.restores;
            report.resources += adopted.resources;
            report.unread += adopted.unread;
        }
        Ok(())
    }
}

/// How many rows Karbor's table has, and how many of them are deleted.
async fn survey(connection: &mut Connection) -> Result<(u64, u64), StoreError> {
    let row: Option<NumberRow> = connection.load_one(&SURVEY, &[]).await?;
    Ok(row.map_or((0, 0), |row| (as_count(row.number), as_count(row.deleted))))
}

async fn narrow_columns(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
    if connection.dialect() != Dialect::Mysql {
        return Ok(Vec::new());
    }
    let rows: Vec<NameRow> = connection.load(&NARROW, &[]).await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

impl std::fmt::Display for AdoptionReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { mode, already, karbor_restores, deleted, restores, resources, .. } = self;
        let Self { unread, widened, migrations, .. } = self;
        let (widen, apply) = match mode {
            Adoption::Real => ("widened", "applied"),
            Adoption::DryRun => ("would widen", "would apply"),
        };
        match (mode, already) {
            (_, true) => writeln!(f, "there is nothing to adopt any more")?,
            (Adoption::Real, false) => writeln!(
                f,
                "adopted Karbor's table `restores` ({karbor_restores} rows when it began, {deleted} of \
                 them deleted): took in {restores} restores with {resources} resources now, without a \
                 notification"
            )?,
            (Adoption::DryRun, false) => writeln!(
                f,
                "would adopt Karbor's table `restores` ({karbor_restores} rows, {deleted} of them \
                 deleted, which are left alone); nothing is changed"
            )?,
        }
        if *unread > 0 {
            writeln!(
                f,
                "{unread} entries of the dictionaries are of no resource, and stay as they are"
            )?;
        }
        if !widened.is_empty() {
            writeln!(f, "{widen} to LONGTEXT: {}", widened.join(", "))?;
        }
        match migrations.applied.as_slice() {
            [] => write!(f, "the schema is up to date"),
            steps => write!(f, "{apply}: {}", steps.join(", ")),
        }
    }
}
