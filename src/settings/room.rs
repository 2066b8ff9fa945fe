//! The settings as the other rooms take them.

use std::time::Duration;

use super::{Settings, SettingsError};
use crate::domain::{AliasTable, BadAlias, Limits};
use crate::rpc::{NotifierSettings, Target};
use crate::store::{StoreOptions, TlsOptions};

impl Settings {
    /// How the store is opened.
    ///
    /// # Errors
    ///
    /// No database was set.
    pub fn store_options(&self) -> Result<StoreOptions, SettingsError> {
        let database = &self.database;
        Ok(StoreOptions {
            url: self.database_url()?.clone(),
            pool_size: database.pool_size,
            statement_timeout: Duration::from_millis(database.statement_timeout_ms),
            tls: TlsOptions {
                mode: database.ssl_mode.parse().expect("its rule has the modes of the store"),
                ca_file: database.ssl_ca_file.clone(),
                certificate_file: database.ssl_cert_file.clone(),
                key_file: database.ssl_key_file.clone(),
            },
            lease: Duration::from_secs(self.publisher.lease_s),
            resources_per_restore: self.limits.resources_per_restore,
        })
    }

    /// Where requests come from.
    pub fn target(&self) -> Target {
        let messaging = &self.messaging;
        Target {
            exchange: messaging.control_exchange.clone(),
            topic: messaging.topic.clone(),
            server: messaging.server.clone(),
            queue_type: messaging.queue_type,
            exchange_durable: messaging.amqp_durable_queues || messaging.rabbit_quorum_queue,
            fanout_durable: messaging.rabbit_transient_quorum_queue,
            observe: messaging.observe.clone(),
        }
    }

    /// How notifications are sent.
    pub fn notifier(&self) -> NotifierSettings {
        NotifierSettings {
            driver: self.notifications.driver,
            topics: self.notifications.topics.clone(),
            exchange: self.messaging.control_exchange.clone(),
            amqp_durable_queues: self.messaging.amqp_durable_queues,
            rabbit_quorum_queue: self.messaging.rabbit_quorum_queue,
        }
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
