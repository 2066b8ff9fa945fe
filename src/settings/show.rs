//! The settings in force, as `config show` prints them: TOML that could be given back as a
//! `--config` file but for its secrets, which are hidden.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::check::{SECRETS, aliases, is_set};
use super::error::Source;
use super::rule::RULES;
use super::source::Gathered;
use crate::domain::mask_passwords;
use crate::transport::url::TransportUrl;

/// A section of its own, since its keys are anybody's.
const ALIASES: &str = "statuses.aliases";

/// All settings, a section after the other.
pub(super) fn to_toml(settings: &Gathered) -> String {
    let mut shown = String::new();
    let mut last_section = "";
    for (section, key, _) in RULES {
        let name = format!("{section}.{key}");
        let Some(value) = settings.value(&name) else { continue };
        let header = if name == ALIASES { ALIASES } else { section };
        if header != last_section {
            let gap = if last_section.is_empty() { "" } else { "\n" };
            push(&mut shown, format_args!("{gap}[{header}]\n"));
            last_section = header;
        }
        if name == ALIASES {
            push_aliases(&mut shown, settings, value);
            continue;
        }
        let value = match value.as_str() {
            Some(url) if SECRETS.contains(&name.as_str()) => hide_password(url).into(),
            _ => masked(value),
        };
        push(&mut shown, format_args!("{key} = {value}"));
        push_source(&mut shown, &settings.source(&name));
    }
    for warning in settings.warnings() {
        push(&mut shown, format_args!("\n# {warning}\n"));
    }
    shown
}

/// Each alias in force, the built-in ones too.
fn push_aliases(shown: &mut String, settings: &Gathered, set: &toml::Value) {
    let aliases = aliases(settings).expect("they were checked before");
    let set = set.as_table().into_iter().flat_map(toml::Table::keys);
    let set: BTreeSet<String> = set.map(|alias| alias.to_lowercase()).collect();
    for (alias, meaning) in aliases.entries() {
        let key = toml::Value::from(mask_passwords(alias).as_ref());
        push(shown, format_args!("{key} = \"{}\"", meaning.as_str()));
        let source = if set.contains(alias) { settings.source(ALIASES) } else { Source::Default };
        push_source(shown, &source);
    }
}

fn push_source(shown: &mut String, source: &Source) {
    if is_set(source) {
        push(shown, format_args!("  # {source}"));
    }
    shown.push('\n');
}

fn push(shown: &mut String, text: std::fmt::Arguments<'_>) {
    shown.write_fmt(text).expect("a String takes any text");
}

/// A URL may have been set where something else belongs.
fn masked(value: &toml::Value) -> toml::Value {
    let joined = |items: &Vec<toml::Value>| {
        let texts: Option<Vec<_>> = items.iter().map(toml::Value::as_str).collect();
        texts.map(|texts| texts.join(","))
    };
    match value {
        toml::Value::String(text) => mask_passwords(text).as_ref().into(),
        // A list in the environment is split at commas, and so was a URL of several hosts.
        toml::Value::Array(items) => match joined(items).as_deref().map(mask_passwords) {
            Some(Cow::Owned(masked)) => masked.split(',').collect::<Vec<_>>().into(),
            _ => value.clone(),
        },
        _ => value.clone(),
    }
}

/// All between the first `:` of the authority and the last `@` is hidden: a text that was meant as
/// a URL may hold a password anywhere there.
fn hide_password(url: &str) -> String {
    if url.is_empty() {
        return String::new();
    }
    let Some((scheme, rest)) = url.split_once("://") else { return "***".to_owned() };
    if url.parse::<TransportUrl>().is_ok() {
        // It can be read, so nothing in it but separators looks like one.
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let hosts: Vec<String> = rest[..end].split(',').map(hide_credentials).collect();
        return format!("{scheme}://{}{}", hosts.join(","), &rest[end..]);
    }
    mask_passwords(&format!("{scheme}://{}", hide_credentials(rest))).into_owned()
}

/// `user:password@host...` with the password hidden.
fn hide_credentials(text: &str) -> String {
    let Some((credentials, address)) = text.rsplit_once('@') else { return text.to_owned() };
    let user = credentials.split_once(':').map_or(credentials, |(user, _)| user);
    // No user, but a piece of what was meant as a password.
    let user = if user.contains(['/', '@']) { "" } else { user };
    format!("{user}:***@{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_urls_are_hidden() {
        for (url, shown) in [
            ("", ""),
            ("rabbit://u:p@h:5672/v", "rabbit://u:***@h:5672/v"),
            ("rabbit://u:1/2@h", "rabbit://u:***@h"),
            ("rabbit://u:p@h1,v:q@h2/?ssl=1", "rabbit://u:***@h1,v:***@h2/?ssl=1"),
            ("postgres://u@h/db?password=s", "postgres://u:***@h/db?password=***"),
            ("mysql://h/db", "mysql://h/db"),
            ("u:p@h", "***"),
        ] {
            assert_eq!(hide_password(url), shown);
        }
    }
}
