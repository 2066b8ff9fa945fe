//! What calls are answered, in oslo.messaging's form.

use lapin::types::ShortString;
use serde_json::{Value, json};

use crate::harness::{Kind, Request, Stage, new_id};

#[tokio::test]
async fn a_reply_has_the_form_of_oslo_messagings() {
    let (stage, _worker, _) = Stage::with_worker(Kind::Sqlite).await;
    let restore_id = stage.record_restore().await;
    let (reply_q, mut replies) = stage.broker.reply_queue().await;
    let update = Request::resource(&restore_id, "volume-1", "available", None);

    stage.cast(&update.call(&reply_q, "call-1", None)).await;

    let reply = replies.next("the reply").await;
    let mut message = reply.message.clone();
    assert!(
        message["_unique_id"].take().as_str().is_some_and(|id| id.len() == 32),
        "{}",
        reply.message
    );
    assert_eq!(
        message,
        json!({
            "result": {"outcome": "applied", "status": "available"},
            "failure": null,
            "ending": true,
            "_msg_id": "call-1",
            "_unique_id": null,
        })
    );
    let outer: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(outer["oslo.version"], "2.0");
    let properties = &reply.properties;
    assert_eq!(
        properties.content_type().as_ref().map(ShortString::as_str),
        Some("application/json")
    );
    assert_eq!(properties.content_encoding().as_ref().map(ShortString::as_str), Some("utf-8"));
    assert_eq!(*properties.delivery_mode(), Some(2));
}

#[tokio::test]
async fn outcomes_say_what_a_call_did() {
    let (stage, _worker, _) = Stage::with_worker(Kind::Sqlite).await;
    let restore_id = stage.record_restore().await;

    for (status, outcome, known) in [
        ("restoring", "applied", "restoring"),
        ("restoring", "unchanged", "restoring"),
        ("started", "stale", "restoring"),
        ("error", "applied", "error"),
        ("available", "stale", "error"),
    ] {
        let reply = stage.call(Request::resource(&restore_id, "volume-1", status, None)).await;
        assert_eq!(
            reply.message["result"],
            json!({"outcome": outcome, "status": known}),
            "{status}"
        );
    }
    let reply = stage.call(Request::finish(&restore_id, "success", None)).await;
    assert_eq!(reply.message["result"], json!({"outcome": "applied", "status": "success"}));
    let reply = stage.call(Request::restore(&restore_id)).await;
    assert_eq!(reply.message["result"], Value::Null);
    assert_eq!(reply.message["failure"], Value::Null);
}

#[tokio::test]
async fn a_restore_is_shown_with_karbors_fields() {
    let (stage, _worker, _) = Stage::with_worker(Kind::Sqlite).await;
    let restore_id = stage.record_restore().await;
    stage.call(Request::resource(&restore_id, "volume-1", "error", Some("no space"))).await;

    let view = stage
        .call(Request::new("get_restore", json!({"restore_id": restore_id.to_uppercase()})))
        .await;

    let view = &view.message["result"];
    assert_eq!(view["id"], restore_id);
    assert_eq!(view["status"], "in_progress");
    assert_eq!(view["restore_target"], "http://keystone/v3");
    assert_eq!(
        view["parameters"],
        json!({"OS::Cinder::Volume": {"restore_name": "SECRET-PARAMETER"}})
    );
    assert_eq!(view["resources_status"], json!({"OS::Cinder::Volume#volume-1": "error"}));
    assert_eq!(view["resources_reason"], json!({"OS::Cinder::Volume#volume-1": "no space"}));
    assert_eq!(view["resources"]["error"], 1);
    assert_eq!(view["reason"], Value::Null);
}

#[tokio::test]
async fn a_ping_is_answered() {
    let (stage, _worker, _) = Stage::with_worker(Kind::Sqlite).await;
    let reply = stage.call(Request::new("oslo_rpc_server_ping", json!({}))).await;
    assert_eq!(reply.message["result"], "pong");
}

#[tokio::test]
async fn a_bad_call_is_answered_with_the_exception_that_python_would_raise() {
    let (stage, _worker, _) = Stage::with_worker(Kind::Sqlite).await;
    let known = stage.record_restore().await;
    let unknown = new_id();
    let update = |status: &str| Request::resource(&known, "volume-1", status, None);
    let karbor = "karbor.exception";
    let dispatcher = "oslo_messaging.rpc.dispatcher";

    let cases = [
        (
            Request::resource(&unknown, "v", "error", None),
            "RestoreNotFound",
            karbor,
            unknown.as_str(),
        ),
        (
            Request::new("get_restore", json!({"restore_id": unknown})),
            "RestoreNotFound",
            karbor,
            &unknown,
        ),
        (
            Request::new("get_restore", json!({"restore_id": "x"})),
            "InvalidInput",
            karbor,
            "restore_id",
        ),
        (update("finished"), "InvalidInput", karbor, "available"),
        (update("error").with_arg("sequence", -1), "InvalidInput", karbor, "sequence"),
        (update("error").with_arg("reason", json!(["x"])), "InvalidInput", karbor, "reason"),
        (update("error").with_arg("resource_id", "a b"), "InvalidInput", karbor, "resource_id"),
        (update("error").with_arg("colour", "red"), "TypeError", "builtins", "colour"),
        (Request::new("update_resource_status", json!({})), "TypeError", "builtins", "restore_id"),
        (Request::new("explode", json!({})), "NoSuchMethod", dispatcher, "explode"),
        (Request::new("_private", json!({})), "NoSuchMethod", dispatcher, "_private"),
        (update("error").with("version", "2.0"), "UnsupportedVersion", dispatcher, "2.0"),
        (update("error").with("namespace", "other"), "UnsupportedVersion", dispatcher, ""),
        (
            update("error").with("_context_is_admin", false).with("_context_project_id", "other"),
            "RestoreNotFound",
            karbor,
            &known,
        ),
    ];
    for (request, class, module, text) in cases {
        let asked = format!("{request:?}");
        let reply = stage.call(request).await;
        assert_eq!(reply.message["result"], Value::Null, "{asked}");
        assert_eq!(reply.message["ending"], true, "{asked}");
        let failure = reply.failure();
        assert_eq!(failure["class"], class, "{asked}: {failure}");
        assert_eq!(failure["module"], module, "{asked}");
        assert!(
            failure["message"].as_str().is_some_and(|message| message.contains(text)),
            "{failure}"
        );
        assert!(failure["tb"].is_array() && failure["args"].is_array(), "{failure}");
        assert!(failure["kwargs"].is_object(), "{failure}");
    }

    // None of these changed anything.
    let view = stage.call(Request::new("get_restore", json!({"restore_id": known}))).await;
    assert_eq!(view.message["result"]["resources_status"], json!({}));
}

#[tokio::test]
async fn one_bad_item_refuses_the_list_and_is_named() {
    let (stage, _worker, _) = Stage::with_worker(Kind::Sqlite).await;
    let restore_id = stage.record_restore().await;
    let item =
        |id: &str, status: &str| json!({"resource_type": "T", "resource_id": id, "status": status});
    let items = [item("a", "available"), item("b", "available"), item("c", "no such")];

    let arguments = json!({"restore_id": restore_id, "resources": items});
    let reply = stage.call(Request::new("update_resources_status", arguments)).await;

    let failure = reply.failure();
    assert_eq!(failure["class"], "InvalidInput");
    assert!(failure["message"].as_str().is_some_and(|text| text.contains('2')), "{failure}");
    let view = stage.call(Request::new("get_restore", json!({"restore_id": restore_id}))).await;
    assert_eq!(view.message["result"]["resources_status"], json!({}));
}

#[tokio::test]
async fn a_caller_that_is_gone_does_not_hold_up_the_rest() {
    let (stage, _worker, mut notifications) = Stage::with_worker(Kind::Sqlite).await;
    let restore_id = stage.record_restore().await;

    let gone = Request::resource(&restore_id, "volume-1", "available", None);
    stage.cast(&gone.call("reply_that_is_gone", "call-1", None)).await;
    let reply = stage.call(Request::resource(&restore_id, "volume-2", "available", None)).await;

    assert_eq!(reply.message["result"]["outcome"], "applied");
    let applied = |id: &'static str| {
        move |one: &crate::harness::Received| one.message["payload"]["resource_id"] == id
    };
    notifications
        .until("what the gone caller said", |all| all.iter().any(applied("volume-1")))
        .await;
}
