//! `migrate`: brings the database's schema up to date, and says what it did.

use std::time::{Duration, Instant};

use tracing::warn;

use super::print;
use crate::backoff::Pauses;
use crate::cause::with_causes;
use crate::settings::Settings;
use crate::store::{Adoption, Store};

/// How long a database may be away.
const PATIENCE: Duration = Duration::from_secs(30);

/// Migrates, or adopts Karbor's database, waiting up to 30 s for the database.
///
/// # Errors
/// The database is away for longer, must be adopted, cannot be, or is of a newer version.
pub async fn run(settings: &Settings, adoption: Option<Adoption>) -> anyhow::Result<()> {
    let store = Store::new(settings.store_options()?)?
        .with_rules(settings.aliases()?, settings.limits.reason_chars);
    let begun = Instant::now();
    let mut pauses = Pauses::default();
    loop {
        let done = match adoption {
            None => store.migrate().await.map(|report| report.to_string()),
            Some(mode) => store.adopt(mode).await.map(|report| report.to_string()),
        };
        match done {
            Ok(report) => return print(&format!("{report}\n")),
            Err(error) if error.is_transient() && begun.elapsed() < PATIENCE => {
                warn!(cause = %with_causes(&error), "waiting for the database");
                pauses.pause().await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
