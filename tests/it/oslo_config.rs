//! `--oslo-config` against oslo.config itself: the same files, read by both.

use std::path::{Path, PathBuf};

use karbor_restore_worker::settings::{Settings, SettingsFiles};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Kind, Request, Stage, WorkerBuilder, broker_url, run_python};

/// What may stand behind `ssl_ca_file` and after, in a section of its own.
const TEXTS: &[&str] = &[
    "ssl_ca_file = /etc/ca.pem",
    "ssl_ca_file=/etc/ca.pem",
    "ssl_ca_file : /etc/ca.pem",
    "ssl_ca_file:=/etc/ca.pem",
    "ssl_ca_file = a:b=c",
    "ssl_ca_file =",
    "ssl_ca_file = a # b ; c",
    "#ssl_ca_file = a\n;ssl_cert_file = b",
    "ssl_ca_file = ' a '",
    "ssl_ca_file = \"a\"",
    "ssl_ca_file = \"a'",
    "ssl_ca_file = '",
    "ssl_ca_file = ''",
    "ssl_ca_file = 'a' 'b'",
    "ssl_ca_file = \u{e4}\u{a0}",
    "ssl_ca_file = a\nssl_ca_file = b",
    "ssl_ca_file = a\r\nssl_ca_file = b\r",
    "SSL_CA_FILE = a",
    "ssl_ca_file = $one",
    "ssl_ca_file = ${one}x$two",
    "ssl_ca_file = $here.pem",
    "ssl_ca_file = ${here}.pem",
    "ssl_ca_file = $one.two",
    "ssl_ca_file = $oslo_messaging_rabbit.here",
    "ssl_ca_file = $$one \\$one $ 5$ $5 ${one",
    "ssl_ca_file = $ONE",
    "ssl_ca_file = $nothing",
    "ssl_ca_file = $ssl_ca_file",
    "ssl_ca_file = $ssl_cert_file\nssl_cert_file = $ssl_key_file\nssl_key_file = c",
    "ssl = yes\nrabbit_quorum_queue = ON\namqp_durable_queues = 1",
    "ssl = maybe",
    "ssl = tr\n  ue",
    "heartbeat_timeout_threshold = 12",
    "heartbeat_timeout_threshold = +12",
    "heartbeat_timeout_threshold = ' 12 '",
    "heartbeat_timeout_threshold = twelve",
    "heartbeat_timeout_threshold = 1.5",
    "[DEFAULT]\ncontrol_exchange = karbor\nrpc_response_timeout = 90",
    "[default]\ncontrol_exchange = karbor",
    "[OSLO_Messaging_Rabbit]\nssl_ca_file = a\n[oslo_messaging_rabbit]\nssl_key_file = b\nssl_cert_file = c",
    "[ oslo_messaging_rabbit ]\nssl_ca_file = a",
    "[oslo_messaging_notifications]\ndriver = messaging\ndriver = noop\ntopics = a,b , c",
    "[oslo_messaging_notifications]\ntopics = a,\n   b,\n #c\n",
    "[oslo_messaging_notifications]\ntopics = 'a,b,'",
    "[DEFAULT]\nsql_connection = sqlite:////a",
    "[sql]\nconnection = sqlite:////a\n[DEFAULT]\nsql_connection = sqlite:////b",
    "[database]\nconnection = sqlite:////c\n[DEFAULT]\nsql_connection = sqlite:////b",
    "ssl_ca_file",
    "= a",
    "[DEFAULT",
    "[]",
    "[DEFAULT] # a comment",
    " ssl_ca_file = a",
    "ssl_ca_file = a\n\n  b",
    "ssl_ca_file = a\n# c\n  b",
];

const FRAME: &str =
    "[DEFAULT]\none = 1\ntwo = 2\n[oslo_messaging_rabbit]\none = one\nhere = there\n";

#[tokio::test]
async fn oslo_config_reads_the_same() {
    let folder = TempDir::new().unwrap();
    let mut files: Vec<PathBuf> = Vec::new();
    for (index, text) in TEXTS.iter().enumerate() {
        files.push(folder.path().join(format!("{index}.conf")));
        std::fs::write(&files[index], format!("{FRAME}\n{text}\n")).unwrap();
    }
    let headless = folder.path().join("headless.conf");
    std::fs::write(&headless, "control_exchange = karbor\n").unwrap();
    files.push(headless);
    files.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/karbor.conf"));
    // Not there: it is made of the generator's sample.
    files.push(folder.path().join("sample.conf"));

    let arguments: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let printed = run_python("oslo_config_reads.py", &arguments).await;

    let theirs: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(theirs.len(), files.len());
    assert!(theirs.iter().filter(|values| values.is_null()).count() >= 10);
    for (file, theirs) in files.iter().zip(theirs) {
        let text = std::fs::read_to_string(file).unwrap();
        let shown = &text[..text.len().min(2000)];
        match (read(file), theirs) {
            (Err(_), Value::Null) => {}
            (Ok(settings), theirs @ Value::Object(_)) => {
                assert_eq!(ours(&settings), expected(theirs), "{shown}");
            }
            (ours, theirs) => panic!("{ours:?}, but oslo.config: {theirs}\n{shown}"),
        }
    }
}

fn read(file: &Path) -> Result<Settings, String> {
    let files = SettingsFiles { oslo_config: vec![file.to_owned()], ..SettingsFiles::default() };
    Settings::from_sources(&files, []).map_err(|error| error.to_string())
}

fn ours(settings: &Settings) -> Value {
    let messaging = &settings.messaging;
    json!({
        "transport_url": messaging.transport_url.as_ref().map_or("rabbit://", |url| url.expose_secret()),
        "control_exchange": messaging.control_exchange,
        "rpc_response_timeout": messaging.rpc_response_timeout_s,
        "amqp_durable_queues": messaging.amqp_durable_queues,
        "rabbit_quorum_queue": messaging.rabbit_quorum_queue,
        "rabbit_transient_quorum_queue": messaging.rabbit_transient_quorum_queue,
        "ssl": messaging.ssl,
        "ssl_ca_file": messaging.ssl_ca_file,
        "ssl_cert_file": messaging.ssl_cert_file,
        "ssl_key_file": messaging.ssl_key_file,
        "heartbeat_timeout_threshold": messaging.heartbeat_timeout_threshold_s,
        "topics": settings.notifications.topics,
        "has_database": settings.database.url.is_some(),
    })
}

/// Their values in our terms: an empty name of a file is none.
fn expected(mut theirs: Value) -> Value {
    let has_database = theirs["connection"].as_str().is_some_and(|text| !text.is_empty());
    theirs["has_database"] = has_database.into();
    for key in ["ssl_ca_file", "ssl_cert_file", "ssl_key_file"] {
        if theirs[key] == "" {
            theirs[key] = Value::Null;
        }
    }
    let fields = theirs.as_object_mut().expect("an object");
    fields.remove("connection");
    fields.remove("driver");
    theirs
}

#[tokio::test]
async fn a_file_of_karbors_that_cannot_be_read_is_exit_code_2() {
    let folder = TempDir::new().unwrap();
    let broken = folder.path().join("broken.conf");
    std::fs::write(&broken, "[DEFAULT]\ntransport_url secret\n").unwrap();
    for (file, said) in [
        (folder.path().join("missing.conf"), "given by --oslo-config"),
        (broken, "line 2, is not what oslo.config reads"),
    ] {
        let arguments = ["config", "show", "--oslo-config", file.to_str().unwrap()];
        let output = WorkerBuilder::new(folder.path().join("log")).run(&arguments).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(said) && !stderr.contains("secret"), "{stderr}");
    }
}

#[tokio::test]
async fn a_worker_runs_by_karbors_file_alone() {
    for kind in [Kind::Postgresql, Kind::Mysql, Kind::Sqlite] {
        let stage = Stage::new(kind).await;
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("karbor.conf");
        let url = stage.database.url();
        let connection = match kind {
            Kind::Postgresql => url.replacen("postgres://", "postgresql+psycopg2://", 1),
            Kind::Mysql => url.replacen("mysql://", "mysql+pymysql://", 1) + "?charset=utf8",
            Kind::Sqlite => url.replacen("sqlite://", "sqlite:///", 1),
        };
        let text = format!(
            "[DEFAULT]\ntransport_url = {}\ncontrol_exchange = {}\nstate_path = /var/lib/karbor\n\
             [database]\nconnection = {connection}\n\
             [oslo_messaging_notifications]\ndriver = messagingv2\ndriver = log\ntopics = {}\n",
            broker_url(),
            stage.exchange,
            stage.notifications
        );
        std::fs::write(&file, text).unwrap();
        let worker = stage
            .worker("w1")
            .unset("MESSAGING__TRANSPORT_URL")
            .unset("MESSAGING__CONTROL_EXCHANGE")
            .unset("NOTIFICATIONS__TOPICS")
            .unset("DATABASE__URL")
            .set("LOG__FILTER", "debug")
            .argument("--oslo-config")
            .argument(file.to_str().unwrap())
            .start()
            .await;
        let mut notifications = stage.notifications().await;
        let restore_id = stage.record_restore().await;
        stage.cast(&Request::finish(&restore_id, "success", None)).await;
        let seen = notifications.until("start and end", |all| all.len() >= 2).await;
        assert_eq!(seen[1].message["event_type"], "karbor.restore.end");
        let log = worker.log();
        assert!(log.contains("the driver `log` is not known here"), "{log}");
        assert!(log.contains("`state_path` of section `DEFAULT` is not read"), "{log}");
    }
}
