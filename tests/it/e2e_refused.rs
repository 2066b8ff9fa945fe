//! A message that the database refuses: found within its batch, kept, and harmful to no other.

use lapin::types::ShortString;
use rstest::rstest;
use serde_json::json;

use crate::harness::{Kind, Received, Request, Stage};

/// What no error text may repeat: a value that the database saw.
const VALUE: &str = "a-value-of-the-message";

#[rstest]
#[tokio::test]
async fn a_batch_is_halved_down_to_the_message_that_the_database_refuses(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let (stage, worker, mut notifications) = Stage::with_worker(kind).await;
    let mut dead_letters = stage.dead_letters().await;
    let restore_id = stage.record_restore().await;
    stage.database.refuse_resource("poison").await;
    let poison = Request::resource(&restore_id, "poison", "error", Some(VALUE));

    // What comes while the database is held up is one batch.
    let lock = stage.database.lock().await;
    let update = |n| Request::resource(&restore_id, &format!("volume-{n}"), "available", None);
    let mut requests: Vec<_> = (0..40).map(update).collect();
    requests.insert(23, poison.clone());
    stage.cast_all(&requests).await;
    stage.broker.until_depth(&stage.topic, (0, 1)).await;
    drop(lock);

    let letter = dead_letters.next("the one that is refused").await;
    assert_eq!(letter.header("error").as_deref(), Some("InternalError"));
    assert_eq!(letter.header("message_unique_id").as_deref(), Some(poison.unique_id()));
    assert_eq!(letter.message["args"]["resource_id"], "poison");
    stage.until_available(&restore_id, 40).await;
    let is_alarm = |one: &Received| one.message["event_type"] == "karbor.restore_message.error";
    notifications.until("its notification", |all| all.iter().any(is_alarm)).await;
    let view = stage.view(&restore_id).await;
    assert_eq!(view["resources_status"].as_object().map(serde_json::Map::len), Some(40));
    assert!(worker.log().contains("halving it"), "{}", worker.log());

    // A caller is told, and what it said is kept all the same.
    let call = poison.with("_unique_id", "another-copy");
    let failure = stage.call(call).await.failure();
    assert_eq!(failure["class"], "InternalError");
    assert_eq!(failure["module"], "karbor_restore_worker.exception");
    let kept = dead_letters.next("the call").await;
    assert_eq!(kept.header("message_unique_id").as_deref(), Some("another-copy"));
    let letters = dead_letters.so_far();
    let ids: Vec<_> = letters
        .iter()
        .map(|letter| letter.properties.message_id().as_ref().map(ShortString::to_string))
        .collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");

    let texts = [letter.header("reason"), kept.header("reason"), Some(failure.to_string())];
    for text in texts.into_iter().flatten().chain([worker.log()]) {
        assert!(!text.contains(VALUE), "{text}");
    }
    let reply = stage.call(Request::resource(&restore_id, "volume-0", "error", None)).await;
    assert_eq!(reply.message["result"], json!({"outcome": "applied", "status": "error"}));
}
