//! The command line: takes arguments, gives what is asked for; `--help` explains it to a newcomer.
//! Bad usage ends the process with exit code 2.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::dead_letters::DeadLettersCommand;
use super::events::EventsCommand;
use super::show::Output;
use crate::domain::RestoreId;
use crate::settings::SettingsFiles;

/// Keeps the truth about Karbor's restores: takes what plugins say of each resource, stores it,
/// and publishes every transition.
#[derive(Debug, Parser)]
#[command(
    name = "karbor-restore-worker",
    version,
    after_help = "Settings come from the compiled-in defaults, then from each --oslo-config file, \
                  then from each --config file, then from the environment: \
                  KARBOR_RESTORE__SECTION__KEY, for example KARBOR_RESTORE__DATABASE__URL. \
                  `config show` prints all of them.\n\n\
                  Exit codes: 0 fine, 2 bad usage or settings, 1 anything else."
)]
pub struct Arguments {
    #[command(flatten)]
    files: ConfigFiles,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// Given before or after the command; clap's own `global` would forget the ones before.
#[derive(Debug, Default, Args)]
pub struct ConfigFiles {
    /// A TOML file with settings; repeatable, a later one wins
    #[arg(long = "config", value_name = "FILE")]
    config: Vec<PathBuf>,

    /// A file of oslo.config's, such as karbor.conf: broker, notifications and database are as it
    /// says, unless set in another way; repeatable
    #[arg(long = "oslo-config", value_name = "FILE")]
    oslo_config: Vec<PathBuf>,
}

impl Arguments {
    /// All files with settings, each kind in the order given.
    pub fn settings_files(&self) -> SettingsFiles {
        let behind = match &self.command {
            Command::Config(ConfigCommand::Show { files })
            | Command::Serve { files, .. }
            | Command::Migrate { files, .. }
            | Command::Show { files, .. } => Some(files),
            Command::DeadLetters(command) => Some(command.files()),
            Command::Events(command) => Some(command.files()),
            Command::Demo { .. } => None,
        };
        let given = std::iter::once(&self.files).chain(behind);
        let mut files = SettingsFiles::default();
        for more in given {
            files.config.extend_from_slice(&more.config);
            files.oslo_config.extend_from_slice(&more.oslo_config);
        }
        files
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the worker until SIGTERM: migrate the database, consume, publish
    Serve {
        /// Leave the schema as it is; another process migrates it
        #[arg(long)]
        no_migrate: bool,
        /// Settings
        #[command(flatten)]
        files: ConfigFiles,
    },

    /// Bring the database's schema up to date
    Migrate {
        /// Take in the database of a Karbor: its restores, beside tables of this worker's own
        #[arg(long)]
        adopt: bool,
        /// Only say what adopting would do
        #[arg(long, requires = "adopt")]
        dry_run: bool,
        /// Settings
        #[command(flatten)]
        files: ConfigFiles,
    },

    /// Show the whole pipeline at work, in one process, without any service
    ///
    /// On real servers it leaves behind what a real run would: queues named
    /// karbor-restore-demo..., and the schema and the restores in the database.
    Demo {
        /// Through this broker instead of the embedded one: rabbit://USER:PASSWORD@HOST:5672/
        #[arg(long, value_name = "URL")]
        transport_url: Option<String>,
        /// Into this database instead of a temporary SQLite file
        #[arg(long, value_name = "URL")]
        database_url: Option<String>,
    },

    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigCommand),

    /// Show one restore: how far it is, its resources (failed ones first), what happened when
    Show {
        /// The restore's id, a UUID
        id: RestoreId,
        /// How to print it
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        /// Settings
        #[command(flatten)]
        files: ConfigFiles,
    },

    /// Look at the messages that could not be applied, send them again, delete them
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),

    /// Publish what was committed again
    #[command(subcommand)]
    Events(EventsCommand),
}

/// What can be done with the settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the settings in force and where each comes from, passwords hidden
    Show {
        /// Settings
        #[command(flatten)]
        files: ConfigFiles,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn config_files_are_taken_before_and_after_the_command() {
        let words = [
            "w",
            "--config",
            "a",
            "--oslo-config=k",
            "config",
            "show",
            "--config",
            "b",
            "--oslo-config",
            "l",
            "--config=c",
        ];
        let files = Arguments::parse_from(words).settings_files();
        assert_eq!(files.config, ["a", "b", "c"].map(PathBuf::from));
        assert_eq!(files.oslo_config, ["k", "l"].map(PathBuf::from));
    }
}
