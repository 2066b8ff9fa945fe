//! Where the database is and how it is reached: takes a URL and settings, gives what the drivers
//! need. Knows three schemes (`postgres://` or `postgresql://`, `mysql://`, `sqlite://FILE`) and
//! takes `sslmode`, `sslrootcert`, `sslcert` and `sslkey` out of the query. An error text never
//! holds the URL: it may hold a password.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::{DatabaseFault, StoreError};

/// How a [`super::Store`] is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The database's URL; may hold a password.
    pub url: SecretString,
    /// Connections kept at most. SQLite has one writer and this many readers.
    pub pool_size: u32,
    /// What the server ends a statement after; waiting for a lock is part of it.
    pub statement_timeout: Duration,
    /// How the connection is encrypted; the URL's own words win.
    pub tls: TlsOptions,
    /// How long a publisher lives without a sign of its worker.
    pub lease: Duration,
    /// Resources of one restore at most; expected ones are counted by themselves.
    pub resources_per_restore: u64,
}

impl StoreOptions {
    /// The defaults for a database at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: SecretString::from(url.into()),
            pool_size: 6,
            statement_timeout: Duration::from_secs(10),
            tls: TlsOptions::default(),
            lease: Duration::from_secs(10),
            resources_per_restore: 20_000,
        }
    }
}

/// How a connection to PostgreSQL or MySQL is encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Whether, and how strictly.
    pub mode: SslMode,
    /// Certificates, PEM, that the server's is verified against; the system's otherwise.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate chain, PEM.
    pub certificate_file: Option<PathBuf>,
    /// The client's key, PEM.
    pub key_file: Option<PathBuf>,
}

impl TlsOptions {
    /// The authorities, the client's certificate, its key.
    pub fn files(&self) -> [Option<&Path>; 3] {
        [&self.ca_file, &self.certificate_file, &self.key_file].map(Option::as_deref)
    }
}

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SslMode {
    /// In the clear.
    Disable,
    /// Encrypted, unverified, if the server offers it; in the clear otherwise.
    #[default]
    Prefer,
    /// Encrypted; verified only where a CA file is given, and then without the host's name, which
    /// only MySQL's client checks all the same: `with_danger_skip_domain_validation` looks for words
    /// that rustls no longer says (`mysql_async/src/io/tls/rustls_io.rs`).
    Require,
    /// Encrypted, the certificate and the host's name verified.
    VerifyFull,
}

impl FromStr for SslMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "disable" | "disabled" => Ok(Self::Disable),
            "prefer" | "preferred" => Ok(Self::Prefer),
            "require" | "required" => Ok(Self::Require),
            "verify-full" | "verify_identity" => Ok(Self::VerifyFull),
            _ => {
                Err("`sslmode` is one of `disable`, `prefer`, `require`, `verify-full`".to_owned())
            }
        }
    }
}

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgresql,
    /// MySQL and MariaDB.
    Mysql,
    /// SQLite.
    Sqlite,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgresql => "PostgreSQL",
            Self::Mysql => "MySQL",
            Self::Sqlite => "SQLite",
        })
    }
}

/// A URL taken apart: the dialect, what the driver reads, and how it is encrypted.
pub(crate) struct Address {
    pub dialect: Dialect,
    /// The URL without our own keys; for SQLite the file.
    pub target: SecretString,
    pub tls: TlsOptions,
}

impl Address {
    /// Reads `options.url`.
    pub fn read(options: &StoreOptions) -> Result<Self, StoreError> {
        let url = options.url.expose_secret();
        let (scheme, rest) = url.split_once("://").ok_or_else(|| unusable(SCHEMES))?;
        let dialect = match scheme {
            "postgres" | "postgresql" => Dialect::Postgresql,
            "mysql" => Dialect::Mysql,
            "sqlite" => Dialect::Sqlite,
            _ => return Err(unusable(SCHEMES)),
        };
        if dialect == Dialect::Sqlite {
            if rest.is_empty() || rest.ends_with('/') || rest.starts_with(":memory:") {
                return Err(unusable("`sqlite://` needs a file"));
            }
            // Another database's URL with the wrong scheme: its password would be shown as a path.
            if rest.split_once('@').is_some_and(|(before, _)| before.contains(':')) {
                return Err(unusable("`sqlite://` takes a file, and no user and password"));
            }
            return Ok(Self { dialect, target: rest.into(), tls: TlsOptions::default() });
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut tls = options.tls.clone();
        let (mut others, mut seen) = (Vec::new(), Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
            // Which of the two would count is not for us to guess.
            if seen.contains(&key) {
                return Err(unusable("the URL gives an option twice"));
            }
            seen.push(key);
            match key {
                "sslmode" | "ssl-mode" | "ssl_mode" => {
                    tls.mode = value.parse().map_err(|reason: String| unusable(&reason))?;
                }
                "sslrootcert" | "ssl-ca" | "ssl_ca" => tls.ca_file = Some(value.as_ref().into()),
                "sslcert" | "ssl-cert" | "ssl_cert" => {
                    tls.certificate_file = Some(value.as_ref().into());
                }
                "sslkey" | "ssl-key" | "ssl_key" => tls.key_file = Some(value.as_ref().into()),
                // SQLAlchemy's way to name the character set; ours is always utf8mb4.
                "charset" => {}
                _ => others.push(pair),
            }
        }
        if tls.certificate_file.is_some() != tls.key_file.is_some() {
            return Err(unusable("a client certificate and its key go together"));
        }
        let target = if others.is_empty() {
            base.to_owned()
        } else {
            format!("{base}?{}", others.join("&"))
        };
        Ok(Self { dialect, target: target.into(), tls })
    }
}

/// Where a URL leads, without user and password: for errors.
pub(crate) fn place(dialect: Dialect, target: &str) -> String {
    if dialect == Dialect::Sqlite {
        return target.to_owned();
    }
    let (_, rest) = target.split_once("://").unwrap_or(("", target));
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let address = address.rsplit_once('@').map_or(address, |(_, address)| address);
    // A password that is not written as a URL wants it: nothing of it may be shown.
    if query.contains('@') { dialect.to_string() } else { address.to_owned() }
}

/// The encryption that a database's URL itself asks for; none where [`check_url`] refuses it.
pub(crate) fn tls_of_url(url: &str) -> TlsOptions {
    Address::read(&StoreOptions::new(url)).map(|address| address.tls).unwrap_or_default()
}

/// What is wrong with a database's URL, before any connection is tried; never its password.
///
/// # Errors
///
/// What is wrong, to follow the setting's name.
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    let wrong = |error| match error {
        StoreError::Fatal { source, .. } => source.0,
        other => other.to_string(),
    };
    let address = Address::read(&StoreOptions::new(url)).map_err(wrong)?;
    let target = address.target.expose_secret();
    let read = match address.dialect {
        Dialect::Postgresql => super::connect::postgresql::read_url(target).map(drop),
        Dialect::Mysql => super::connect::mysql::read_url(target).map(drop),
        Dialect::Sqlite => Ok(()),
    };
    read.map_err(|fault| fault.text)
}

const SCHEMES: &str = "the database's URL begins with `postgres://`, `mysql://` or `sqlite://`";

/// A setting that no database can be reached with.
pub(crate) fn unusable(reason: &str) -> StoreError {
    StoreError::Fatal {
        act: "reading the database's URL",
        source: DatabaseFault(reason.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Address {
        Address::read(&StoreOptions::new(url)).ok().unwrap()
    }

    #[test]
    fn our_own_keys_are_taken_out_of_the_query() {
        let address = read("mysql://u:p@h/d?sslmode=verify-full&sslrootcert=%2Fca.pem&a=b");
        assert_eq!(address.target.expose_secret(), "mysql://u:p@h/d?a=b");
        assert_eq!(address.tls.mode, SslMode::VerifyFull);
        assert_eq!(address.tls.ca_file, Some("/ca.pem".into()));
    }

    #[test]
    fn what_no_driver_reads_is_known_before_it_is_used() {
        for url in ["sqlite://x.db", "postgres://u:p@h/d?connect_timeout=3", "mysql://u:p@h/d"] {
            assert_eq!(check_url(url), Ok(()), "{url}");
        }
        for (url, said) in [
            ("sqlite://", "needs a file"),
            ("sqlite://u:secret@h/d", "no user"),
            ("postgres://u:secret@h/d?foo=bar", "`foo`"),
            ("mysql://u:secret@h/d?foo=bar", "`foo`"),
            ("mysql://u:secret@h:port/d", "HOST:PORT"),
            ("postgres://u:secret@h/d?sslmode=maybe", "`verify-full`"),
            ("postgres://u:secret@h/d?sslmode=disable&sslmode=require", "twice"),
            ("postgres://u:secret@h:0/d", "65535"),
            ("mysql://u:secret@h:0/d", "65535"),
            ("postgres://u:secret@h/d?connect_timeout=abc", "value"),
        ] {
            let reason = check_url(url).unwrap_err();
            assert!(reason.contains(said) && !reason.contains("secret"), "{url}: {reason}");
        }
    }

    #[test]
    fn a_place_is_told_without_its_password() {
        for (url, expected) in [
            ("postgres://u:secret@h:5432/d?connect_timeout=3", "h:5432/d"),
            ("mysql://h/d", "h/d"),
            ("mysql://u:sec?ret@h/d", "MySQL"),
        ] {
            let address = read(url);
            assert_eq!(place(address.dialect, address.target.expose_secret()), expected);
        }
    }

    #[test]
    fn a_bad_url_is_refused_without_its_password() {
        for url in ["oracle://u:secret@h/d", "secret", "postgres://u:secret@h/?sslmode=maybe"] {
            let error = Address::read(&StoreOptions::new(url)).err().unwrap();
            assert!(!format!("{error:?} {error}").contains("secret"));
        }
    }
}
