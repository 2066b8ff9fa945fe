//! `migrate`: brings the database's schema up to date, and says what it did.

use std::time::{Duration, Instant};

use tracing::warn;

use super::print;
use crate::backoff::Pauses;
use crate::cause::with_causes;
use crate::settings::Settings;
use crate::store::Store;

/// How long a database may be away.
const PATIENCE: Duration = Duration::from_secs(30);

/// Migrates, waiting up to 30 s for the database.
///
/// # Errors
/// The database is away for longer, must be adopted, or is of a newer version.
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let store = Store::new(settings.store_options()?)?;
    let begun = Instant::now();
    let mut pauses = Pauses::default();
    loop {
        match store.migrate().await {
            Ok(report) => return print(&format!("{report}\n")),
            Err(error) if error.is_transient() && begun.elapsed() < PATIENCE => {
                warn!(cause = %with_causes(&error), "waiting for the database");
                pauses.pause().await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
