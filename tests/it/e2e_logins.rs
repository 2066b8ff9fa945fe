//! A login that a server refuses: `serve` says so and tries again, at start and later, whichever
//! server it is; `migrate` ends.

use std::process::Command;

use rstest::rstest;

use crate::harness::{
    Database, Kind, Proxy, Stage, Worker, broker_url, eventually, get, new_id, proxied,
};

const PASSWORD: &str = "hunter2-of-the-login";

/// Waits until `/readyz` says that a login is refused.
async fn refused(worker: &Worker) {
    eventually("the refused login is a reason in /readyz", || async {
        let answer = worker.get("/readyz").await;
        let said = answer.status == 503 && answer.body.contains("refuses the login");
        if said { Ok(()) } else { Err(answer.body) }
    })
    .await;
}

/// The same of a worker that has just been started.
async fn begun_and_refused(worker: &Worker) {
    eventually("it listens", || async {
        get(worker.address(), "/healthz").await.map_err(|error| error.to_string())
    })
    .await;
    refused(worker).await;
}

/// That it told of the login, without its password, and ends well.
async fn told_and_ends(worker: Worker) {
    let log = worker.log();
    assert!(log.lines().any(|line| line.contains("ERROR") && line.contains("login")), "{log}");
    assert!(!log.contains(PASSWORD), "{log}");
    assert_eq!(worker.terminate().await.code(), Some(0));
}

/// A URL with this user and [`PASSWORD`].
fn as_user(url: &str, name: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL has a scheme");
    let host = rest.split_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{name}:{PASSWORD}@{host}")
}

/// Runs the statements of one of the two databases, one by one.
async fn run(database: &Database, kind: Kind, postgresql: &str, mysql: &str, name: &str) {
    let statements = if kind == Kind::Postgresql { postgresql } else { mysql };
    for statement in statements.split(';') {
        database.texts(&statement.replace("NAME", name).replace("PASSWORD", PASSWORD)).await;
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_the_database_refuses_is_tried_again_at_start_and_later(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let stage = Stage::new(kind).await;
    let proxy = Proxy::start(&proxied::server(stage.database.url())).await;
    let name = format!("login_{}", &new_id()[..8]);
    let url = as_user(&proxied::url(stage.database.url(), &proxy), &name);
    let sql = async |postgresql, mysql| run(&stage.database, kind, postgresql, mysql, &name).await;

    let migrate = stage.worker("w1").set("DATABASE__URL", &url).run(&["migrate"]).await;
    assert_eq!(migrate.status.code(), Some(1));
    let worker = stage.worker("w1").set("DATABASE__URL", &url).spawn();
    begun_and_refused(&worker).await;
    sql(
        "CREATE ROLE NAME LOGIN SUPERUSER",
        "CREATE USER NAME IDENTIFIED BY 'PASSWORD'; GRANT ALL ON *.* TO NAME",
    )
    .await;
    worker.ready().await;
    stage.record_restore().await;

    sql("ALTER ROLE NAME NOLOGIN", "ALTER USER NAME IDENTIFIED BY 'rotated'").await;
    proxy.cut();
    refused(&worker).await;
    sql("ALTER ROLE NAME LOGIN", "ALTER USER NAME IDENTIFIED BY 'PASSWORD'").await;
    worker.ready().await;
    stage.record_restore().await;

    told_and_ends(worker).await;
    sql("DROP OWNED BY NAME; DROP ROLE NAME", "DROP USER NAME").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_the_broker_refuses_is_tried_again_at_start() {
    let control = |arguments: &[&str]| {
        let program = std::env::var("TEST_RABBITMQ_CTL").expect("scripts/test sets it");
        let output = Command::new(program).args(arguments).output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
    };
    let stage = Stage::new(Kind::Sqlite).await;
    let name = format!("login_{}", &new_id()[..8]);
    let url = as_user(&broker_url(), &name);
    let worker = stage.worker("w1").set("MESSAGING__TRANSPORT_URL", url).spawn();
    begun_and_refused(&worker).await;

    control(&["add_user", &name, PASSWORD]);
    control(&["set_permissions", &name, ".*", ".*", ".*"]);
    worker.ready().await;
    stage.record_restore().await;

    told_and_ends(worker).await;
    control(&["delete_user", &name]);
}
