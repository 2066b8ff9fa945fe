//! Any file, environment and URL at all: settings that are shown without a secret and can be given
//! back, or an error in few words without one.

use std::io::Write as _;

use proptest::prelude::*;
use proptest::sample::select;
use tempfile::NamedTempFile;

use super::rule::RULES;
use super::*;
use crate::fuzz::{PLANTED, damaged_text, hold};
use crate::store::check_url;
use crate::transport::url::TransportUrl;

const OWN: &str = r#"
[messaging]
transport_url = "rabbit://karbor:PLANTED@h1:5672,karbor:PLANTED@h2/vhost?ssl=1"
observe = ["karbor-protection"]
prefetch = 100
[database]
url = "postgres://karbor:PLANTED@db/karbor?sslmode=require"
[statuses.aliases]
"in-use" = "available"
"in use.now" = "available"
[log]
filter = "info"
"#;
/// What belongs behind a key and stands for one.
const MISPLACED: [&str; 2] = [
    "[messaging]\n\"rabbit://karbor:PLANTED@h2\" = 1\n",
    "\"postgres://karbor:PLANTED@db\" = 1\n[log]\nfilter = \"info\"\n",
];
const OSLO: &str = r"
[DEFAULT]
control_exchange = karbor
transport_url = rabbit://karbor:PLANTED@h1:5672,karbor:PLANTED@h2/${control_exchange}
rpc_response_timeout : 180
[database]
connection = 'mysql+pymysql://karbor:PLANTED@db:3306/karbor?charset=utf8'
[oslo_messaging_notifications]
driver = log
driver = messagingv2
topics = notifications,
    karbor
[oslo_messaging_rabbit]
amqp_durable_queues = $DEFAULT.debug
";
/// What reveals a password to whoever reads a URL.
const KEPT: &[&str] = &[
    PLANTED,
    "\"rabbit://karbor:PLANTED@h1",
    "karbor:PLANTED@h2",
    "\"rabbit://karbor:PLANTED@h2",
    "\"postgres://karbor:PLANTED@db",
];
const KEPT_OSLO: &[&str] = &[
    PLANTED,
    "= rabbit://karbor:PLANTED@h1",
    "karbor:PLANTED@h2",
    "'mysql+pymysql://karbor:PLANTED@db",
];

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("a full disk is not tested");
    file
}

/// What must hold of whatever was loaded.
fn judge(loaded: &Result<Settings, SettingsError>) -> Result<(), TestCaseError> {
    match loaded {
        Ok(settings) => {
            let warnings = settings.warnings().iter().chain(settings.details());
            for text in warnings.map(String::as_str).chain([settings.show()]) {
                prop_assert!(!text.contains(PLANTED), "{}", text);
            }
            let inside = format!("{settings:?}");
            prop_assert!(!inside.contains(PLANTED), "{}", inside);
        }
        Err(error) => {
            let text = format!("{error}");
            prop_assert!(!text.contains(PLANTED) && text.len() < 3000, "{}", text);
            let inside = format!("{error:?}");
            prop_assert!(!inside.contains(PLANTED), "{}", inside);
        }
    }
    Ok(())
}

fn load(config: &[&NamedTempFile], oslo: &[&NamedTempFile]) -> Result<Settings, SettingsError> {
    let paths = |files: &[&NamedTempFile]| files.iter().map(|f| f.path().to_owned()).collect();
    Settings::from_sources(&SettingsFiles { config: paths(config), oslo_config: paths(oslo) }, [])
}

#[test]
fn a_file_gives_settings_that_can_be_given_back_or_an_error_without_a_secret() {
    let defaults = include_str!("../../config/default.toml");
    hold(damaged_text(&[OWN, OWN, defaults, MISPLACED[0], MISPLACED[1]], KEPT), |text| {
        let loaded = load(&[&file(&text)], &[]);
        judge(&loaded)?;
        if let Ok(settings) = loaded
            && let Err(error) = load(&[&file(settings.show())], &[])
        {
            // Of a strange URL the mask may hide more than its password.
            let is_of_a_url = error.to_string().contains("url` (");
            prop_assert!(is_of_a_url, "{:?}\n{}", error, settings.show());
        }
        Ok(())
    });
}

#[test]
fn a_file_of_oslo_config_gives_settings_or_an_error_without_a_secret() {
    let karbor = include_str!("../../tests/fixtures/karbor.conf");
    hold(damaged_text(&[OSLO, OSLO, karbor], KEPT_OSLO), |text| judge(&load(&[], &[&file(&text)])));
}

#[test]
fn a_variable_gives_a_setting_or_an_error_that_does_not_repeat_it() {
    let keys: Vec<String> = RULES
        .iter()
        .map(|(section, key, _)| format!("KARBOR_RESTORE__{section}__{key}").to_uppercase())
        .collect();
    let value = prop_oneof![any::<String>(), damaged_text(&VALUES, &[])];
    let names = prop_oneof![4 => select(keys), 1 => "KARBOR_RESTORE_{0,3}[A-Z_.é]{0,12}"];
    hold(proptest::collection::vec((names, value), 1..4), |environment| {
        // A file that cannot be read is named.
        let said = environment.iter().filter(|(name, _)| !name.ends_with("_FILE"));
        let values: Vec<String> = said.map(|(_, value)| value.clone()).collect();
        match Settings::from_sources(&SettingsFiles::default(), environment) {
            Ok(_) => {}
            Err(error) => {
                let text = error.to_string();
                prop_assert!(text.len() < 3000, "{}", text);
                let is_repeated =
                    |value: &String| value.len() > 24 && text.contains(value.as_str());
                prop_assert!(!values.iter().any(is_repeated), "{}", text);
            }
        }
        Ok(())
    });
}

const VALUES: [&str; 7] = [
    "rabbit://u:p@h:5672/v?ssl=1",
    "mysql://u:p@h/d",
    "sqlite:///tmp/x",
    "127.0.0.1:80",
    "info,a=debug",
    "1",
    "true",
];

#[test]
fn a_url_is_read_or_refused_and_neither_shows_its_password() {
    let brokers = [
        "rabbit://u:PLANTED@h1:5672,v:PLANTED@[::1]/vhost?ssl=1&heartbeat_timeout_threshold=20",
        "rabbit://u:x@PLANTED@h",
        "kombu://u:PLANTED@h//?ssl_ca_file=/a%20b&amqp_durable_queues=yes",
    ];
    let kept = &["://u:PLANTED@h", "v:PLANTED@[", "://u:x@PLANTED@h", PLANTED];
    hold(damaged_text(&brokers, kept), |text| {
        let shown = match text.parse::<TransportUrl>() {
            Ok(url) => format!("{url} {url:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains(PLANTED) && shown.len() < 3000, "{}", shown);
        Ok(())
    });
    let databases = [
        "postgres://u:PLANTED@h:5432/d?sslmode=require&sslrootcert=/x",
        "mysql://u:PLANTED@h/d?ssl-mode=verify_identity",
        "sqlite:///var/lib/x.db",
    ];
    hold(damaged_text(&databases, &["://u:PLANTED@h", PLANTED]), |text| {
        let refused = check_url(&text).err().unwrap_or_default();
        prop_assert!(!refused.contains(PLANTED) && refused.len() < 1000, "{}", refused);
        Ok(())
    });
}
