//! What requests do, seen from outside: rows in the database and notifications on the broker.

use lapin::BasicProperties;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{Kind, PROJECT, Received, Request, Stage, eventually, new_id};

const VOLUME: &str = "OS::Cinder::Volume";

fn is_end_of_restore(message: &Received) -> bool {
    message.message["event_type"] == "karbor.restore.end"
}

#[rstest]
#[tokio::test]
async fn casts_are_recorded_and_each_transition_is_published(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let (stage, _worker, mut notifications) = Stage::with_worker(kind).await;
    let restore_id = new_id();

    stage.cast(&Request::restore(&restore_id)).await;
    for status in ["started", "restoring", "AVAILABLE", "available", "started"] {
        stage.cast(&Request::resource(&restore_id, "volume-1", status, None)).await;
    }
    stage.cast(&Request::finish(&restore_id, "success", None)).await;

    let seen = notifications.until("the end", |all| all.iter().any(is_end_of_restore)).await;
    let summary: Vec<_> = seen
        .iter()
        .map(|one| {
            let payload = &one.message["payload"];
            json!([
                one.message["event_type"],
                payload["old_status"],
                payload["status"],
                payload["transition"]
            ])
        })
        .collect();
    assert_eq!(
        summary,
        [
            json!(["karbor.restore.start", null, "in_progress", 1]),
            json!(["karbor.restore_resource.start", null, "started", 1]),
            json!(["karbor.restore_resource.update", "started", "restoring", 2]),
            json!(["karbor.restore_resource.end", "restoring", "available", 3]),
            json!(["karbor.restore.end", "in_progress", "success", 2]),
        ]
    );

    let status = format!("SELECT status AS text FROM restores WHERE id = '{restore_id}'");
    assert_eq!(stage.database.text(&status).await.as_deref(), Some("success"));
    let column = format!("SELECT resources_status AS text FROM restores WHERE id = '{restore_id}'");
    eventually("Karbor's column follows", || async {
        let text = stage.database.text(&column).await.unwrap_or_default();
        if text == r#"{"OS::Cinder::Volume#volume-1": "available"}"# { Ok(()) } else { Err(text) }
    })
    .await;
}

#[tokio::test]
async fn a_notification_says_what_the_contract_promises_and_nothing_else() {
    let (stage, _worker, mut notifications) = Stage::with_worker(Kind::Sqlite).await;
    let restore_id = new_id();

    stage.cast(&Request::restore(&restore_id)).await;
    let update = Request::resource(&restore_id, "volume-1", "error", Some("quota"))
        .with_arg("source_id", "volume-0")
        .with_arg("name", "root disk")
        .with_arg("sequence", 7);
    stage.cast(&update).await;
    stage.cast(&Request::finish(&restore_id, "fail", Some("one volume failed"))).await;
    let seen = notifications
        .until("three notifications", |all| all.len() >= 3)
        .await
        .iter()
        .map(|one| {
            (one.queue.rsplit('.').next().unwrap_or_default().to_owned(), one.message.clone())
        })
        .collect::<Vec<_>>();
    let find = |event_type: &str| {
        let found = seen.iter().find(|(_, message)| message["event_type"] == event_type);
        found.unwrap_or_else(|| panic!("no {event_type} in {seen:?}")).clone()
    };

    let (queue, message) = find("karbor.restore_resource.error");
    assert_eq!(queue, "error");
    assert_eq!(message["priority"], "ERROR");
    assert_eq!(message["publisher_id"], "restore-worker.w1");
    let mut keys: Vec<_> =
        message.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "_context_global_request_id",
            "_context_is_admin",
            "_context_project_id",
            "_context_request_id",
            "_context_roles",
            "_context_user_id",
            "_unique_id",
            "event_type",
            "message_id",
            "payload",
            "priority",
            "publisher_id",
            "timestamp",
        ]
    );
    assert_eq!(message["_context_is_admin"], false);
    assert_eq!(message["_context_roles"], json!([]));
    assert_eq!(message["_context_user_id"], "user-1");
    let mut payload = message["payload"].clone();
    let occurred_at = payload["occurred_at"].take();
    assert!(occurred_at.as_str().is_some_and(|at| at.contains('T')), "{occurred_at}");
    assert_eq!(
        payload,
        json!({
            "restore_id": restore_id,
            "project_id": PROJECT,
            "tenant_id": PROJECT,
            "provider_id": "cf56bd3e-97a7-4078-b6d5-f36246333fd9",
            "checkpoint_id": "dcb20606-ad71-40a3-80e4-ef0fafdad0c3",
            "request_id": "req-cf259485-bfc3-4e49-b1fa-3df701317832",
            "old_status": null,
            "status": "error",
            "reason": "quota",
            "occurred_at": null,
            "transition": 1,
            "resource_type": VOLUME,
            "resource_id": "volume-1",
            "source_id": "volume-0",
            "name": "root disk",
            "sequence": 7,
        })
    );

    let (queue, message) = find("karbor.restore.error");
    assert_eq!(queue, "error");
    assert_eq!(message["payload"]["reason"], "one volume failed");
    assert_eq!(message["payload"]["restore_target"], "http://keystone/v3");
    assert_eq!(
        message["payload"]["resources"],
        json!({"undefined": 0, "started": 0, "restoring": 0, "available": 0, "error": 1, "expected": 0})
    );
    assert_eq!(find("karbor.restore.start").0, "info");
}

#[rstest]
#[tokio::test]
async fn progress_has_a_denominator_once_resources_are_expected(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let (stage, _worker, mut notifications) = Stage::with_worker(kind).await;
    let restore_id = stage.record_restore().await;

    let expected: Vec<Value> = (0..3)
        .map(|n| json!({"resource_type": VOLUME, "source_id": format!("source-{n}")}))
        .collect();
    let expect =
        Request::new("expect_resources", json!({"restore_id": restore_id, "resources": expected}));
    assert_eq!(stage.call(expect.clone()).await.message["result"], 3);
    assert_eq!(stage.call(expect).await.message["result"], 3);

    let items: Vec<Value> = (0..2)
        .map(|n| {
            json!({"resource_type": VOLUME, "resource_id": format!("new-{n}"), "status": "available",
                   "source_id": format!("source-{n}")})
        })
        .collect();
    let update = Request::new(
        "update_resources_status",
        json!({"restore_id": restore_id, "resources": items}),
    );
    let applied = json!({"outcome": "applied", "status": "available"});
    assert_eq!(stage.call(update).await.message["result"], json!([applied, applied]));

    let view = stage.call(Request::new("get_restore", json!({"restore_id": restore_id}))).await;
    let counts = json!({"undefined": 0, "started": 0, "restoring": 0, "available": 2, "error": 0, "expected": 3});
    assert_eq!(view.message["result"]["resources"], counts);
    assert_eq!(
        view.message["result"]["resources_status"],
        json!({"OS::Cinder::Volume#new-0": "available", "OS::Cinder::Volume#new-1": "available"})
    );

    stage.cast(&Request::finish(&restore_id, "success", None)).await;
    let seen = notifications.until("the end", |all| all.iter().any(is_end_of_restore)).await;
    let end = seen.iter().find(|one| is_end_of_restore(one)).expect("waited for");
    assert_eq!(end.message["payload"]["resources"], counts);
}

#[tokio::test]
async fn a_fanout_cast_is_applied_once_among_two_workers() {
    let (stage, _first, mut notifications) = Stage::with_worker(Kind::Postgresql).await;
    let _second = stage.worker("w2").start().await;
    let restore_id = stage.record_restore().await;

    let update = Request::resource(&restore_id, "volume-1", "available", None);
    stage.broker.cast(&format!("{}_fanout", stage.topic), "", &update).await;
    stage.cast(&Request::finish(&restore_id, "success", None)).await;

    // Both workers may be at work: nothing says which of the two ends comes first.
    let is_resource = |one: &&Received| one.message["payload"]["resource_id"] == "volume-1";
    let seen = notifications
        .until("both ends", |all| {
            all.iter().any(is_end_of_restore) && all.iter().any(|one| is_resource(&one))
        })
        .await;
    assert_eq!(seen.iter().filter(is_resource).count(), 1);
}

#[tokio::test]
async fn a_request_to_one_server_is_served_by_that_worker() {
    let (stage, _first, mut notifications) = Stage::with_worker(Kind::Postgresql).await;
    let _second = stage.worker("w2").start().await;
    let restore_id = stage.record_restore().await;

    for n in 0..8 {
        let update = Request::resource(&restore_id, &format!("volume-{n}"), "available", None);
        stage.broker.cast(&stage.exchange, &format!("{}.w2", stage.topic), &update).await;
    }

    let is_resource = |one: &&Received| one.message["payload"]["resource_id"].is_string();
    let seen =
        notifications.until("eight ends", |all| all.iter().filter(is_resource).count() >= 8).await;
    let publishers: Vec<_> =
        seen.iter().filter(is_resource).map(|one| &one.message["publisher_id"]).collect();
    assert_eq!(publishers, vec!["restore-worker.w2"; 8]);
}

#[tokio::test]
async fn a_message_without_an_envelope_is_a_request_too() {
    let (stage, _worker, mut notifications) = Stage::with_worker(Kind::Sqlite).await;
    let request = Request::restore(&new_id());

    stage
        .broker
        .publish(&stage.exchange, &stage.topic, BasicProperties::default(), &request.bare())
        .await;

    let started = notifications.next("the start").await;
    assert_eq!(started.message["event_type"], "karbor.restore.start");
}
