//! A queue that refuses what the worker publishes: `/readyz` says so for as long as it lasts.

use rstest::rstest;
use serde_json::json;

use crate::harness::{Kind, Request, Stage, Worker, broker_control};

/// From now on `queue` refuses all.
async fn fill(queue: &str) {
    let (pattern, full) = (format!("^{queue}$"), r#"{"max-length":0,"overflow":"reject-publish"}"#);
    broker_control(&["set_policy", "--apply-to", "queues", queue, &pattern, full]).await;
}

/// The worker says that `queue` refuses, and no longer once that takes messages again.
async fn assert_not_ready_until_it_takes(queue: &str, worker: &Worker) {
    let said = worker.not_ready().await;
    assert!(said.contains("publications: ") && said.contains(queue), "{said}");
    broker_control(&["clear_policy", queue]).await;
    worker.ready().await;
}

#[tokio::test]
async fn the_worker_is_not_ready_while_an_events_notification_is_refused() {
    let (stage, worker, mut notifications) = Stage::with_worker(Kind::Sqlite).await;
    let [queue, ..] = stage.notification_queues();
    fill(&queue).await;
    let restore_id = stage.record_restore().await;
    assert_not_ready_until_it_takes(&queue, &worker).await;
    notifications.of_restore(&restore_id, "karbor.restore.start").await;
}

#[rstest]
#[case::a_dead_letter(|stage: &Stage| stage.dead_letter_queue())]
#[case::its_notification(|stage: &Stage| stage.notification_queues()[2].clone())]
#[tokio::test]
async fn the_worker_is_not_ready_while_a_queue_refuses(#[case] full: fn(&Stage) -> String) {
    let (stage, worker, _notifications) = Stage::with_worker(Kind::Sqlite).await;
    let queue = full(&stage);
    fill(&queue).await;
    let bad = [(); 3].map(|()| Request::new("update_resource_status", json!({})));
    for bad in &bad {
        stage.cast(bad).await;
    }
    assert_not_ready_until_it_takes(&queue, &worker).await;
    let mut letters = stage.dead_letters().await;
    for _ in bad {
        letters.next("a letter").await;
    }
}
