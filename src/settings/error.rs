//! What is wrong with the settings: each variant names the key, where it was set, and what would
//! be accepted. Must never repeat a value, which may be a secret; in the names and paths that are
//! repeated passwords are masked, since a URL may stand where they belong.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::domain::{BadAlias, mask_passwords};
use crate::http::BadTokens;
use crate::transport::url::UrlError;

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `config/default.toml`.
    Default,
    /// A `--config` file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// An `--oslo-config` file.
    OsloFile(Box<OsloPlace>),
}

/// Where a value stands in an `--oslo-config` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsloPlace {
    /// The file.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// Its section.
    pub section: String,
    /// Its option.
    pub option: String,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File(path) => write!(f, "file `{}`", masked(path.display())),
            Self::Variable(name) => write!(f, "environment variable `{}`", masked(name)),
            Self::OsloFile(place) => {
                let OsloPlace { path, line, section, option } = place.as_ref();
                let (path, section, option) =
                    (masked(path.display()), masked(section), masked(option));
                write!(f, "file `{path}`, line {line}, `[{section}] {option}`")
            }
        }
    }
}

fn masked(text: impl fmt::Display) -> String {
    mask_passwords(&text.to_string()).into_owned()
}

/// Why the settings cannot be used. The operator must act; the process ends with exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A `--config` or `--oslo-config` file, or one that a setting names, cannot be read.
    #[error("cannot read `{}`, given by {}", masked(.path.display()), masked(.given_by))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The option of the command line or the key that names it.
        given_by: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A `--config` file is no TOML.
    #[error("`{}`, line {line}, is not TOML: {}", masked(.path.display()), masked(.reason))]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the parser says, without the text.
        reason: String,
    },
    /// An `--oslo-config` file that oslo.config would not read.
    #[error("`{}`, line {line}, is not what oslo.config reads: {reason}", masked(.path.display()))]
    NotOsloConfig {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is accepted there.
        reason: &'static str,
    },
    /// A key that does not exist.
    #[error("unknown setting `{key}` ({source_name}); {accepted}")]
    UnknownKey {
        /// As it was given, without passwords.
        key: String,
        /// Where it stands.
        source_name: Source,
        /// The keys that exist at this place.
        accepted: String,
    },
    /// A value that is not accepted.
    #[error("`{key}` ({source_name}) must be {accepted}")]
    BadValue {
        /// Which setting.
        key: String,
        /// Where it was set.
        source_name: Source,
        /// What would be.
        accepted: String,
    },
    /// A broker's URL that cannot be read.
    #[error("`{key}` ({source_name}): {}", masked(.reason))]
    BadUrl {
        /// Which setting.
        key: &'static str,
        /// Where it was set.
        source_name: Source,
        /// What is wrong with it.
        reason: UrlError,
    },
    /// An alias that is none.
    #[error("`statuses.aliases` ({source_name}): {}", masked(.reason))]
    Alias {
        /// Where it was set.
        source_name: Source,
        /// What is wrong with it.
        reason: BadAlias,
    },
    /// The file of tokens is none.
    #[error("`{}`, given by `http.tokens_file`: {reason}", masked(.path.display()))]
    Tokens {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: BadTokens,
    },
    /// A secret was given both as it is and by a file.
    #[error("`{key}` ({by_value}) and `{key}_file` ({by_file}) are both set; leave one out")]
    Both {
        /// The secret.
        key: &'static str,
        /// Where the value was set.
        by_value: Source,
        /// Where the file was set.
        by_file: Source,
    },
    /// A setting without which the command cannot run.
    #[error(
        "`{key}` is not set: {example}; set it in a `--config` file or as environment variable \
         `{}`", super::source::variable(.key)
    )]
    Missing {
        /// Which setting.
        key: &'static str,
        /// What it looks like.
        example: &'static str,
    },
}
