//! Opens one connection to each kind of database and sets it up as the store needs it: READ
//! COMMITTED, UTC, timeouts, and no transaction that stays open while its process stands still.
//! Gives a [`super::link::Link`]; knows no table.

pub(super) mod database_file;
pub(super) mod mysql;
pub(super) mod postgresql;
pub(super) mod sqlite;
mod sqlstate;
mod tls;
mod tls_of_mysql;

use std::time::Duration;

use super::fault::{Fault, FaultClass};

/// How long a transaction may stand still before the server ends it: a stopped process would hold
/// its locks for as long as it is stopped.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(5);

/// What the drivers take and nothing listens on.
fn no_port() -> Fault {
    Fault::new(FaultClass::Fatal, "the port in the URL is 0; it is one of 1 to 65535")
}

/// A duration in whole milliseconds, as settings want it.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Whether it can be an option's name in a URL, and no piece of a password.
fn is_option(name: &str) -> bool {
    name.len() <= 40
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'-')
}
