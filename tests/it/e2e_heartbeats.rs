//! Heartbeats of a call that takes long: oslo.messaging's `call_monitor_timeout`.

use rstest::rstest;

use crate::harness::{Kind, Request, Stage, eventually};

#[rstest]
#[tokio::test]
async fn a_call_held_up_by_the_database_sends_heartbeats_to_those_who_asked(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let (stage, _worker, _) = Stage::with_worker(kind).await;
    let restore_id = stage.record_restore().await;
    let (reply_q, mut replies) = stage.broker.reply_queue().await;

    let lock = stage.database.lock().await;
    for (msg_id, timeout) in [("never", None), ("too-short", Some(1)), ("two-seconds", Some(2))] {
        let update = Request::resource(&restore_id, msg_id, "available", None);
        stage.cast(&update.call(&reply_q, msg_id, timeout)).await;
    }
    let held = replies.until("heartbeats", |all| all.len() >= 3).await.to_vec();
    drop(lock);

    for heartbeat in &held {
        assert_eq!(heartbeat.message["_msg_id"], "two-seconds");
        assert_eq!(heartbeat.message["ending"], false);
        assert!(heartbeat.message["result"].is_null() && heartbeat.message["failure"].is_null());
    }
    let is_end = |one: &&crate::harness::Received| one.message["ending"] == true;
    let all = replies.until("three answers", |all| all.iter().filter(is_end).count() == 3).await;
    for end in all.iter().filter(is_end) {
        assert_eq!(end.message["result"]["status"], "available", "{}", end.message);
    }
    assert!(all.iter().all(|one| is_end(&one) || one.message["_msg_id"] == "two-seconds"));
    eventually("the queue is empty", || async {
        match stage.broker.depth(&stage.topic).await {
            Some((0, 1)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}
