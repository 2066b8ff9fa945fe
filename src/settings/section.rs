//! The settings in their types, a struct a section. Read only after [`super::rule`] has accepted
//! every value, so that what is read here cannot fail; an empty text is `None`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use crate::rpc::NotifierDriver;
use crate::transport::QueueType;

/// `[messaging]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "oslo.messaging's flags, by its names")]
pub struct MessagingSettings {
    /// Where requests come from, from `transport_url` or `transport_url_file`.
    #[serde(deserialize_with = "secret_or_none")]
    pub transport_url: Option<SecretString>,
    /// The file it was read from.
    #[serde(deserialize_with = "file_or_none")]
    pub transport_url_file: Option<PathBuf>,
    /// The exchange that clients publish to.
    pub control_exchange: String,
    /// The topic that clients send to.
    pub topic: String,
    /// This worker's name; the host's where none was set.
    pub server: String,
    /// The type of the request queues.
    pub queue_type: QueueType,
    /// oslo.messaging's `amqp_durable_queues`.
    pub amqp_durable_queues: bool,
    /// oslo.messaging's `rabbit_quorum_queue`.
    pub rabbit_quorum_queue: bool,
    /// oslo.messaging's `rabbit_transient_quorum_queue`.
    pub rabbit_transient_quorum_queue: bool,
    /// Topics whose requests are read along.
    pub observe: Vec<String>,
    /// Deliveries that may be unsettled at once.
    pub prefetch: u16,
    /// Seconds that a caller waits.
    pub rpc_response_timeout_s: u64,
    /// Seconds without a sign after which a connection counts as lost; 0 is never.
    pub heartbeat_timeout_threshold_s: u16,
    /// Whether connections use TLS, where the URL does not say.
    pub ssl: bool,
    /// Certificates that the broker's is verified against.
    #[serde(deserialize_with = "file_or_none")]
    pub ssl_ca_file: Option<PathBuf>,
    /// The client's certificate.
    #[serde(deserialize_with = "file_or_none")]
    pub ssl_cert_file: Option<PathBuf>,
    /// Its key.
    #[serde(deserialize_with = "file_or_none")]
    pub ssl_key_file: Option<PathBuf>,
    /// Whether the broker's certificate is verified.
    pub ssl_verify: bool,
}

/// `[notifications]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotificationSettings {
    /// Their format.
    pub driver: NotifierDriver,
    /// Their topics.
    pub topics: Vec<String>,
    /// A broker of their own; from `transport_url` or `transport_url_file`.
    #[serde(deserialize_with = "secret_or_none")]
    pub transport_url: Option<SecretString>,
    /// The file it was read from.
    #[serde(deserialize_with = "file_or_none")]
    pub transport_url_file: Option<PathBuf>,
}

/// `[database]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// Where it is; from `url` or `url_file`.
    #[serde(deserialize_with = "secret_or_none")]
    pub url: Option<SecretString>,
    /// The file it was read from.
    #[serde(deserialize_with = "file_or_none")]
    pub url_file: Option<PathBuf>,
    /// Connections at most.
    pub pool_size: u32,
    /// Milliseconds after which the server ends a statement.
    pub statement_timeout_ms: u64,
    /// How the connection is encrypted: a word that [`crate::store::SslMode`] reads.
    pub ssl_mode: String,
    /// Certificates that the server's is verified against.
    #[serde(deserialize_with = "file_or_none")]
    pub ssl_ca_file: Option<PathBuf>,
    /// The client's certificate.
    #[serde(deserialize_with = "file_or_none")]
    pub ssl_cert_file: Option<PathBuf>,
    /// Its key.
    #[serde(deserialize_with = "file_or_none")]
    pub ssl_key_file: Option<PathBuf>,
}

/// `[batch]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchSettings {
    /// Updates committed together at most.
    pub max_items: usize,
    /// Bytes of messages committed together at most.
    pub max_bytes: usize,
}

/// `[limits]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// Bytes of a message's body.
    pub body_bytes: usize,
    /// Characters of a reason.
    pub reason_chars: usize,
    /// Resources of one restore.
    pub resources_per_restore: u64,
}

/// `[statuses]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusSettings {
    /// Aliases besides the built-in ones, and what they mean.
    pub aliases: BTreeMap<String, String>,
}

/// `[early_updates]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyUpdateSettings {
    /// Seconds that an update waits for its restore.
    pub max_age_s: u64,
}

/// `[stalled]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StalledSettings {
    /// Seconds of silence after which a restore under way has stalled; 0 is never.
    pub after_s: u64,
}

/// `[retention]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSettings {
    /// Days after which events are deleted; 0 is never.
    pub events_days: u64,
}

/// `[publisher]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublisherSettings {
    /// Seconds that a worker counts as alive without a sign of it.
    pub lease_s: u64,
}

/// `[http]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Where the API is served; `None` is off.
    #[serde(deserialize_with = "address_or_off")]
    pub listen: Option<SocketAddr>,
    /// Where health and metrics alone are served; `None` is off.
    #[serde(deserialize_with = "address_or_off")]
    pub probe_listen: Option<SocketAddr>,
    /// Who may read.
    #[serde(deserialize_with = "file_or_none")]
    pub tokens_file: Option<PathBuf>,
    /// By what URL clients reach the API.
    #[serde(deserialize_with = "text_or_none")]
    pub public_url: Option<String>,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// What is logged, as `EnvFilter` reads it.
    pub filter: String,
    /// For whom.
    pub format: LogFormat,
}

/// For whom the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Readers.
    Text,
    /// Machines: one JSON object a line.
    Json,
}

/// `[shutdown]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownSettings {
    /// Seconds that an orderly end may take.
    pub timeout_s: u64,
}

fn text_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn file_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    Ok(text_or_none(deserializer)?.map(PathBuf::from))
}

fn secret_or_none<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    Ok(text_or_none(deserializer)?.map(SecretString::from))
}

fn address_or_off<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "off" => Ok(None),
        text => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}
