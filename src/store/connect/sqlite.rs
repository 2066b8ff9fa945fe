//! Opens a connection to an SQLite file. WAL, so that readers and the one writer do not wait for
//! each other; `synchronous=FULL`, since with NORMAL a power cut loses commits that were already
//! acknowledged.

use std::time::Duration;

use diesel::{Connection, SqliteConnection};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, SimpleAsyncConnection};
use secrecy::{ExposeSecret, SecretString};

use super::milliseconds;
use crate::store::fault::{Fault, FaultClass, by_sqlite_words};
use crate::store::pool::Use;

/// Opens a connection for `purpose`.
pub(in crate::store) async fn open(
    file: &SecretString,
    purpose: Use,
    statement_timeout: Duration,
) -> Result<SyncConnectionWrapper<SqliteConnection>, Fault> {
    let mut connection = SyncConnectionWrapper::<SqliteConnection>::establish(file.expose_secret())
        .await
        .map_err(|error| Fault::new(FaultClass::Lost, error.to_string()))?;
    connection
        .batch_execute(&settings(purpose, statement_timeout))
        .await
        .map_err(|error| by_sqlite_words(&error.to_string()))?;
    Ok(connection)
}

/// Opens a connection for work that blocks: migrations.
pub(in crate::store) fn open_blocking(
    file: &SecretString,
    statement_timeout: Duration,
) -> Result<SqliteConnection, Fault> {
    use diesel::connection::SimpleConnection;
    let mut connection = SqliteConnection::establish(file.expose_secret())
        .map_err(|error| Fault::new(FaultClass::Lost, error.to_string()))?;
    connection
        .batch_execute(&settings(Use::Write, statement_timeout))
        .map_err(|error| by_sqlite_words(&error.to_string()))?;
    Ok(connection)
}

fn settings(purpose: Use, statement_timeout: Duration) -> String {
    let busy_ms = milliseconds(statement_timeout);
    let mut settings = format!("PRAGMA busy_timeout = {busy_ms};");
    settings.push_str(match purpose {
        Use::Write => " PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
        Use::Read => " PRAGMA query_only = ON;",
    });
    settings
}
