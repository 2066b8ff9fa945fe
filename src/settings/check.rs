//! Rules that join several settings, or a setting and the machine: takes what was gathered,
//! completes it (secrets from files, the host's name) and refuses what cannot work together.

use std::net::SocketAddr;
use std::path::Path;

use super::error::{SettingsError, Source};
use super::file::{check_tls_files, read_file};
use super::source::Gathered;
use crate::domain::{AliasTable, BadAlias};
use crate::store::{check_url, tls_of_url};
use crate::transport::url::TransportUrl;

/// Settings that may come from the file that `KEY_file` names.
pub(super) const SECRETS: [&str; 3] =
    ["messaging.transport_url", "notifications.transport_url", "database.url"];

/// Reads the secrets that are in files of their own.
pub(super) fn read_secrets(settings: &mut Gathered) -> Result<(), SettingsError> {
    SECRETS.into_iter().try_for_each(|key| read_secret(settings, key))
}

/// Completes and checks.
pub(super) fn complete(settings: &mut Gathered) -> Result<(), SettingsError> {
    name_server(settings)?;
    check_transport_url(settings, "messaging.transport_url")?;
    check_transport_url(settings, "notifications.transport_url")?;
    check_database_url(settings)?;
    check_client_certificate(settings, "messaging")?;
    check_client_certificate(settings, "database")?;
    check_topics(settings)?;
    check_access(settings)?;
    check_aliases(settings)
}

fn read_secret(settings: &mut Gathered, key: &'static str) -> Result<(), SettingsError> {
    let file_key = format!("{key}_file");
    let path = settings.text(&file_key).to_owned();
    if path.is_empty() {
        return Ok(());
    }
    if !settings.text(key).is_empty() {
        return Err(SettingsError::Both {
            key,
            by_value: settings.source(key),
            by_file: settings.source(&file_key),
        });
    }
    let text = read_file(Path::new(&path), &format!("`{file_key}`"))?;
    let secret = text.trim();
    if secret.is_empty() || secret.contains(char::is_control) {
        return Err(settings.bad(&file_key, "a file that holds one URL in one line"));
    }
    settings.set_text_from(key, secret.to_owned(), Source::File(path.into()));
    Ok(())
}

fn name_server(settings: &mut Gathered) -> Result<(), SettingsError> {
    const KEY: &str = "messaging.server";
    if !settings.text(KEY).is_empty() {
        return Ok(());
    }
    let host = gethostname::gethostname();
    match host.to_str() {
        Some(host)
            if (1..=100).contains(&host.len())
                && host.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            settings.set_text(KEY, host.to_owned());
            Ok(())
        }
        _ => Err(settings.bad(KEY, "given: this host's name cannot be a queue's")),
    }
}

fn check_transport_url(settings: &Gathered, key: &'static str) -> Result<(), SettingsError> {
    let url = settings.text(key);
    if url.is_empty() {
        return Ok(());
    }
    let bad = |reason| SettingsError::BadUrl { key, source_name: settings.source(key), reason };
    url.parse::<TransportUrl>().map(drop).map_err(bad)
}

fn check_database_url(settings: &Gathered) -> Result<(), SettingsError> {
    const KEY: &str = "database.url";
    let url = settings.text(KEY);
    let known = ["postgres://", "postgresql://", "mysql://", "sqlite://"];
    if url.is_empty() {
        return Ok(());
    }
    if let Some(rest) = known.iter().find_map(|scheme| url.strip_prefix(scheme)) {
        // libpq would take the user's own database: a typo would be another, empty worker.
        let path = rest.split('?').next().unwrap_or_default().rsplit_once('/');
        let named = url.starts_with("sqlite:") || path.is_some_and(|(_, name)| !name.is_empty());
        if !named {
            return Err(settings.bad(KEY, "a URL that ends in /DATABASE"));
        }
        check_url(url).map_err(|reason| settings.bad(KEY, format!("usable: {reason}")))?;
        let given_by = format!("`{KEY}` ({})", settings.source(KEY));
        return check_tls_files(tls_of_url(url).files(), |_| given_by.clone());
    }
    Err(settings.bad(
        KEY,
        "a URL that begins with `postgres://`, `postgresql://`, `mysql://` or `sqlite://`",
    ))
}

fn check_client_certificate(settings: &Gathered, section: &str) -> Result<(), SettingsError> {
    let (certificate, key) =
        (format!("{section}.ssl_cert_file"), format!("{section}.ssl_key_file"));
    match (settings.text(&certificate).is_empty(), settings.text(&key).is_empty()) {
        (false, true) => Err(settings.bad(&certificate, format!("set together with `{key}`"))),
        (true, false) => Err(settings.bad(&key, format!("set together with `{certificate}`"))),
        _ => Ok(()),
    }
}

fn check_topics(settings: &Gathered) -> Result<(), SettingsError> {
    let is_empty =
        |key| settings.value(key).and_then(|list| list.as_array()).is_none_or(Vec::is_empty);
    let observed = settings.value("messaging.observe").and_then(|list| list.as_array());
    let topic = settings.text("messaging.topic");
    let own = [topic.to_owned(), format!("{topic}.{}", settings.text("messaging.server"))];
    let is_key = |key: &str| {
        // `late` is the queue of those that expired; the others are patterns of a topic exchange.
        key != "late" && !key.contains(['*', '#']) && !own.iter().any(|own| own == key)
    };
    if !observed.into_iter().flatten().filter_map(toml::Value::as_str).all(is_key) {
        return Err(settings.bad(
            "messaging.observe",
            "a list of other services' topics, such as `karbor-protection`: neither this worker's \
             own, nor `late`, nor with `*` or `#`",
        ));
    }
    if is_empty("notifications.topics") && settings.text("notifications.driver") != "noop" {
        return Err(settings.bad(
            "notifications.topics",
            "at least one topic; to send no notifications set `notifications.driver` to `noop`",
        ));
    }
    Ok(())
}

/// Without tokens everybody who reaches the address may read everything.
fn check_access(settings: &Gathered) -> Result<(), SettingsError> {
    let address: Option<SocketAddr> = settings.text("http.listen").parse().ok();
    let is_open = address.is_some_and(|address| !address.ip().to_canonical().is_loopback());
    if is_open && settings.text("http.tokens_file").is_empty() {
        return Err(settings.bad(
            "http.listen",
            "a loopback address or `off` as long as `http.tokens_file` is not set \
             (`http.probe_listen` may be any address)",
        ));
    }
    Ok(())
}

fn check_aliases(settings: &Gathered) -> Result<(), SettingsError> {
    aliases(settings).map(drop).map_err(|reason| SettingsError::Alias {
        source_name: settings.source("statuses.aliases"),
        reason,
    })
}

/// The aliases in force: those set and the built-in ones.
pub(super) fn aliases(settings: &Gathered) -> Result<AliasTable, BadAlias> {
    let set = settings.value("statuses.aliases").and_then(|table| table.as_table());
    AliasTable::new(set.into_iter().flatten().filter_map(|(alias, meaning)| {
        meaning.as_str().map(|meaning| (alias.clone(), meaning.to_owned()))
    }))
}

/// Whether a source is worth naming beside a value.
pub(super) fn is_set(source: &Source) -> bool {
    *source != Source::Default
}

#[cfg(test)]
mod tests {
    use crate::settings::{Settings, SettingsFiles};

    #[test]
    fn a_database_url_names_its_database() {
        let load = |url: &str| {
            let set = ("KARBOR_RESTORE__DATABASE__URL".to_owned(), url.to_owned());
            Settings::from_sources(&SettingsFiles::default(), [set])
        };
        for url in ["postgres://u@h:5432/d", "mysql://h/d?sslmode=require", "sqlite://d.sqlite"] {
            assert!(load(url).is_ok(), "{url}");
        }
        for url in ["postgres://u@h:5432", "postgresql://h/", "mysql://h?sslmode=require"] {
            let error = load(url).expect_err(url).to_string();
            assert!(error.contains("/DATABASE") && !error.contains("u@h"), "{error}");
        }
    }
}
