//! Which of oslo.config's options are read, what each sets here, and which ones say what this
//! worker does not do.

use super::conf::Name;

/// How an option's text becomes a value of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it stands.
    Text,
    /// `oslo_config.types.Boolean`
    Flag,
    /// `oslo_config.types.Integer`
    Integer,
    /// `oslo_config.types.List`
    List,
    /// The drivers of notifications, several of them.
    Drivers,
    /// SQLAlchemy's URL of a database.
    Connection,
}

/// An option that is read.
pub(super) struct OsloOption {
    /// Its names: the present one first, then those of older releases.
    pub names: &'static [Name],
    /// The setting.
    pub key: &'static str,
    /// How it is written.
    pub kind: Kind,
}

const RABBIT: &str = "oslo_messaging_rabbit";
const NOTIFICATIONS: &str = "oslo_messaging_notifications";

/// Every option that is read.
pub(super) const OPTIONS: &[OsloOption] = &[
    option(&[("DEFAULT", "transport_url")], "messaging.transport_url", Kind::Text),
    option(&[("DEFAULT", "control_exchange")], "messaging.control_exchange", Kind::Text),
    option(
        &[("DEFAULT", "rpc_response_timeout")],
        "messaging.rpc_response_timeout_s",
        Kind::Integer,
    ),
    option(&[(RABBIT, "amqp_durable_queues")], "messaging.amqp_durable_queues", Kind::Flag),
    option(&[(RABBIT, "rabbit_quorum_queue")], "messaging.rabbit_quorum_queue", Kind::Flag),
    option(
        &[(RABBIT, "rabbit_transient_quorum_queue")],
        "messaging.rabbit_transient_quorum_queue",
        Kind::Flag,
    ),
    option(
        &[(RABBIT, "heartbeat_timeout_threshold")],
        "messaging.heartbeat_timeout_threshold_s",
        Kind::Integer,
    ),
    option(&[(RABBIT, "ssl"), (RABBIT, "rabbit_use_ssl")], "messaging.ssl", Kind::Flag),
    option(
        &[(RABBIT, "ssl_ca_file"), (RABBIT, "kombu_ssl_ca_certs")],
        "messaging.ssl_ca_file",
        Kind::Text,
    ),
    option(
        &[(RABBIT, "ssl_cert_file"), (RABBIT, "kombu_ssl_certfile")],
        "messaging.ssl_cert_file",
        Kind::Text,
    ),
    option(
        &[(RABBIT, "ssl_key_file"), (RABBIT, "kombu_ssl_keyfile")],
        "messaging.ssl_key_file",
        Kind::Text,
    ),
    option(
        &[(NOTIFICATIONS, "driver"), ("DEFAULT", "notification_driver")],
        "notifications.driver",
        Kind::Drivers,
    ),
    option(
        &[(NOTIFICATIONS, "topics"), ("DEFAULT", "notification_topics")],
        "notifications.topics",
        Kind::List,
    ),
    option(
        &[(NOTIFICATIONS, "transport_url"), ("DEFAULT", "notification_transport_url")],
        "notifications.transport_url",
        Kind::Text,
    ),
    option(
        &[
            ("database", "connection"),
            ("DEFAULT", "sql_connection"),
            ("database", "sql_connection"),
            ("sql", "connection"),
        ],
        "database.url",
        Kind::Connection,
    ),
];

const fn option(names: &'static [Name], key: &'static str, kind: Kind) -> OsloOption {
    OsloOption { names, key, kind }
}

/// An option that asks for what this worker does not do.
pub(super) struct Contradiction {
    /// Its name.
    pub name: Name,
    /// What is done instead, to follow the option's name.
    pub instead: &'static str,
}

/// Of each, any value but false or an empty one is warned about.
pub(super) const CONTRADICTIONS: &[Contradiction] = &[
    contradiction(
        "amqp_auto_delete",
        "exchanges are declared without it, and a broker refuses what two sides declare differently",
    ),
    contradiction("kombu_compression", "compressed messages cannot be read: they are dead letters"),
    contradiction("rabbit_host", USE_URL),
    contradiction("rabbit_hosts", USE_URL),
    contradiction("rabbit_port", USE_URL),
    contradiction("rabbit_userid", USE_URL),
    contradiction("rabbit_password", USE_URL),
    contradiction("rabbit_virtual_host", USE_URL),
];

const USE_URL: &str = "it is not read: the broker is what `[DEFAULT] transport_url` says";

const fn contradiction(option: &'static str, instead: &'static str) -> Contradiction {
    Contradiction { name: (RABBIT, option), instead }
}

/// The spellings of `oslo_config.types.Boolean`.
pub(super) fn read_flag(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Some(true),
        "false" | "0" | "off" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::rule::RULES;

    #[test]
    fn every_option_sets_a_key_that_exists() {
        for option in OPTIONS {
            let (section, key) = option.key.split_once('.').unwrap();
            assert!(RULES.iter().any(|(s, k, _)| *s == section && *k == key), "{}", option.key);
        }
    }
}
