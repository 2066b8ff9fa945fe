//! `events republish`, by the built binary against a real broker and each database.

use std::collections::{BTreeMap, BTreeSet};

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{
    Kind, Received, Request, Stage, assert_one_message_id_each, eventually, new_id, transition,
};

async fn republish(stage: &Stage, arguments: &[&str]) -> Value {
    let arguments = [&["events", "republish", "--output", "json"], arguments].concat();
    let output = stage.worker("operator").run(&arguments).await;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[rstest]
#[tokio::test]
async fn events_are_published_again_in_order_under_their_ids(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let (stage, worker, mut notifications) = Stage::with_worker(kind).await;
    let restore_id = stage.record_restore().await;
    stage.record_restore().await;
    for status in ["started", "available"] {
        for volume in ["volume-1", "volume-2"] {
            stage.call(Request::resource(&restore_id, volume, status, None)).await;
        }
    }
    notifications.until("all six", |all| all.len() == 6).await;
    let sql = "SELECT publisher_id AS text FROM restore_events";
    let publisher = stage.database.text(sql).await.expect("an event has one");

    for (arguments, expected) in [
        (vec!["--restore", &restore_id], 5),
        (vec!["--publisher", &publisher], 6),
        (vec!["--publisher", &new_id()], 0),
        (vec!["--since", "1h"], 6),
        (vec!["--until", "1h"], 0),
        (vec!["--since", "1h", "--restore", &restore_id, "--publisher", &publisher], 5),
    ] {
        let report = republish(&stage, &[&arguments[..], &["--dry-run"]].concat()).await;
        assert_eq!((&report["events"], &report["dry_run"]), (&json!(expected), &json!(true)));
    }
    let report = republish(&stage, &["--restore", &restore_id]).await;
    let by_event_type = json!({
        "karbor.restore.start": 1, "karbor.restore_resource.start": 2,
        "karbor.restore_resource.end": 2,
    });
    assert_eq!(report["by_event_type"], by_event_type);

    let seen = notifications.until("five again", |all| all.len() == 11).await;
    let of_restore = |one: &&Received| one.message["payload"]["restore_id"] == restore_id;
    let all: Vec<_> = seen.iter().filter(of_restore).cloned().collect();
    assert_one_message_id_each(&all);
    let unique_ids: BTreeSet<_> =
        seen.iter().map(|n| n.message["_unique_id"].to_string()).collect();
    assert_eq!(unique_ids.len(), 11, "each copy has its own");
    let mut order: BTreeMap<String, Vec<Option<u64>>> = BTreeMap::new();
    for one in &seen[6..] {
        assert_eq!(one.message["payload"]["restore_id"], restore_id);
        let (resource, number) = transition(one);
        order.entry(resource).or_default().push(number);
    }
    let whole: Vec<_> = order.into_values().collect();
    assert_eq!(whole, [vec![Some(1), Some(2)], vec![Some(1), Some(2)], vec![Some(1)]]);
    // The worker's own position stayed where it was: it goes on as before.
    stage.call(Request::resource(&restore_id, "volume-1", "error", Some("lost"))).await;
    notifications.until("the next", |all| all.len() == 12).await;
    assert!(worker.terminate().await.success());
    eventually("nothing is left to publish", || async {
        match stage.database.count("restore_publishers WHERE closed = 0").await {
            0 => Ok(()),
            open => Err(open.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_republication_needs_a_selection_and_notifications() {
    let (stage, _worker, _) = Stage::with_worker(Kind::Sqlite).await;
    let all = stage.worker("operator").run(&["events", "republish"]).await;
    assert_eq!(all.status.code(), Some(2), "{all:?}");
    for (bad, told) in [
        (&["--publisher", "restore-worker.w1"][..], "a UUID such as"),
        (&["--since", "1h", "--until", "2020-01-01T00:00:00Z"], "must be the earlier one"),
    ] {
        let bad = stage.worker("operator").run(&[&["events", "republish"], bad].concat()).await;
        let said = String::from_utf8_lossy(&bad.stderr).into_owned();
        assert_eq!(bad.status.code(), Some(2), "{said}");
        assert!(said.contains(told), "{said}");
    }
    let noop = stage.worker("operator").set("NOTIFICATIONS__DRIVER", "noop");
    let noop = noop.run(&["events", "republish", "--since", "1h"]).await;
    assert_eq!(noop.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&noop.stderr).contains("`notifications.driver`"), "{noop:?}");
}
