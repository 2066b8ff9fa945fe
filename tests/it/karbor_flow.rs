//! Karbor 1.6.0 itself, unmodified, beside the worker on one database: its restore flow with its own
//! engine, objects and plugins over fake clouds (`tests/python/karbor_flow.py`), without the hook and
//! with it. Left out by `scripts/test` where there is no Python 3.11.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{
    Kind, Received, Request, Stage, Worker, broker_url, eventually, new_id, run_python,
};

const IMAGE: &str = "OS::Glance::Image";
const INSTANCE: &str = "OS::Trove::Instance";

/// A stage whose database `karbor-manage db sync` made and the worker adopted.
async fn adopted(kind: Kind) -> Stage {
    let stage = Stage::new(kind).await;
    run_python("karbor_flow.py", &["sync", "--database", stage.database.url()]).await;
    let output = stage.worker("w0").run(&["migrate", "--adopt"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    stage
}

/// Runs flows to their ends; what each was is told by the program.
async fn run(stage: &Stage, restore_ids: &[String], options: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["run", "--database", stage.database.url()];
    arguments.extend(options);
    for restore_id in restore_ids {
        arguments.extend(["--restore-id", restore_id]);
    }
    let printed = run_python("karbor_flow.py", &arguments).await;
    serde_json::from_str(&printed).expect("it prints JSON")
}

/// Each resource of a restore as our own REST lists it, by type.
async fn resources(worker: &Worker, flow: &Value) -> BTreeMap<String, Value> {
    let (project, id) = (&flow["project_id"], &flow["restore_id"]);
    let path = format!(
        "/v1/{}/restores/{}/resources",
        project.as_str().expect("a project"),
        id.as_str().expect("an id")
    );
    let body: Value = serde_json::from_str(&worker.get(&path).await.body).expect("JSON");
    let list = body["resources"].as_array().unwrap_or_else(|| panic!("{body}")).clone();
    let by_type = |one: Value| (one["resource_type"].as_str().unwrap_or_default().to_owned(), one);
    list.into_iter().map(by_type).collect()
}

/// What Karbor's own objects and REST controllers read of a restore.
async fn karbor_reads(stage: &Stage, restore_id: &str) -> Value {
    let arguments = ["read", "--database", stage.database.url(), "--restore-id", restore_id];
    let printed = run_python("karbor_flow.py", &arguments).await;
    serde_json::from_str(&printed).expect("it prints JSON")
}

#[rstest]
#[tokio::test]
async fn karbor_alone_is_published_and_reads_back_what_the_worker_knows(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let stage = adopted(kind).await;
    let worker = stage.worker("w1").start().await;
    let mut notifications = stage.notifications().await;
    let restore_id = new_id();

    let flows = run(&stage, std::slice::from_ref(&restore_id), &[]).await;
    let flow = &flows[0];
    assert_eq!((&flow["status"], &flow["error"]), (&json!("success"), &Value::Null));
    // Trove's plugin says the status of the moment of creation, and nothing after it.
    let instance = flow["resources_status"].as_object().expect("a dictionary").iter();
    let [(instance, said)] =
        instance.filter(|(key, _)| key.starts_with(INSTANCE)).collect::<Vec<_>>()[..]
    else {
        panic!("{flow}")
    };
    assert_eq!(said, "BUILD");

    let end = notifications.of_restore(&restore_id, "karbor.restore.end").await;
    let counts = &end.message["payload"]["resources"];
    assert_eq!((&counts["restoring"], &counts["error"]), (&json!(0), &json!(0)));
    let told = notifications.of_restore(&restore_id, "karbor.restore_resource.end").await;
    assert_eq!(told.message["payload"]["status"], "available");
    let shown = resources(&worker, flow).await;
    assert_eq!(shown[INSTANCE]["status"], "available");

    // Karbor's own code reads back what the worker knows, and goes on without it.
    eventually("Karbor's column shows the instance", || async {
        let sql =
            format!("SELECT resources_status AS text FROM restores WHERE id = '{restore_id}'");
        let column = stage.database.text(&sql).await.unwrap_or_default();
        let statuses: Value = serde_json::from_str(&column).unwrap_or_default();
        if statuses[instance] == "available" { Ok(()) } else { Err(column) }
    })
    .await;
    worker.terminate().await;
    let read = karbor_reads(&stage, &restore_id).await;
    assert_eq!(read["object"]["resources_status"][instance], "available", "{read}");
    assert_eq!(read["show"]["restore"]["status"], "success", "{read}");
    let again = run(&stage, &[new_id()], &["--fail", IMAGE]).await;
    assert_eq!(again[0]["columns"]["status"], "fail");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn karbor_flow_with_the_hook_tells_all_though_a_worker_dies(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let stage = adopted(kind).await;
    let first = stage.worker("w1").start().await;
    let mut notifications = stage.notifications().await;
    let restore_ids = [new_id(), new_id()];
    let broker = broker_url();
    let options = [
        "--transport-url",
        &broker,
        "--exchange",
        &stage.exchange,
        "--topic",
        &stage.topic,
        "--hook",
        "--fail",
        IMAGE,
    ];
    let dying = async {
        // Half way: the volume's operation has begun, and takes its plugin's polling to end.
        notifications.of_restore(&restore_ids[0], "karbor.restore_resource.start").await;
        first.kill();
        stage.worker("w2").start().await
    };
    let (flows, second) = tokio::join!(run(&stage, &restore_ids, &options), dying);

    for flow in &flows {
        let restore_id = flow["restore_id"].as_str().expect("an id");
        assert_eq!(flow["status"], "fail");
        notifications.of_restore(restore_id, "karbor.restore.error").await;
        // The plugin that says nothing, by its exception's text; its resource under its source.
        let image = |one: &Received| {
            let payload = &one.message["payload"];
            one.message["event_type"] == "karbor.restore_resource.error"
                && payload["restore_id"] == restore_id
                && payload["resource_type"] == IMAGE
        };
        let all = notifications.until("the image's error", |all| all.iter().any(image)).await;
        let error = &all.iter().find(|one| image(one)).expect("waited for").message["payload"];
        let reason = error["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("no space left in the image store"), "{error}");
        assert_eq!(error["source_id"], error["resource_id"]);

        let sources: BTreeMap<&str, &str> = flow["resources"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| (one["type"].as_str().unwrap_or(""), one["id"].as_str().unwrap_or("")))
            .collect();
        eventually("all operations are told to their ends", || async {
            let shown = resources(&second, flow).await;
            let stand: BTreeMap<_, _> =
                shown.iter().map(|(kind, one)| (kind.as_str(), one["status"].as_str())).collect();
            let ended = |status| matches!(status, Some("available" | "error" | "not_begun"));
            if stand.values().copied().all(ended) { Ok(()) } else { Err(format!("{stand:?}")) }
        })
        .await;
        let shown = resources(&second, flow).await;
        assert_eq!(shown.len(), sources.len(), "each resource once: {shown:#?}");
        for (kind, one) in &shown {
            assert_eq!(one["source_id"], sources[kind.as_str()], "{shown:#?}");
        }
        let view = stage.call(Request::new("get_restore", json!({"restore_id": restore_id}))).await;
        let view = &view.message["result"];
        assert_eq!(view["resources"]["expected"], sources.len());
        assert_eq!(view["status"], "fail");
        let reason = view["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("no space left in the image store"), "{view}");
    }
}
