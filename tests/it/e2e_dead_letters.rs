//! What happens to messages that cannot be served and that nobody waits for.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde_json::{Value, json};

use crate::harness::{Kind, Received, Request, Stage, new_id};

fn properties() -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("origin".into(), AMQPValue::LongString("plugin".into()));
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_priority(3)
        .with_correlation_id("correlation-1".into())
        .with_expiration("3600000".into())
        .with_message_id("theirs".into())
        .with_headers(headers)
}

fn is_alarm(one: &Received) -> bool {
    one.message["event_type"] == "karbor.restore_message.error"
}

#[tokio::test]
async fn a_bad_cast_is_kept_with_its_properties_and_without_its_secrets() {
    let (stage, _worker, mut notifications) = Stage::with_worker(Kind::Sqlite).await;
    let mut dead_letters = stage.dead_letters().await;
    let bad = Request::restore(&new_id()).with_arg("colour", "red");

    stage.broker.publish(&stage.exchange, &stage.topic, properties(), &bad.body()).await;
    let letter = dead_letters.next("the dead letter").await;

    let mut expected: Value = serde_json::from_slice(&bad.bare()).expect("JSON");
    for secret in ["_context_auth_token", "_context_auth_token_info", "_context_service_catalog"] {
        expected[secret] = Value::Null;
    }
    expected["args"]["restore_auth"] = Value::Null;
    assert_eq!(letter.message, expected);
    let outer: Value = serde_json::from_slice(&letter.body).expect("JSON");
    assert_eq!(outer["oslo.version"], "2.0");

    assert_eq!(letter.header("error").as_deref(), Some("TypeError"));
    assert_eq!(letter.header("method").as_deref(), Some("restore"));
    assert_eq!(letter.header("message_unique_id").as_deref(), Some(bad.unique_id()));
    assert_eq!(letter.header("queue").as_deref(), Some(stage.topic.as_str()));
    assert!(letter.header("reason").is_some_and(|reason| reason.contains("colour")));
    assert_eq!(letter.header("origin").as_deref(), Some("plugin"));
    assert_eq!(*letter.properties.priority(), Some(3));
    assert_eq!(
        letter.properties.correlation_id().as_ref().map(ShortString::as_str),
        Some("correlation-1")
    );
    assert_eq!(*letter.properties.expiration(), None);

    let alarm = notifications.next("its notification").await;
    assert!(is_alarm(&alarm), "{}", alarm.message);
    assert_eq!(alarm.message["priority"], "ERROR");
    let message_id = letter.properties.message_id().as_ref().map(ShortString::as_str);
    assert_eq!(alarm.message["message_id"].as_str(), message_id);
    let payload = &alarm.message["payload"];
    assert_eq!(payload["error"], "TypeError");
    assert_eq!(payload["method"], "restore");
    assert_eq!(payload["message_unique_id"], bad.unique_id());
    assert_eq!(payload["dead_letter_queue"], stage.dead_letter_queue());
    assert!(payload["message"].as_str().is_some_and(|text| text.contains("colour")));
}

#[tokio::test]
async fn a_body_that_does_not_parse_is_kept_as_a_digest_and_blanked_from_the_first_secret_on() {
    let (stage, _worker, mut notifications) = Stage::with_worker(Kind::Sqlite).await;
    let mut dead_letters = stage.dead_letters().await;
    let body = br#"{"method": "restore", "_context_auth_token": "SECRET-TOKEN", "#;

    stage.broker.publish(&stage.exchange, &stage.topic, properties(), body).await;
    let restore_id = stage.record_restore().await;

    let letter = dead_letters.next("the dead letter").await;
    assert_eq!(letter.header("error").as_deref(), Some("MalformedMessage"));
    let text = String::from_utf8_lossy(&letter.body);
    assert!(!text.contains("SECRET-TOKEN"), "{text}");
    assert!(text.contains(&body.len().to_string()), "{text}");
    // The message behind it was served all the same.
    let all = notifications.until("both notifications", |all| all.len() >= 2).await;
    assert_eq!(all.iter().filter(|one| is_alarm(one)).count(), 1);
    assert!(all.iter().any(|one| one.message["payload"]["restore_id"] == restore_id));
}

#[tokio::test]
async fn every_kind_of_bad_cast_is_dead_lettered_with_its_class() {
    let (stage, _worker, mut notifications) = Stage::with_worker(Kind::Postgresql).await;
    let mut dead_letters = stage.dead_letters().await;
    let known = stage.record_restore().await;
    let unknown = new_id();
    let update = |status: &str| Request::resource(&known, "volume-1", status, None);
    let foreign =
        update("error").with("_context_is_admin", false).with("_context_project_id", "p2");
    let nameless = update("error").with("_unique_id", "x".repeat(256));

    let cases = [
        (update("no such status").body(), "InvalidInput"),
        (Request::resource(&unknown, "volume-1", "no such", None).body(), "InvalidInput"),
        (foreign.body(), "RestoreNotFound"),
        (Request::new("get_restore", json!({"restore_id": unknown})).body(), "RestoreNotFound"),
        (Request::new("explode", json!({})).body(), "NoSuchMethod"),
        (update("error").with("version", "1.2").body(), "UnsupportedVersion"),
        (update("error").call("evil", "call-1", None).body(), "MalformedMessage"),
        (nameless.body(), "MalformedMessage"),
        (b"\xff\xfe".to_vec(), "MalformedMessage"),
        (b"[]".to_vec(), "MalformedMessage"),
        (b"".to_vec(), "MalformedMessage"),
        (br#"{"oslo.version": "3.0", "oslo.message": "{}"}"#.to_vec(), "MalformedMessage"),
        (vec![b' '; 1024 * 1024 + 1], "MalformedMessage"),
        ([b"[".repeat(20_000), b"]".repeat(20_000)].concat(), "MalformedMessage"),
    ];
    for (body, class) in &cases {
        stage.broker.publish(&stage.exchange, &stage.topic, properties(), body).await;
        let letter = dead_letters.next(class).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(300)]);
        assert_eq!(letter.header("error").as_deref(), Some(*class), "{shown}");
    }

    let count = cases.len();
    notifications
        .until("an alarm each", |all| all.iter().filter(|one| is_alarm(one)).count() == count)
        .await;
    let view = stage.call(Request::new("get_restore", json!({"restore_id": known}))).await;
    assert_eq!(view.message["result"]["resources_status"], json!({}), "nothing was applied");
}

#[tokio::test]
async fn the_same_bad_message_has_the_same_message_id_each_time() {
    let (stage, _worker, _) = Stage::with_worker(Kind::Sqlite).await;
    let mut dead_letters = stage.dead_letters().await;
    for _ in 0..2 {
        stage.broker.publish(&stage.exchange, &stage.topic, properties(), b"garbage").await;
    }
    let first = dead_letters.next("the first").await;
    let second = dead_letters.next("the second").await;
    assert!(first.properties.message_id().is_some());
    assert_eq!(first.properties.message_id(), second.properties.message_id());
}
