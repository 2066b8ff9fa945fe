//! What outlives a restart of the broker, with a durable exchange and with oslo.messaging's default.

use std::collections::BTreeSet;

use crate::harness::{Kind, RabbitNode, Received, Request, Stage, Worker, eventually, transition};

fn updates(restore_id: &str, numbers: std::ops::Range<usize>) -> Vec<Request> {
    let update = |n| Request::resource(restore_id, &format!("volume-{n}"), "available", None);
    numbers.map(update).collect()
}

async fn restart(node: &mut RabbitNode, stage: &mut Stage) {
    node.restart().await;
    stage.broker = node.client().await;
}

/// Waits until the worker's connections are new ones.
async fn connected_again(worker: &Worker, times: usize) {
    eventually("the worker is back", || async {
        let log = worker.log();
        let count = log.matches("connected to the broker again").count();
        // Requests, answers and notifications.
        if count == 3 * times { Ok(()) } else { Err(format!("{count}: {log}")) }
    })
    .await;
    worker.ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_durable_exchange_every_confirmed_cast_outlives_the_broker() {
    let mut node = RabbitNode::start().await;
    let mut stage = Stage::on(&node.url(), Kind::Postgresql).await;
    let start = |stage: &Stage| stage.worker("w1").set("MESSAGING__AMQP_DURABLE_QUEUES", "true");
    let worker = start(&stage).start().await;
    let restore_id = stage.record_restore().await;
    assert_eq!(worker.terminate().await.code(), Some(0));

    // No worker is there, before the restart and after it.
    stage.cast_all(&updates(&restore_id, 0..20)).await;
    restart(&mut node, &mut stage).await;
    stage.cast_all(&updates(&restore_id, 20..40)).await;
    let worker = start(&stage).start().await;
    stage.until_available(&restore_id, 40).await;

    // A worker holds them, and others wait.
    let lock = stage.database.lock().await;
    stage.cast_all(&updates(&restore_id, 40..60)).await;
    restart(&mut node, &mut stage).await;
    stage.cast_all(&updates(&restore_id, 60..80)).await;
    drop(lock);
    connected_again(&worker, 1).await;
    stage.until_available(&restore_id, 80).await;

    // The queues of notifications are durable too.
    let mut notifications = stage.notifications().await;
    let all = |all: &[Received]| all.iter().map(transition).collect::<BTreeSet<_>>().len() == 81;
    notifications.until("each transition", all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_default_exchange_what_waits_outlives_the_broker_and_all_is_declared_again() {
    let mut node = RabbitNode::start().await;
    let mut stage = Stage::on(&node.url(), Kind::Sqlite).await;
    let worker = stage.worker("w1").start().await;
    let restore_id = stage.record_restore().await;
    assert_eq!(worker.terminate().await.code(), Some(0));

    stage.cast_all(&updates(&restore_id, 0..20)).await;
    restart(&mut node, &mut stage).await;
    assert_eq!(stage.broker.depth(&stage.topic).await, Some((20, 0)));
    let worker = stage.worker("w1").start().await;
    stage.until_available(&restore_id, 20).await;

    // What clients need is there again, after a restart under the worker's eyes too.
    stage.cast_all(&updates(&restore_id, 20..30)).await;
    stage.until_available(&restore_id, 30).await;
    restart(&mut node, &mut stage).await;
    connected_again(&worker, 1).await;
    stage.cast_all(&updates(&restore_id, 30..40)).await;
    stage.until_available(&restore_id, 40).await;
    let mut notifications = stage.notifications().await;
    stage.call(Request::finish(&restore_id, "success", None)).await;
    let is_end = |one: &Received| one.message["event_type"] == "karbor.restore.end";
    notifications.until("the end", |all| all.iter().any(is_end)).await;
}
