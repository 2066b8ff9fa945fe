//! Updates that come before their restore: they wait in a table and are applied with it.

use lapin::BasicProperties;
use rstest::rstest;
use serde_json::json;

use crate::harness::{Kind, Received, Request, SECRETS, Stage, eventually, new_id};

#[rstest]
#[tokio::test]
async fn an_update_that_comes_before_its_restore_is_applied_with_it(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let (stage, worker, mut notifications) = Stage::with_worker(kind).await;
    let restore_id = new_id();

    let expected = json!([{"resource_type": "OS::Cinder::Volume", "source_id": "volume-0"}]);
    let expect = json!({"restore_id": restore_id, "resources": expected});
    let early = [
        Request::new("expect_resources", expect),
        Request::resource(&restore_id, "volume-1", "available", None)
            .with_arg("source_id", "volume-0"),
        Request::finish(&restore_id, "fail", Some("token=abc of postgres://u:hunter2@db")),
    ];
    stage.cast_all(&early).await;
    let waiting = "SELECT CAST(COUNT(*) AS CHAR(9)) AS text FROM restore_early_updates";
    eventually("all of them wait", || async {
        let count = stage.database.text(waiting).await.unwrap_or_default();
        if count.trim() == "3" { Ok(()) } else { Err(format!("{count}; {}", worker.log())) }
    })
    .await;
    let dump = stage.database.dump().await;
    for secret in SECRETS.iter().chain(&["hunter2"]) {
        assert!(!dump.contains(secret), "{secret} rests in the database");
    }

    stage.cast(&Request::restore(&restore_id)).await;

    // They come by two queues: nothing says which is seen first.
    let is = |one: &Received, event_type: &str| one.message["event_type"] == event_type;
    let both = ["karbor.restore.error", "karbor.restore_resource.end"];
    let seen = |all: &[Received]| both.iter().all(|event| all.iter().any(|one| is(one, event)));
    notifications.until("the fault and the resource's end", seen).await;
    let view = stage.call(Request::new("get_restore", json!({"restore_id": restore_id}))).await;
    let view = &view.message["result"];
    assert_eq!(view["status"], "fail");
    assert_eq!(view["resources_status"], json!({"OS::Cinder::Volume#volume-1": "available"}));
    assert_eq!(view["resources"]["expected"], 1);
    eventually("nothing waits any more", || async {
        let count = stage.database.text(waiting).await.unwrap_or_default();
        if count.trim() == "0" { Ok(()) } else { Err(count) }
    })
    .await;
}

#[tokio::test]
async fn an_early_update_is_judged_by_the_project_of_its_sender() {
    let (stage, _worker, mut notifications) = Stage::with_worker(Kind::Sqlite).await;
    let restore_id = new_id();
    let foreign = Request::resource(&restore_id, "foreign", "error", None)
        .with("_context_is_admin", false)
        .with("_context_project_id", "another-project");
    let own = Request::resource(&restore_id, "own", "error", None).with("_context_is_admin", false);

    stage.cast_all(&[foreign, own, Request::restore(&restore_id)]).await;

    let of = |class: &'static str| move |one: &Received| one.message["event_type"] == class;
    let refused = "karbor.restore_message.error";
    notifications.until("one refused", |all| all.iter().any(of(refused))).await;
    let applied = "karbor.restore_resource.error";
    notifications.until("one applied", |all| all.iter().any(of(applied))).await;
    let view = stage.call(Request::new("get_restore", json!({"restore_id": restore_id}))).await;
    assert_eq!(
        view.message["result"]["resources_status"],
        json!({"OS::Cinder::Volume#own": "error"})
    );
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_too_long_is_dead_lettered_by_one_worker_and_says_how_long(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    // So many that the second worker looks while the first is still giving up.
    const UPDATES: usize = 300;
    let stage = Stage::new(kind).await;
    let start = |name| stage.worker(name).set("EARLY_UPDATES__MAX_AGE_S", "3").start();
    let (first, second) = tokio::join!(start("w1"), start("w2"));
    let mut letters = stage.dead_letters().await;
    let early = |_| Request::resource(&new_id(), "volume-1", "available", None);
    stage.cast_all(&(0..UPDATES).map(early).collect::<Vec<_>>()).await;

    letters.until("a dead letter for each", |all| all.len() >= UPDATES).await;
    eventually("nothing waits any more", || async {
        let waiting = "SELECT CAST(COUNT(*) AS CHAR(9)) AS text FROM restore_early_updates";
        let count = stage.database.text(waiting).await.unwrap_or_default();
        if count.trim() == "0" { Ok(()) } else { Err(count) }
    })
    .await;
    // Each ends what it has begun; what they sent stands in the queue before what is sent now.
    for worker in [first, second] {
        assert_eq!(worker.terminate().await.code(), Some(0));
    }
    let (queue, properties) = (stage.dead_letter_queue(), BasicProperties::default());
    stage.broker.publish("", &queue, properties, b"the last").await;
    let all = letters.until("the last", |all| all.iter().any(|one| one.body == b"the last")).await;

    assert_eq!(all.len(), UPDATES + 1);
    for letter in &all[..UPDATES] {
        assert_eq!(letter.header("error").as_deref(), Some("RestoreNotFound"));
        let reason = letter.header("reason").unwrap_or_default();
        assert!(reason.contains("waited for it longer than 3 s"), "{reason}");
    }
}

#[rstest]
#[tokio::test]
async fn what_waits_too_long_is_dead_lettered_as_not_found(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let stage = Stage::new(kind).await;
    let _worker = stage.worker("w1").set("EARLY_UPDATES__MAX_AGE_S", "1").start().await;
    let mut notifications = stage.notifications().await;
    let mut dead_letters = stage.dead_letters().await;
    let restore_id = new_id();
    let lost = Request::resource(&restore_id, "volume-1", "error", Some("token=abc"));

    stage.cast(&lost).await;

    let letter = dead_letters.next("the dead letter").await;
    assert_eq!(letter.header("error").as_deref(), Some("RestoreNotFound"));
    assert_eq!(letter.header("method").as_deref(), Some("update_resource_status"));
    assert_eq!(letter.header("message_unique_id").as_deref(), Some(lost.unique_id()));
    assert_eq!(letter.header("queue").as_deref(), Some(stage.topic.as_str()));
    assert_eq!(letter.message["args"]["restore_id"], restore_id);
    assert_eq!(letter.message["args"]["reason"], "token=***");
    let text = String::from_utf8_lossy(&letter.body).into_owned();
    assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "{text}");
    let alarm = notifications.next("its notification").await;
    assert_eq!(alarm.message["event_type"], "karbor.restore_message.error");
    assert_eq!(alarm.message["payload"]["message_unique_id"], lost.unique_id());

    // It waits no more: its restore comes too late.
    eventually("nothing waits", || async {
        let count = stage.database.count("restore_early_updates").await;
        if count == 0 { Ok(()) } else { Err(count.to_string()) }
    })
    .await;
    stage.call(Request::restore(&restore_id)).await;
    assert_eq!(stage.view(&restore_id).await["resources_status"], json!({}));
}
