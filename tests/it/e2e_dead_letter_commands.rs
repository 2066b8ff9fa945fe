//! `dead-letters list | show | replay | purge`, by the built binary against a real broker.

use std::process::Output;

use karbor_restore_worker::transport::Transport as _;
use karbor_restore_worker::transport::rabbit::{RabbitOptions, RabbitTransport};
use serde_json::{Value, json};

use crate::harness::{
    Kind, Request, SECRETS, Stage, WorkerBuilder, broker_url, eventually, new_id, oslo_properties,
};

/// Runs a command of `dead-letters` to its end.
async fn run(stage: &Stage, arguments: &[&str]) -> Output {
    let arguments = [&["dead-letters"], arguments].concat();
    stage.worker("operator").run(&arguments).await
}

/// The same, well ended: its JSON.
async fn json_of(stage: &Stage, arguments: &[&str]) -> Value {
    let output = run(stage, &[arguments, &["--output", "json"]].concat()).await;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Waits until so many letters wait in the queue.
async fn until_letters(stage: &Stage, count: u32) {
    stage.broker.until_depth(&stage.dead_letter_queue(), (count, 0)).await;
}

/// A worker that knows one more word for `available`.
fn corrected(stage: &Stage) -> WorkerBuilder {
    stage.worker("w2").set("STATUSES__ALIASES__BAKED", "available")
}

fn baked(restore_id: &str, n: usize) -> Request {
    Request::resource(restore_id, &format!("volume-{n}"), "baked", None)
}

/// Three bad casts, one after the other; gives the restore and the requests that parse.
async fn three_letters(stage: &Stage) -> (String, [Request; 2]) {
    let restore_id = stage.record_restore().await;
    let update = Request::resource(&restore_id, "volume-1", "no such", None)
        .with_arg("reason", "http://u:SECRET-PASSWORD@h");
    let restore = Request::restore(&new_id()).with_arg("colour", "red");
    stage.cast(&update).await;
    until_letters(stage, 1).await;
    stage.cast(&restore).await;
    until_letters(stage, 2).await;
    let garbage = br#"{"password": "SECRET-PASSWORD", broken"#;
    stage.broker.publish(&stage.exchange, &stage.topic, oslo_properties(), garbage).await;
    until_letters(stage, 3).await;
    (restore_id, [update, restore])
}

#[tokio::test]
async fn letters_are_listed_and_shown_and_stay_where_they_are() {
    let (stage, _worker, _) = Stage::with_worker(Kind::Sqlite).await;
    let (restore_id, [update, restore]) = three_letters(&stage).await;

    let listed = json_of(&stage, &["list"]).await;
    let errors: Vec<_> =
        listed["letters"].as_array().unwrap().iter().map(|l| &l["error"]).collect();
    assert_eq!(errors, ["InvalidInput", "TypeError", "MalformedMessage"], "oldest first");
    assert_eq!(
        listed["counts"],
        json!({"looked_at": 3, "selected": 3,
               "by_error": {"InvalidInput": 1, "TypeError": 1, "MalformedMessage": 1}})
    );
    let first = &listed["letters"][0];
    assert_eq!(first["restore_id"], restore_id);
    assert_eq!(first["message_unique_id"], update.unique_id());
    assert_eq!(first["method"], "update_resource_status");
    assert_eq!((&first["queue"], &first["has_message"]), (&json!(stage.topic), &json!(true)));
    assert!(first["dead_lettered_at"].is_string());
    assert_eq!(listed["letters"][2]["has_message"], false);

    let message_id = first["message_id"].as_str().unwrap();
    for (arguments, expected) in [
        (vec!["--error", "TypeError"], 1),
        (vec!["--method", "restore"], 1),
        (vec!["--restore", &restore_id], 1),
        (vec![message_id, restore.unique_id()], 2),
        (vec!["--newer-than", "1h"], 3),
        (vec!["--older-than", "1h"], 0),
        (vec!["--older-than", "0s", "--error", "InvalidInput", "--method", "restore"], 0),
    ] {
        let listed = json_of(&stage, &[&["list"], arguments.as_slice()].concat()).await;
        assert_eq!(listed["counts"]["selected"], expected, "{arguments:?}");
        assert_eq!(listed["letters"].as_array().unwrap().len(), expected, "{arguments:?}");
        assert_eq!(listed["counts"]["looked_at"], 3, "nothing was taken, nothing is held");
    }
    assert_eq!(json_of(&stage, &["list", "--limit", "1"]).await["letters"], json!([first]));

    let shown = json_of(&stage, &["show", restore.unique_id(), "--body"]).await;
    let object = &shown["body"]["args"]["restore"]["karbor_object.data"];
    assert_eq!(object["parameters"], "***");
    assert_eq!(object["restore_target"], "http://keystone/v3");
    assert_eq!(shown["properties"]["content_type"], "application/json");
    let without = json_of(&stage, &["show", restore.unique_id()]).await;
    assert_eq!(without.get("body"), None);

    let mut printed = shown.to_string();
    for arguments in [&["list"][..], &["show", update.unique_id(), "--body"]] {
        let output = run(&stage, arguments).await;
        assert!(output.status.success(), "{output:?}");
        printed += &String::from_utf8(output.stdout).unwrap();
    }
    let garbage = listed["letters"][2]["message_id"].as_str().unwrap();
    printed += &json_of(&stage, &["show", garbage, "--body"]).await.to_string();
    assert!(printed.contains("http://u:***") && printed.contains("3 of 3 letters"), "{printed}");
    for secret in SECRETS.iter().chain(&["SECRET-PASSWORD"]) {
        assert!(!printed.contains(secret), "{printed}");
    }
    let missing = run(&stage, &["show", "no-such-id"]).await;
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("`no-such-id`"));
    assert_eq!(json_of(&stage, &["list"]).await, listed, "all in their places");

    assert_eq!(shown["copies"], 1);
    stage.cast(&update).await;
    until_letters(&stage, 4).await;
    assert_eq!(json_of(&stage, &["show", update.unique_id()]).await["copies"], 2);
}

#[tokio::test]
async fn a_letter_is_found_by_its_unique_id_as_it_was_sent_and_as_it_is_shown() {
    let (stage, _worker, _) = Stage::with_worker(Kind::Sqlite).await;
    let ids = ["a\tb", "c\u{202e}d", "restore_auth=1", "http://u:p@h/"];
    for id in ids {
        stage.cast(&Request::new("explode", json!({})).with("_unique_id", id)).await;
    }
    until_letters(&stage, 4).await;
    for id in ids {
        let listed = json_of(&stage, &["list", id]).await;
        assert_eq!(listed["counts"]["selected"], 1, "{id:?}");
        let shown = listed["letters"][0]["message_unique_id"].as_str().unwrap();
        let again = json_of(&stage, &["list", shown]).await;
        assert_eq!(again["counts"]["selected"], 1, "{shown:?}");
    }
    let missing = run(&stage, &["show", "x restore_auth=2"]).await;
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("`x ***`"), "{missing:?}");
}

#[tokio::test]
async fn a_replay_after_a_correction_applies_the_message_and_a_digest_stays() {
    let (stage, worker, _) = Stage::with_worker(Kind::Postgresql).await;
    let restore_id = stage.record_restore().await;
    stage.cast(&baked(&restore_id, 1)).await;
    stage.broker.publish(&stage.exchange, &stage.topic, oslo_properties(), b"garbage").await;
    until_letters(&stage, 2).await;

    let counted = json_of(&stage, &["replay", "--all", "--dry-run"]).await;
    assert_eq!((&counted["replayed"], &counted["without_message"]), (&json!(1), &json!(1)));
    until_letters(&stage, 2).await;
    // Nothing was corrected yet: it comes back, once, as a new letter.
    let sent = json_of(&stage, &["replay", "--all"]).await;
    assert_eq!((&sent["replayed"], &sent["dry_run"]), (&json!(1), &json!(false)));
    until_letters(&stage, 2).await;

    assert!(worker.terminate().await.success());
    let _worker = corrected(&stage).start().await;
    let output = run(&stage, &["replay", "--restore", &restore_id]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "sent 1 of those selected; 1 of 2 letters: 1 InvalidInput\n");
    stage.until_available(&restore_id, 1).await;
    let sent = json_of(&stage, &["replay", "--error", "MalformedMessage"]).await;
    assert_eq!((&sent["replayed"], &sent["without_message"]), (&json!(0), &json!(1)));
    until_letters(&stage, 1).await;
}

#[tokio::test]
async fn a_letter_of_a_restore_that_exists_now_is_applied_and_one_of_a_call_as_a_cast() {
    let stage = Stage::new(Kind::Sqlite).await;
    let _worker = stage.worker("w1").set("EARLY_UPDATES__MAX_AGE_S", "1").start().await;
    let restore_id = new_id();
    stage.cast(&Request::resource(&restore_id, "volume-1", "available", None)).await;
    until_letters(&stage, 1).await;
    stage.call(Request::restore(&restore_id)).await;

    // A fault that the database has with one message: its caller is told, and the call is kept.
    stage.database.refuse_resource("volume-2").await;
    let refused = stage.call(Request::resource(&restore_id, "volume-2", "available", None)).await;
    assert_eq!(refused.failure()["class"], "InternalError");
    until_letters(&stage, 2).await;
    stage.database.execute("DROP TRIGGER refused").await;

    for (error, available) in [("RestoreNotFound", 1), ("InternalError", 2)] {
        let sent = json_of(&stage, &["replay", "--error", error]).await;
        assert_eq!(sent["replayed"], 1, "{error}");
        stage.until_available(&restore_id, available).await;
    }
    until_letters(&stage, 0).await;
}

#[tokio::test]
async fn a_replay_killed_in_the_middle_loses_nothing() {
    const LETTERS: usize = 2000;
    let (stage, worker, _) = Stage::with_worker(Kind::Postgresql).await;
    let restore_id = stage.record_restore().await;
    let requests: Vec<_> = (0..LETTERS).map(|n| baked(&restore_id, n)).collect();
    stage.cast_all(&requests).await;
    until_letters(&stage, u32::try_from(LETTERS).unwrap()).await;
    assert!(worker.terminate().await.success());
    let _worker = corrected(&stage).start().await;

    let mut replay = stage.worker("operator").spawn_command(&["dead-letters", "replay", "--all"]);
    eventually("some are sent", || async {
        let counts = stage.view(&restore_id).await["resources"].take();
        if counts["available"] == 0 { Err(counts.to_string()) } else { Ok(()) }
    })
    .await;
    replay.kill().expect("it runs or has ended");
    replay.wait().expect("a child of ours");

    // The broker gives back what the killed one held as soon as it sees that it is gone; some of it
    // was sent already.
    let queue = stage.dead_letter_queue();
    eventually("all letters are sent", || async {
        json_of(&stage, &["replay", "--all"]).await;
        let depth = stage.broker.depth(&queue).await;
        let counts = stage.view(&restore_id).await["resources"].take();
        let is_done = counts["available"] == LETTERS && depth == Some((0, 0));
        if is_done { Ok(()) } else { Err(format!("{counts} {depth:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_purge_asks_and_deletes_only_what_was_selected() {
    let (stage, _worker, _) = Stage::with_worker(Kind::Sqlite).await;
    three_letters(&stage).await;

    let unasked = run(&stage, &["purge", "--error", "TypeError"]).await;
    assert_eq!(unasked.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unasked.stderr).contains("--yes"), "{unasked:?}");
    for unselected in [&["purge", "--yes"][..], &["replay"], &["purge", "--error", "Nonsense"]] {
        assert_eq!(run(&stage, unselected).await.status.code(), Some(2), "{unselected:?}");
    }
    let listed = json_of(&stage, &["list", "--error", "TypeError"]).await;
    let known = listed["letters"][0]["message_id"].as_str().unwrap();
    for command in [&["purge", "--yes"][..], &["purge", "--dry-run"], &["replay", "--dry-run"]] {
        let unknown = run(&stage, &[command, &[known, "no-such-id"]].concat()).await;
        let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
        assert_eq!(unknown.status.code(), Some(1), "{command:?}: {said}");
        assert!(said.contains("no dead letter `no-such-id`: "), "{said}");
    }
    until_letters(&stage, 3).await;
    let counted = json_of(&stage, &["purge", "--all", "--dry-run"]).await;
    assert_eq!((&counted["selected"], &counted["deleted"]), (&json!(3), &json!(0)));
    until_letters(&stage, 3).await;

    let deleted = json_of(&stage, &["purge", "--error", "TypeError", "--yes"]).await;
    assert_eq!((&deleted["looked_at"], &deleted["deleted"]), (&json!(3), &json!(1)));
    let listed = json_of(&stage, &["list"]).await;
    assert_eq!(listed["counts"]["by_error"], json!({"InvalidInput": 1, "MalformedMessage": 1}));
    let output = run(&stage, &["purge", "--all", "--yes"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "deleted 2 of 2 letters: 1 InvalidInput, 1 MalformedMessage\n");
    until_letters(&stage, 0).await;
}

#[tokio::test]
async fn what_is_said_of_many_letters_is_what_is_gone() {
    const LETTERS: u32 = 1000;
    let (stage, _worker, _) = Stage::with_worker(Kind::Sqlite).await;
    let restore_id = stage.record_restore().await;
    let update = |n| Request::resource(&restore_id, &format!("volume-{n}"), "available", None);
    let bodies: Vec<_> = (0..LETTERS).map(|n| update(n).body()).collect();
    let queue = stage.dead_letter_queue();
    for (command, count) in
        [(&["replay", "--all"][..], "replayed"), (&["purge", "--all", "--yes"], "deleted")]
    {
        stage.broker.publish_all("", &queue, &bodies).await;
        until_letters(&stage, LETTERS).await;
        assert_eq!(json_of(&stage, command).await[count], LETTERS);
        until_letters(&stage, 0).await;
    }
    stage.until_available(&restore_id, LETTERS as usize).await;
}

#[tokio::test]
async fn a_second_operator_is_told_of_the_first() {
    let (stage, _worker, _) = Stage::with_worker(Kind::Sqlite).await;
    stage.cast(&Request::new("explode", json!({}))).await;
    until_letters(&stage, 1).await;
    let first = RabbitTransport::new(broker_url().parse().unwrap(), RabbitOptions::default());
    let queue = stage.dead_letter_queue();
    let browser = first.browse(&queue).await.unwrap().expect("the queue is there");

    let second = run(&stage, &["list"]).await;
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains(&queue) && said.contains("somebody else"), "{said}");
    browser.close().await.unwrap();
    assert_eq!(json_of(&stage, &["list"]).await["counts"]["looked_at"], 1);

    let nowhere = stage.worker("w").set("MESSAGING__TOPIC", "no-such-topic");
    let nothing = nowhere.run(&["dead-letters", "list"]).await;
    assert_eq!(nothing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("`no-such-topic.dead-letter`"));
}
