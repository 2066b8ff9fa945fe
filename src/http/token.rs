//! Who may ask: tokens from a file, each tied to a project or to all.
//!
//! Takes the file's text and a presented token, gives what the caller may reach. Only digests are
//! kept, and every one of them is compared in constant time, so that neither length nor position
//! of a token shows in the time an answer takes. A token never appears in an error or in `Debug`.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// What a caller may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Every project.
    Admin,
    /// One project.
    Project(String),
}

impl Access {
    /// Whether restores of this project may be shown.
    pub fn reaches(&self, project_id: &str) -> bool {
        match self {
            Self::Admin => true,
            Self::Project(own) => own == project_id,
        }
    }
}

/// The tokens in force.
#[derive(Clone)]
pub struct Tokens {
    /// `None` where no tokens are configured: then everyone is admin, and only loopback is served.
    known: Option<Vec<([u8; 32], Access)>>,
}

/// Why a token file cannot be used; names the line, never what stands there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTokens {
    /// A line is not two words.
    #[error("line {0} of the token file is not `TOKEN PROJECT_ID` or `TOKEN *`")]
    Line(usize),
    /// One token was given twice.
    #[error("line {0} of the token file repeats the token of line {1}")]
    Repeated(usize, usize),
    /// No token at all, which must not mean that none is needed.
    #[error(
        "the token file holds no token; leave the setting out to serve loopback without tokens"
    )]
    Empty,
}

impl Tokens {
    /// No tokens: every caller is admin. Only for loopback addresses.
    pub fn none() -> Self {
        Self { known: None }
    }

    /// Reads lines `TOKEN PROJECT_ID` or `TOKEN *`; empty lines and lines that begin with `#` are
    /// left out.
    ///
    /// # Errors
    /// The operator must mend the file.
    pub fn parse(text: &str) -> Result<Self, BadTokens> {
        let mut known: Vec<([u8; 32], Access)> = Vec::new();
        let mut lines: Vec<usize> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let mut words = line.split_whitespace();
            let Some(token) = words.next().filter(|word| !word.starts_with('#')) else { continue };
            let (Some(project), None) = (words.next(), words.next()) else {
                return Err(BadTokens::Line(number));
            };
            let digest = digest(token);
            if let Some(earlier) = known.iter().position(|(known, _)| *known == digest) {
                return Err(BadTokens::Repeated(number, lines[earlier]));
            }
            let access = match project {
                "*" => Access::Admin,
                project => Access::Project(project.to_owned()),
            };
            known.push((digest, access));
            lines.push(number);
        }
        if known.is_empty() { Err(BadTokens::Empty) } else { Ok(Self { known: Some(known) }) }
    }

    /// Whether callers must present one.
    pub fn are_required(&self) -> bool {
        self.known.is_some()
    }

    /// What the bearer of this token may reach; `None` where it is missing or unknown.
    pub fn judge(&self, presented: Option<&[u8]>) -> Option<Access> {
        let Some(known) = &self.known else { return Some(Access::Admin) };
        let presented = digest(presented?);
        let mut found = None;
        for (digest, access) in known {
            let equal: Choice = digest.ct_eq(&presented);
            if bool::from(equal) {
                found = Some(access);
            }
        }
        found.cloned()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.known {
            None => f.write_str("Tokens(none)"),
            Some(known) => write!(f, "Tokens({} of them)", known.len()),
        }
    }
}

fn digest(token: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(token.as_ref()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reaches_its_own_project_only() {
        let tokens = Tokens::parse("# who\n\nsecret-1 p1\nsecret-2 *\n").unwrap();
        assert_eq!(tokens.judge(Some(b"secret-1")), Some(Access::Project("p1".to_owned())));
        assert_eq!(tokens.judge(Some(b"secret-2")), Some(Access::Admin));
        assert_eq!(tokens.judge(Some(b"secret-")), None);
        assert_eq!(tokens.judge(Some(b"")), None);
        assert_eq!(tokens.judge(None), None);
        assert!(Access::Admin.reaches("p2") && !Access::Project("p1".to_owned()).reaches("p2"));
    }

    #[test]
    fn without_tokens_everyone_is_admin() {
        assert_eq!(Tokens::none().judge(None), Some(Access::Admin));
    }

    #[test]
    fn a_bad_file_is_refused_without_showing_it() {
        assert_eq!(Tokens::parse("a p\nhidden\n").unwrap_err(), BadTokens::Line(2));
        assert_eq!(Tokens::parse("hidden p q").unwrap_err(), BadTokens::Line(1));
        assert_eq!(Tokens::parse("a p\n#\na *").unwrap_err(), BadTokens::Repeated(3, 1));
        assert_eq!(Tokens::parse("# none\n").unwrap_err(), BadTokens::Empty);
        assert!(!format!("{:?}", Tokens::parse("hidden *").unwrap()).contains("hidden"));
    }
}
