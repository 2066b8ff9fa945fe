//! The merge through the built worker: what a repeat, a late update and a look-alike id do.

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{Kind, PROJECT, Request, Stage, Worker};

const VOLUME: &str = "OS::Cinder::Volume";

/// The lines of the resources that `worker` shows.
async fn resources(worker: &Worker, restore_id: &str) -> Vec<Value> {
    let path = format!("/v1/{PROJECT}/restores/{restore_id}/resources");
    let mut answer = worker.get(&path).await.json();
    serde_json::from_value(answer["resources"].take()).expect("a list")
}

#[rstest]
#[tokio::test]
async fn a_restore_message_of_a_known_restore_updates_its_status_and_dictionaries_alone(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let (stage, _worker, _) = Stage::with_worker(kind).await;
    let restore_id = stage.record_restore().await;
    stage.call(Request::resource(&restore_id, "volume-1", "available", None)).await;
    let before = stage.view(&restore_id).await;

    let again = Request::restore(&restore_id)
        .with_field("provider_id", "another-provider")
        .with_field("checkpoint_id", "another-checkpoint")
        .with_field("restore_target", "http://elsewhere/v3")
        .with_field("parameters", json!({"OS::Nova::Server": {"name": "another"}}))
        .with_field("status", "fail")
        .with_field(
            "resources_status",
            json!({"OS::Cinder::Volume#volume-1": "started",
                   "OS::Cinder::Volume#volume-2": "error"}),
        )
        .with_field("resources_reason", json!({"OS::Cinder::Volume#volume-2": "no space"}));
    let begun_anew = Request::restore(&restore_id);
    for request in [again.clone(), again, begun_anew] {
        let reply = stage.call(request).await;
        assert_eq!(reply.message["failure"], Value::Null, "{}", reply.message);

        let after = stage.view(&restore_id).await;
        assert_eq!(after["status"], "fail");
        assert_eq!(
            after["resources_status"],
            json!({"OS::Cinder::Volume#volume-1": "available",
                   "OS::Cinder::Volume#volume-2": "error"})
        );
        let reasons = json!({"OS::Cinder::Volume#volume-2": "no space"});
        assert_eq!(after["resources_reason"], reasons);
        let others = ["id", "project_id", "provider_id", "checkpoint_id", "restore_target"];
        for field in others.into_iter().chain(["parameters", "created_at"]) {
            assert_eq!(after[field], before[field], "{field}");
        }
    }
    // Start and failure of the restore, one transition of each resource.
    assert_eq!(stage.database.count("restore_events").await, 4);
}

#[rstest]
#[tokio::test]
async fn source_and_name_are_kept_from_any_update_and_are_no_transition(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let (stage, worker, _) = Stage::with_worker(kind).await;
    let restore_id = stage.record_restore().await;
    stage.call(Request::resource(&restore_id, "volume-1", "available", None)).await;

    for (status, outcome, said, kept) in [
        ("started", "stale", ("source-a", "data"), ("source-a", "data")),
        // Of two, the greater by bytes: a capital letter is less than a small one.
        ("started", "stale", ("source-B", "date"), ("source-a", "date")),
        ("available", "unchanged", ("source-b", "Zoe"), ("source-b", "date")),
        ("available", "unchanged", ("source-a", "döt"), ("source-b", "döt")),
    ] {
        let update = Request::resource(&restore_id, "volume-1", status, None)
            .with_arg("source_id", said.0)
            .with_arg("name", said.1);
        let reply = stage.call(update).await;
        assert_eq!(reply.message["result"], json!({"outcome": outcome, "status": "available"}));

        let lines = resources(&worker, &restore_id).await;
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["source_id"], &lines[0]["name"]), (&json!(kept.0), &json!(kept.1)));
        assert_eq!(lines[0]["status"], "available");
    }
    assert_eq!(stage.database.count("restore_events").await, 2);
}

#[tokio::test]
async fn a_stale_outcome_is_logged_and_counted_and_other_stale_updates_are_not() {
    let (stage, worker, _) = Stage::with_worker(Kind::Sqlite).await;
    let restore_id = stage.record_restore().await;
    let update = |id: &str, status| Request::resource(&restore_id, id, status, None);
    let stale_finals = async || {
        let metrics = worker.get("/metrics").await.body;
        let line = metrics.lines().find(|line| line.starts_with("karbor_restore_stale_finals_"));
        line.expect("the counter is there from the start").to_owned()
    };

    for (id, status) in [("volume-1", "error"), ("volume-2", "available")] {
        stage.call(update(id, status)).await;
        stage.call(update(id, "restoring")).await;
    }
    assert!(stale_finals().await.ends_with(" 0"), "{}", stale_finals().await);
    assert!(!worker.log().contains("volume-"), "{}", worker.log());

    // The retry of volume-1 succeeded, and its plugin sent no higher sequence.
    let reply = stage.call(update("volume-1", "available")).await;
    assert_eq!(reply.message["result"], json!({"outcome": "stale", "status": "error"}));
    stage.call(update("volume-2", "error").with_arg("sequence", 1)).await;
    let reply = stage.call(update("volume-2", "error")).await;
    assert_eq!(reply.message["result"], json!({"outcome": "stale", "status": "error"}));

    assert!(stale_finals().await.ends_with(" 2"), "{}", stale_finals().await);
    let log = worker.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("higher sequence")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("WARN") && lines[0].contains(&restore_id), "{log}");
    assert!(lines[0].contains("OS::Cinder::Volume#volume-1"), "{log}");
}

#[rstest]
#[tokio::test]
async fn ids_and_types_that_differ_in_a_byte_are_others(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let (stage, worker, _) = Stage::with_worker(kind).await;
    let restore_id = stage.record_restore().await;
    let longest = "x".repeat(254);
    let pairs = [
        (VOLUME, "volume-a".to_owned()),
        (VOLUME, "Volume-a".to_owned()),
        (VOLUME, "VOLUME-A".to_owned()),
        (VOLUME, "volume_a".to_owned()),
        (VOLUME, "volume%a".to_owned()),
        (VOLUME, "1".to_owned()),
        (VOLUME, "01".to_owned()),
        (VOLUME, "1.0".to_owned()),
        (VOLUME, format!("{longest}a")),
        (VOLUME, format!("{longest}A")),
        ("os::cinder::volume", "volume-a".to_owned()),
    ];
    let items: Vec<_> = pairs
        .iter()
        .map(|(kind, id)| json!({"resource_type": kind, "resource_id": id, "status": "available"}))
        .collect();
    let all = json!({"restore_id": restore_id, "resources": items});
    let reply = stage.call(Request::new("update_resources_status", all.clone())).await;
    let answered = |outcome: &str| vec![json!({"outcome": outcome, "status": "available"}); 11];
    assert_eq!(reply.message["result"], json!(answered("applied")));
    let reply = stage.call(Request::new("update_resources_status", all)).await;
    assert_eq!(reply.message["result"], json!(answered("unchanged")));

    let expected =
        ["source-1", "SOURCE-1"].map(|id| json!({"resource_type": VOLUME, "source_id": id}));
    let expect = json!({"restore_id": restore_id, "resources": expected});
    let reply = stage.call(Request::new("expect_resources", expect)).await;
    assert_eq!(reply.message["result"], 2);
    // Not the source of the next one, which is another's: it stays in sight.
    stage.call(Request::resource(&restore_id, "source-1", "restoring", None)).await;
    let begun = Request::resource(&restore_id, "new-1", "restoring", None);
    stage.call(begun.with_arg("source_id", "SOURCE-1")).await;

    let view = stage.view(&restore_id).await;
    let mut keys: Vec<_> = pairs.iter().map(|(kind, id)| format!("{kind}#{id}")).collect();
    keys.extend([format!("{VOLUME}#source-1"), format!("{VOLUME}#new-1")]);
    keys.sort();
    let shown = view["resources_status"].as_object().expect("an object");
    let mut shown: Vec<_> = shown.keys().cloned().collect();
    shown.sort();
    assert_eq!(shown, keys);
    assert_eq!(view["resources"]["available"], 11);
    assert_eq!(view["resources"]["restoring"], 2);
    let lines = resources(&worker, &restore_id).await;
    let waiting: Vec<_> = lines.iter().filter(|line| line["status"] == "not_begun").collect();
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert_eq!(waiting[0]["source_id"], "source-1");
}
