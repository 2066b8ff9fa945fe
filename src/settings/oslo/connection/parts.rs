//! The parts of SQLAlchemy's URL (`sqlalchemy/engine/url.py`, `_parse_url`, 1.4), and of ours.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::Translated;

/// What RFC 3986 leaves as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A URL taken apart as SQLAlchemy does; user and password are decoded, all else is as it stands.
pub(super) struct Parts<'a> {
    pub dialect: &'a str,
    pub user: Option<String>,
    pub password: Option<String>,
    pub host: &'a str,
    pub port: Option<u16>,
    pub database: &'a str,
    pub query: Vec<(String, String)>,
}

impl<'a> Parts<'a> {
    /// Takes `text` apart.
    pub fn read(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let dialect = scheme.split_once('+').map_or(scheme, |(dialect, _)| dialect);
        let (user, password, rest) = split_credentials(rest);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (address, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = split_address(address)?;
        // What is cut off a password that was not encoded would be sought as a host.
        let sound = !host.contains('@') && !host.contains(char::is_whitespace);
        let port = match port {
            "" => None,
            port => Some(port.parse().ok()?),
        };
        sound.then(|| Self {
            dialect,
            user: user.map(decode),
            password: password.map(decode),
            host,
            port,
            database,
            query: parse_query(query),
        })
    }

    /// The last value of a name in the query, which is then read.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let values = self.take_all(name);
        values.into_iter().next_back()
    }

    /// All values of a name in the query, which is then read.
    pub fn take_all(&mut self, name: &str) -> Vec<String> {
        let (taken, left) = self.query.drain(..).partition(|(key, _)| key == name);
        self.query = left;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// `USER:PASSWORD@`
    pub fn credentials(&self) -> String {
        let mut text = String::new();
        if let Some(user) = &self.user {
            text.push_str(&encode(user));
            if let Some(password) = &self.password {
                text.push(':');
                text.push_str(&encode(password));
            }
            text.push('@');
        }
        text
    }

    /// A URL with a query of ours.
    pub fn finish(self, mut url: String, set: Vec<(&str, String)>) -> Translated {
        for (index, (key, value)) in set.into_iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(key);
            url.push('=');
            url.push_str(&encode(&value));
        }
        Translated { url, unread: self.query.into_iter().map(|(key, _)| key).collect() }
    }
}

/// The user ends at the first `:` or `/`; a password at the first `@`, whatever comes before it.
fn split_credentials(rest: &str) -> (Option<&str>, Option<&str>, &str) {
    let end = rest.find([':', '/']).unwrap_or(rest.len());
    if let Some((password, after)) = rest[end..].strip_prefix(':').and_then(|t| t.split_once('@')) {
        return (Some(&rest[..end]), Some(password), after);
    }
    match rest[..end].rfind('@') {
        Some(at) => (Some(&rest[..at]), None, &rest[at + 1..]),
        None => (None, None, rest),
    }
}

/// A host, an IPv6 address without its brackets, and the text of a port.
fn split_address(address: &str) -> Option<(&str, &str)> {
    if let Some(rest) = address.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(port) => Some((host, port)),
            None => after.is_empty().then_some((host, "")),
        };
    }
    Some(address.split_once(':').unwrap_or((address, "")))
}

/// As `urllib.parse.parse_qsl`: what has no value is left out.
fn parse_query(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let pairs =
        pairs.map(|(key, value)| (decode(key.replace('+', " ")), decode(value.replace('+', " "))));
    pairs.filter(|(_, value)| !value.is_empty()).collect()
}

pub(super) fn bracket(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { encode(host) }
}

pub(super) fn push_port(url: &mut String, port: Option<u16>) {
    if let Some(port) = port {
        write!(url, ":{port}").expect("a String takes any text");
    }
}

pub(super) fn push_database(url: &mut String, database: &str) {
    url.push('/');
    url.push_str(&encode(database));
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn decode(text: impl AsRef<str>) -> String {
    percent_decode_str(text.as_ref()).decode_utf8_lossy().into_owned()
}
