//! What the commands do: takes settings and a store, prints for a reader. One file a command.

pub mod arguments;
pub mod config;
pub mod dead_letters;
pub mod demo;
pub mod events;
pub mod migrate;
pub mod serve;
pub mod show;
mod age;
mod table;

use std::borrow::Cow;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use tracing::{debug, warn};

use crate::crash_point::{self, UnknownCrashPoint};
use crate::domain::mask_passwords;
use crate::settings::{Settings, SettingsError, SettingsFiles};
use crate::shutdown::watch_signals;
use crate::store::{Adoption, Store};
use crate::telemetry::start_logging;
use crate::worker::Migrate;
use arguments::{Arguments, Command};

/// What a blocking call may still take when the command has ended.
const LAST_CALLS: Duration = Duration::from_secs(1);

/// The program: reads the command line, runs the command, turns an error into an exit code.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    match run_to_end(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<ReaderGone>() => ExitCode::SUCCESS,
        Err(error) => {
            // Settings may be what is wrong, so there may be no log yet. Nobody can be told of an
            // error while telling.
            let _ = writeln!(std::io::stderr(), "karbor-restore-worker: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}

/// Says what clap says, which repeats arguments: one may be a URL with a password.
fn refuse(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    if error.use_stderr()
        && let Cow::Owned(masked) = mask_passwords(&text)
    {
        let _ = write!(std::io::stderr(), "{masked}");
    } else {
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn run_to_end(arguments: Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(run(arguments));
    runtime.shutdown_timeout(LAST_CALLS);
    result
}

/// Does what is asked.
async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let files = arguments.settings_files();
    match arguments.command {
        Command::Serve { no_migrate, .. } => {
            // First of all: a worker that has hardly begun ends orderly too.
            let signals = watch_signals();
            let settings = Settings::load(&files)?;
            crash_point::arm()?;
            start_log(&settings)?;
            let migrate = if no_migrate { Migrate::Not } else { Migrate::First };
            serve::run(&settings, migrate, &signals).await
        }
        Command::Migrate { adopt, dry_run, .. } => {
            let adoption = match (adopt, dry_run) {
                (false, _) => None,
                (true, false) => Some(Adoption::Real),
                (true, true) => Some(Adoption::DryRun),
            };
            migrate::run(&begin(&files)?, adoption).await
        }
        Command::Config(command) => config::run(&Settings::load(&files)?, &command),
        Command::Show { id, output, .. } => {
            show::run(&Store::new(begin(&files)?.store_options()?)?, id, output).await
        }
        Command::DeadLetters(command) => dead_letters::run(&begin(&files)?, command).await,
        Command::Events(command) => events::run(&begin(&files)?, command).await,
        // The demonstration has settings of its own, and speaks for itself; what is given and cannot
        // be used is told of all the same.
        Command::Demo { transport_url, database_url } => {
            Settings::load(&files)?;
            demo::run(transport_url, database_url).await
        }
    }
}

/// Loads the settings and starts the log.
fn begin(files: &SettingsFiles) -> anyhow::Result<Settings> {
    let settings = Settings::load(files)?;
    start_log(&settings)?;
    Ok(settings)
}

/// Starts the log, and says in it what the settings' reader noticed.
fn start_log(settings: &Settings) -> anyhow::Result<()> {
    start_logging(&settings.log)?;
    for warning in settings.warnings() {
        warn!("{warning}");
    }
    for detail in settings.details() {
        debug!("{detail}");
    }
    Ok(())
}

/// Arguments that make no sense together: what is wrong, and what would be accepted.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct BadUsage(String);

/// 2 for arguments or settings that cannot be used, 1 for anything else.
fn exit_code(error: &anyhow::Error) -> u8 {
    let bad = error.chain().any(|cause| {
        cause.is::<BadUsage>() || cause.is::<SettingsError>() || cause.is::<UnknownCrashPoint>()
    });
    if bad { 2 } else { 1 }
}

/// Whoever read standard output has seen enough, as `head` has: there is nothing left to do, and
/// nothing is wrong.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads standard output any more")]
struct ReaderGone;

/// Prints to standard output.
///
/// # Errors
/// [`ReaderGone`], which ends the command well; or standard output takes nothing.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        written => written.context("cannot write to standard output"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_used_are_exit_code_2() {
        let path = std::path::PathBuf::from("/nonexistent");
        let own = SettingsFiles { config: vec![path.clone()], ..SettingsFiles::default() };
        let oslo = SettingsFiles { oslo_config: vec![path], ..SettingsFiles::default() };
        for files in [own, oslo] {
            let missing = Settings::load(&files).unwrap_err();
            assert_eq!(exit_code(&anyhow::Error::from(missing).context("starting")), 2);
        }
        assert_eq!(exit_code(&anyhow::anyhow!("anything else")), 1);
    }
}
