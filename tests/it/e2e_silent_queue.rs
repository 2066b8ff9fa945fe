//! What a worker does when one of its queues gives no answer to a consumer: it goes without it.

use lapin::options::QueueDeleteOptions;

use crate::harness::{
    Kind, Request, SilentQueue, Stage, Worker, broker_control, eventually, new_id,
};

/// A worker that ran once, and the queue that it left: its own.
async fn own_queue(stage: &Stage) -> String {
    assert!(stage.worker("w1").start().await.terminate().await.success());
    format!("{}.w1", stage.topic)
}

async fn names_in_readyz(worker: &Worker, queue: &str) {
    let words = format!("no answer from queue `{queue}`");
    eventually("the silent queue is in `/readyz`", || async {
        let body = worker.not_ready().await;
        if body.contains(&words) { Ok(()) } else { Err(body) }
    })
    .await;
}

/// Casts an update by a routing key, and waits until so many are applied.
async fn applies(stage: &Stage, key: &str, restore_id: &str, count: usize) {
    let update = Request::resource(restore_id, &format!("volume-{count}"), "available", None);
    stage.broker.cast(&stage.exchange, key, &update).await;
    stage.until_available(restore_id, count).await;
}

#[tokio::test]
async fn a_queue_that_does_not_answer_holds_up_no_other_and_is_consumed_once_it_does() {
    let stage = Stage::new(Kind::Sqlite).await;
    let own = own_queue(&stage).await;
    let silent = SilentQueue::make(&own).await;
    // There before the worker is: a consumer that RabbitMQ leaves stuck must not have taken it.
    let restore_id = new_id();
    stage.cast(&Request::restore(&restore_id)).await;

    let worker = stage.worker("w1").spawn();
    names_in_readyz(&worker, &own).await;
    let status = format!("SELECT status AS text FROM restores WHERE id = '{restore_id}'");
    eventually("the restore is recorded", || async {
        stage.database.text(&status).await.ok_or_else(|| "no row".to_owned())
    })
    .await;
    applies(&stage, &stage.topic, &restore_id, 1).await;

    drop(silent);
    worker.ready().await;
    applies(&stage, &own, &restore_id, 2).await;
    applies(&stage, &stage.topic, &restore_id, 3).await;
    let log = worker.log();
    for words in ["this queue does not answer", "this queue answers now"] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(words)).collect();
        assert!(lines.len() == 1 && lines[0].contains(&own), "{lines:?}");
    }
    assert!(log.contains("rabbitmq-queues quorum_status"), "{log}");
    for words in ["cannot connect", "is lost"] {
        assert!(!log.contains(words), "{words}");
    }
}

#[tokio::test]
async fn a_worker_ends_in_order_while_it_asks_a_queue_that_does_not_answer() {
    let stage = Stage::new(Kind::Sqlite).await;
    let own = own_queue(&stage).await;
    let _silent = SilentQueue::make(&own).await;
    // No other worker of any test has this number.
    let heartbeat = ("MESSAGING__HEARTBEAT_TIMEOUT_THRESHOLD_S", "53");
    let worker = stage.worker("w1").set(heartbeat.0, heartbeat.1).spawn();
    names_in_readyz(&worker, &own).await;
    eventually("it asks on a connection of its own", || async {
        let list = broker_control(&["list_connections", "timeout", "client_properties"]).await;
        let is_there = |line: &str| line.starts_with("53\t") && line.contains("requests-beside");
        if list.lines().any(is_there) { Ok(()) } else { Err(list) }
    })
    .await;

    assert!(worker.terminate().await.success());
}

#[tokio::test]
async fn a_queue_without_a_leader_is_made_anew_once_it_was_deleted() {
    let stage = Stage::new(Kind::Sqlite).await;
    let own = own_queue(&stage).await;
    lose_leader(&own).await;
    let worker = stage.worker("w1").spawn();
    names_in_readyz(&worker, &own).await;
    let restore_id = stage.record_restore().await;

    let channel = stage.broker.channel().await;
    channel.queue_delete(own.as_str().into(), QueueDeleteOptions::default()).await.expect("gone");

    worker.ready().await;
    applies(&stage, &own, &restore_id, 1).await;
}

/// What RabbitMQ does with a queue whose Raft server was not on disk when its node was killed: it
/// starts one from nothing, which elects no leader.
async fn lose_leader(queue: &str) {
    let start = format!(
        "Name = list_to_atom(\"%2F_{queue}\"), Id = {{Name, node()}},
         Queue = rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>),
         ok = ra:force_delete_server(quorum_queues, Id),
         Handler = {{rabbit_quorum_queue, become_leader, [Queue]}},
         Machine = #{{name => Name, queue_resource => Queue, become_leader_handler => Handler}},
         ra:start_server(quorum_queues, atom_to_list(Name), Id, {{module, rabbit_fifo, Machine}}, [Id])."
    );
    assert_eq!(broker_control(&["eval", &start]).await.trim(), "ok");
}
