//! The settings of the demonstration, and the folder that holds its database.

use std::path::PathBuf;

use anyhow::Context;

use crate::settings::{Settings, SettingsFiles};

/// A folder of this run's own, removed at its end.
pub(super) struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    pub(super) fn new() -> anyhow::Result<Self> {
        let name = format!("karbor-restore-demo-{}", uuid::Uuid::new_v4().simple());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)
            .with_context(|| format!("cannot create the folder {}", path.display()))?;
        Ok(Self(path))
    }

    /// The defaults, with names of the demonstration's own: it must not meet a worker that runs.
    pub(super) fn settings(
        &self,
        transport_url: Option<String>,
        database_url: Option<String>,
    ) -> anyhow::Result<Settings> {
        let file = self.0.join("demo.sqlite");
        let database_url = database_url.unwrap_or_else(|| format!("sqlite://{}", file.display()));
        let set = [
            ("MESSAGING__TRANSPORT_URL", transport_url.unwrap_or_else(|| "memory://".to_owned())),
            ("MESSAGING__CONTROL_EXCHANGE", "karbor-restore-demo".to_owned()),
            ("MESSAGING__TOPIC", "karbor-restore-demo".to_owned()),
            ("MESSAGING__SERVER", "demo".to_owned()),
            ("NOTIFICATIONS__TOPICS", "karbor-restore-demo-notifications".to_owned()),
            ("DATABASE__URL", database_url),
            ("HTTP__LISTEN", "off".to_owned()),
        ];
        let environment = set.map(|(key, value)| (format!("KARBOR_RESTORE__{key}"), value));
        Settings::from_sources(&SettingsFiles::default(), environment)
            .context("what `--transport-url` and `--database-url` give is read as those settings")
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // Nothing depends on it; the system clears its folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
