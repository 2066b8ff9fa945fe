//! `serve`: runs the worker until it is told to end.

use crate::settings::Settings;
use crate::shutdown::Signals;
use crate::worker::{self, Brokers, Migrate, Telling};

/// Serves until SIGTERM or SIGINT, then finishes what was taken.
///
/// # Errors
/// Settings that cannot be used, an address in use, a database that must be adopted, or a second
/// signal.
pub async fn run(settings: &Settings, migrate: Migrate, signals: &Signals) -> anyhow::Result<()> {
    let brokers = Brokers::from_settings(settings)?;
    let serving = worker::serve(settings, brokers, migrate, signals, Telling::default());
    tokio::select! {
        result = serving => result,
        () = signals.abort.cancelled() => {
            anyhow::bail!("ended at once by a second signal")
        }
    }
}
