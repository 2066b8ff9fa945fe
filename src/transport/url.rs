//! A `transport_url` in oslo.messaging's grammar
//! (`oslo_messaging/transport.py`, `TransportURL.parse`, 18.3.1):
//! `rabbit://user:pass@h1:5672,user:pass@h2/vhost?ssl=1`.
//!
//! Takes text, gives hosts with their own credentials, a virtual host and options. Stricter than
//! oslo.messaging where that would guess: an unknown option or a bad value is an error. No error,
//! `Debug` or `Display` of this file may ever repeat a password.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;

const DEFAULT_PORT: u16 = 5672;
const SCHEMES: &str = "`rabbit://`, `kombu://` or `memory://`";
const OPTIONS: &str = "`ssl`, `ssl_ca_file`, `ssl_cert_file`, `ssl_key_file`, \
    `heartbeat_timeout_threshold`, `amqp_durable_queues`, `rabbit_quorum_queue`";

/// Which driver a URL asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// A RabbitMQ broker: `rabbit://`, or `kombu://` as oslo.messaging also calls it.
    Rabbit,
    /// The embedded transport inside one process: `memory://`.
    Memory,
}

/// One broker node and the credentials for it.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name or address, an IPv6 one without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user; `guest` where the URL names none.
    pub username: String,
    /// The password; `guest` where the URL names none.
    pub password: SecretString,
}

/// A parsed `transport_url`. `Debug` and `Display` show no password.
#[derive(Debug, Clone)]
pub struct TransportUrl {
    /// The driver.
    pub driver: Driver,
    /// The nodes, in the order of the URL; `localhost` where it names none. Never empty.
    pub hosts: Vec<Host>,
    /// The virtual host, `/` by default.
    pub virtual_host: String,
    /// What the query holds.
    pub options: UrlOptions,
}

/// The settings that a URL's query may hold; each overrides the one of the same name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UrlOptions {
    /// Whether the connection uses TLS.
    pub ssl: Option<bool>,
    /// The certificates that the server's is verified by, instead of the system's.
    pub ssl_ca_file: Option<PathBuf>,
    /// The client's certificate.
    pub ssl_cert_file: Option<PathBuf>,
    /// The key of the client's certificate.
    pub ssl_key_file: Option<PathBuf>,
    /// The AMQP heartbeat in seconds; 0 is none.
    pub heartbeat_timeout_threshold: Option<u16>,
    /// Whether exchanges and queues shared with oslo.messaging are durable.
    pub amqp_durable_queues: Option<bool>,
    /// Whether queues shared with oslo.messaging are quorum queues.
    pub rabbit_quorum_queue: Option<bool>,
}

/// Why a `transport_url` is refused. No text repeats the URL: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No or an unknown scheme.
    #[error("a transport URL begins with {SCHEMES}")]
    Scheme,
    /// A `#` cuts the rest of the URL off.
    #[error("a `#` in a transport URL must be written `%23`")]
    Fragment,
    /// A port that is no number from 1 to 65535, or brackets that do not match. Which host is
    /// said by its place: its text may be a part of a password.
    #[error(
        "host number {0} of the transport URL is not `user:password@host:port` with a port from 1 \
         to 65535; `/`, `?`, `@` and `,` in a password must be percent-encoded"
    )]
    Host(usize),
    /// A name in the query that is not accepted.
    #[error("unknown option `{0}` in the transport URL; accepted are {OPTIONS}")]
    UnknownOption(String),
    /// A value in the query that is not accepted.
    #[error("option `{option}` in the transport URL must be {expected}, not `{value}`")]
    BadOption {
        /// The option.
        option: String,
        /// The value it has.
        value: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// `memory://` with something behind it.
    #[error("`memory://` takes no host, virtual host or option")]
    Memory,
}

impl FromStr for TransportUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(UrlError::Scheme)?;
        let driver = match scheme.to_ascii_lowercase().as_str() {
            "rabbit" | "kombu" => Driver::Rabbit,
            "memory" => Driver::Memory,
            _ => return Err(UrlError::Scheme),
        };
        if driver == Driver::Memory && !matches!(rest, "" | "/") {
            return Err(UrlError::Memory);
        }
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (netloc, path) = address.split_once('/').unwrap_or((address, ""));
        // A password with a `?` or `/` in it was cut there: its rest must not be named as an option,
        // nor shown as a virtual host. One with an `@` in its name is written with `%40`.
        if query.contains('@') || path.contains('@') {
            return Err(UrlError::Host(1));
        }
        let mut hosts = netloc
            .split(',')
            .enumerate()
            .filter(|(_, host)| !host.is_empty())
            .map(|(index, host)| parse_host(host).ok_or(UrlError::Host(index + 1)))
            .collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() {
            hosts.push(Host::new(None, None, "localhost".to_owned(), DEFAULT_PORT));
        }
        let virtual_host = match path {
            "" => "/".to_owned(),
            path => decode(path),
        };
        Ok(Self { driver, hosts, virtual_host, options: parse_query(query)? })
    }
}

impl Host {
    fn new(username: Option<String>, password: Option<String>, host: String, port: u16) -> Self {
        // What kombu connects with where a URL names no user.
        let or_guest = |text: Option<String>| {
            text.filter(|text| !text.is_empty()).unwrap_or_else(|| "guest".to_owned())
        };
        Self {
            host,
            port,
            username: or_guest(username),
            password: SecretString::from(or_guest(password)),
        }
    }
}

fn parse_host(text: &str) -> Option<Host> {
    let (credentials, address) = match text.rsplit_once('@') {
        Some((credentials, address)) => (Some(credentials), address),
        None => (None, text),
    };
    let (username, password) = match credentials.map(|text| text.split_once(':').ok_or(text)) {
        None => (None, None),
        Some(Ok((username, password))) => (Some(decode(username)), Some(decode(password))),
        Some(Err(username)) => (Some(decode(username)), None),
    };
    let (host, port) = split_port(address)?;
    let host = if host.is_empty() { "localhost" } else { host };
    Some(Host::new(username, password, host.to_owned(), port))
}

/// Like `oslo_utils.netutils.parse_host_port`: an address with several colons and no brackets is
/// an IPv6 address without a port.
fn split_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = if let Some(rest) = address.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        if port.is_empty() { (host, None) } else { (host, Some(port.strip_prefix(':')?)) }
    } else {
        match address.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (address, None),
        }
    };
    let port = match port {
        None => DEFAULT_PORT,
        Some(text) => text.parse().ok().filter(|port| *port != 0)?,
    };
    Some((host, port))
}

fn parse_query(query: &str) -> Result<UrlOptions, UrlError> {
    let mut options = UrlOptions::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // As `urllib.parse.parse_qs` does.
        let (name, value) = (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")));
        match name.as_str() {
            "ssl" => options.ssl = Some(parse_bool(name, value)?),
            "ssl_ca_file" => options.ssl_ca_file = Some(parse_file(name, value)?),
            "ssl_cert_file" => options.ssl_cert_file = Some(parse_file(name, value)?),
            "ssl_key_file" => options.ssl_key_file = Some(parse_file(name, value)?),
            "heartbeat_timeout_threshold" => {
                let seconds = value.parse().map_err(|_| UrlError::BadOption {
                    option: name,
                    value,
                    expected: "a number of seconds from 0 to 65535",
                })?;
                options.heartbeat_timeout_threshold = Some(seconds);
            }
            "amqp_durable_queues" => options.amqp_durable_queues = Some(parse_bool(name, value)?),
            "rabbit_quorum_queue" => options.rabbit_quorum_queue = Some(parse_bool(name, value)?),
            _ => return Err(UrlError::UnknownOption(name)),
        }
    }
    Ok(options)
}

/// The spellings of `oslo_config.types.Boolean`.
fn parse_bool(option: String, value: String) -> Result<bool, UrlError> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Ok(true),
        "false" | "0" | "off" | "no" => Ok(false),
        _ => Err(UrlError::BadOption { option, value, expected: "true or false" }),
    }
}

fn parse_file(option: String, value: String) -> Result<PathBuf, UrlError> {
    if value.is_empty() {
        return Err(UrlError::BadOption { option, value, expected: "the path of a file" });
    }
    Ok(PathBuf::from(value))
}

/// Like `urllib.parse.unquote`, which replaces what is not UTF-8.
fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for TransportUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.driver == Driver::Memory {
            return f.write_str("memory://");
        }
        f.write_str("rabbit://")?;
        for (index, host) in self.hosts.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:***@{host}", host.username)?;
        }
        write!(f, "/{}", self.virtual_host.strip_prefix('/').unwrap_or(&self.virtual_host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use secrecy::ExposeSecret;

    fn parse(text: &str) -> TransportUrl {
        text.parse().expect(text)
    }

    /// `user password host port` of each host.
    fn hosts(text: &str) -> Vec<String> {
        let show = |h: &Host| {
            format!("{} {} {} {}", h.username, h.password.expose_secret(), h.host, h.port)
        };
        parse(text).hosts.iter().map(show).collect()
    }

    #[rstest]
    #[case("rabbit://", &["guest guest localhost 5672"])]
    #[case("rabbit:///", &["guest guest localhost 5672"])]
    #[case("rabbit://h", &["guest guest h 5672"])]
    #[case("kombu://h", &["guest guest h 5672"])]
    #[case("RABBIT://u:p@h:5673", &["u p h 5673"])]
    #[case("rabbit://u@h", &["u guest h 5672"])]
    #[case("rabbit://u:p@h1:1,v:q@h2/v", &["u p h1 1", "v q h2 5672"])]
    #[case("rabbit://u:p@h1,h2", &["u p h1 5672", "guest guest h2 5672"])]
    #[case("rabbit://u:p@h1,,u:p@h2,", &["u p h1 5672", "u p h2 5672"])]
    #[case("rabbit://u:a:b@c@h", &["u a:b@c h 5672"])]
    #[case("rabbit://u%40d:p%2F%3A%25%2C@h", &["u@d p/:%, h 5672"])]
    #[case("rabbit://u:p+q@h", &["u p+q h 5672"])]
    #[case("rabbit://u:p@[::1]:5673/", &["u p ::1 5673"])]
    #[case("rabbit://u:p@[fe80::2]", &["u p fe80::2 5672"])]
    #[case("rabbit://u:p@fe80::2", &["u p fe80::2 5672"])]
    fn hosts_have_their_own_credentials(#[case] url: &str, #[case] expected: &[&str]) {
        assert_eq!(hosts(url), expected);
    }

    #[rstest]
    #[case("rabbit://h", "/")]
    #[case("rabbit://h?ssl=0", "/")]
    #[case("rabbit://h/", "/")]
    #[case("rabbit://h//", "/")]
    #[case("rabbit://h/%2F", "/")]
    #[case("rabbit://h/%2f?ssl=0", "/")]
    #[case("rabbit://h/karbor", "karbor")]
    #[case("rabbit://h/a/b", "a/b")]
    #[case("rabbit://h/a%20b%C3%A9", "a bé")]
    fn virtual_hosts_are_decoded(#[case] url: &str, #[case] expected: &str) {
        assert_eq!(parse(url).virtual_host, expected);
    }

    #[test]
    fn options_are_read() {
        let url = "rabbit://h/?ssl=True&ssl_ca_file=/etc/a%20b.pem&ssl_cert_file=c&ssl_key_file=k\
                   &heartbeat_timeout_threshold=20&amqp_durable_queues=yes&rabbit_quorum_queue=0";
        let expected = UrlOptions {
            ssl: Some(true),
            ssl_ca_file: Some("/etc/a b.pem".into()),
            ssl_cert_file: Some("c".into()),
            ssl_key_file: Some("k".into()),
            heartbeat_timeout_threshold: Some(20),
            amqp_durable_queues: Some(true),
            rabbit_quorum_queue: Some(false),
        };
        assert_eq!(parse(url).options, expected);
    }

    #[test]
    fn memory_is_a_driver_of_its_own() {
        assert_eq!(parse("memory://").driver, Driver::Memory);
        assert_eq!("memory://h".parse::<TransportUrl>().unwrap_err(), UrlError::Memory);
    }

    #[rstest]
    #[case("secret")]
    #[case("amqp://u:secret@h")]
    #[case("rabbit://u:secret@h:port")]
    #[case("rabbit://u:secret@h:0")]
    #[case("rabbit://u:se/secret@h")]
    #[case("rabbit://u:1/secret@h")]
    #[case("rabbit://u:p@1/secret@h")]
    #[case("rabbit://u:1?secret@h")]
    #[case("rabbit://u:secret#x@h")]
    #[case("rabbit://u:secret@[::1")]
    #[case("rabbit://u:secret@h/?heartbeat=1")]
    #[case("rabbit://u:secret@h/?ssl=perhaps")]
    #[case("rabbit://u:secret@h/?ssl_ca_file=")]
    #[case("rabbit://u:secret@h/?heartbeat_timeout_threshold=-1")]
    fn a_bad_url_is_refused_without_its_password(#[case] url: &str) {
        let error = url.parse::<TransportUrl>().unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }

    #[test]
    fn an_unknown_option_is_named_with_the_accepted_ones() {
        let error = "rabbit://h/?heartbeat=1".parse::<TransportUrl>().unwrap_err().to_string();
        assert!(error.contains("`heartbeat`"), "{error}");
        assert!(error.contains("`heartbeat_timeout_threshold`"), "{error}");
    }

    #[test]
    fn no_form_of_a_url_shows_a_password() {
        let url = parse("rabbit://u:secret@h1,u:secret@[::1]/karbor?ssl=1");
        assert_eq!(url.to_string(), "rabbit://u:***@h1:5672,u:***@[::1]:5672/karbor");
        assert!(!format!("{url:?}").contains("secret"), "{url:?}");
    }
}
