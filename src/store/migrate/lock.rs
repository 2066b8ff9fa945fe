//! The lock under which one worker at a time migrates, and time limits that fit a migration.

use diesel::sql_types::BigInt;

use crate::store::Dialect;
use crate::store::fault::{Fault, FaultClass};
use crate::store::link::Link;
use crate::store::statement::Query;

#[derive(diesel::QueryableByName)]
struct Locked {
    #[diesel(sql_type = BigInt)]
    #[diesel(column_name = locked)]
    value: i64,
}

/// Takes the lock, which ends with the connection. SQLite's is taken by the transaction itself.
pub(super) async fn take(link: &mut Link) -> Result<(), Fault> {
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
pub(super) async fn lift_time_limits(link: &mut Link) -> Result<(), Fault> {
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
