//! `--oslo-config`: takes files in oslo.config's grammar, such as `karbor.conf`, and fills in what
//! nobody set in the worker's own files or environment.
//!
//! What contradicts the worker's own settings, or asks for what it does not do, becomes a warning;
//! what is not read becomes a detail. No text repeats a value that may be secret.

mod ini;
mod conf;
mod option;
mod driver;
mod connection;

use std::collections::BTreeSet;
use std::path::PathBuf;

use config::Value;

use self::conf::{Found, OsloConf};
use self::option::{CONTRADICTIONS, Kind, OPTIONS, OsloOption, read_flag};
use super::check::SECRETS;
use super::error::{SettingsError, Source};
use super::rule::{RULES, Rule};
use super::source::Gathered;

const REFERENCES: &str = "a value whose `$NAME` are options that these files set, without a circle; \
     a `$` that is none is written `$$`";

/// Reads `files` and sets what has no value of the worker's own.
///
/// # Errors
/// A file that cannot be read, or a value that is not accepted and would be in force.
pub(super) fn fill(settings: &mut Gathered, files: &[PathBuf]) -> Result<(), SettingsError> {
    let conf = OsloConf::read(files)?;
    for option in OPTIONS {
        let Some((source, given)) = read_option(settings, &conf, option) else { continue };
        if !is_own(settings, option.key) {
            let value = given.map_err(|accepted| SettingsError::BadValue {
                key: option.key.to_owned(),
                source_name: source.clone(),
                accepted,
            })?;
            settings.set(option.key, value, source);
        } else if given.as_ref().ok() != settings.value(option.key) {
            let own = settings.source(option.key);
            let key = option.key;
            settings.warn(&format!("{source} says otherwise than `{key}` ({own}), which wins"));
        }
    }
    warn_of_contradictions(settings, &conf);
    warn_of_verification(settings);
    note_unread(settings, &conf);
    Ok(())
}

/// A value in its type, or what would be accepted.
type Given = Result<toml::Value, String>;

/// What the files say of an option, and where; `None` where they say nothing that is of use.
fn read_option(
    settings: &mut Gathered,
    conf: &OsloConf,
    option: &OsloOption,
) -> Option<(Source, Given)> {
    let found = conf.value(option.names)?;
    let source = found.source();
    let given = match option.kind {
        Kind::Drivers => read_drivers(settings, conf, option, &source)?,
        _ => conf
            .substitute(found)
            .map_err(|_| REFERENCES.to_owned())
            .and_then(|text| read_value(settings, option, &text, &source)),
    };
    Some((source, given))
}

fn read_value(settings: &mut Gathered, option: &OsloOption, text: &str, source: &Source) -> Given {
    let text = match option.kind {
        // A continued line leaves a line break, which Python's `urlsplit` takes out of a URL.
        Kind::Text if option.key.ends_with("_url") => text.replace(['\n', '\r', '\t'], ""),
        Kind::Text | Kind::Drivers => text.to_owned(),
        Kind::Integer => text.trim().to_owned(),
        Kind::List => text.trim().trim_end_matches(',').to_owned(),
        Kind::Flag => {
            let accepted = "`true`, `1`, `on` or `yes`, or `false`, `0`, `off` or `no`";
            return read_flag(text).map(Into::into).ok_or_else(|| accepted.to_owned());
        }
        Kind::Connection if text.is_empty() => String::new(),
        Kind::Connection => {
            let translated =
                connection::translate(text).ok_or_else(|| connection::ACCEPTED.to_owned())?;
            for name in &translated.unread {
                settings.note(&format!("{source}: {} in its query is not read", show_name(name)));
            }
            translated.url
        }
    };
    let rule = rule_of(option.key);
    rule.read(&Value::new(None, text)).ok_or_else(|| rule.accepted())
}

fn read_drivers(
    settings: &mut Gathered,
    conf: &OsloConf,
    option: &OsloOption,
    source: &Source,
) -> Option<Given> {
    let values = conf.values(option.names).into_iter();
    let Ok(drivers) = values.map(|found| conf.substitute(found)).collect::<Result<Vec<_>, _>>()
    else {
        return Some(Err(REFERENCES.to_owned()));
    };
    let choice = driver::choose(&drivers);
    for warning in choice.warnings {
        settings.warn(&format!("{source}: {warning}"));
    }
    choice.driver.map(|driver| Ok(driver.into()))
}

/// Whether the worker's own files or environment set it, a secret perhaps through a file.
fn is_own(settings: &Gathered, key: &str) -> bool {
    let is_read = SECRETS.contains(&key) && !settings.text(key).is_empty();
    is_read || settings.source(key) != Source::Default
}

fn rule_of(key: &str) -> &'static Rule {
    let is = |(section, name, _): &&(&str, &str, Rule)| {
        key.split_once('.').is_some_and(|(s, k)| s == *section && k == *name)
    };
    RULES.iter().find(is).map(|(.., rule)| rule).expect("a test holds that every key exists")
}

fn warn_of_contradictions(settings: &mut Gathered, conf: &OsloConf) {
    for contradiction in CONTRADICTIONS {
        let Some(found) = conf.value(&[contradiction.name]) else { continue };
        let text = &found.assignment.value;
        if !text.is_empty() && read_flag(text) != Some(false) {
            settings.warn(&format!("{}: {}", found.source(), contradiction.instead));
        }
    }
}

/// oslo.messaging verifies the broker only by a file of certificates.
fn warn_of_verification(settings: &mut Gathered) {
    const SSL: &str = "messaging.ssl";
    let is_set = |key| settings.value(key).and_then(toml::Value::as_bool) == Some(true);
    let source = settings.source(SSL);
    if matches!(source, Source::OsloFile(_))
        && is_set(SSL)
        && is_set("messaging.ssl_verify")
        && settings.text("messaging.ssl_ca_file").is_empty()
    {
        settings.warn(&format!(
            "{source}: without `ssl_ca_file` oslo.messaging does not verify the broker, and this \
             worker does, by the system's certificates; set `messaging.ssl_ca_file`, or \
             `messaging.ssl_verify` to false"
        ));
    }
}

/// Every option that nothing here reads, once a file.
fn note_unread(settings: &mut Gathered, conf: &OsloConf) {
    let is_known = |found: &Found<'_>| {
        OPTIONS.iter().any(|option| option.names.iter().any(|name| found.is(*name)))
            || CONTRADICTIONS.iter().any(|contradiction| found.is(contradiction.name))
    };
    let unread: BTreeSet<String> = conf
        .all()
        .filter(|found| !is_known(found))
        .map(|found| {
            let section = show_name(&found.assignment.section);
            let option = show_name(&found.assignment.option);
            format!("file `{}`: {option} of section {section} is not read", found.path.display())
        })
        .collect();
    for text in unread {
        settings.note(&text);
    }
}

/// A name that looks like one: what else stands before a `=` may be a piece of a secret.
fn show_name(name: &str) -> String {
    let is_plain = name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if is_plain { format!("`{name}`") } else { "a name that is not shown".to_owned() }
}

#[cfg(test)]
mod tests;
