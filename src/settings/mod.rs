//! The settings: where things are, how much of what, for how long.
//!
//! Takes the compiled-in `config/default.toml`, `--oslo-config` files, `--config` files and the
//! environment (`KARBOR_RESTORE__SECTION__KEY`), later ones winning; gives typed values that were
//! all checked, or an error that names the key, its source and what is accepted. Secrets are held as
//! `SecretString`; neither `Debug`, nor [`Settings::show`], nor an error text shows one.

mod check;
mod error;
mod file;
mod misspelt;
mod oslo;
mod room;
mod rule;
mod section;
mod show;
mod source;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod fuzz;

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

pub use error::{OsloPlace, SettingsError, Source};
pub(crate) use file::{check_tls_files, read_file};
pub use section::{
    BatchSettings, DatabaseSettings, EarlyUpdateSettings, HttpSettings, LimitSettings, LogFormat,
    LogSettings, MessagingSettings, NotificationSettings, PublisherSettings, RetentionSettings,
    ShutdownSettings, StalledSettings, StatusSettings,
};

/// The files that the command line names, each kind in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsFiles {
    /// Files in oslo.config's grammar, such as Karbor's own `karbor.conf`.
    pub oslo_config: Vec<PathBuf>,
    /// The worker's own, in TOML.
    pub config: Vec<PathBuf>,
}

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The broker of requests.
    pub messaging: MessagingSettings,
    /// What is published.
    pub notifications: NotificationSettings,
    /// The database.
    pub database: DatabaseSettings,
    /// How much is committed together.
    pub batch: BatchSettings,
    /// What a request may be at most.
    pub limits: LimitSettings,
    /// What raw statuses mean.
    pub statuses: StatusSettings,
    /// Updates that come before their restore.
    pub early_updates: EarlyUpdateSettings,
    /// Restores of which nothing is heard.
    pub stalled: StalledSettings,
    /// `[retention]`
    pub retention: RetentionSettings,
    /// This worker as a publisher.
    pub publisher: PublisherSettings,
    /// The API.
    pub http: HttpSettings,
    /// The log.
    pub log: LogSettings,
    /// The end.
    pub shutdown: ShutdownSettings,
    #[serde(skip)]
    shown: String,
    #[serde(skip)]
    warnings: Vec<String>,
    #[serde(skip)]
    details: Vec<String>,
}

impl Settings {
    /// Reads the defaults, the files in order, then the process's environment; later wins, and the
    /// worker's own files win over oslo.config's.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] for the operator; the process ends with exit code 2.
    pub fn load(files: &SettingsFiles) -> Result<Self, SettingsError> {
        // A name or a value that is not UTF-8 cannot be one of ours that is valid; made readable,
        // it is refused like any other bad value.
        let environment = std::env::vars_os().map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        });
        Self::from_sources(files, environment)
    }

    /// As [`Self::load`], with an environment of the caller's.
    pub fn from_sources(
        files: &SettingsFiles,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut gathered = source::gather(&files.config, environment)?;
        check::read_secrets(&mut gathered)?;
        oslo::fill(&mut gathered, &files.oslo_config)?;
        check::complete(&mut gathered)?;
        let mut settings: Self = toml::Value::Table(gathered.to_table())
            .try_into()
            .expect("the rules accept only what the sections hold");
        settings.shown = show::to_toml(&gathered);
        settings.warnings = gathered.warnings().to_vec();
        settings.details = gathered.details().to_vec();
        Ok(settings)
    }

    /// The settings in force as TOML, passwords hidden, with where each comes from that is not a
    /// default.
    pub fn show(&self) -> &str {
        &self.shown
    }

    /// What the operator should know, though the settings can be used; to be logged.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What of the files is not read; for whoever looks for it.
    pub fn details(&self) -> &[String] {
        &self.details
    }

    /// The database's URL.
    ///
    /// # Errors
    ///
    /// It was not set, and the command needs it.
    pub fn database_url(&self) -> Result<&SecretString, SettingsError> {
        self.database.url.as_ref().ok_or(SettingsError::Missing {
            key: "database.url",
            example: "`postgres://USER:PASSWORD@HOST/DATABASE`, `mysql://...` or `sqlite://FILE`",
        })
    }
}
