//! REST against a real database of each kind: Karbor's JSON, paging, sorting, errors, and who may
//! see what.

mod guard;
mod own;
pub mod rows;

use std::net::SocketAddr;
use std::process::Command;

use karbor_restore_worker::http::{self, Health, HttpState, Metrics, Tokens};
use karbor_restore_worker::store::Dialect;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::store::database::Database;
use rows::{BARE, DELETED, FOREIGN, KARBORS, RECORDED, SECOND};

const TOKENS: &str = "token-1 p1\ntoken-2 p2\ntoken-admin *\n";

struct Api {
    address: SocketAddr,
    health: Health,
    database: Database,
    _serving: DropGuard,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }
}

impl Api {
    /// Serves a fresh database with the restores above.
    async fn start(dialect: Dialect, tokens: Tokens) -> Self {
        let (database, store) = Database::migrated(dialect).await;
        for statement in rows::statements() {
            database.execute(&statement).await;
        }
        let health = Health::new();
        let state = HttpState::new(store, tokens, health.clone(), Metrics::new(), None);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shutdown = CancellationToken::new();
        tokio::spawn(http::serve(listener, http::api_router(state), shutdown.clone()));
        Self { address, health, database, _serving: shutdown.drop_guard() }
    }

    async fn ask(&self, request_line: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("it is served");
        let request = format!("{request_line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// GET with a token.
    async fn get(&self, token: &str, path: &str) -> Answer {
        let headers = format!("Host: api:8798\r\nX-Auth-Token: {token}\r\n");
        self.ask(&format!("GET {path}"), &headers).await
    }

    /// The ids of a list.
    async fn ids(&self, token: &str, path: &str) -> Vec<String> {
        let answer = self.get(token, path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let restores = answer.json()["restores"].clone();
        let id = |restore: &Value| restore["id"].as_str().expect("an id").to_owned();
        restores.as_array().expect("a list").iter().map(id).collect()
    }
}

fn tokens() -> Tokens {
    Tokens::parse(TOKENS).expect("tokens")
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_is_shown_as_karbor_shows_it(#[case] dialect: Dialect) {
    let api = Api::start(dialect, tokens()).await;
    let recorded = api.get("token-1", &format!("/v1/p1/restores/{RECORDED}")).await;
    assert_eq!(recorded.status, 200);
    // Numbers come through as they were sent, however large.
    let parameters = "\"parameters\":{\"V#s1\": {\"size\": 1180591620717411303424}}";
    assert!(recorded.body.contains(parameters), "{}", recorded.body);
    let mut shown = recorded.json();
    shown["restore"]["parameters"] = Value::Null;
    assert_eq!(
        shown,
        json!({ "restore": {
            "id": RECORDED,
            "project_id": "p1",
            "provider_id": "pr",
            "checkpoint_id": "cp",
            "restore_target": "http://k:35357",
            "parameters": null,
            "status": "in_progress",
            "resources_status": { "N#s1": "restoring", "V#2": "error", "V#new": "available" },
            "resources_reason": { "V#2": "no space \u{fc}" },
        }})
    );
    // Any usual spelling of the id will do.
    let spelling = KARBORS.replace('-', "").to_uppercase();
    let karbors = api.get("token-1", &format!("/v1/p1/restores/{spelling}")).await.json();
    assert_eq!(karbors["restore"]["id"], KARBORS);
    assert_eq!(karbors["restore"]["parameters"], json!({}));
    assert_eq!(karbors["restore"]["restore_target"], Value::Null);
    assert_eq!(karbors["restore"]["resources_status"], json!({ "V#b": "available" }));
    assert_eq!(karbors["restore"]["resources_reason"], json!({ "V#b": "late" }));
    let bare = api.get("token-1", &format!("/v1/p1/restores/{BARE}")).await;
    assert_eq!((bare.status, &bare.json()["restore"]["resources_status"]), (200, &json!({})));
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_sees_what_the_token_reaches(#[case] dialect: Dialect) {
    let api = Api::start(dialect, tokens()).await;
    let fault = |name: &str, code: u16, message: String| json!({ name: { "code": code, "message": message } });
    let not_found =
        |id: &str| fault("itemNotFound", 404, format!("Restore {id} could not be found."));
    for (token, path, status, body) in [
        ("token-1", format!("/v1/p1/restores/{FOREIGN}"), 404, not_found(FOREIGN)),
        ("token-1", format!("/v1/p1/restores/{DELETED}"), 404, not_found(DELETED)),
        ("token-admin", format!("/v1/p1/restores/{DELETED}"), 404, not_found(DELETED)),
        ("token-1", format!("/v1/p1/restores/{FOREIGN}/resources"), 404, not_found(FOREIGN)),
        ("token-1", format!("/v1/p1/restores/{FOREIGN}/events"), 404, not_found(FOREIGN)),
        ("token-1", format!("/v1/p1/restores?marker={FOREIGN}"), 404, not_found(FOREIGN)),
        ("token-1", "/v1/p1/restores?marker=x".into(), 404, not_found("x")),
        (
            "token-1",
            "/v1/p2/restores".into(),
            400,
            fault("badRequest", 400, "Malformed request url".into()),
        ),
        (
            "nobody",
            "/v1/p1/restores".into(),
            401,
            fault("unauthorized", 401, "The request you have made requires authentication.".into()),
        ),
    ] {
        let answer = api.get(token, &path).await;
        assert_eq!((answer.status, answer.json()), (status, body), "{path}");
    }
    let none = api.ask("GET /v1/p1/restores", "Host: x\r\n").await;
    assert_eq!(none.status, 401);
    let admins = api.get("token-admin", &format!("/v1/p1/restores/{FOREIGN}")).await;
    assert_eq!((admins.status, &admins.json()["restore"]["project_id"]), (200, &json!("p2")));
    assert_eq!(api.ids("token-2", "/v1/p2/restores").await, [FOREIGN]);
    assert_eq!(api.ids("token-2", "/v1/p2/restores?all_tenants=1").await, [FOREIGN]);
    assert_eq!(api.ids("token-admin", "/v1/p2/restores").await, [FOREIGN]);
    assert_eq!(api.ids("token-admin", "/v1/p3/restores?all_tenants=1").await.len(), 5);
    // MySQL compares Karbor's columns without case.
    assert_eq!(api.ids("token-admin", "/v1/P2/restores").await, [] as [&str; 0]);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_sorted_filtered_and_paged_as_karbors(#[case] dialect: Dialect) {
    let api = Api::start(dialect, tokens()).await;
    let list = "/v1/p1/restores";
    let with_time: Vec<String> = api.ids("token-1", list).await;
    let with_time: Vec<&str> =
        with_time.iter().map(String::as_str).filter(|id| *id != BARE).collect();
    assert_eq!(with_time, [KARBORS, SECOND, RECORDED], "newest first, then by id");
    let asks = async |query: &str| api.ids("token-1", &format!("{list}?{query}")).await;
    assert_eq!(asks("sort=id:asc").await, [RECORDED, KARBORS, BARE, SECOND]);
    assert_eq!(asks("sort_key=id&sort_dir=desc&limit=2").await, [SECOND, BARE]);
    assert_eq!(asks("sort=id:asc&offset=1&limit=2").await, [KARBORS, BARE]);
    // Filtered by what is shown: Karbor's column of the first says `fail` until it is rewritten.
    assert_eq!(asks("sort=id:asc&status=in_progress").await, [RECORDED, SECOND]);
    assert_eq!(asks("status=success").await, [KARBORS]);
    assert_eq!(asks("status=fail").await, [] as [&str; 0]);
    assert_eq!(asks("colour=red&id=x&status=success").await, [KARBORS]);
    let admins = async |query: &str| api.ids("token-admin", &format!("{list}?{query}")).await;
    assert_eq!(admins("all_tenants=1&created_at=2026-01-02%2012:00:00").await, [FOREIGN]);
    assert_eq!(admins("all_tenants=1&project_id=p2").await, [FOREIGN]);
    assert_eq!(admins(&format!("id={BARE}")).await, [BARE]);
    assert_eq!(admins("colour=red").await, [] as [&str; 0]);
    assert_eq!(admins("restore_target=a%00b").await, [] as [&str; 0]);
    for (query, message) in [
        ("limit=x", "limit param must be an integer"),
        ("limit=0", "limit param must be positive"),
        ("offset=-1", "offset must be >= 0"),
        ("sort=id:up", "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'."),
    ] {
        let answer = api.get("token-1", &format!("{list}?{query}")).await;
        let body = json!({ "badRequest": { "code": 400, "message": message } });
        assert_eq!((answer.status, answer.json()), (400, body), "{query}");
    }
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn following_next_links_meets_each_restore_once(#[case] dialect: Dialect) {
    let api = Api::start(dialect, tokens()).await;
    for key in ["id", "created_at", "updated_at", "status", "provider_id", "restore_target"] {
        for direction in ["asc", "desc"] {
            let list = format!("/v1/p1/restores?sort={key}:{direction}");
            let all = api.ids("token-1", &list).await;
            assert_eq!(all.len(), 4, "{list}");
            let mut met = Vec::new();
            let mut path = format!("{list}&limit=1");
            loop {
                let page = api.get("token-1", &path).await.json();
                let restores = page["restores"].as_array().unwrap();
                met.extend(
                    restores.iter().map(|restore| restore["id"].as_str().unwrap().to_owned()),
                );
                let Some(next) = page["restores_links"][0]["href"].as_str() else { break };
                assert_eq!(page["restores_links"][0]["rel"], "next");
                path = next.strip_prefix("http://api:8798").unwrap().to_owned();
                assert!(met.len() <= 4, "{list}: {met:?}");
            }
            assert_eq!(met, all, "{list}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn python_karborclient_reads_restores_unmodified() {
    let api = Api::start(Dialect::Sqlite, tokens()).await;
    let endpoint = format!("http://{}/v1", api.address);
    let python = std::env::var("TEST_PYTHON").expect("TEST_PYTHON is not set: run scripts/test");
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/karborclient_reads.py");
    let arguments = [program, &endpoint, RECORDED, KARBORS, FOREIGN].map(str::to_owned);
    let run = move || Command::new(python).args(arguments).output();
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
