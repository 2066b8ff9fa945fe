//! The settings as the other rooms take them.

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::{Settings, SettingsError, check_tls_files};
use crate::domain::{AliasTable, BadAlias, Limits};
use crate::rpc::{NotifierSettings, Target};
use crate::store::{StoreOptions, TlsOptions};
use crate::transport::rabbit::{self, RabbitOptions, Verification};
use crate::transport::url::TransportUrl;

impl Settings {
    /// How the store is opened.
    ///
    /// # Errors
    ///
    /// No database was set, or a TLS file that `[database]` names cannot be read.
    pub fn store_options(&self) -> Result<StoreOptions, SettingsError> {
        let database = &self.database;
        let tls = TlsOptions {
            mode: database.ssl_mode.parse().expect("its rule has the modes of the store"),
            ca_file: database.ssl_ca_file.clone(),
            certificate_file: database.ssl_cert_file.clone(),
            key_file: database.ssl_key_file.clone(),
        };
        check_tls_files(tls.files(), |key| format!("`database.{key}`"))?;
        Ok(StoreOptions {
            url: self.database_url()?.clone(),
            pool_size: database.pool_size,
            statement_timeout: Duration::from_millis(database.statement_timeout_ms),
            tls,
            lease: Duration::from_secs(self.publisher.lease_s),
            resources_per_restore: self.limits.resources_per_restore,
        })
    }

    /// The broker of requests, with what `[messaging]` says of TLS where the URL says nothing.
    ///
    /// # Errors
    ///
    /// None was set.
    pub fn request_broker(&self) -> Result<TransportUrl, SettingsError> {
        let url = self.messaging.transport_url.as_ref();
        url.map(|url| self.read_url(url)).ok_or(SettingsError::Missing {
            key: "messaging.transport_url",
            example: "`rabbit://USER:PASSWORD@HOST:5672/VHOST`",
        })
    }

    /// The broker of notifications, where it is another; TLS as in [`Self::request_broker`].
    ///
    /// # Errors
    ///
    /// None for settings that were loaded: loading checks the URL.
    pub fn notification_broker(&self) -> Result<Option<TransportUrl>, SettingsError> {
        Ok(self.notifications.transport_url.as_ref().map(|url| self.read_url(url)))
    }

    /// What connections to either broker are made with, beyond the URL.
    pub fn rabbit_options(&self) -> RabbitOptions {
        let verification =
            if self.messaging.ssl_verify { Verification::Full } else { Verification::Off };
        RabbitOptions {
            heartbeat: self.messaging.heartbeat_timeout_threshold_s,
            tls: rabbit::TlsOptions { verification },
            ..RabbitOptions::default()
        }
    }

    /// Where requests come from; what the URL says of durability wins.
    pub fn target(&self) -> Target {
        let messaging = &self.messaging;
        let (durable_queues, quorum_queue) = self.durability(messaging.transport_url.as_ref());
        Target {
            exchange: messaging.control_exchange.clone(),
            topic: messaging.topic.clone(),
            server: messaging.server.clone(),
            queue_type: messaging.queue_type,
            exchange_durable: durable_queues || quorum_queue,
            fanout_durable: messaging.rabbit_transient_quorum_queue,
            observe: BTreeSet::from_iter(messaging.observe.clone()).into_iter().collect(),
        }
    }

    /// How notifications are sent; what their broker's URL says of durability wins.
    pub fn notifier(&self) -> NotifierSettings {
        let own_url = self.notifications.transport_url.as_ref();
        let (amqp_durable_queues, rabbit_quorum_queue) =
            self.durability(own_url.or(self.messaging.transport_url.as_ref()));
        NotifierSettings {
            driver: self.notifications.driver,
            topics: self.notifications.topics.clone(),
            exchange: self.messaging.control_exchange.clone(),
            amqp_durable_queues,
            rabbit_quorum_queue,
        }
    }

    fn read_url(&self, url: &SecretString) -> TransportUrl {
        let mut url: TransportUrl = url.expose_secret().parse().expect("loading checked the URL");
        let (options, messaging) = (&mut url.options, &self.messaging);
        options.ssl = options.ssl.or(Some(messaging.ssl));
        options.ssl_ca_file = options.ssl_ca_file.take().or_else(|| messaging.ssl_ca_file.clone());
        // A certificate and a key from two places would not fit.
        if options.ssl_cert_file.is_none() && options.ssl_key_file.is_none() {
            options.ssl_cert_file.clone_from(&messaging.ssl_cert_file);
            options.ssl_key_file.clone_from(&messaging.ssl_key_file);
        }
        url
    }

    /// `amqp_durable_queues` and `rabbit_quorum_queue` at the broker of this URL.
    fn durability(&self, url: Option<&SecretString>) -> (bool, bool) {
        let options = url.map(|url| self.read_url(url).options).unwrap_or_default();
        (
            options.amqp_durable_queues.unwrap_or(self.messaging.amqp_durable_queues),
            options.rabbit_quorum_queue.unwrap_or(self.messaging.rabbit_quorum_queue),
        )
    }

    /// What a request may be at most.
    pub fn limits(&self) -> Limits {
        Limits {
            body_bytes: self.limits.body_bytes,
            reason_chars: self.limits.reason_chars,
            resources_per_restore: self.limits.resources_per_restore,
        }
    }

    /// What raw statuses mean: the built-in aliases and those set.
    ///
    /// # Errors
    ///
    /// None for settings that were loaded: loading checks them.
    pub fn aliases(&self) -> Result<AliasTable, BadAlias> {
        AliasTable::new(self.statuses.aliases.clone())
    }
}
