//! Beside a Karbor: what it writes into its own table is noticed, published, and put back where
//! its last save dropped it; a restore that falls silent is told of.

use rstest::rstest;
use serde_json::json;

use crate::harness::{Kind, Received, Request, Stage, eventually, new_id};

/// As karbor-api creates one.
async fn insert(stage: &Stage, restore_id: &str) {
    let sql = format!(
        "INSERT INTO restores (created_at, deleted, id, project_id, provider_id, checkpoint_id, \
         restore_target, parameters, status) VALUES (CURRENT_TIMESTAMP, FALSE, '{restore_id}', \
         'project', 'provider', 'checkpoint', NULL, '{{}}', 'in_progress')"
    );
    stage.database.texts(&sql).await;
}

async fn set(stage: &Stage, restore_id: &str, column: &str, value: &str) {
    let sql = format!("UPDATE restores SET {column} = '{value}' WHERE id = '{restore_id}'");
    stage.database.texts(&sql).await;
}

#[rstest]
#[tokio::test]
async fn what_karbor_writes_is_published_and_what_it_drops_is_put_back(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let (stage, _worker, mut notifications) = Stage::with_worker(kind).await;
    let restore_id = new_id();
    insert(&stage, &restore_id).await;
    let start = notifications.of_restore(&restore_id, "karbor.restore.start").await;
    assert_eq!(start.message["payload"]["tenant_id"], "project");
    let said = Request::resource(&restore_id, "volume-1", "available", None);
    let reply = stage.call(said).await;
    assert_eq!(reply.message["result"]["outcome"], "applied");

    // Its flow saves what a plugin said through its own object, and nothing of ours.
    let saved = r#"{"OS::Trove::Instance#db-1": "BUILD"}"#;
    set(&stage, &restore_id, "resources_status", saved).await;
    notifications.of_restore(&restore_id, "karbor.restore_resource.start").await;
    let both =
        r#"{"OS::Cinder::Volume#volume-1": "available", "OS::Trove::Instance#db-1": "restoring"}"#;
    eventually("both are in Karbor's column", || async {
        let sql =
            format!("SELECT resources_status AS text FROM restores WHERE id = '{restore_id}'");
        let column = stage.database.text(&sql).await.unwrap_or_default();
        if column == both { Ok(()) } else { Err(column) }
    })
    .await;

    // Its flow ends: the instance, of which nobody says more, is there.
    set(&stage, &restore_id, "status", "success").await;
    let end = notifications.of_restore(&restore_id, "karbor.restore.end").await;
    assert_eq!(end.message["payload"]["resources"]["available"], 2);
    let view = stage.call(Request::new("get_restore", json!({"restore_id": restore_id}))).await;
    assert_eq!(view.message["result"]["resources_status"]["OS::Trove::Instance#db-1"], "available");
}

#[tokio::test]
async fn a_dead_workers_look_at_karbors_table_is_anothers() {
    let stage = Stage::new(Kind::Postgresql).await;
    let first = stage.worker("w1").start().await;
    let mut notifications = stage.notifications().await;
    let (before, after) = (new_id(), new_id());
    insert(&stage, &before).await;
    notifications.of_restore(&before, "karbor.restore.start").await;
    let _second = stage.worker("w2").start().await;
    first.kill();
    insert(&stage, &after).await;
    let start = notifications.of_restore(&after, "karbor.restore.start").await;
    assert_eq!(start.message["publisher_id"], "restore-worker.w2");
}

#[rstest]
#[tokio::test]
async fn an_early_update_is_applied_once_karbors_table_has_its_restore(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let (stage, _worker, mut notifications) = Stage::with_worker(kind).await;
    let restore_id = new_id();
    stage.cast(&Request::resource(&restore_id, "volume-1", "error", Some("no space"))).await;
    insert(&stage, &restore_id).await;
    let error = notifications.of_restore(&restore_id, "karbor.restore_resource.error").await;
    assert_eq!(error.message["payload"]["reason"], "no space");
}

#[tokio::test]
async fn a_restore_that_falls_silent_is_told_of_once_a_silence() {
    let stage = Stage::new(Kind::Sqlite).await;
    let _worker = stage.worker("w1").set("STALLED__AFTER_S", "1").start().await;
    let mut notifications = stage.notifications().await;
    let restore_id = stage.record_restore().await;
    let stalled = notifications.of_restore(&restore_id, "karbor.restore.stalled").await;
    assert_eq!(stalled.message["priority"], "WARN");
    assert_eq!(stalled.queue, format!("{}.warn", stage.notifications));
    let payload = &stalled.message["payload"];
    assert_eq!(
        (&payload["old_status"], &payload["status"]),
        (&json!("in_progress"), &json!("in_progress"))
    );
    assert_eq!(payload["transition"], 2);

    // A sign of life, then another silence.
    stage.cast(&Request::resource(&restore_id, "volume-1", "started", None)).await;
    let second = |one: &Received| {
        one.message["event_type"] == "karbor.restore.stalled"
            && one.message["payload"]["transition"] == 3
    };
    let all = notifications.until("the second silence", |all| all.iter().any(second)).await;
    let told = all.iter().filter(|one| one.message["event_type"] == "karbor.restore.stalled");
    assert_eq!(told.count(), 2);
}

#[rstest]
#[tokio::test]
async fn a_database_that_karbor_made_is_served_once_it_is_adopted(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let stage = Stage::new(kind).await;
    let (time, options) = match kind {
        Kind::Mysql => ("DATETIME", " DEFAULT CHARACTER SET utf8"),
        Kind::Postgresql | Kind::Sqlite => ("TIMESTAMP", ""),
    };
    let create = format!(
        "CREATE TABLE restores (created_at {time}, updated_at {time}, deleted_at {time}, \
         deleted BOOLEAN, id VARCHAR(36) NOT NULL PRIMARY KEY, project_id VARCHAR(255), \
         provider_id VARCHAR(36), checkpoint_id VARCHAR(36), restore_target VARCHAR(255), \
         parameters TEXT, status VARCHAR(64), resources_status TEXT, resources_reason TEXT){options}"
    );
    stage.database.texts(&create).await;
    let restore_id = new_id();
    insert(&stage, &restore_id).await;
    set(&stage, &restore_id, "resources_status", r#"{"OS::Nova::Server#s-1": "restoring"}"#).await;

    let run = async |arguments: &'static [&str]| {
        let output = stage.worker("w1").run(arguments).await;
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    for refused in [&["migrate"][..], &["serve"]] {
        let (code, said) = run(refused).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("karbor-restore-worker migrate --adopt"), "{said}");
    }
    let (code, said) = run(&["migrate", "--adopt", "--dry-run"]).await;
    assert_eq!((code, said.contains("would adopt")), (Some(0), true), "{said}");
    let (code, said) = run(&["migrate", "--dry-run"]).await;
    assert_eq!((code, said.contains("--adopt")), (Some(2), true), "{said}");
    let (code, said) = run(&["migrate", "--adopt"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("took in 1 restores with 1 resources"), "{said}");
    let (code, said) = run(&["migrate", "--adopt"]).await;
    assert_eq!(
        (code, said.contains("there is nothing to adopt any more")),
        (Some(0), true),
        "{said}"
    );

    let worker = stage.worker("w1").start().await;
    let mut notifications = stage.notifications().await;
    let shown = worker.get(&format!("/v1/project/restores/{restore_id}")).await;
    assert!(shown.body.contains(r#""OS::Nova::Server#s-1":"restoring""#), "{}", shown.body);
    set(&stage, &restore_id, "status", "fail").await;
    let error = notifications.of_restore(&restore_id, "karbor.restore.error").await;
    assert_eq!(error.message["payload"]["transition"], 1);
    let resource = |one: &Received| one.message["event_type"] != "karbor.restore.error";
    assert!(!notifications.so_far().iter().any(resource), "what was adopted is no news");
}
