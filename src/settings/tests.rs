//! The settings from outside: files and an environment in, values or an error text out.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use secrecy::ExposeSecret as _;
use tempfile::NamedTempFile;

use super::rule::RULES;
use super::*;
use crate::transport::{QueueType, rabbit};

/// A `--config` file.
fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn load(files: &[&NamedTempFile], environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let config = files.iter().map(|file| file.path().to_owned()).collect();
    let files = SettingsFiles { config, ..SettingsFiles::default() };
    let environment = environment
        .iter()
        .map(|(key, value)| (format!("KARBOR_RESTORE__{key}"), (*value).to_owned()));
    Settings::from_sources(&files, environment)
}

fn refusal(files: &[&NamedTempFile], environment: &[(&str, &str)]) -> String {
    load(files, environment).unwrap_err().to_string()
}

#[test]
fn every_key_has_a_rule_a_default_and_a_comment() {
    let text = include_str!("../../config/default.toml");
    let mut section = "";
    let mut found = Vec::new();
    let mut before = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            assert!(before.starts_with('#'), "`{section}.{key}` has no comment");
            found.push(format!("{section}.{key}"));
        }
        before = line;
    }
    let mut known: Vec<String> =
        RULES.iter().map(|(section, key, _)| format!("{section}.{key}")).collect();
    known.retain(|key| key != "statuses.aliases");
    assert_eq!(found, known);
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let settings = load(&[], &[]).unwrap();
    assert_eq!(settings.messaging.control_exchange, "openstack");
    assert_eq!(settings.messaging.queue_type, QueueType::Quorum);
    assert!(!settings.messaging.server.is_empty());
    assert_eq!(settings.http.listen, Some("127.0.0.1:8798".parse().unwrap()));
    assert_eq!(settings.http.probe_listen, None);
    assert_eq!(settings.limits(), crate::domain::Limits::default());
    let by_store = crate::store::StoreOptions::new("sqlite://x");
    let ours = load(&[], &[("DATABASE__URL", "sqlite://x")]).unwrap().store_options().unwrap();
    assert_eq!(ours.pool_size, by_store.pool_size);
    assert_eq!(ours.statement_timeout, by_store.statement_timeout);
    assert_eq!(ours.tls, by_store.tls);
    assert_eq!(ours.lease, by_store.lease);
}

#[test]
fn later_files_and_then_the_environment_win() {
    let first = file("[messaging]\ntopic = 'one'\nserver = 'one'\ncontrol_exchange = 'one'");
    let second = file("[messaging]\nserver = 'two'\ncontrol_exchange = 'two'");
    let settings = load(&[&first, &second], &[("MESSAGING__CONTROL_EXCHANGE", "three")]).unwrap();
    assert_eq!(settings.messaging.topic, "one");
    assert_eq!(settings.messaging.server, "two");
    assert_eq!(settings.messaging.control_exchange, "three");
}

#[test]
fn every_key_can_be_set_in_the_environment() {
    let others = BTreeMap::from([
        ("messaging.observe", "karbor-protection, other, other"),
        ("notifications.topics", "a, b"),
        ("messaging.queue_type", "classic"),
        ("notifications.driver", "noop"),
        ("http.listen", "off"),
        ("http.probe_listen", "0.0.0.0:1"),
        ("http.public_url", "https://karbor.example/"),
        ("log.filter", "debug,lapin=off"),
        ("log.format", "json"),
        ("database.ssl_mode", "verify-full"),
        ("database.url", "mysql://h/db"),
        ("messaging.transport_url", "rabbit://h"),
        ("notifications.transport_url", "memory://"),
    ]);
    for (section, key, rule) in RULES {
        let name = format!("{section}.{key}");
        let value = match rule {
            rule::Rule::Flag => "True",
            rule::Rule::Integer(range) => &range.end().to_string(),
            rule::Rule::Aliases => continue,
            rule::Rule::File if key.starts_with("ssl_") && *key != "ssl_ca_file" => continue,
            rule::Rule::File if key.contains("url") => continue,
            _ => others.get(name.as_str()).copied().unwrap_or("something"),
        };
        let variable = name.to_uppercase().replace('.', "__");
        let settings = load(&[], &[(&variable, value)]).unwrap();
        assert!(settings.show().contains(&format!("KARBOR_RESTORE__{variable}`")), "{name}");
    }
}

#[test]
fn a_key_that_is_observed_twice_is_observed_once() {
    let settings = load(&[], &[("MESSAGING__OBSERVE", "b, a,b")]).unwrap();
    assert_eq!(settings.target().observe, ["a", "b"]);
}

#[test]
fn lists_replace_the_default() {
    let settings = load(&[], &[("NOTIFICATIONS__TOPICS", "a, b")]).unwrap();
    assert_eq!(settings.notifications.topics, ["a", "b"]);
    let file = file("[notifications]\ntopics = ['c']");
    let settings = load(&[&file], &[]).unwrap();
    assert_eq!(settings.notifications.topics, ["c"]);
}

#[test]
fn aliases_come_from_file_and_environment() {
    let file = file("[statuses.aliases]\n\"half-baked\" = 'restoring'\nin-use = 'error'");
    let settings = load(&[&file], &[("STATUSES__ALIASES__DONE", "Available")]).unwrap();
    let table = settings.aliases().unwrap();
    for (alias, status) in [
        ("HALF-baked", "restoring"),
        ("in-use", "error"),
        ("done", "available"),
        ("BUILD", "restoring"),
    ] {
        assert_eq!(table.resolve(alias, None).unwrap().as_str(), status);
    }
    let error = refusal(&[], &[("STATUSES__ALIASES__DONE", "finished")]);
    assert!(error.contains("KARBOR_RESTORE__STATUSES__ALIASES__DONE"), "{error}");
    assert!(error.contains("`done` must mean one of `undefined`"), "{error}");
}

#[test]
fn unknown_keys_are_named_with_source_and_what_exists() {
    let error = refusal(&[], &[("MESSAGING__TOPICS", "x")]);
    assert!(error.starts_with(
        "unknown setting `messaging.topics` (environment variable `KARBOR_RESTORE__MESSAGING__TOPICS`); \
         `messaging` has `transport_url`"
    ));
    for name in ["DATABSE__URL", "TOPIC", "MESSAGING", "", "A.B__C"] {
        let error = refusal(&[], &[(name, "x")]);
        assert!(error.contains(&format!("variable `KARBOR_RESTORE__{name}`")), "{error}");
    }
    let file = file("[database]\nurls = 'x'");
    let error = refusal(&[&file], &[]);
    assert!(error.contains("`database.urls`"), "{error}");
    assert!(error.contains(file.path().to_str().unwrap()), "{error}");
    let file = self::file("\"a.b[0]\" = 1");
    assert!(refusal(&[&file], &[]).contains("unknown setting `a.b[0]`"));
}

#[test]
fn bad_values_are_named_with_source_and_what_is_accepted() {
    for (name, value, accepted) in [
        ("MESSAGING__QUEUE_TYPE", "stream", "one of `quorum`, `classic`"),
        ("MESSAGING__PREFETCH", "0", "a whole number from 1 to 65535"),
        ("MESSAGING__PREFETCH", "1.5", "a whole number"),
        ("MESSAGING__AMQP_DURABLE_QUEUES", "maybe", "`true` or `false`"),
        ("MESSAGING__TOPIC", "", "1 to 100 printable"),
        ("MESSAGING__TOPIC", "a b", "1 to 100 printable"),
        ("MESSAGING__OBSERVE", "a,late", "such as `karbor-protection`"),
        ("MESSAGING__OBSERVE", "karbor-restore", "neither this worker's own"),
        ("MESSAGING__OBSERVE", "karbor-#", "with `*` or `#`"),
        ("NOTIFICATIONS__TOPICS", "", "at least one topic"),
        ("MESSAGING__TRANSPORT_URL", "http://h", "begins with"),
        ("NOTIFICATIONS__TRANSPORT_URL", "rabbit://h/?sssl=1", "unknown option"),
        ("DATABASE__URL", "oracle://h", "begins with `postgres://`"),
        ("DATABASE__SSL_KEY_FILE", "key.pem", "set together with `database.ssl_cert_file`"),
        (
            "DATABASE__URL",
            "mysql://h/db?sslrootcert=/nonexistent/ca.pem",
            "cannot read `/nonexistent/ca.pem`",
        ),
        ("DATABASE__URL__X", "key.pem", "a URL"),
        ("LIMITS__BODY_BYTES", "16777217", "1024 to 16777216"),
        ("HTTP__LISTEN", "8798", "`IP:PORT`"),
        ("HTTP__LISTEN", "0.0.0.0:8798", "as long as `http.tokens_file` is not set"),
        ("HTTP__LISTEN", "[::]:8798", "as long as `http.tokens_file` is not set"),
        ("LOG__FILTER", "a=b=c", "a level"),
        ("LOG__FILTER", "warning", "a level"),
        ("LOG__FILTER", " \u{11d90}[", "a level"),
        ("LOG__FILTER", "info,lapin", "a level"),
        ("LOG__FORMAT", "xml", "one of `text`, `json`"),
    ] {
        let error = refusal(&[], &[(name, value)]);
        assert!(
            error.contains(&format!("environment variable `KARBOR_RESTORE__{name}`")),
            "{error}"
        );
        assert!(error.contains(accepted), "{error}");
    }
}

#[test]
fn loopback_needs_no_tokens_and_other_addresses_do() {
    for address in ["127.0.0.2:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "off"] {
        load(&[], &[("HTTP__LISTEN", address)]).unwrap();
    }
    load(&[], &[("HTTP__LISTEN", "0.0.0.0:1"), ("HTTP__TOKENS_FILE", "tokens")]).unwrap();
    load(&[], &[("HTTP__PROBE_LISTEN", "0.0.0.0:1")]).unwrap();
}

#[test]
fn wrong_types_in_a_file_are_refused() {
    for text in [
        "[messaging]\nprefetch = '10'\n[database]\npool_size = true",
        "[database]\npool_size = 1.0",
        "[database]\nurl = 5",
        "[messaging]\nssl_verify = 1",
        "[messaging]\ntopic = ['a']",
        "[notifications]\ntopics = [1]",
        "[statuses]\naliases = 'x'",
        "messaging = 'x'",
        "[http]\nlisten = 8798",
    ] {
        assert!(refusal(&[&file(text)], &[]).contains("must be"), "{text}");
    }
}

#[test]
fn unreadable_and_broken_files_are_errors() {
    let config = vec![PathBuf::from("/nonexistent/karbor.toml")];
    let files = SettingsFiles { config, ..SettingsFiles::default() };
    let error = Settings::from_sources(&files, []).unwrap_err();
    assert!(error.to_string().contains("`/nonexistent/karbor.toml`, given by --config"));
    let broken = file("[database]\n\nurl = \"postgres://u:hidden@h\n");
    let error = load(&[&broken], &[]).unwrap_err();
    assert!(error.to_string().contains("line 3, is not TOML"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
}

#[test]
fn secrets_come_from_files() {
    let secret = file("postgres://u:hidden@h/db\n");
    let path = secret.path().to_str().unwrap();
    let settings = load(&[], &[("DATABASE__URL_FILE", path)]).unwrap();
    assert_eq!(settings.database_url().unwrap().expose_secret(), "postgres://u:hidden@h/db");

    let error = refusal(&[], &[("DATABASE__URL_FILE", path), ("DATABASE__URL", "sqlite://x")]);
    assert!(error.contains("`database.url_file`") && error.contains("both set"), "{error}");
    let error = refusal(&[], &[("MESSAGING__TRANSPORT_URL_FILE", "/nonexistent/url")]);
    assert!(error.contains("given by `messaging.transport_url_file`"), "{error}");
    let junk = file("hidden");
    let junk = junk.path().to_str().unwrap();
    for key in ["DATABASE__URL_FILE", "MESSAGING__TRANSPORT_URL_FILE"] {
        let error = refusal(&[], &[(key, junk)]);
        assert!(error.contains(junk) && !error.contains("the default"), "{error}");
    }
    let error = refusal(&[], &[("DATABASE__URL_FILE", file("").path().to_str().unwrap())]);
    assert!(error.contains("holds one URL"), "{error}");
}

#[test]
fn no_secret_is_shown() {
    let settings = load(
        &[],
        &[
            ("DATABASE__URL", "postgres://user:hidden@h/db?password=hidden"),
            ("MESSAGING__TRANSPORT_URL", "rabbit://user:hidden@h1,user:hidden@h2/v"),
            ("NOTIFICATIONS__TRANSPORT_URL", "rabbit://:hidden@h"),
        ],
    )
    .unwrap();
    let debug = format!("{settings:?}");
    assert!(!debug.contains("hidden"), "{debug}");
    let shown = settings.show();
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(shown.contains("url = \"postgres://user:***@h/db?password=***\""), "{shown}");
    let error = refusal(&[], &[("DATABASE__URL", "hidden://hidden")]);
    assert!(!error.contains("hidden"), "{error}");
}

#[test]
fn a_password_of_a_url_that_stands_where_another_thing_belongs_is_hidden() {
    const URL: &str = "rabbit://u:hidden@h/";
    let path = || vec![PathBuf::from(URL)];
    let own = SettingsFiles { config: path(), ..SettingsFiles::default() };
    let oslo = SettingsFiles { oslo_config: path(), ..SettingsFiles::default() };
    let unknown = "\"rabbit://u:hidden@h/\" = 1";
    let errors = [
        refusal(&[], &[("MESSAGING__TRANSPORT_URL_FILE", URL)]),
        refusal(&[], &[("DATABASE__URL_FILE", URL)]),
        refusal(&[], &[("NOTIFICATIONS__TRANSPORT_URL_FILE", URL)]),
        refusal(&[], &[("DATABASE__URL", &format!("mysql://h/db?sslrootcert={URL}"))]),
        refusal(&[], &[(URL, "")]),
        refusal(&[], &[("STATUSES__ALIASES__rabbit://u:hidden@h/", "x")]),
        refusal(&[], &[("MESSAGING__TRANSPORT_URL", "rabbit://h/?rabbit://u:hidden@h/=1")]),
        refusal(&[&file(unknown)], &[]),
        refusal(&[&file(&format!("{unknown}\n{unknown}"))], &[]),
        Settings::from_sources(&own, []).unwrap_err().to_string(),
        Settings::from_sources(&oslo, []).unwrap_err().to_string(),
    ];
    for error in errors {
        assert!(!error.contains("hidden"), "{error}");
    }

    let list = "rabbit://u:hidden@h,v:hidden@i/,rabbit://w:hid,den@j";
    let environment = [
        ("MESSAGING__TOPIC", URL),
        ("MESSAGING__SERVER", URL),
        ("MESSAGING__CONTROL_EXCHANGE", URL),
        ("MESSAGING__OBSERVE", list),
        ("NOTIFICATIONS__TOPICS", list),
        ("MESSAGING__SSL_CA_FILE", URL),
        ("HTTP__TOKENS_FILE", URL),
        ("STATUSES__ALIASES__rabbit://u:hidden@h/", "error"),
    ];
    let settings = load(&[], &environment).unwrap();
    let shown = settings.show();
    for line in [
        "topic = \"rabbit://u:***@h/\"",
        "topics = [\"rabbit://u:***@h\", \"v:***@i/\", \"rabbit://w:***@j\"]",
        "\"rabbit://u:***@h/\" = \"error\"",
    ] {
        assert!(shown.contains(line), "`{line}` is not in\n{shown}");
    }
    assert!(!shown.contains("hidden") && !shown.contains("den@"), "{shown}");
}

#[test]
fn what_is_shown_can_be_loaded_again() {
    let settings =
        load(&[], &[("NOTIFICATIONS__TOPICS", "a,b"), ("STATUSES__ALIASES__X", "error")]);
    let shown = file(settings.unwrap().show());
    let again = load(&[&shown], &[]).unwrap();
    assert_eq!(again.notifications.topics, ["a", "b"]);
    assert_eq!(again.statuses.aliases["x"], "error");
}

#[test]
fn a_missing_url_is_said_with_an_example() {
    let settings = load(&[], &[]).unwrap();
    let error = settings.store_options().unwrap_err().to_string();
    assert!(error.contains("`KARBOR_RESTORE__DATABASE__URL`"), "{error}");
    let error = settings.request_broker().unwrap_err().to_string();
    assert!(error.contains("`KARBOR_RESTORE__MESSAGING__TRANSPORT_URL`"), "{error}");
}

#[test]
fn what_a_broker_url_says_wins() {
    let settings = load(
        &[],
        &[
            ("MESSAGING__TRANSPORT_URL", "rabbit://h/?ssl=1&amqp_durable_queues=1"),
            ("NOTIFICATIONS__TRANSPORT_URL", "rabbit://n/?ssl_ca_file=own.pem"),
            ("MESSAGING__SSL_CA_FILE", "ca.pem"),
            ("MESSAGING__SSL_CERT_FILE", "cert.pem"),
            ("MESSAGING__SSL_KEY_FILE", "key.pem"),
            ("MESSAGING__SSL_VERIFY", "false"),
        ],
    )
    .unwrap();
    let requests = settings.request_broker().unwrap().options;
    assert_eq!(requests.ssl_ca_file, Some("ca.pem".into()));
    assert_eq!(requests.ssl_key_file, Some("key.pem".into()));
    let notifications = settings.notification_broker().unwrap().unwrap().options;
    assert_eq!(notifications.ssl_ca_file, Some("own.pem".into()));
    assert!(settings.target().exchange_durable);
    assert!(!settings.notifier().amqp_durable_queues);
    assert_eq!(settings.rabbit_options().tls.verification, rabbit::Verification::Off);
}

#[test]
fn every_alias_in_force_is_shown_with_where_it_was_set() {
    let set = file("[statuses.aliases]\n'In-Use' = 'restoring'\n'odd \"one\"' = 'error'");
    let settings = load(&[&set], &[]).unwrap();
    let shown = settings.show();
    let lines: Vec<&str> = shown.lines().collect();
    for line in ["[statuses.aliases]", "\"active\" = \"available\""] {
        assert!(lines.contains(&line), "`{line}` is not in\n{shown}");
    }
    let own: Vec<&&str> = lines.iter().filter(|line| line.contains("in-use")).collect();
    assert_eq!(own.len(), 1);
    assert!(own[0].starts_with("\"in-use\" = \"restoring\"  # file `"), "{shown}");
    let again = load(&[&file(shown)], &[]).unwrap();
    assert_eq!(again.aliases().unwrap().entries(), settings.aliases().unwrap().entries());
}
