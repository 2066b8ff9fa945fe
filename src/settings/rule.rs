//! What each setting accepts, as one table: takes a value as a file or the environment has it,
//! gives it in its proper type, or says what would be accepted. A key that is not in the table
//! does not exist. Must not repeat a value in a text, which may be a secret.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use config::{Value, ValueKind};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// What a value must be.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds.
    Integer(RangeInclusive<i64>),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// What can be an exchange, a topic or a server in AMQP.
    Name,
    /// A name, or empty.
    OptionalName,
    /// Names; in the environment separated by commas.
    Names,
    /// A file's path, or empty.
    File,
    /// A URL that holds a password, or empty.
    Secret,
    /// `http://...`, or empty.
    PublicUrl,
    /// `IP:PORT` or `off`.
    Address,
    /// What tracing's `EnvFilter` reads.
    Filter,
    /// A table of texts.
    Aliases,
}

const MIB: i64 = 1024 * 1024;
const DAY_S: i64 = 24 * 60 * 60;

/// Every setting, in the order in which `config show` prints them.
pub(super) const RULES: &[(&str, &str, Rule)] = &[
    ("messaging", "transport_url", Rule::Secret),
    ("messaging", "transport_url_file", Rule::File),
    ("messaging", "control_exchange", Rule::Name),
    ("messaging", "topic", Rule::Name),
    ("messaging", "server", Rule::OptionalName),
    ("messaging", "queue_type", Rule::OneOf(&["quorum", "classic"])),
    ("messaging", "amqp_durable_queues", Rule::Flag),
    ("messaging", "rabbit_quorum_queue", Rule::Flag),
    ("messaging", "rabbit_transient_quorum_queue", Rule::Flag),
    ("messaging", "observe", Rule::Names),
    ("messaging", "prefetch", Rule::Integer(1..=65_535)),
    ("messaging", "rpc_response_timeout_s", Rule::Integer(1..=DAY_S)),
    ("messaging", "heartbeat_timeout_threshold_s", Rule::Integer(0..=65_535)),
    ("messaging", "ssl", Rule::Flag),
    ("messaging", "ssl_ca_file", Rule::File),
    ("messaging", "ssl_cert_file", Rule::File),
    ("messaging", "ssl_key_file", Rule::File),
    ("messaging", "ssl_verify", Rule::Flag),
    ("notifications", "driver", Rule::OneOf(&["messagingv2", "messaging", "noop"])),
    ("notifications", "topics", Rule::Names),
    ("notifications", "transport_url", Rule::Secret),
    ("notifications", "transport_url_file", Rule::File),
    ("database", "url", Rule::Secret),
    ("database", "url_file", Rule::File),
    ("database", "pool_size", Rule::Integer(1..=1000)),
    ("database", "statement_timeout_ms", Rule::Integer(100..=600_000)),
    ("database", "ssl_mode", Rule::OneOf(&["disable", "prefer", "require", "verify-full"])),
    ("database", "ssl_ca_file", Rule::File),
    ("database", "ssl_cert_file", Rule::File),
    ("database", "ssl_key_file", Rule::File),
    ("batch", "max_items", Rule::Integer(1..=10_000)),
    ("batch", "max_bytes", Rule::Integer(1024..=256 * MIB)),
    ("limits", "body_bytes", Rule::Integer(1024..=16 * MIB)),
    ("limits", "reason_chars", Rule::Integer(64..=16_000)),
    ("limits", "resources_per_restore", Rule::Integer(1..=1_000_000)),
    ("statuses", "aliases", Rule::Aliases),
    ("early_updates", "max_age_s", Rule::Integer(1..=30 * DAY_S)),
    ("stalled", "after_s", Rule::Integer(0..=30 * DAY_S)),
    ("retention", "events_days", Rule::Integer(0..=36_500)),
    ("publisher", "lease_s", Rule::Integer(5..=300)),
    ("http", "listen", Rule::Address),
    ("http", "probe_listen", Rule::Address),
    ("http", "tokens_file", Rule::File),
    ("http", "public_url", Rule::PublicUrl),
    ("log", "filter", Rule::Filter),
    ("log", "format", Rule::OneOf(&["text", "json"])),
    ("shutdown", "timeout_s", Rule::Integer(1..=3600)),
];

impl Rule {
    /// The value in its type; `None` where it is not what [`Self::accepted`] says.
    pub fn read(&self, value: &Value) -> Option<toml::Value> {
        match self {
            Self::Flag => read_flag(value).map(toml::Value::Boolean),
            Self::Integer(range) => {
                read_integer(value).filter(|n| range.contains(n)).map(toml::Value::Integer)
            }
            Self::Names => read_names(value),
            Self::Aliases => read_aliases(value),
            _ => self.read_text(value).map(toml::Value::String),
        }
    }

    fn read_text(&self, value: &Value) -> Option<String> {
        let ValueKind::String(text) = &value.kind else { return None };
        let text = text.as_str();
        let accepts = match self {
            Self::OneOf(words) => {
                let word = words.iter().find(|word| word.eq_ignore_ascii_case(text))?;
                return Some((*word).to_owned());
            }
            Self::Name => is_name(text),
            Self::OptionalName => text.is_empty() || is_name(text),
            Self::PublicUrl => {
                text.is_empty()
                    || ((text.starts_with("http://") || text.starts_with("https://"))
                        && text.chars().all(|c| c.is_ascii_graphic() && c != '@'))
            }
            Self::Address => text == "off" || text.parse::<SocketAddr>().is_ok(),
            Self::Filter => is_filter(text),
            _ => !text.contains(char::is_control),
        };
        accepts.then(|| text.to_owned())
    }

    /// What is accepted, to follow "must be".
    pub fn accepted(&self) -> String {
        match self {
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Integer(range) => {
                format!("a whole number from {} to {}", range.start(), range.end())
            }
            Self::OneOf(words) => format!("one of `{}`", words.join("`, `")),
            Self::Name => "1 to 100 printable ASCII characters without spaces".to_owned(),
            Self::OptionalName => {
                "empty or 1 to 100 printable ASCII characters without spaces".to_owned()
            }
            Self::Names => "a list of names, each of 1 to 100 printable ASCII characters without \
                            spaces (in the environment separated by commas)"
                .to_owned(),
            Self::File => "a file's path, or empty".to_owned(),
            Self::Secret => "a URL, or empty".to_owned(),
            Self::PublicUrl => "`http://...` or `https://...` without a user, or empty".to_owned(),
            Self::Address => {
                "`IP:PORT`, such as `127.0.0.1:8798` or `[::1]:8798`, or `off`".to_owned()
            }
            Self::Filter => "a level (`error`, `warn`, `info`, `debug`, `trace`, `off`) or a list \
                             of `MODULE=LEVEL`"
                .to_owned(),
            Self::Aliases => "a table of `ALIAS = \"STATUS\"`".to_owned(),
        }
    }
}

/// A word alone is a level: `EnvFilter` would take another for a module, and `warning` silence all.
fn is_filter(text: &str) -> bool {
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    // It panics for some texts beyond ASCII.
    text.is_ascii()
        && EnvFilter::try_new(text).is_ok()
        && text.split(',').all(|part| part.contains('=') || is_level(part.trim()))
}

/// AMQP's names have up to 255 bytes, and ours are joined with others and with suffixes.
fn is_name(text: &str) -> bool {
    (1..=100).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn read_flag(value: &Value) -> Option<bool> {
    match &value.kind {
        ValueKind::Boolean(flag) => Some(*flag),
        // Python's spelling of them too.
        ValueKind::String(text) => text.to_ascii_lowercase().parse().ok(),
        _ => None,
    }
}

fn read_integer(value: &Value) -> Option<i64> {
    match &value.kind {
        ValueKind::I64(number) => Some(*number),
        ValueKind::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn read_names(value: &Value) -> Option<toml::Value> {
    let names: Vec<&str> = match &value.kind {
        ValueKind::Array(items) => items
            .iter()
            .map(|item| match &item.kind {
                ValueKind::String(text) => Some(text.as_str()),
                _ => None,
            })
            .collect::<Option<_>>()?,
        ValueKind::String(text) if text.trim().is_empty() => Vec::new(),
        ValueKind::String(text) => text.split(',').map(str::trim).collect(),
        _ => return None,
    };
    // One that is given twice is meant once.
    let mut distinct: Vec<&str> = Vec::with_capacity(names.len());
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct.iter().all(|name| is_name(name)).then(|| distinct.into())
}

fn read_aliases(value: &Value) -> Option<toml::Value> {
    let ValueKind::Table(table) = &value.kind else { return None };
    let mut aliases = toml::Table::new();
    for (alias, meaning) in table {
        let ValueKind::String(meaning) = &meaning.kind else { return None };
        aliases.insert(alias.clone(), meaning.clone().into());
    }
    Some(aliases.into())
}
