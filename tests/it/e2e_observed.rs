//! `messaging.observe`: requests to another service are read along, and nobody notices.

use rstest::rstest;
use serde_json::json;

use crate::harness::{
    Inbox, Kind, Received, Request, Stage, Worker, broker_url, eventually, new_id, oslo_properties,
    run_python,
};

/// A stage whose worker observes a key of its own.
struct Observed {
    stage: Stage,
    key: String,
    queue: String,
    worker: Worker,
    notifications: Inbox,
}

async fn observed(kind: Kind) -> Observed {
    let stage = Stage::new(kind).await;
    let key = format!("e2e-protection-{}", &new_id()[..8]);
    let queue = stage.observed_queue(&key);
    let worker = stage.worker("w1").set("MESSAGING__OBSERVE", &key).start().await;
    let notifications = stage.notifications().await;
    Observed { stage, key, queue, worker, notifications }
}

fn starts(all: &[Received]) -> Vec<&str> {
    all.iter()
        .filter(|one| one.message["event_type"] == "karbor.restore.start")
        .filter_map(|one| one.message["payload"]["restore_id"].as_str())
        .collect()
}

#[rstest]
#[tokio::test]
async fn a_restore_that_another_service_is_asked_is_recorded_and_left_to_it(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let Observed { stage, key, worker: _worker, mut notifications, .. } = observed(kind).await;
    let mut service = stage.other_service(&key).await;
    let (reply_q, mut replies) = stage.broker.reply_queue().await;
    let (cast, called) = (new_id(), new_id());
    let requests = [
        Request::restore(&cast).with("version", "1.0"),
        // Its monitor timeout asks for a heartbeat a second, as long as it is held.
        Request::restore(&called).call(&reply_q, &new_id(), Some(2)),
        Request::new("protect", json!({"plan": {}})).call(&reply_q, &new_id(), Some(2)),
    ];

    for request in &requests {
        stage.broker.cast(&stage.exchange, &key, request).await;
    }
    notifications.until("both starts", |all| starts(all).len() == 2).await;

    for request in &requests {
        let kept = service.next("what the service itself is sent").await;
        assert_eq!(kept.body, request.body());
    }
    // Answers leave in order, so one to a copy would have come before this one.
    let ping = Request::new("oslo_rpc_server_ping", json!({})).call(&reply_q, "ping", None);
    stage.cast(&ping).await;
    let first = replies.next("the answer to the ping").await;
    assert_eq!(first.message["_msg_id"], "ping", "{}", first.message);
    let view = stage.call(Request::new("get_restore", json!({"restore_id": called}))).await;
    assert_eq!(view.message["result"]["status"], "in_progress");
}

#[tokio::test]
async fn all_but_restores_is_ignored_and_a_bad_restore_is_dead_lettered() {
    let Observed { stage, key, queue, worker, mut notifications } = observed(Kind::Sqlite).await;
    let mut dead_letters = stage.dead_letters().await;
    let known = stage.record_restore().await;
    let (reply_q, mut replies) = stage.broker.reply_queue().await;
    let ignored = [
        Request::finish(&known, "fail", None).body(),
        Request::resource(&known, "volume-1", "error", None).body(),
        Request::new("protect", json!({"plan": {}})).body(),
        Request::new("get_restore", json!({"restore_id": new_id()})).body(),
        br#"{"event_type": "karbor.plan", "payload": {}}"#.to_vec(),
        b"no json".to_vec(),
        vec![b' '; 1024 * 1024 + 1],
    ];
    for body in &ignored {
        stage.broker.publish(&stage.exchange, &key, oslo_properties(), body).await;
    }
    let bad = Request::restore(&new_id()).with_arg("colour", "red").call(&reply_q, "bad", None);
    stage.broker.cast(&stage.exchange, &key, &bad).await;
    let letter = dead_letters.next("the bad restore").await;
    assert_eq!(letter.header("error").as_deref(), Some("TypeError"));
    assert_eq!(letter.header("queue").as_deref(), Some(queue.as_str()));
    assert_eq!(letter.header("message_unique_id").as_deref(), Some(bad.unique_id()));
    assert!(!String::from_utf8_lossy(&letter.body).contains("SECRET-RESTORE-AUTH"));

    let foreign = Request::restore(&new_id())
        .with("_context_is_admin", false)
        .with("_context_project_id", "another-project");
    stage.broker.cast(&stage.exchange, &key, &foreign).await;
    let letter = dead_letters.next("the foreign restore").await;
    assert_eq!(letter.header("error").as_deref(), Some("RestoreNotFound"));
    assert_eq!(letter.header("queue").as_deref(), Some(queue.as_str()));

    let is_alarm = |one: &&Received| one.message["event_type"] == "karbor.restore_message.error";
    notifications.until("an alarm each", |all| all.iter().filter(is_alarm).count() == 2).await;
    let view = stage.call(Request::new("get_restore", json!({"restore_id": known}))).await;
    assert_eq!(view.message["result"]["status"], "in_progress", "nothing else was applied");
    assert_eq!(view.message["result"]["resources_status"], json!({}));
    let ping = Request::new("oslo_rpc_server_ping", json!({})).call(&reply_q, "ping", None);
    stage.cast(&ping).await;
    assert_eq!(replies.next("the answer to the ping").await.message["_msg_id"], "ping");

    let page = worker.get("/metrics").await.body;
    for line in ["ignored\"} 7", "refused\"} 1", "restore\"} 1"] {
        let line = format!("karbor_restore_observed_total{{kind=\"{line}");
        assert!(page.lines().any(|shown| shown == line), "{line} is not in\n{page}");
    }
    // What is ours or was never read is not told apart on the broker: all of it is acknowledged.
    assert_eq!(worker.terminate().await.code(), Some(0));
    eventually("nothing was given back", || async {
        match stage.broker.depth(&queue).await {
            Some((0, 0)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_copy_that_expired_while_no_worker_ran_is_recorded_all_the_same() {
    let Observed { stage, key, queue, worker, mut notifications } = observed(Kind::Sqlite).await;
    let late = format!("{}.observed.late", stage.topic);
    assert_eq!(worker.terminate().await.code(), Some(0));
    let restore_id = new_id();
    let request = Request::restore(&restore_id);
    let properties = oslo_properties().with_expiration("1".into());

    stage.broker.publish(&stage.exchange, &key, properties, &request.body()).await;
    eventually("the copy has expired", || async {
        match (stage.broker.depth(&queue).await, stage.broker.depth(&late).await) {
            (Some((0, _)), Some((1, _))) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(starts(notifications.so_far()).is_empty());

    let _worker = stage.worker("w1").set("MESSAGING__OBSERVE", &key).start().await;
    notifications.until("its start", |all| starts(all) == [restore_id.as_str()]).await;
}

#[tokio::test]
async fn a_restore_that_comes_both_ways_and_to_two_workers_is_one_restore() {
    let Observed { stage, key, worker: _worker, mut notifications, .. } =
        observed(Kind::Postgresql).await;
    let _second = stage.worker("w2").set("MESSAGING__OBSERVE", &key).start().await;
    let (twice, last) = (new_id(), new_id());

    for _ in 0..2 {
        stage.broker.cast(&stage.exchange, &key, &Request::restore(&twice)).await;
        stage.cast(&Request::restore(&twice)).await;
    }
    let update = Request::resource(&twice, "volume-1", "available", None);
    assert_eq!(stage.call(update).await.message["result"]["outcome"], "applied");
    stage.cast(&Request::finish(&twice, "success", None)).await;
    stage.broker.cast(&stage.exchange, &key, &Request::restore(&last)).await;

    let is_end = |one: &Received| one.message["event_type"] == "karbor.restore.end";
    let seen = notifications
        .until("the end and the last start", |all| {
            all.iter().any(is_end) && starts(all).contains(&last.as_str())
        })
        .await;
    assert_eq!(starts(seen).iter().filter(|id| **id == twice).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn karbors_protection_api_is_answered_by_its_service_and_recorded_here() {
    let Observed { stage, key, worker: _worker, mut notifications, .. } =
        observed(Kind::Mysql).await;
    // The service itself declares it.
    stage.remove_at_end(&key);

    let printed = run_python("protection_api.py", &[&broker_url(), &stage.exchange, &key]).await;

    let restore_id = printed.trim();
    notifications.until("its start", |all| starts(all) == [restore_id]).await;
    assert_eq!(stage.broker.depth(&stage.dead_letter_queue()).await, Some((0, 0)));
}
