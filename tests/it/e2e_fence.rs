//! A worker that stands still past its lease: others publish what it left, and it comes back as
//! another publisher.

use std::collections::BTreeSet;

use rstest::rstest;

use crate::harness::{
    Kind, Proxy, Received, Request, Stage, assert_one_message_id_each, broker_url, eventually,
    proxied, transition,
};

fn transitions(all: &[Received]) -> usize {
    all.iter().map(transition).collect::<BTreeSet<_>>().len()
}

/// Whether the other worker can publish while the first one stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Other {
    Publishes,
    /// The closed publisher is still there when the stopped worker comes back.
    CannotPublish,
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_stopped_past_its_lease_is_taken_over_and_fenced_when_it_comes_back(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
    #[values(Other::Publishes, Other::CannotPublish)] other: Other,
) {
    let stage = Stage::new(kind).await;
    let proxy = Proxy::start(&proxied::server(&broker_url())).await;
    let through_proxy = proxied::url(&broker_url(), &proxy);
    let direct = broker_url();
    let worker = |name, notifications: &str| {
        let worker = stage.worker(name).set("PUBLISHER__LEASE_S", "5");
        worker.set("NOTIFICATIONS__TRANSPORT_URL", notifications).start()
    };
    let stopped = worker("w1", &through_proxy).await;
    let of_other = if other == Other::Publishes { &direct } else { &through_proxy };
    let _other = worker("w2", of_other).await;
    let mut notifications = stage.notifications().await;
    let restore_id = stage.record_restore().await;
    let to_stopped = format!("{}.w1", stage.topic);
    let update = |n| Request::resource(&restore_id, &format!("volume-{n}"), "available", None);

    // What it commits from here on it cannot publish.
    proxy.freeze();
    for n in 0..20 {
        let reply = stage.broker.call(&stage.exchange, &to_stopped, update(n)).await;
        assert_eq!(reply.message["result"]["outcome"], "applied");
    }
    stopped.signal("STOP");
    let held: Vec<_> = (20..30).map(update).collect();
    stage.broker.cast_all(&stage.exchange, &to_stopped, &held).await;
    eventually("it is closed", || async {
        let open = "restore_publishers WHERE host = 'w1' AND closed = 0";
        let count = stage.database.count(open).await;
        if count == 0 { Ok(()) } else { Err(count.to_string()) }
    })
    .await;
    let closed = "restore_publishers WHERE host = 'w1' AND closed = 1";
    if other == Other::Publishes {
        notifications.until("what it left", |all| transitions(all) == 21).await;
    } else {
        assert!(stage.database.count(closed).await > 0, "its row is gone");
    }

    stopped.signal("CONT");
    eventually("it finds itself closed", || async {
        let log = stopped.log();
        // By its next batch, or by the renewal of its lease.
        let ways = ["beginning anew as another publisher", "was closed by another worker"];
        if ways.iter().any(|way| log.contains(way)) { Ok(()) } else { Err(log) }
    })
    .await;
    stage.until_available(&restore_id, 30).await;
    proxy.restore();
    let seen = notifications.until("each transition", |all| transitions(all) == 31).await;
    assert_one_message_id_each(seen);
    assert!(seen.iter().all(|one| transition(one).1 == Some(1)), "{seen:?}");
    assert_eq!(stage.database.count("restore_events").await, 31);
    assert_eq!(stopped.terminate().await.code(), Some(0));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_stopped_under_load_holds_others_up_for_a_time_and_loses_nothing(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let stage = Stage::new(kind).await;
    let stopped = stage.worker("w1").start().await;
    let _other = stage.worker("w2").start().await;
    let mut notifications = stage.notifications().await;
    let restore_id = stage.record_restore().await;
    let update = |n| Request::resource(&restore_id, &format!("volume-{n}"), "available", None);
    let requests: Vec<_> = (0..1500).map(update).collect();

    tokio::join!(stage.cast_all(&requests), async {
        notifications.until("work in progress", |all| all.len() > 50).await;
        stopped.signal("STOP");
        // If it stands within a transaction, the server ends that after some seconds. SQLite has no
        // server: there others may wait for as long as it stands.
        if kind != Kind::Sqlite {
            let of_other = Request::resource(&restore_id, "volume-0", "available", None);
            let to_other = format!("{}.w2", stage.topic);
            stage.broker.call(&stage.exchange, &to_other, of_other).await;
        }
        stopped.signal("CONT");
    });

    let seen = notifications.until("each transition", |all| transitions(all) == 1501).await;
    assert_one_message_id_each(seen);
    stage.until_available(&restore_id, 1500).await;
}
