//! Answers that are not taken at once: their connection is lost, or their caller's is.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use serde_json::json;

use crate::harness::{
    Inbox, Kind, Proxy, Request, Stage, Trap, Worker, broker_url, eventually, new_id, proxied,
};

/// A caller's absence: longer than an answer is offered where nobody's connection was lost.
const ABSENCE: Duration = Duration::from_secs(3);

/// More than an answer is offered at once.
const CUTS: usize = 6;

/// A worker that reaches the broker through the proxy.
async fn through_proxy(stage: &Stage) -> (Proxy, Worker) {
    let proxy = Proxy::start(&proxied::server(&broker_url())).await;
    let url = proxied::url(&broker_url(), &proxy);
    let worker = stage.worker("w1").set("MESSAGING__TRANSPORT_URL", url).start().await;
    (proxy, worker)
}

#[tokio::test]
async fn an_answer_whose_connection_is_lost_again_and_again_reaches_its_caller() {
    let stage = Stage::new(Kind::Sqlite).await;
    let (proxy, worker) = through_proxy(&stage).await;
    let restore_id = stage.record_restore().await;
    let (reply_q, mut replies) = stage.broker.reply_queue().await;
    let msg_id = new_id();

    // The answer alone names it to the broker: the requests' connection stays.
    proxy.trap(Trap::Cut, &msg_id);
    let update = Request::resource(&restore_id, "volume-1", "available", None);
    stage.cast(&update.call(&reply_q, &msg_id, None)).await;
    eventually("the answer meets cuts", || async {
        if proxy.sprung() >= CUTS { Ok(()) } else { Err(worker.log()) }
    })
    .await;
    proxy.disarm();

    let reply = replies.next("the answer").await;
    assert_eq!(reply.message["result"], json!({"outcome": "applied", "status": "available"}));
}

#[tokio::test]
async fn an_answer_waits_for_a_caller_that_lost_its_connection_with_the_worker() {
    let stage = Stage::new(Kind::Sqlite).await;
    let (proxy, worker) = through_proxy(&stage).await;
    let restore_id = stage.record_restore().await;
    proxy.cut();
    eventually("answers have a connection again", || async {
        let log = worker.log();
        let again = "connected to the broker again connection=\"answers\"";
        if log.contains(again) { Ok(()) } else { Err(log) }
    })
    .await;

    // The caller's queue went with its connection.
    let reply_q = format!("reply_{}", new_id().replace('-', ""));
    let update = Request::resource(&restore_id, "volume-1", "available", None);
    stage.cast(&update.call(&reply_q, &new_id(), None)).await;
    stage.until_available(&restore_id, 1).await;
    tokio::time::sleep(ABSENCE).await;
    let options = QueueDeclareOptions { auto_delete: true, ..Default::default() };
    let channel = stage.broker.channel().await;
    let declared = channel.queue_declare(reply_q.as_str().into(), options, FieldTable::default());
    declared.await.expect("own queue");

    let reply = Inbox::open(&stage.broker, &[&reply_q]).await.next("the answer").await;
    assert_eq!(reply.message["result"], json!({"outcome": "applied", "status": "available"}));
}
