//! `config show`: prints the settings in force to standard output, passwords hidden. Reads
//! nothing but settings: no service need be there.

use super::arguments::ConfigCommand;
use super::print;
use crate::settings::Settings;

/// Does what is asked with the settings.
pub fn run(settings: &Settings, command: &ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Show { .. } => print(settings.show()),
    }
}
