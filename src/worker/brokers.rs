//! The brokers that the settings name.

use std::sync::Arc;

use crate::settings::{Settings, SettingsError, check_tls_files};
use crate::transport::Transport;
use crate::transport::memory::MemoryBroker;
use crate::transport::rabbit::RabbitTransport;
use crate::transport::url::{Driver, TransportUrl};

/// Where requests come from and answers go, and where notifications go.
#[derive(Clone)]
pub struct Brokers {
    /// Requests, answers, dead letters.
    pub requests: Arc<dyn Transport>,
    /// Notifications: the same broker, unless they have a URL of their own.
    pub notifications: Arc<dyn Transport>,
}

impl Brokers {
    /// Opens what the settings name; connects when first used.
    ///
    /// # Errors
    /// A URL that is missing or cannot be read, or a TLS file that cannot.
    pub fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        let open = |url: TransportUrl| -> Result<Arc<dyn Transport>, SettingsError> {
            let options = &url.options;
            let files = [&options.ssl_ca_file, &options.ssl_cert_file, &options.ssl_key_file];
            check_tls_files(files.map(Option::as_deref), |key| {
                format!("`{key}` of the URL or of its section")
            })?;
            Ok(match url.driver {
                Driver::Memory => Arc::new(MemoryBroker::new()),
                Driver::Rabbit => Arc::new(RabbitTransport::new(url, settings.rabbit_options())),
            })
        };
        let requests = open(settings.request_broker()?)?;
        let notifications = match settings.notification_broker()? {
            Some(url) => open(url)?,
            None => requests.clone(),
        };
        Ok(Self { requests, notifications })
    }
}
