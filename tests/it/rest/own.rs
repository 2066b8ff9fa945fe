//! Our own lists: resources line by line, and the timeline.

use karbor_restore_worker::store::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use super::rows::{KARBORS, PUBLISHER, RECORDED};
use super::{Api, tokens};

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn resources_are_listed_with_those_not_begun(#[case] dialect: Dialect) {
    let api = Api::start(dialect, tokens()).await;
    let path = format!("/v1/p1/restores/{RECORDED}/resources");
    let answer = api.get("token-1", &path).await.json();
    let since = "2026-01-02T10:00:08.000001Z";
    let line = |resource_type: &str, id: Value, source: Value, status: &str, since: Value| {
        json!({ "resource_type": resource_type, "resource_id": id, "source_id": source,
                "name": null, "status": status, "reason": null, "sequence": null, "since": since })
    };
    let mut lines = [
        line("N", json!("s1"), Value::Null, "restoring", json!(since)),
        line("V", json!("2"), json!("s2"), "error", json!(since)),
        line("V", json!("new"), json!("s1"), "available", json!(since)),
        line("V", Value::Null, json!("s9"), "not_begun", Value::Null),
    ];
    lines[1]["reason"] = json!("no space \u{fc}");
    lines[2]["name"] = json!("data");
    lines[2]["sequence"] = json!(2);
    lines[3]["name"] = json!("last");
    assert_eq!(answer["resources"], json!(lines));
    assert_eq!(
        answer["counts"],
        json!({ "undefined": 0, "started": 0, "restoring": 1, "available": 1, "error": 1,
                "expected": 3 })
    );
    for (query, wanted) in [
        ("status=error,restoring", &lines[..2]),
        ("status=not_begun&status=available", &lines[2..]),
        ("status=not_begun", &lines[3..]),
        ("status=undefined", &[]),
        ("offset=1&limit=2", &lines[1..3]),
        ("offset=9", &[]),
    ] {
        let answer = api.get("token-1", &format!("{path}?{query}")).await.json();
        assert_eq!(answer["resources"], json!(wanted), "{query}");
    }
    let page = api.get("token-1", &format!("{path}?limit=2")).await.json();
    let next = format!("http://api:8798{path}?limit=2&offset=2");
    assert_eq!(page["resources_links"], json!([{ "rel": "next", "href": next }]));
    let karbors = format!("/v1/p1/restores/{KARBORS}/resources");
    let karbors = api.get("token-1", &karbors).await.json();
    assert_eq!(karbors["resources"][0]["reason"], "late");
    assert_eq!(karbors["counts"]["available"], 1);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_is_paged_oldest_first(#[case] dialect: Dialect) {
    let api = Api::start(dialect, tokens()).await;
    let path = format!("/v1/p1/restores/{RECORDED}/events");
    let all = api.get("token-1", &path).await.json();
    let events = all["events"].as_array().unwrap();
    let ids: Vec<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [3, 1, 2].map(|number| format!("{PUBLISHER}:{number}")));
    assert_eq!(events[1]["resources"]["expected"], 3);
    assert_eq!(
        events[2],
        json!({
            "id": ids[2],
            "message_id": events[2]["message_id"],
            "event_type": "karbor.restore_resource.error",
            "occurred_at": "2026-01-02T10:00:01.000001Z",
            "transition": 2,
            "old_status": "started",
            "status": "error",
            "reason": "no space",
            "sequence": null,
            "request_id": "req-2",
            "resource_type": "V",
            "resource_id": "2",
            "source_id": "s2",
            "name": null,
        })
    );
    let mut met = Vec::new();
    let mut page = api.get("token-1", &format!("{path}?limit=1")).await.json();
    loop {
        met.extend(page["events"].as_array().unwrap().clone());
        let Some(next) = page["events_links"][0]["href"].as_str() else { break };
        page = api.get("token-1", next.strip_prefix("http://api:8798").unwrap()).await.json();
    }
    assert_eq!(&met, events);
    let bad = api.get("token-1", &format!("{path}?marker=x")).await;
    assert_eq!((bad.status, &bad.json()["itemNotFound"]["code"]), (404, &json!(404)));
}
