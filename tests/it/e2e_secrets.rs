//! Nothing that a request's context or a restore's arguments hide is ever repeated.

use lapin::BasicProperties;
use rstest::rstest;
use serde_json::json;

use crate::harness::{Kind, Request, SECRETS, Stage, new_id};

#[tokio::test]
async fn no_secret_reaches_log_notification_failure_or_dead_letter_even_at_trace() {
    let stage = Stage::new(Kind::Postgresql).await;
    let worker = stage.worker("w1").set("LOG__FILTER", "trace").start().await;
    let mut notifications = stage.notifications().await;
    let mut dead_letters = stage.dead_letters().await;

    let restore_id = stage.record_restore().await;
    let leaky =
        Some("cannot reach rabbit://nova:SECRET-URL@mq:5672/ with admin_password=SECRET-KEY");
    stage.call(Request::resource(&restore_id, "volume-1", "error", leaky)).await;
    let early = Request::resource(&new_id(), "volume-1", "error", leaky);
    let bad_restore = Request::restore(&new_id()).with_arg("colour", "red");
    stage.cast_all(&[early, bad_restore.clone(), Request::new("explode", json!({}))]).await;
    let broken = bad_restore.bare();
    let broken = &broken[..broken.len() - 1];
    stage.broker.publish(&stage.exchange, &stage.topic, BasicProperties::default(), broken).await;
    let failure = stage.call(bad_restore.clone()).await;
    stage.call(Request::finish(&restore_id, "fail", leaky)).await;

    dead_letters.until("three dead letters", |all| all.len() >= 3).await;
    notifications.until("six notifications", |all| all.len() >= 6).await;
    let metrics = worker.get("/metrics").await.body;
    let log = worker.log();
    assert_eq!(worker.terminate().await.code(), Some(0));

    let text = |bodies: &[crate::harness::Received]| {
        let lines =
            bodies.iter().map(|one| format!("{one:?} {}", String::from_utf8_lossy(&one.body)));
        lines.collect::<Vec<_>>().join("\n")
    };
    let letters = text(dead_letters.so_far());
    let shown = [
        ("log", log),
        ("notifications", text(notifications.so_far())),
        ("failure", text(&[failure])),
        ("metrics", metrics),
    ];
    for secret in SECRETS.iter().chain(&["SECRET-URL", "SECRET-KEY"]) {
        for (place, text) in &shown {
            assert!(!text.contains(secret), "{secret} is in the {place}: {}", around(text, secret));
        }
    }
    // A dead letter is the request itself, parameters included: only credentials are taken out.
    for secret in ["SECRET-TOKEN", "SECRET-CATALOG", "SECRET-TOKEN-INFO", "SECRET-RESTORE-AUTH"] {
        assert!(
            !letters.contains(secret),
            "{secret} is in a dead letter: {}",
            around(&letters, secret)
        );
        let dump = stage.database.dump().await;
        assert!(!dump.contains(secret), "{secret} is in the database: {}", around(&dump, secret));
    }
}

#[rstest]
#[case::of_a_url("http://u:hunter2@host/", "http://u:***@host/")]
#[case::of_a_context(r#"{"restore_auth": "hunter2"}"#, r#"{"***"#)]
#[tokio::test]
async fn names_that_errors_and_notifications_repeat_are_masked_like_reasons(
    #[case] name: &str,
    #[case] masked: &str,
) {
    let stage = Stage::new(Kind::Sqlite).await;
    let worker = stage.worker("w1").set("LOG__FILTER", "trace").start().await;
    let mut notifications = stage.notifications().await;
    let mut dead_letters = stage.dead_letters().await;
    let restore_id = stage.record_restore().await;
    let named = |request: Request| {
        let ids = ["request_id", "user_id", "global_request_id", "project_id"];
        ids.into_iter().fold(request, |request, id| request.with(&format!("_context_{id}"), name))
    };
    let update = || Request::resource(&restore_id, "volume-1", "available", None);

    let mut shown = Vec::new();
    for bad in [
        Request::new(&format!("explode {name}"), json!({})),
        update().with_arg(name, "red"),
        update().with("version", name),
        update().with("namespace", name),
    ] {
        let failure = stage.call(named(bad.clone())).await.failure().to_string();
        shown.push(("failure", failure));
        stage.cast(&named(bad)).await;
        let letter = dead_letters.next("the dead letter").await;
        shown.push(("headers of a dead letter", format!("{:?}", letter.properties)));
    }
    stage.call(named(update())).await;
    let seen = notifications.until("six notifications", |all| all.len() == 6).await;
    let last = seen.iter().find(|one| one.message["payload"]["resource_id"] == "volume-1");
    let last = &last.expect("the update that was good").message;
    for id in ["request_id", "user_id", "global_request_id", "project_id"] {
        assert_eq!(last[format!("_context_{id}")], masked, "the {id} of its context");
    }
    shown.extend(seen.iter().map(|one| ("notification", one.message.to_string())));
    shown.push(("log", worker.log()));
    shown.push(("database", stage.database.dump().await));

    for (place, text) in &shown {
        let text_around = around(text, "hunter2");
        assert!(!text.contains("hunter2"), "it is in the {place}: {text_around}");
    }
}

fn around<'a>(text: &'a str, secret: &str) -> &'a str {
    let at = text.find(secret).unwrap_or(0);
    let (from, to) = (at.saturating_sub(300), (at + 100).min(text.len()));
    text.get(from..to).unwrap_or("(not shown)")
}
