//! A link to the database that fails at the worst moment: between COMMIT and its answer, and by
//! standing still instead of breaking.

use rstest::rstest;
use serde_json::json;

use crate::harness::{
    Kind, Proxy, Received, Request, Stage, Trap, WorkerBuilder, assert_one_message_id_each,
    eventually, proxied, transition,
};

/// A worker whose database is reached through the proxy, in the clear.
async fn through_proxy(stage: &Stage) -> (Proxy, WorkerBuilder) {
    let proxy = Proxy::start(&proxied::server(stage.database.url())).await;
    let url = proxied::url(stage.database.url(), &proxy);
    let worker = stage.worker("w1").set("DATABASE__URL", url).set("DATABASE__SSL_MODE", "disable");
    (proxy, worker)
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_done_once_and_told_once(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
    #[values(Trap::LoseCommit, Trap::FreezeCommit)] trap: Trap,
) {
    let stage = Stage::new(kind).await;
    let (proxy, worker) = through_proxy(&stage).await;
    let worker = worker.set("DATABASE__STATEMENT_TIMEOUT_MS", "1000").start().await;
    let mut notifications = stage.notifications().await;
    let restore_id = stage.record_restore().await;

    proxy.trap(trap, "volume-in-doubt");
    let update = Request::resource(&restore_id, "volume-in-doubt", "available", None);
    let reply = stage.call(update).await;

    // The database had it: what the worker did again changed nothing.
    assert_eq!(reply.message["result"], json!({"outcome": "unchanged", "status": "available"}));
    assert!(worker.log().contains("beginning anew as another publisher"), "{}", worker.log());
    let events = "restore_events WHERE resource_id = 'volume-in-doubt'";
    assert_eq!(stage.database.count(events).await, 1);
    let next = Request::resource(&restore_id, "volume-2", "available", None);
    assert_eq!(stage.call(next).await.message["result"]["outcome"], "applied");
    let seen = notifications
        .until("both resources", |all| {
            ["volume-in-doubt", "volume-2"]
                .iter()
                .all(|id| all.iter().any(|one| one.message["payload"]["resource_id"] == *id))
        })
        .await;
    assert_one_message_id_each(seen);
    assert!(seen.iter().all(|one| transition(one).1 == Some(1)), "{seen:?}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_whose_opening_is_not_answered_is_opened_once(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let stage = Stage::new(kind).await;
    let (proxy, worker) = through_proxy(&stage).await;
    let worker = worker.start().await;

    // Opened when it is first needed.
    proxy.trap(Trap::LoseOpening, "w1");
    let restore_id = stage.record_restore().await;

    assert!(!proxy.is_armed(), "{}", worker.log());
    let open = "restore_publishers WHERE host = 'w1' AND closed = 0";
    assert_eq!(stage.database.count(open).await, 1);
    stage.call(Request::resource(&restore_id, "volume-1", "available", None)).await;
    stage.until_available(&restore_id, 1).await;
    assert_eq!(worker.terminate().await.code(), Some(0));
    assert_eq!(stage.database.count(open).await, 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_outage_left_in_doubt_is_published_without_waiting_for_a_lease(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let stage = Stage::new(kind).await;
    let (proxy, worker) = through_proxy(&stage).await;
    let worker = worker
        .set("PUBLISHER__LEASE_S", "300")
        .set("LOG__FILTER", "info,karbor_restore_worker::keeper=debug")
        .start()
        .await;
    let mut notifications = stage.notifications().await;
    let restore_id = stage.record_restore().await;

    proxy.trap(Trap::FreezeCommit, "volume-in-doubt");
    stage.cast(&Request::resource(&restore_id, "volume-in-doubt", "available", None)).await;
    eventually("the database has committed it", || async {
        let events = "restore_events WHERE resource_id = 'volume-in-doubt'";
        if stage.database.count(events).await == 1 { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    proxy.refuse();
    // A lease that the outage let run out is nobody's for another lease's time.
    worker.says("a duty is not done this time duty=\"taking over\"").await;
    proxy.restore();

    let of_it = |one: &Received| one.message["payload"]["resource_id"] == "volume-in-doubt";
    let seen = notifications.until("the transition", |all| all.iter().any(of_it)).await;
    assert_one_message_id_each(seen);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_freezes_within_a_transaction_is_given_up(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let stage = Stage::new(kind).await;
    let (proxy, worker) = through_proxy(&stage).await;
    let worker = worker.set("DATABASE__STATEMENT_TIMEOUT_MS", "1000").start().await;
    let restore_id = stage.record_restore().await;

    // The transaction stays open at the server, with its locks, until the server ends it.
    proxy.trap(Trap::Freeze, "volume-frozen");
    let update = Request::resource(&restore_id, "volume-frozen", "available", None);
    let reply = stage.call(update).await;

    assert_eq!(reply.message["result"], json!({"outcome": "applied", "status": "available"}));
    let log = worker.log();
    assert!(log.contains("no answer within the time limit"), "{log}");
    assert!(log.contains("beginning anew as another publisher"), "{log}");
    worker.ready().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_links_to_the_database_freeze_says_so_and_goes_on(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let stage = Stage::new(kind).await;
    let (proxy, worker) = through_proxy(&stage).await;
    let worker = worker.set("DATABASE__STATEMENT_TIMEOUT_MS", "1000").start().await;
    let restore_id = stage.record_restore().await;

    proxy.freeze();
    let update = |n| Request::resource(&restore_id, &format!("volume-{n}"), "available", None);
    stage.cast_all(&(0..50).map(update).collect::<Vec<_>>()).await;
    let reasons = worker.not_ready().await;
    assert!(reasons.contains("database"), "{reasons}");
    assert_eq!(worker.get("/healthz").await.status, 200);

    proxy.restore();
    worker.ready().await;
    stage.until_available(&restore_id, 50).await;
    assert_eq!(worker.terminate().await.code(), Some(0));
}
