//! What somebody deletes on the broker under a running worker, whose connections all stand: it is
//! declared and bound again.

use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use rstest::rstest;
use serde_json::json;

use crate::harness::{Kind, Request, Stage, broker_control, eventually};

#[derive(Debug, Clone, Copy)]
enum Deleted {
    ControlExchange,
    RequestBinding,
}

async fn delete(stage: &Stage, deleted: Deleted) {
    let channel = stage.broker.channel().await;
    let (exchange, topic) = (stage.exchange.as_str(), stage.topic.as_str());
    match deleted {
        Deleted::ControlExchange => {
            let options = ExchangeDeleteOptions::default();
            channel.exchange_delete(exchange.into(), options).await.expect("it is deleted");
        }
        Deleted::RequestBinding => {
            let (queue, exchange, key) = (topic.into(), exchange.into(), topic.into());
            let unbound = channel.queue_unbind(queue, exchange, key, FieldTable::default()).await;
            unbound.expect("it is unbound");
        }
    }
}

/// Waits until `queue` is bound to the control exchange.
async fn bound(stage: &Stage, queue: &str) {
    let binding = format!("{}\t{queue}", stage.exchange);
    eventually("it is bound", || async {
        let list = broker_control(&["list_bindings", "source_name", "destination_name"]).await;
        if list.lines().any(|line| line == binding) { Ok(()) } else { Err(list) }
    })
    .await;
}

#[rstest]
#[tokio::test]
async fn casts_arrive_again_though_somebody_deleted_what_they_go_through(
    #[values(Deleted::ControlExchange, Deleted::RequestBinding)] deleted: Deleted,
) {
    let (stage, worker, mut notifications) = Stage::with_worker(Kind::Sqlite).await;
    let restore_id = stage.record_restore().await;

    delete(&stage, deleted).await;
    let update = Request::resource(&restore_id, "volume-1", "available", None);
    stage.broker.publish_until_taken(&stage.exchange, &stage.topic, &[update.body()]).await;

    stage.until_available(&restore_id, 1).await;
    for queue in stage.request_queues().iter().chain(&stage.notification_queues()) {
        bound(&stage, queue).await;
    }
    stage.call(Request::finish(&restore_id, "success", None)).await;
    notifications.of_restore(&restore_id, "karbor.restore.end").await;
    assert!(!worker.log().contains("is lost"), "{}", worker.log());
}

#[tokio::test]
async fn a_notification_queue_that_somebody_deleted_is_there_again() {
    let (stage, worker, notifications) = Stage::with_worker(Kind::Sqlite).await;
    drop(notifications);
    let [info, ..] = stage.notification_queues();

    let channel = stage.broker.channel().await;
    channel.queue_delete(info.as_str().into(), QueueDeleteOptions::default()).await.expect("gone");

    bound(&stage, &info).await;
    let restore_id = stage.record_restore().await;
    stage.notifications().await.of_restore(&restore_id, "karbor.restore.start").await;
    assert!(!worker.log().contains("is lost"), "{}", worker.log());
}

#[tokio::test]
async fn a_dead_letter_waits_for_its_queue_that_somebody_deleted() {
    let (stage, _worker, _) = Stage::with_worker(Kind::Sqlite).await;
    let queue = stage.dead_letter_queue();
    let channel = stage.broker.channel().await;
    let options = QueueDeleteOptions::default();
    channel.queue_delete(queue.as_str().into(), options).await.expect("gone");

    let bad = Request::new("update_resource_status", json!({}));
    stage.cast(&bad).await;

    stage.broker.until_depth(&queue, (1, 0)).await;
    let letter = stage.dead_letters().await.next("the letter").await;
    assert_eq!(letter.header("message_unique_id").as_deref(), Some(bad.unique_id()));
}
