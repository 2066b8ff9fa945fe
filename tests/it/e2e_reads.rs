//! What a reader sees: its own writes, no deleted restore, and plain words when nothing can be read.

use rstest::rstest;
use serde_json::json;

use crate::harness::{Kind, PROJECT, Proxy, Request, Stage, eventually, new_id, proxied};

#[rstest]
#[tokio::test]
async fn a_worker_reads_after_the_writes_that_it_took_before(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let (stage, _worker, _) = Stage::with_worker(kind).await;
    let restore_id = stage.record_restore().await;
    let (reply_q, mut replies) = stage.broker.reply_queue().await;

    // Writes are held up, reads are not: one that did not wait would answer without them.
    let lock = stage.database.lock().await;
    for n in 0..30 {
        let update = Request::resource(&restore_id, &format!("volume-{n}"), "available", None);
        stage.cast(&update).await;
        let ask = Request::new("get_restore", json!({"restore_id": restore_id}));
        stage.cast(&ask.call(&reply_q, &format!("after-{n}"), None)).await;
    }
    stage.broker.until_depth(&stage.topic, (0, 1)).await;
    drop(lock);

    for reply in replies.until("30 answers", |all| all.len() == 30).await {
        let n = reply.message["_msg_id"].as_str().and_then(|id| id.strip_prefix("after-"));
        let n: u64 = n.and_then(|n| n.parse().ok()).expect("one of ours");
        let seen = reply.message["result"]["resources"]["available"].as_u64();
        assert!(seen > Some(n), "{seen:?} after {}", n + 1);
    }
}

#[rstest]
#[tokio::test]
async fn an_answered_write_is_seen_through_every_worker(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let (stage, _first, _) = Stage::with_worker(kind).await;
    let _second = stage.worker("w2").start().await;
    let restore_id = stage.record_restore().await;
    let through = |worker: &str| format!("{}.{worker}", stage.topic);

    for n in 1..=20 {
        let update = Request::resource(&restore_id, &format!("volume-{n}"), "available", None);
        stage.broker.call(&stage.exchange, &through("w1"), update).await;
        let ask = Request::new("get_restore", json!({"restore_id": restore_id}));
        let reply = stage.broker.call(&stage.exchange, &through("w2"), ask).await;
        assert_eq!(reply.message["result"]["resources"]["available"], n);
    }
}

#[rstest]
#[tokio::test]
async fn a_deleted_restore_is_not_found_by_a_call(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let (stage, _worker, _) = Stage::with_worker(kind).await;
    let restore_id = stage.record_restore().await;
    assert_eq!(stage.view(&restore_id).await["id"], restore_id);

    let delete = format!("UPDATE restores SET deleted = TRUE WHERE id = '{restore_id}'");
    stage.database.execute(&delete).await;

    let ask = Request::new("get_restore", json!({"restore_id": restore_id}));
    let failure = stage.call(ask).await.failure();
    assert_eq!(failure["class"], "RestoreNotFound");
    assert_eq!(failure["kwargs"], json!({"restore_id": restore_id, "code": 404}));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_answers_503_while_the_database_is_away(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let stage = Stage::new(kind).await;
    let proxy = Proxy::start(&proxied::server(stage.database.url())).await;
    let url = proxied::url(stage.database.url(), &proxy);
    let worker = stage.worker("w1").set("DATABASE__URL", url).start().await;
    let restore_id = stage.record_restore().await;

    proxy.refuse();
    let list = format!("/v1/{PROJECT}/restores");
    let one = format!("{list}/{restore_id}");
    for path in [list, format!("{one}/resources"), format!("{one}/events"), one.clone()] {
        let answer = worker.get(&path).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.body);
        assert_eq!(answer.json()["serviceUnavailable"]["code"], 503, "{path}");
        let head = answer.head.to_ascii_lowercase();
        assert!(head.contains("\r\nretry-after: 2"), "{path}: {head}");
    }

    proxy.restore();
    eventually("it answers again", || async {
        let answer = worker.get(&one).await;
        if answer.status == 200 { Ok(()) } else { Err(answer.body) }
    })
    .await;
    let missing = worker.get(&format!("/v1/{PROJECT}/restores/{}", new_id())).await;
    assert_eq!(missing.status, 404);
}
