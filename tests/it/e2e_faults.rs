//! What a worker does while a server or the network between is away: it waits, and loses nothing.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::json;

use crate::harness::{
    Kind, Proxy, Received, Request, Session, Stage, assert_one_message_id_each, broker_url,
    eventually, proxied, transition,
};

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_worker_had_not_published_is_published_by_another_under_the_same_ids(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
    #[values("w1", "w2")] heir: &str,
) {
    let stage = Stage::new(kind).await;
    let proxy = Proxy::start(&proxied::server(&broker_url())).await;
    let url = proxied::url(&broker_url(), &proxy);
    let victim = stage.worker("w1").set("NOTIFICATIONS__TRANSPORT_URL", url).start().await;
    let mut notifications = stage.notifications().await;
    let restore_id = stage.record_restore().await;
    notifications.until("the start", |all| all.len() == 1).await;

    // From here on what is committed cannot be published: answers come, notifications do not.
    proxy.freeze();
    for n in 0..30 {
        for status in ["started", "available"] {
            let update = Request::resource(&restore_id, &format!("volume-{n}"), status, None);
            let reply = stage.call(update).await;
            assert_eq!(reply.message["result"]["outcome"], "applied");
        }
    }
    victim.kill();
    drop(proxy);
    let _heir = stage.worker(heir).start().await;

    let seen = notifications
        .until("each transition", |all| {
            all.iter().map(transition).collect::<BTreeSet<_>>().len() == 61
        })
        .await;
    assert!(seen.iter().all(|one| one.message["publisher_id"] == "restore-worker.w1"));
    assert_one_message_id_each(seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_to_the_broker_under_load_loses_nothing() {
    let stage = Stage::new(Kind::Postgresql).await;
    let proxy = Proxy::start(&proxied::server(&broker_url())).await;
    let url = proxied::url(&broker_url(), &proxy);
    let _worker = stage.worker("w1").set("MESSAGING__TRANSPORT_URL", url).start().await;
    let mut notifications = stage.notifications().await;
    let restore_id = stage.record_restore().await;

    let update = |n| Request::resource(&restore_id, &format!("volume-{n}"), "available", None);
    for round in 0..5 {
        let requests: Vec<_> = (round * 200..(round + 1) * 200).map(update).collect();
        tokio::join!(stage.cast_all(&requests), async {
            notifications.until("work in progress", |all| all.len() > round * 200).await;
            proxy.cut();
        });
    }

    notifications
        .until("every resource", |all| {
            let ids = all.iter().map(|one| one.message["payload"]["resource_id"].to_string());
            ids.collect::<BTreeSet<_>>().len() == 1001
        })
        .await;
    let reply = stage.call(Request::new("get_restore", json!({"restore_id": restore_id}))).await;
    assert_eq!(reply.message["result"]["resources"]["available"], 1000);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_the_database_cut_under_load_lose_nothing_and_leave_no_gap(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let stage = Stage::new(kind).await;
    let proxy = Proxy::start(&proxied::server(stage.database.url())).await;
    let url = proxied::url(stage.database.url(), &proxy);
    let _worker = stage.worker("w1").set("DATABASE__URL", url).start().await;
    let mut notifications = stage.notifications().await;
    let restore_id = stage.record_restore().await;

    for round in 0..6_usize {
        let reason = format!("attempt {round}");
        let update = |n| {
            Request::resource(&restore_id, &format!("volume-{n}"), "error", Some(&reason))
                .with_arg("sequence", round)
        };
        let requests: Vec<_> = (0..200).map(update).collect();
        tokio::join!(stage.cast_all(&requests), async {
            let all = |all: &[Received]| all.len() > round * 200;
            notifications.until("work in progress", all).await;
            proxy.cut();
        });
    }

    let seen = notifications
        .until("each transition", |all| {
            all.iter().map(transition).collect::<BTreeSet<_>>().len() == 1201
        })
        .await;
    assert_one_message_id_each(seen);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_waits_for_its_database_says_so_and_goes_on(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let stage = Stage::new(kind).await;
    let proxy = Proxy::start(&proxied::server(stage.database.url())).await;
    let url = proxied::url(stage.database.url(), &proxy);
    proxy.refuse();
    let worker = stage.worker("w1").set("DATABASE__URL", url).spawn();
    assert!(worker.not_ready().await.to_lowercase().contains("database"));
    proxy.restore();
    worker.ready().await;
    let restore_id = stage.record_restore().await;

    proxy.refuse();
    stage.cast(&Request::resource(&restore_id, "volume-1", "available", None)).await;
    assert!(worker.not_ready().await.to_lowercase().contains("database"));
    assert_eq!(worker.get("/healthz").await.status, 200);
    proxy.restore();

    worker.ready().await;
    stage.until_available(&restore_id, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_waits_for_its_broker_and_says_so() {
    let stage = Stage::new(Kind::Sqlite).await;
    let proxy = Proxy::start(&proxied::server(&broker_url())).await;
    let url = proxied::url(&broker_url(), &proxy);
    proxy.refuse();
    let worker = stage.worker("w1").set("MESSAGING__TRANSPORT_URL", url).spawn();
    worker.not_ready().await;
    proxy.restore();
    worker.ready().await;
    stage.record_restore().await;

    proxy.refuse();
    worker.not_ready().await;
    proxy.restore();
    worker.ready().await;
    stage.record_restore().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_silent_is_told_and_keeps_its_session() {
    let stage = Stage::new(Kind::Sqlite).await;
    let proxy = Proxy::start(&proxied::server(&broker_url())).await;
    let url = proxied::url(&broker_url(), &proxy);
    let worker = stage.worker("w1").set("MESSAGING__TRANSPORT_URL", url).start().await;
    let restore_id = stage.record_restore().await;

    proxy.freeze();
    eventually("the broker's silence is a reason in /readyz", || async {
        let answer = worker.get("/readyz").await;
        let said = answer.status == 503 && answer.body.contains("broker: no answer");
        if said { Ok(()) } else { Err(answer.body) }
    })
    .await;
    stage.cast(&Request::resource(&restore_id, "volume-1", "available", None)).await;
    proxy.restore();
    worker.ready().await;

    stage.until_available(&restore_id, 1).await;
    let log = worker.log();
    assert!(!log.contains("the connection to the broker is lost"), "{log}");
    let metrics = worker.get("/metrics").await.body;
    assert!(
        metrics.contains("karbor_restore_reconnects_total{connection=\"broker\"} 0"),
        "{metrics}"
    );
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_silent_is_told(#[values(Kind::Postgresql, Kind::Mysql)] kind: Kind) {
    let stage = Stage::new(kind).await;
    let proxy = Proxy::start(&proxied::server(stage.database.url())).await;
    let url = proxied::url(stage.database.url(), &proxy);
    let worker = stage.worker("w1").set("DATABASE__URL", url).start().await;
    proxy.freeze();
    let reasons = worker.not_ready().await;
    assert!(reasons.contains("no answer within 5 s"), "{reasons}");
    proxy.restore();
    worker.ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_while_the_database_is_away_gives_back_what_was_taken() {
    let stage = Stage::new(Kind::Postgresql).await;
    let proxy = Proxy::start(&proxied::server(stage.database.url())).await;
    let url = proxied::url(stage.database.url(), &proxy);
    let worker = stage.worker("w1").set("DATABASE__URL", url).start().await;
    let restore_id = stage.record_restore().await;

    proxy.refuse();
    let update = |n| Request::resource(&restore_id, &format!("volume-{n}"), "available", None);
    stage.cast_all(&(0..50).map(update).collect::<Vec<_>>()).await;
    worker.not_ready().await;
    assert_eq!(worker.terminate().await.code(), Some(0));

    eventually("all are back in the queue", || async {
        match stage.broker.depth(&stage.topic).await {
            Some((50, 0)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_while_the_database_is_silent_gives_back_what_was_taken(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let stage = Stage::new(kind).await;
    let proxy = Proxy::start(&proxied::server(stage.database.url())).await;
    let url = proxied::url(stage.database.url(), &proxy);
    let mut worker = stage.worker("w1").set("DATABASE__URL", url).start().await;
    let restore_id = stage.record_restore().await;

    proxy.freeze();
    let update = |n| Request::resource(&restore_id, &format!("volume-{n}"), "available", None);
    stage.cast_all(&(0..50).map(update).collect::<Vec<_>>()).await;
    stage.broker.until_depth(&stage.topic, (0, 1)).await;
    worker.signal("TERM");
    assert_eq!(worker.ended().await.code(), Some(0));

    // Not by the deadline of the whole end, which cuts off whatever is left.
    let log = worker.log();
    assert!(!log.contains("not everything is finished in time"), "{log}");
    assert!(log.contains("given back"), "{log}");
    eventually("all are back in the queue", || async {
        match stage.broker.depth(&stage.topic).await {
            Some((50, 0)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_no_writes_makes_the_worker_unready_and_loses_nothing() {
    let stage = Stage::new(Kind::Postgresql).await;
    let worker = stage.worker("w1").start().await;
    let mut notifications = stage.notifications().await;
    let restore_id = stage.record_restore().await;
    // As a standby answers after a fail-over.
    let read_only = async |value: &str| {
        let sql = format!(
            "BEGIN READ WRITE; DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET \
             default_transaction_read_only = {value}', current_database()); END $$; COMMIT"
        );
        stage.database.texts(&sql).await;
        let others = "SELECT pg_terminate_backend(pid)::text AS text FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        stage.database.texts(others).await;
    };
    read_only("on").await;
    // While no message comes, too.
    eventually("it says that the database takes no writes", || async {
        let ready = worker.get("/readyz").await;
        let told = ready.status == 503 && ready.body.contains("asking whether it takes writes");
        if told { Ok(()) } else { Err(format!("{} {}", ready.status, ready.body)) }
    })
    .await;
    stage.cast(&Request::resource(&restore_id, "volume-1", "available", None)).await;
    eventually("it says that nothing can be committed", || async {
        let ready = worker.get("/readyz").await;
        let told = ready.status == 503 && ready.body.contains("nothing can be committed");
        let named = worker.log().contains(&restore_id);
        if told && named { Ok(()) } else { Err(format!("{} {}", ready.status, ready.body)) }
    })
    .await;
    assert!(!worker.get("/metrics").await.body.contains("karbor_restore_commit_failures_total 0"));

    read_only("off").await;
    let end = |one: &Received| one.message["event_type"] == "karbor.restore_resource.end";
    notifications.until("the update is applied", |all| all.iter().any(end)).await;
    worker.ready().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_only_the_keeper_misses_makes_the_worker_unready(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let stage = Stage::new(kind).await;
    let worker = stage.worker("w1").set("DATABASE__STATEMENT_TIMEOUT_MS", "1000").start().await;
    let mut other = Session::open(kind, stage.database.url()).await.expect("the database is up");
    let lock = match kind {
        Kind::Postgresql => "BEGIN; LOCK TABLE restore_early_updates IN ACCESS EXCLUSIVE MODE",
        Kind::Mysql | Kind::Sqlite => "LOCK TABLES restore_early_updates WRITE",
    };
    other.run(lock).await.expect("the table is there");
    let reasons = worker.not_ready().await;
    assert!(reasons.contains("keeper: looking at early updates: "), "{reasons}");
    worker.says("a duty cannot be done; trying again").await;
    let metrics = worker.get("/metrics").await.body;
    assert!(metrics.contains("karbor_restore_part_ready{part=\"keeper\"} 0"), "{metrics}");
    drop(other);
    worker.ready().await;
    worker.says("a duty is done again").await;
}
