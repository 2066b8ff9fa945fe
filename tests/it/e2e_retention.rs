//! Old events go when the setting says so, and readers are told.

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{Kind, PROJECT, Request, Stage, eventually};

#[rstest]
#[tokio::test]
async fn old_events_are_deleted_where_it_is_set_and_the_timeline_says_so(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let (stage, worker, mut notifications) = Stage::with_worker(kind).await;
    let (done, under_way) = (stage.record_restore().await, stage.record_restore().await);
    stage.call(Request::resource(&done, "volume-1", "available", None)).await;
    stage.call(Request::finish(&done, "success", None)).await;
    notifications.until("all four", |all| all.len() == 4).await;
    stage
        .database
        .execute("UPDATE restore_events SET occurred_at = '2020-01-01 00:00:00.000001'")
        .await;
    // Without the setting nothing is deleted; an orderly end publishes all.
    assert!(worker.terminate().await.success());
    assert_eq!(stage.database.count("restore_events").await, 4);

    let worker = stage.worker("w2").set("RETENTION__EVENTS_DAYS", "1").start().await;
    eventually("old events are deleted", || async {
        match stage.database.count("restore_events").await {
            1 => Ok(()),
            left => Err(left.to_string()),
        }
    })
    .await;
    worker.says("looked through old events").await;
    let metrics = worker.get("/metrics").await.body;
    assert!(metrics.contains("karbor_restore_deleted_events_total 3"), "{metrics}");

    for (id, events, deleted) in [(&done, 0, true), (&under_way, 1, false)] {
        let answer = worker.get(&format!("/v1/{PROJECT}/restores/{id}/events")).await;
        let page: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(page["events"].as_array().map(Vec::len), Some(events));
        assert_eq!(page["earlier_events_deleted"], json!(deleted));
        let shown = stage.worker("operator").run(&["show", id]).await;
        let text = String::from_utf8(shown.stdout).expect("UTF-8");
        assert_eq!(text.contains("deleted: retention.events_days"), deleted, "{text}");
    }
    assert_eq!(stage.view(&done).await["resources"]["available"], 1, "the state is whole");
}
