//! What every request meets: refusals in Karbor's form, hosts, probes, headers.

use karbor_restore_worker::http::{Part, Tokens};
use karbor_restore_worker::store::Dialect;
use serde_json::json;

use super::{Api, tokens};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_refused_as_karbor_refuses() {
    let api = Api::start(Dialect::Sqlite, Tokens::none()).await;
    for (request, status, name) in [
        ("POST /v1/p1/restores", 405, "badMethod"),
        ("DELETE /healthz", 405, "badMethod"),
        ("GET /v2", 404, "itemNotFound"),
        ("GET /v1/p1/restores/detail", 400, "badRequest"),
        ("GET /v1/%ff/restores", 400, "badRequest"),
    ] {
        let answer = api.ask(request, "Host: localhost\r\nContent-Length: 0\r\n").await;
        assert_eq!(answer.status, status, "{request}");
        assert_eq!(answer.json()[name]["code"], status, "{request}");
    }
    let head = api.ask("HEAD /v1/p1/restores", "Host: localhost\r\n").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tokens_only_loopback_hosts_are_answered() {
    let api = Api::start(Dialect::Sqlite, Tokens::none()).await;
    for path in ["/", "/v1/p1/restores", "/metrics"] {
        for host in ["localhost:1", "127.0.0.1", "[::1]:8798"] {
            let answer = api.ask(&format!("GET {path}"), &format!("Host: {host}\r\n")).await;
            assert_eq!(answer.status, 200, "{path} {host}");
        }
        for headers in ["Host: evil.example\r\n", "", "Host: localhost\r\nHost: evil.example\r\n"] {
            let answer = api.ask(&format!("GET {path}"), headers).await;
            assert!([400, 403].contains(&answer.status), "{path} {headers} {}", answer.status);
        }
        let absolute = format!("GET http://evil.example{path}");
        assert_eq!(api.ask(&absolute, "Host: localhost\r\n").await.status, 403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_need_no_token_and_no_response_is_kept() {
    let api = Api::start(Dialect::Sqlite, tokens()).await;
    let host = "Host: any\r\n";
    assert_eq!(api.ask("GET /healthz", host).await.status, 200);
    let waiting = api.ask("GET /readyz", host).await;
    assert_eq!(waiting.status, 503);
    assert_eq!(waiting.json()["reasons"].as_array().unwrap().len(), 3);
    for part in [Part::Database, Part::Broker, Part::Consumer] {
        api.health.set(part, Ok(()));
    }
    let ready = api.ask("GET /readyz", host).await;
    assert_eq!((ready.status, ready.json()), (200, json!({ "ready": true })));
    let metrics = api.ask("GET /metrics", host).await;
    assert!(metrics.body.contains("karbor_restore_part_ready{part=\"broker\"} 1"));
    for answer in [ready, metrics, api.get("nobody", "/v1/p1/restores").await] {
        let head = answer.head.to_ascii_lowercase();
        assert!(head.contains("cache-control: no-store"), "{head}");
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_prometheus_text_unless_openmetrics_is_asked_for() {
    let api = Api::start(Dialect::Sqlite, tokens()).await;
    let text = api.ask("GET /metrics", "Host: any\r\n").await;
    let head = text.head.to_ascii_lowercase();
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    for line in text.body.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let has_type = |name: &str| text.body.contains(&format!("# TYPE {name} "));
        assert!(has_type(name) || family.is_some_and(has_type), "{line} has no type");
    }
    assert!(text.body.contains("# TYPE karbor_restore_batches_total counter\n"), "{}", text.body);
    assert!(!text.body.contains("# EOF"), "{}", text.body);

    let asked = "Host: any\r\nAccept: application/openmetrics-text;version=1.0.0\r\n";
    let open = api.ask("GET /metrics", asked).await;
    let head = open.head.to_ascii_lowercase();
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(open.body.ends_with("# EOF\n"), "{}", open.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_used_is_no_secret_leak() {
    let api = Api::start(Dialect::Sqlite, tokens()).await;
    api.database.execute("DROP TABLE restore_states").await;
    let answer = api.get("token-1", "/v1/p1/restores").await;
    assert_eq!(answer.status, 500);
    assert!(!answer.body.contains("restore_states"), "{}", answer.body);
    assert_eq!(answer.json()["computeFault"]["code"], 500);
}
