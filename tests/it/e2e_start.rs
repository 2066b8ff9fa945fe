//! What a worker says and sets up when it starts: warnings for the operator, flags that must equal
//! the clients'.

use lapin::options::ExchangeDeclareOptions;
use lapin::types::FieldTable;
use rstest::rstest;

use crate::harness::{DatabaseServer, Kind, Stage, broker_control, broker_url, eventually};

#[tokio::test]
async fn a_notification_queue_without_a_consumer_is_warned_about() {
    let stage = Stage::new(Kind::Sqlite).await;
    let worker = stage.worker("w1").start().await;

    worker.says("this notification queue has no consumer").await;

    let log = worker.log();
    let line = log.lines().find(|line| line.contains("has no consumer")).expect("waited for");
    assert!(line.contains("WARN") && line.contains(&stage.notifications), "{line}");
    assert!(line.contains("`notifications.driver`"), "{line}");
}

#[rstest]
#[case::durable("true", ExchangeDeclareOptions { durable: true, ..Default::default() })]
#[case::as_by_default("false", ExchangeDeclareOptions::default())]
#[tokio::test]
async fn exchanges_have_the_durability_that_clients_ask_for(
    #[case] durable: &str,
    #[case] options: ExchangeDeclareOptions,
) {
    let stage = Stage::new(Kind::Sqlite).await;
    let _worker = stage
        .worker("w1")
        .set("MESSAGING__RABBIT_TRANSIENT_QUORUM_QUEUE", durable)
        .set("MESSAGING__RABBIT_QUORUM_QUEUE", durable)
        .start()
        .await;

    let fanout = format!("{}_fanout", stage.topic);
    let of_fanout = ExchangeDeclareOptions { auto_delete: true, ..options };
    for (name, kind, wanted) in [
        (&fanout, lapin::ExchangeKind::Fanout, of_fanout),
        (&stage.exchange, lapin::ExchangeKind::Topic, options),
    ] {
        // As oslo.messaging does before each cast; another durability would be refused with 406.
        let other = ExchangeDeclareOptions { durable: !wanted.durable, ..wanted };
        for (options, is_taken) in [(wanted, true), (other, false)] {
            let channel = stage.broker.channel().await;
            let (short, kind) = (name.as_str().into(), kind.clone());
            let declared =
                channel.exchange_declare(short, kind, options, FieldTable::default()).await;
            assert_eq!(declared.is_ok(), is_taken, "{name} {declared:?}");
        }
    }
}

#[rstest]
#[case::by_the_setting(("MESSAGING__HEARTBEAT_TIMEOUT_THRESHOLD_S", "47".to_owned()), 47)]
#[case::by_the_url(
    ("MESSAGING__TRANSPORT_URL", broker_url() + "?heartbeat_timeout_threshold=31"), 31
)]
#[tokio::test]
async fn the_heartbeat_is_agreed_with_the_broker(
    #[case] (key, value): (&str, String),
    #[case] seconds: u32,
) {
    let stage = Stage::new(Kind::Sqlite).await;
    let _worker = stage.worker("w1").set(key, value).start().await;

    // No other worker of any test has these numbers.
    let beginning = format!("{seconds}\t");
    let names = ["requests", "answers", "notifications", "inspect"];
    eventually("every connection has it", || async {
        let list = broker_control(&["list_connections", "timeout", "client_properties"]).await;
        let is_there = |name: &&str| {
            let name = format!("\"karbor-restore-worker:{name}\"");
            list.lines().any(|line| line.starts_with(&beginning) && line.contains(&name))
        };
        if names.iter().all(is_there) { Ok(()) } else { Err(list) }
    })
    .await;
}

#[tokio::test]
async fn a_postgresql_that_may_lose_commits_is_warned_about() {
    let stage = Stage::new(Kind::Postgresql).await;
    let name = stage.database.name();
    stage.database.execute(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).await;

    let worker = stage.worker("w1").start().await;

    let log = worker.log();
    let line = log.lines().find(|line| line.contains("synchronous_commit")).expect(&log);
    assert!(line.contains("WARN") && line.contains("set it to `on`"), "{line}");
    assert!(!log.contains("`fsync`"), "{log}");
}

#[tokio::test]
async fn a_mariadb_that_may_lose_commits_is_warned_about() {
    let weak = "--innodb-flush-log-at-trx-commit=2";
    let server = DatabaseServer::start(Kind::Mysql, &[], &[weak]).await;
    server.execute("CREATE DATABASE restores").await;
    let stage = Stage::new(Kind::Sqlite).await;
    let url = format!("mysql://root@127.0.0.1:{}/restores", server.port());

    let worker = stage.worker("w1").set("DATABASE__URL", url).start().await;

    let log = worker.log();
    let weak = "`innodb_flush_log_at_trx_commit` = `2`";
    let line = log.lines().find(|line| line.contains(weak)).expect(&log);
    assert!(line.contains("WARN") && line.contains("set it to `1`"), "{line}");
    assert!(!log.contains("`sync_binlog`"), "{log}");
}
