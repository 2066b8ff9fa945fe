//! The command line of `dead-letters`.

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};

use crate::cli::age::parse_age;
use crate::cli::arguments::ConfigFiles;
use crate::cli::show::Output;
use crate::domain::RestoreId;

/// What can be done with dead letters. None of it stops a worker, and while one command is under
/// way the next is refused.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List letters, oldest first, and count them by what was wrong
    List {
        /// Which
        #[command(flatten)]
        selection: Selection,
        /// How many are listed; all are counted
        #[arg(long, value_name = "N", default_value_t = 1000)]
        limit: usize,
        /// How to print
        #[command(flatten)]
        printing: Printing,
    },

    /// Show one letter and its properties
    Show {
        /// Its `message_id`, or the `_unique_id` of its message
        id: String,
        /// Show its message too, `parameters` and passwords hidden
        #[arg(long)]
        body: bool,
        /// How to print
        #[command(flatten)]
        printing: Printing,
    },

    /// Send letters to the queue they came from again: after a correction, or once their restore is
    /// recorded. One that is bad still comes back as a new letter
    #[command(group = which())]
    Replay {
        /// Which
        #[command(flatten)]
        selection: Selection,
        /// All of them
        #[arg(long)]
        all: bool,
        /// Only count
        #[arg(long)]
        dry_run: bool,
        /// How to print
        #[command(flatten)]
        printing: Printing,
    },

    /// Delete letters
    #[command(group = which())]
    Purge {
        /// Which
        #[command(flatten)]
        selection: Selection,
        /// All of them
        #[arg(long)]
        all: bool,
        /// Only count
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// How to print
        #[command(flatten)]
        printing: Printing,
    },
}

/// What changes the queue must be told what it is about.
fn which() -> ArgGroup {
    ArgGroup::new("which").required(true).multiple(true).args([
        "ids",
        "error",
        "method",
        "restore",
        "older_than",
        "newer_than",
        "all",
    ])
}

/// Which letters: those that all of this holds of.
#[derive(Debug, Default, Clone, Args)]
pub struct Selection {
    /// By `message_id`, or by the `_unique_id` of the message
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,

    /// Of this class
    #[arg(long, value_name = "CLASS", value_parser = [
        "MalformedMessage", "InvalidInput", "RestoreNotFound", "TypeError", "NoSuchMethod",
        "UnsupportedVersion", "InternalError",
    ])]
    pub error: Option<String>,

    /// Of this method
    #[arg(long, value_name = "METHOD")]
    pub method: Option<String>,

    /// About this restore
    #[arg(long, value_name = "ID")]
    pub restore: Option<RestoreId>,

    /// Kept for longer than this: `30s`, `15m`, `12h`, `7d`
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub older_than: Option<Duration>,

    /// Kept for less long than this
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub newer_than: Option<Duration>,
}

/// How to print, and where settings are.
#[derive(Debug, Args)]
pub struct Printing {
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
    /// Settings
    #[command(flatten)]
    pub files: ConfigFiles,
}

impl DeadLettersCommand {
    /// The files with settings that stand behind the command.
    pub(in crate::cli) fn files(&self) -> &ConfigFiles {
        match self {
            Self::List { printing, .. }
            | Self::Show { printing, .. }
            | Self::Replay { printing, .. }
            | Self::Purge { printing, .. } => &printing.files,
        }
    }
}
