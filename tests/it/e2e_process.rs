//! The binary as a process: exit codes, what it says when it cannot start, its addresses, its end.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use rstest::rstest;

use crate::harness::{Kind, Request, Stage, eventually, get, new_id, own_address};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

#[rstest]
#[case::unknown_key("MESSAGING__COLOUR", "red", "colour")]
#[case::bad_number("MESSAGING__PREFETCH", "many", "prefetch")]
#[case::bad_driver("NOTIFICATIONS__DRIVER", "pigeon", "messagingv2")]
#[case::bad_queue_type("MESSAGING__QUEUE_TYPE", "stream", "quorum")]
#[case::bad_scheme("DATABASE__URL", "oracle://somewhere/db", "mysql")]
#[case::bad_option("DATABASE__URL", "mysql://somewhere/db?colour=red", "`colour`")]
#[case::bad_ssl_mode("DATABASE__URL", "postgres://somewhere/db?sslmode=maybe", "verify-full")]
#[case::open_address_without_tokens("HTTP__LISTEN", "0.0.0.0:0", "tokens_file")]
#[tokio::test]
async fn bad_settings_end_with_code_2_and_are_named(
    #[case] key: &str,
    #[case] value: &str,
    #[case] named: &str,
) {
    let stage = Stage::new(Kind::Sqlite).await;
    let output = stage.worker("w1").set(key, value).run(&["serve"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).to_lowercase().contains(named), "{}", said(&output));
}

#[tokio::test]
async fn an_unreadable_settings_file_ends_with_code_2_and_is_named() {
    let stage = Stage::new(Kind::Sqlite).await;
    let output = stage.worker("w1").run(&["--config", "/nowhere/at-all.toml", "serve"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("/nowhere/at-all.toml"), "{}", said(&output));
}

#[tokio::test]
async fn a_variable_with_an_underscore_too_few_is_named_with_its_right_spelling() {
    let stage = Stage::new(Kind::Sqlite).await;
    let misspelt = |name| stage.worker(name).set_variable("KARBOR_RESTORE_LOG_FORMAT", "hunter2");
    for arguments in [&["migrate"][..], &["config", "show"]] {
        let output = misspelt("w1").run(arguments).await;
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        for word in ["`KARBOR_RESTORE_LOG_FORMAT`", "`KARBOR_RESTORE__LOG__FORMAT`"] {
            assert!(said(&output).contains(word), "{}", said(&output));
        }
        assert!(!said(&output).contains("hunter2"), "{}", said(&output));
    }
}

#[rstest]
#[case::of_the_broker("MESSAGING__SSL_CA_FILE", "ssl_ca_file")]
#[case::of_the_database("DATABASE__SSL_CA_FILE", "database.ssl_ca_file")]
#[tokio::test]
async fn an_unreadable_tls_file_ends_with_code_2_and_is_named(
    #[case] key: &str,
    #[case] named: &str,
) {
    let stage = Stage::new(Kind::Postgresql).await;
    let output = stage.worker("w1").set(key, "/nowhere/at-all.pem").run(&["serve"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("/nowhere/at-all.pem"), "{}", said(&output));
    assert!(said(&output).contains(named), "{}", said(&output));
}

#[rstest]
#[tokio::test]
async fn a_database_that_a_karbor_created_ends_with_code_1_and_the_way_to_adopt_it(
    #[values("serve", "migrate")] command: &str,
) {
    let stage = Stage::new(Kind::Postgresql).await;
    let karbors = "CREATE TABLE restores (id VARCHAR(36) NOT NULL PRIMARY KEY)";
    stage.database.execute(karbors).await;
    let output = stage.worker("w1").run(&[command]).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("migrate --adopt"), "{}", said(&output));
}

#[tokio::test]
async fn migrate_waits_for_its_database_and_ends_with_code_1() {
    let stage = Stage::new(Kind::Sqlite).await;
    let nobody = format!("postgres://u:hunter2@{}/restores", own_address());
    let output = stage.worker("w1").set("DATABASE__URL", nobody).run(&["migrate"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let said = said(&output);
    assert!(said.contains("waiting for the database") && !said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn bad_usage_ends_with_code_2() {
    let stage = Stage::new(Kind::Sqlite).await;
    assert_eq!(stage.worker("w1").run(&["explode"]).await.status.code(), Some(2));
}

#[rstest]
#[case::of_a_value(&["show", "http://u:hunter2@host"])]
#[case::too_many(&["serve", "http://u:hunter2@host"])]
#[case::of_an_option(&["serve", "--http://u:hunter2@host"])]
#[case::of_a_command(&["http://u:hunter2@host"])]
#[tokio::test]
async fn bad_usage_is_told_without_a_password(#[case] arguments: &[&str]) {
    let stage = Stage::new(Kind::Sqlite).await;
    let output = stage.worker("w1").run(arguments).await;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("http://u:***@host"), "{}", said(&output));
    assert!(!said(&output).contains("hunter2"), "{}", said(&output));
}

#[tokio::test]
async fn an_address_in_use_ends_with_code_1_and_is_named() {
    let stage = Stage::new(Kind::Sqlite).await;
    let address = own_address();
    let _taken = std::net::TcpListener::bind(address).expect("an address of our own");
    let builder = stage.worker("w1").set("HTTP__LISTEN", address.to_string());
    let output = builder.run(&["serve"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains(&address.to_string()), "{}", said(&output));
}

#[rstest]
#[tokio::test]
async fn migrate_may_be_repeated_and_serve_needs_no_other_step(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let stage = Stage::new(kind).await;
    for _ in 0..2 {
        let output = stage.worker("w1").run(&["migrate"]).await;
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
    let worker = stage.worker("w1").start().await;
    assert_eq!(worker.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn the_probe_address_serves_probes_and_nothing_else() {
    let stage = Stage::new(Kind::Sqlite).await;
    let probe = own_address();
    let worker = stage.worker("w1").set("HTTP__PROBE_LISTEN", probe.to_string()).start().await;
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/v1/p/restores", 404),
        ("/", 404),
    ] {
        assert_eq!(get(probe, path).await.expect("it answers").status, status, "{path}");
    }
    assert_eq!(worker.get("/v1/p/restores").await.status, 200);
    assert!(worker.get("/metrics").await.body.contains("karbor_restore_"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once_and_what_was_taken_is_back() {
    let stage = Stage::new(Kind::Postgresql).await;
    let mut worker = stage.worker("w1").start().await;
    let restore_id = stage.record_restore().await;

    let _lock = stage.database.lock().await;
    stage.cast(&Request::resource(&restore_id, "volume-1", "available", None)).await;
    stage.broker.until_depth(&stage.topic, (0, 1)).await;
    worker.signal("TERM");
    eventually("the first signal is heeded", || async {
        let log = worker.log();
        if log.contains("a second signal ends at once") { Ok(()) } else { Err(log) }
    })
    .await;
    let reasons = worker.not_ready().await;
    assert!(reasons.contains("shutdown"), "{reasons}");
    worker.signal("TERM");

    assert_eq!(worker.ended().await.code(), Some(1));
    stage.broker.until_depth(&stage.topic, (1, 0)).await;
}

#[tokio::test]
async fn a_worker_that_does_not_migrate_waits_for_the_schema() {
    let stage = Stage::new(Kind::Postgresql).await;
    let worker = stage.worker("w1").argument("--no-migrate").spawn();
    eventually("it says what it waits for", || async {
        let log = worker.log();
        if log.contains("karbor-restore-worker migrate") { Ok(()) } else { Err(log) }
    })
    .await;
    let output = stage.worker("w0").run(&["migrate"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    worker.ready().await;
}

#[tokio::test]
async fn show_makes_no_database_and_says_what_is_missing() {
    let stage = Stage::new(Kind::Sqlite).await;
    let file = std::env::temp_dir().join(format!("{}.sqlite", new_id()));
    let url = format!("sqlite://{}", file.display());
    let show = ["show", "f30fe76e-4715-4cf8-aff3-13deea7170c3"];
    let output = stage.worker("w1").set("DATABASE__URL", url).run(&show).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("there is no such file"), "{}", said(&output));
    assert!(said(&output).contains(&file.display().to_string()), "{}", said(&output));
    assert!(!file.exists());
    let stage = Stage::new(Kind::Mysql).await;
    let output = stage.worker("w1").run(&show).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("karbor-restore-worker migrate"), "{}", said(&output));
}

#[test]
fn an_interrupted_demonstration_leaves_no_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_karbor-restore-worker"))
        .arg("demo")
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let mut output = BufReader::new(demo.stdout.take().expect("it is piped"));
    let mut introduction = String::new();
    output.read_line(&mut introduction).expect("it introduces itself");
    assert_eq!(folder.path().read_dir().expect("a folder").count(), 1, "{introduction}");
    let interrupted = Command::new("kill").arg("-INT").arg(demo.id().to_string()).status();
    assert!(interrupted.expect("kill runs").success());
    assert_eq!(demo.wait().expect("it is ours").code(), Some(1));
    assert_eq!(folder.path().read_dir().expect("a folder").count(), 0);
}
