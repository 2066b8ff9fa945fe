//! Karbor's own file in, settings or an error text out.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use rstest::rstest;
use secrecy::ExposeSecret as _;
use tempfile::NamedTempFile;

use crate::rpc::NotifierDriver;
use crate::settings::{Settings, SettingsError, SettingsFiles};

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn load(oslo: &[&Path], environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let oslo_config = oslo.iter().map(|&path| path.to_owned()).collect();
    let files = SettingsFiles { oslo_config, ..SettingsFiles::default() };
    let environment = environment
        .iter()
        .map(|(key, value)| (format!("KARBOR_RESTORE__{key}"), (*value).to_owned()));
    Settings::from_sources(&files, environment)
}

fn load_text(text: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    load(&[file(text).path()], environment)
}

fn karbor_conf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/karbor.conf")
}

#[test]
fn karbors_file_gives_broker_notifications_and_database() {
    let settings = load(&[&karbor_conf()], &[]).unwrap();
    let messaging = &settings.messaging;
    assert_eq!(messaging.control_exchange, "karbor");
    assert_eq!(messaging.rpc_response_timeout_s, 180);
    assert!(messaging.amqp_durable_queues && messaging.rabbit_quorum_queue);
    assert!(messaging.rabbit_transient_quorum_queue);
    assert_eq!(messaging.heartbeat_timeout_threshold_s, 30);
    let broker = settings.request_broker().unwrap();
    let hosts: Vec<_> = broker.hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["rabbit-1.example:5671", "rabbit-2.example:5671"]);
    assert_eq!(broker.hosts[1].password.expose_secret(), "p@ss$word");
    assert_eq!(broker.virtual_host, "karbor");
    assert_eq!(broker.options.ssl, Some(true));
    assert_eq!(broker.options.ssl_ca_file, Some("/etc/ssl/private-ca.pem".into()));
    assert_eq!(broker.options.ssl_key_file, Some("/etc/karbor/client.key".into()));
    assert_eq!(settings.notifications.driver, NotifierDriver::MessagingV2);
    assert_eq!(settings.notifications.topics, ["notifications", "karbor_events"]);
    let audit = settings.notification_broker().unwrap().unwrap();
    assert_eq!(audit.to_string(), "rabbit://audit:***@audit.example:5672/audit");
    assert_eq!(
        settings.database_url().unwrap().expose_secret(),
        "mysql://karbor:d%40ta%24base@db.example:3306/karbor"
    );
}

#[test]
fn what_comes_from_karbors_file_is_shown_with_its_line_and_without_secrets() {
    let path = karbor_conf();
    let settings = load(&[&path], &[]).unwrap();
    let shown = settings.show();
    let from =
        |line: usize, name: &str| format!("# file `{}`, line {line}, `{name}`", path.display());
    for line in [
        format!("control_exchange = \"karbor\"  {}", from(25, "[DEFAULT] control_exchange")),
        format!(
            "url = \"mysql://karbor:***@db.example:3306/karbor\"  {}",
            from(31, "[database] connection")
        ),
        format!("ssl = true  {}", from(52, "[oslo_messaging_rabbit] ssl")),
        "ssl_verify = true\n".to_owned(),
    ] {
        assert!(shown.contains(&line), "{line}\n{shown}");
    }
    let all = format!("{shown} {settings:?}");
    for secret in ["p%40ss", "p@ss", "d%40ta", "d@ta", "secretaudit", "secretservice"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

#[test]
fn what_is_not_read_is_a_detail_and_what_contradicts_is_a_warning() {
    let settings = load(&[&karbor_conf()], &[]).unwrap();
    let warnings = settings.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("[oslo_messaging_notifications] driver"), "{warnings:?}");
    assert!(warnings[0].contains("`log` is not known"), "{warnings:?}");
    assert!(warnings[1].contains("[oslo_messaging_rabbit] kombu_compression"), "{warnings:?}");
    let details = settings.details();
    for named in [
        "`state_path` of section `DEFAULT`",
        "`password` of section `keystone_authtoken`",
        "`rabbit_retry_interval` of section `oslo_messaging_rabbit`",
    ] {
        assert!(details.iter().any(|text| text.contains(named)), "{named} in {details:?}");
    }
    assert!(!details.iter().any(|text| text.contains("secret`") || text.contains("= ")));
}

#[test]
fn the_workers_own_settings_win_and_a_difference_is_a_warning() {
    let url = file("rabbit://u:hidden@own");
    let own = [
        ("MESSAGING__TRANSPORT_URL_FILE", url.path().to_str().unwrap()),
        ("MESSAGING__CONTROL_EXCHANGE", "openstack"),
        ("MESSAGING__RABBIT_QUORUM_QUEUE", "true"),
        ("DATABASE__URL", "sqlite://own"),
    ];
    let settings = load(&[&karbor_conf()], &own).unwrap();
    assert_eq!(settings.request_broker().unwrap().hosts[0].host, "own");
    assert_eq!(settings.messaging.control_exchange, "openstack");
    assert_eq!(settings.database_url().unwrap().expose_secret(), "sqlite://own");
    let warnings = settings.warnings().join("\n");
    for said in [
        "[DEFAULT] transport_url` says otherwise than `messaging.transport_url`",
        "`messaging.control_exchange` (environment variable \
         `KARBOR_RESTORE__MESSAGING__CONTROL_EXCHANGE`), which wins",
        "[database] connection` says otherwise than `database.url`",
    ] {
        assert!(warnings.contains(said), "{said} in {warnings}");
    }
    assert!(!warnings.contains("rabbit_quorum_queue"), "the same is no difference: {warnings}");
    assert_eq!(settings.show().matches("otherwise than `database.url`").count(), 1);
    assert!(!warnings.contains("hidden") && !warnings.contains("d%40ta"), "{warnings}");

    // What is not accepted does no harm where it is not in force.
    let text = "[DEFAULT]\ntransport_url = $nothing\n[database]\nconnection = oracle://h/d";
    load_text(text, &own).unwrap();
}

#[test]
fn a_file_of_the_workers_own_wins_over_karbors() {
    let own = file("[messaging]\ncontrol_exchange = 'own'");
    let files =
        SettingsFiles { oslo_config: vec![karbor_conf()], config: vec![own.path().to_owned()] };
    let settings = Settings::from_sources(&files, []).unwrap();
    assert_eq!(settings.messaging.control_exchange, "own");
    assert_eq!(settings.messaging.rpc_response_timeout_s, 180);
}

#[test]
fn of_several_files_the_last_one_counts_and_drivers_add_up() {
    let one = file(
        "[DEFAULT]\ncontrol_exchange = one\ntransport_url = rabbit://$user@h\nuser = old\n\
         [oslo_messaging_notifications]\ndriver = messaging\n",
    );
    let two = file(
        "[DEFAULT]\ncontrol_exchange = two\nuser = new\n\
         [oslo_messaging_notifications]\ndriver = noop\n",
    );
    let settings = load(&[one.path(), two.path()], &[]).unwrap();
    assert_eq!(settings.messaging.control_exchange, "two");
    assert_eq!(settings.request_broker().unwrap().hosts[0].username, "new");
    assert_eq!(settings.notifications.driver, NotifierDriver::Messaging);
}

#[test]
fn names_of_older_releases_are_read() {
    let settings = load_text(
        "[DEFAULT]\ntransport_url = rabbit://h\nsql_connection = postgresql://u:p@h/d\n\
         notification_driver = noop\nnotification_topics = a, b,\n\
         [oslo_messaging_rabbit]\nrabbit_use_ssl = True\nkombu_ssl_ca_certs = ca.pem",
        &[],
    )
    .unwrap();
    assert_eq!(settings.database_url().unwrap().expose_secret(), "postgresql://u:p@h/d");
    assert_eq!(settings.notifications.driver, NotifierDriver::Noop);
    assert_eq!(settings.notifications.topics, ["a", "b"]);
    let options = settings.request_broker().unwrap().options;
    assert_eq!((options.ssl, options.ssl_ca_file), (Some(true), Some("ca.pem".into())));
    assert_eq!(settings.warnings(), [""; 0]);
}

#[rstest]
#[case("[oslo_messaging_rabbit]\nssl = 1", "oslo.messaging does not verify the broker")]
#[case("[oslo_messaging_rabbit]\namqp_auto_delete = true", "declared without it")]
#[case("[oslo_messaging_rabbit]\nrabbit_password = hidden", "`[DEFAULT] transport_url` says")]
#[case("[oslo_messaging_notifications]\ndriver = log", "`notifications.driver` stays as it is")]
fn what_this_worker_does_not_do_is_a_warning(#[case] text: &str, #[case] said: &str) {
    let settings = load_text(text, &[]).unwrap();
    let warnings = settings.warnings().join("\n");
    assert!(warnings.contains(said) && warnings.contains("line 2"), "{warnings}");
    assert!(!warnings.contains("hidden"), "{warnings}");
}

#[rstest]
#[case("[oslo_messaging_rabbit]\namqp_auto_delete = off\nkombu_compression =")]
#[case("[oslo_messaging_rabbit]\nssl = false")]
fn what_is_off_is_no_warning(#[case] text: &str) {
    assert_eq!(load_text(text, &[]).unwrap().warnings(), [""; 0]);
}

#[rstest]
#[case("transport_url = http://u:hidden@h", "`messaging.transport_url` (", "begins with")]
#[case("transport_url = rabbit://u:hid$den@h", "`messaging.transport_url` (", "written `$$`")]
#[case("control_exchange = hidden\n  more", "`messaging.control_exchange` (", "printable ASCII")]
#[case("control_exchange = a b", "`messaging.control_exchange` (", "printable ASCII")]
#[case("rpc_response_timeout = hidden", "rpc_response_timeout_s` (", "a whole number from 1")]
#[case("sql_connection = oracle://u:hidden@h/d", "`database.url` (", "SQLAlchemy's URL")]
#[case("sql_connection = mysql://u:hidden@h", "`database.url` (", "ends in /DATABASE")]
#[case("notification_topics =", "`notifications.topics` (", "at least one topic")]
#[case("notification_driver = $hidden", "`notifications.driver` (", "written `$$`")]
fn bad_values_are_named_with_file_line_option_and_what_is_accepted(
    #[case] text: &str,
    #[case] key: &str,
    #[case] accepted: &str,
) {
    let file = file(&format!("[DEFAULT]\n# a comment\n{text}"));
    let error = load(&[file.path()], &[]).unwrap_err();
    let option = text.split_once(' ').unwrap().0;
    let place = format!("file `{}`, line 3, `[DEFAULT] {option}`", file.path().display());
    let said = error.to_string();
    assert!(said.contains(key) && said.contains(&place) && said.contains(accepted), "{said}");
    assert!(!format!("{said} {error:?}").contains("hid"), "{error:?}");
}

#[test]
fn flags_have_oslo_configs_spellings() {
    let load = |value| load_text(&format!("[oslo_messaging_rabbit]\nssl = {value}"), &[]);
    for (value, flag) in [("Yes", true), ("ON", true), ("1", true), ("no", false), ("0", false)] {
        assert_eq!(load(value).unwrap().messaging.ssl, flag, "{value}");
    }
    let error = load("maybe").unwrap_err().to_string();
    assert!(error.contains("[oslo_messaging_rabbit] ssl") && error.contains("`yes`"), "{error}");
}

#[test]
fn unreadable_and_broken_files_are_errors_without_their_lines() {
    let missing = load(&[Path::new("/nonexistent/karbor.conf")], &[]).unwrap_err().to_string();
    assert!(missing.contains("`/nonexistent/karbor.conf`, given by --oslo-config"), "{missing}");
    let broken = file("[DEFAULT]\n\nhidden rabbit hidden");
    let error = load(&[broken.path()], &[]).unwrap_err();
    assert!(error.to_string().contains("line 3, is not what oslo.config reads"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
}

#[test]
fn a_url_may_be_continued_over_lines() {
    let text = "[DEFAULT]\ntransport_url = rabbit://u:p@h1:5672,\n  u2:x@h2:5673/vh\n";
    let broker = load_text(text, &[]).unwrap().request_broker().unwrap();
    let hosts: Vec<_> = broker.hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["h1:5672", "h2:5673"]);
    assert_eq!(broker.virtual_host, "vh");
}
