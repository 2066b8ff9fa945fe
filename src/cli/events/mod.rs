//! `events`: what was committed, for whoever missed its publication.

mod arguments;
mod republish;

use crate::settings::Settings;

pub use arguments::EventsCommand;

/// Does what is asked.
///
/// # Errors
/// The database or the broker is away, or notifications are switched off.
pub async fn run(settings: &Settings, command: EventsCommand) -> anyhow::Result<()> {
    match command {
        EventsCommand::Republish { selection, dry_run, output, .. } => {
            let mode = if dry_run { republish::Mode::DryRun } else { republish::Mode::Real };
            republish::run(settings, &selection, mode, output).await
        }
    }
}
