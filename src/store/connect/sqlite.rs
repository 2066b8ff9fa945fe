//! Opens a connection to an SQLite file. WAL, so that readers and the one writer do not wait for
//! each other; `synchronous=FULL`, since with NORMAL a power cut loses commits that were already
//! acknowledged.

use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::sql_types::{Nullable, Text};
use diesel::{Connection, SqliteConnection};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use secrecy::{ExposeSecret, SecretString};

use super::milliseconds;
use crate::store::fault::{Fault, FaultClass, by_sqlite_words};
use crate::store::karbor::digest;
use crate::store::pool::Use;

/// SQLite has no digests of its own.
#[diesel::declare_sql_function]
extern "SQL" {
    /// As `store::karbor::digest`.
    fn dictionaries_digest(statuses: Nullable<Text>, reasons: Nullable<Text>) -> Nullable<Text>;
}

/// Opens a connection for `purpose`.
pub(in crate::store) async fn open(
    file: &SecretString,
    purpose: Use,
    statement_timeout: Duration,
) -> Result<SyncConnectionWrapper<SqliteConnection>, Fault> {
    let file = file.clone();
    let open = move || open_blocking(&file, purpose, statement_timeout);
    match tokio::task::spawn_blocking(open).await {
        Ok(connection) => connection.map(SyncConnectionWrapper::new),
        Err(panic) => Err(Fault::new(FaultClass::Fatal, panic.to_string())),
    }
}

/// Opens a connection for work that blocks.
pub(in crate::store) fn open_blocking(
    file: &SecretString,
    purpose: Use,
    statement_timeout: Duration,
) -> Result<SqliteConnection, Fault> {
    let path = file.expose_secret();
    // SQLite itself would make one, empty.
    if purpose == Use::Read && !path.starts_with("file:") && !Path::new(path).exists() {
        return Err(Fault::new(
            FaultClass::Lost,
            "there is no such file; `karbor-restore-worker migrate` makes it",
        ));
    }
    let mut connection = SqliteConnection::establish(path)
        .map_err(|error| Fault::new(FaultClass::Lost, error.to_string()))?;
    connection
        .batch_execute(&settings(purpose, statement_timeout))
        .map_err(|error| by_sqlite_words(&error.to_string()))?;
    dictionaries_digest_utils::register_impl(
        &mut connection,
        |statuses: Option<String>, reasons: Option<String>| {
            digest(statuses.as_deref(), reasons.as_deref())
        },
    )
    .map_err(|error| Fault::new(FaultClass::Fatal, error.to_string()))?;
    Ok(connection)
}

fn settings(purpose: Use, statement_timeout: Duration) -> String {
    let busy_ms = milliseconds(statement_timeout);
    let mut settings = format!("PRAGMA busy_timeout = {busy_ms};");
    settings.push_str(match purpose {
        Use::Write => " PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
        // The last one reads the file, so that one that is no database is named here.
        Use::Read => " PRAGMA query_only = ON; PRAGMA schema_version;",
    });
    settings
}
