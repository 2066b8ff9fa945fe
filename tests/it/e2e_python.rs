//! Unmodified Python: oslo.messaging, Karbor's own RPC client and objects, python-karborclient.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use crate::harness::{Kind, PROJECT, Request, Stage, broker_url, run_python};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn karbors_own_client_calls_casts_and_gets_karbors_exceptions() {
    let (stage, _worker, _) = Stage::with_worker(Kind::Mysql).await;
    run_python("rpc_client.py", &[&broker_url(), &stage.exchange, &stage.topic, "w1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitored_python_call_outlives_its_monitor_timeout() {
    let (stage, _worker, _) = Stage::with_worker(Kind::Postgresql).await;
    let restore_id = stage.record_restore().await;
    let lock = stage.database.lock().await;

    let url = broker_url();
    let arguments = [url.as_str(), &stage.exchange, &stage.topic, &restore_id];
    let mut call = std::pin::pin!(run_python("held_call.py", &arguments));
    // Far longer than the two seconds after which an unanswered client gives up.
    assert!(timeout(Duration::from_secs(7), &mut call).await.is_err(), "it was not held");
    drop(lock);
    call.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oslo_messagings_listener_takes_every_notification() {
    let stage = Stage::new(Kind::Sqlite).await;
    let _worker = stage.worker("w1").start().await;
    let restore_id = stage.record_restore().await;
    stage.call(Request::resource(&restore_id, "volume-1", "started", None)).await;
    stage.call(Request::resource(&restore_id, "volume-1", "error", Some("no space"))).await;
    stage.call(Request::finish(&restore_id, "fail", None)).await;

    let arguments =
        [broker_url(), stage.exchange.clone(), stage.notifications.clone(), "4".to_owned()];
    let printed = run_python("listener.py", &arguments.each_ref().map(String::as_str)).await;

    let mut seen: Vec<_> = printed
        .lines()
        .map(|line| {
            let one: Value = serde_json::from_str(line).expect("a JSON line");
            assert_eq!(one["publisher_id"], "restore-worker.w1");
            assert_eq!(one["payload"]["restore_id"], restore_id);
            assert!(
                one["metadata"]["message_id"].is_string()
                    && one["metadata"]["timestamp"].is_string()
            );
            (one["priority"].to_string(), one["event_type"].to_string())
        })
        .collect();
    seen.sort();
    let expected = [
        ("error", "karbor.restore.error"),
        ("error", "karbor.restore_resource.error"),
        ("info", "karbor.restore.start"),
        ("info", "karbor.restore_resource.start"),
    ];
    assert_eq!(
        seen,
        expected.map(|(priority, event)| (format!("\"{priority}\""), format!("\"{event}\"")))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn karborclient_lists_and_shows_restores() {
    let (stage, worker, _) = Stage::with_worker(Kind::Mysql).await;
    let restore_id = stage.record_restore().await;
    stage.call(Request::resource(&restore_id, "volume-1", "available", None)).await;
    stage.call(Request::resource(&restore_id, "volume-2", "error", Some("no space"))).await;
    stage.call(Request::finish(&restore_id, "success", None)).await;

    run_python("rest_client.py", &[&worker.address().to_string(), PROJECT, &restore_id]).await;
}
