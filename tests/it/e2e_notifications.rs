//! The notification drivers and topics, as oslo.messaging's settings name them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Inbox, Kind, Stage, eventually};

#[tokio::test]
async fn the_driver_messaging_writes_no_envelope() {
    let stage = Stage::new(Kind::Sqlite).await;
    let _worker = stage.worker("w1").set("NOTIFICATIONS__DRIVER", "messaging").start().await;
    let mut notifications = stage.notifications().await;

    stage.record_restore().await;

    let start = notifications.next("the start").await;
    let body: Value = serde_json::from_slice(&start.body).expect("JSON");
    assert_eq!(body["event_type"], "karbor.restore.start");
    assert!(body.get("oslo.message").is_none(), "{body}");
}

#[tokio::test]
async fn the_driver_noop_publishes_nothing() {
    let stage = Stage::new(Kind::Sqlite).await;
    let worker = stage.worker("w1").set("NOTIFICATIONS__DRIVER", "noop").start().await;

    stage.record_restore().await;

    let metrics = eventually("the event is done with", || async {
        let page = worker.get("/metrics").await.body;
        let done = page.lines().any(|line| line == "karbor_restore_unpublished_events 0");
        if done { Ok(page) } else { Err(page) }
    })
    .await;
    let published = "karbor_restore_notifications_published_total 0";
    assert!(metrics.lines().any(|line| line == published), "{metrics}");
    assert_eq!(worker.terminate().await.code(), Some(0));
    assert_eq!(stage.broker.depth(&format!("{}.info", stage.notifications)).await, None);
}

#[tokio::test]
async fn each_topic_gets_a_copy_with_one_message_id() {
    let stage = Stage::new(Kind::Sqlite).await;
    let other = format!("{}-other", stage.notifications);
    let topics = format!("{},{other}", stage.notifications);
    let _worker = stage.worker("w1").set("NOTIFICATIONS__TOPICS", topics).start().await;
    let queues = [format!("{}.info", stage.notifications), format!("{other}.info")];
    let mut notifications = Inbox::open(&stage.broker, &[&queues[0], &queues[1]]).await;

    stage.record_restore().await;

    let copies = notifications.until("two copies", |all| all.len() == 2).await;
    let distinct =
        |key: &str| copies.iter().map(|one| one.message[key].to_string()).collect::<BTreeSet<_>>();
    assert_eq!(distinct("message_id").len(), 1);
    assert_eq!(distinct("_unique_id").len(), 2);
    assert_eq!(copies.iter().map(|one| &one.queue).collect::<BTreeSet<_>>().len(), 2);
}

#[tokio::test]
async fn notifications_wait_in_their_queues_when_nobody_listens() {
    let stage = Stage::new(Kind::Sqlite).await;
    let worker = stage.worker("w1").start().await;
    stage.record_restore().await;
    assert_eq!(worker.terminate().await.code(), Some(0));

    let mut notifications = stage.notifications().await;
    let start = notifications.next("the start").await;
    assert_eq!(start.message["event_type"], "karbor.restore.start");
}
