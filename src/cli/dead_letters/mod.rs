//! `dead-letters`: looks at what could not be applied, sends it again, deletes it.
//!
//! ```text
//! queue ─▶ letters (one at a time, nothing taken) ─▶ selection ─┬─▶ list, show: print
//!                                                               ├─▶ replay: publish, confirm, then take
//!                                                               └─▶ purge: ask, then take
//! ```
//!
//! A letter is taken out of the queue only when its replay is confirmed or its deletion was asked
//! for; all else is back in its place when the command ends, however it ends. Memory does not grow
//! with the queue. Nothing printed holds a secret.

mod arguments;
mod counts;
mod letters;
mod list;
mod purge;
mod replay;
mod selection;
mod show;

use crate::settings::Settings;

pub use arguments::{DeadLettersCommand, Printing, Selection};

/// Does what is asked.
///
/// # Errors
/// The broker is away, another such command is under way, or there is no such letter.
pub async fn run(settings: &Settings, command: DeadLettersCommand) -> anyhow::Result<()> {
    match command {
        DeadLettersCommand::List { selection, limit, printing } => {
            list::run(settings, &selection, limit, printing.output).await
        }
        DeadLettersCommand::Show { id, body, printing } => {
            let body = if body { show::Body::Shown } else { show::Body::Hidden };
            show::run(settings, &id, body, printing.output).await
        }
        DeadLettersCommand::Replay { selection, dry_run, printing, all: _ } => {
            let mode = if dry_run { Mode::DryRun } else { Mode::Real };
            replay::run(settings, &selection, mode, printing.output).await
        }
        DeadLettersCommand::Purge { selection, dry_run, yes, printing, all: _ } => {
            let consent = match (dry_run, yes) {
                (true, _) => purge::Consent::Never,
                (false, true) => purge::Consent::Given,
                (false, false) => purge::Consent::Asked,
            };
            purge::run(settings, &selection, consent, printing.output).await
        }
    }
}

/// Whether anything is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Real,
    DryRun,
}
