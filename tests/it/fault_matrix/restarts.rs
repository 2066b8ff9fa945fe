//! The database's server ends and comes back, has no connection left, or takes no writes. On a server
//! of the test's own, whose data is what it kept.

use std::time::Duration;

use rstest::rstest;
use tokio::time::sleep;

use super::scene::Scene;
use super::traffic::Unknown;
use super::{is_long, number_from};
use crate::harness::{
    Database, DatabaseServer, Kind, Session, Stage, Stop, Worker, broker_url, eventually,
};

/// Messages of one run.
const MESSAGES: usize = 300;

/// Connections that the server takes, its administrator's included.
const CONNECTIONS: &str = "30";

/// What happens to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Restart(Stop),
    /// Other programs hold every connection for 2 s.
    Full,
    /// Nobody may write for 2 s.
    ReadOnly,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Restart(Stop::Fast) => "the database restarted",
            Self::Restart(Stop::Immediate) => "the database stopped at once, and started",
            Self::Restart(Stop::Kill) => "kill -9 of the database, and a start",
            Self::Full => "no connection left in the database for 2 s",
            Self::ReadOnly => "the database read-only for 2 s",
        }
    }
}

async fn start(kind: Kind) -> DatabaseServer {
    let limit = match kind {
        Kind::Postgresql => format!("-cmax_connections={CONNECTIONS}"),
        Kind::Mysql | Kind::Sqlite => format!("--max-connections={CONNECTIONS}"),
    };
    DatabaseServer::start(kind, &[], &[&limit]).await
}

/// Holds every connection that can be had, the worker's too, and gives them back.
async fn fill(kind: Kind, server: &DatabaseServer, worker: &Worker) {
    let mut held = Vec::new();
    let until = tokio::time::Instant::now() + Duration::from_secs(2);
    while tokio::time::Instant::now() < until {
        match Session::open(kind, &server.url()).await {
            Ok(session) => held.push(session),
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
        if let Some(first) = held.first_mut() {
            end_connections_of_workers(kind, first).await;
        }
    }
    let log = worker.log().to_lowercase();
    assert!(log.contains("too many"), "{log}");
    drop(held);
    eventually("a connection can be had again", || async {
        Session::open(kind, &server.url()).await.map(drop)
    })
    .await;
}

async fn end_connections_of_workers(kind: Kind, session: &mut Session) {
    let sql = match kind {
        Kind::Postgresql => {
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = 'karbor-restore-worker'"
        }
        // Whoever works in a database; those that hold connections have none.
        Kind::Mysql | Kind::Sqlite => {
            "BEGIN NOT ATOMIC FOR one IN (SELECT id FROM information_schema.processlist \
             WHERE db IS NOT NULL) DO KILL one.id; END FOR; END"
        }
    };
    // One of them may be gone by itself.
    session.run(sql).await.ok();
}

/// One run on a server that is up and is up afterwards; gives what is not right.
async fn live_through(
    kind: Kind,
    server: &mut DatabaseServer,
    fault: Fault,
    seed: u64,
) -> Vec<String> {
    let database = Database::fresh_on(kind, server.url()).await;
    let name = database.name().to_owned();
    let stage = Stage::of(&broker_url(), database).await;
    let scene = Scene::on(stage, seed, MESSAGES, Unknown::Early).await;
    let mut worker = scene.worker("w1");
    if fault == Fault::ReadOnly {
        // An administrator may write all the same.
        server.execute(&format!("GRANT ALL ON {name}.* TO writer")).await;
        worker =
            worker.set("DATABASE__URL", scene.stage.database.url().replace("root@", "writer@"));
    }
    let worker = worker.start().await;
    let lasting = Duration::from_secs(2);
    let since = scene
        .through(lasting, async {
            match fault {
                Fault::Restart(stop) => server.restart(stop).await,
                Fault::Full => fill(kind, server, &worker).await,
                Fault::ReadOnly => {
                    server.execute("SET GLOBAL read_only = 1").await;
                    sleep(lasting).await;
                    server.execute("SET GLOBAL read_only = 0").await;
                    assert!(worker.log().contains("did not take a batch"), "{}", worker.log());
                }
            }
        })
        .await;
    scene.end(fault.name(), vec![worker], since).await
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_server_that_ends_or_is_full_costs_nothing(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let mut server = start(kind).await;
    let mut faults = vec![Fault::Restart(Stop::Kill)];
    if is_long() {
        faults.extend([Fault::Restart(Stop::Fast), Fault::Full]);
        match kind {
            Kind::Postgresql => faults.push(Fault::Restart(Stop::Immediate)),
            Kind::Mysql | Kind::Sqlite => {
                server.execute("CREATE USER writer").await;
                faults.push(Fault::ReadOnly);
            }
        }
    }
    for round in 0..number_from("TEST_FAULT_ROUNDS", 1) {
        for (seed, fault) in faults.iter().enumerate() {
            let findings = live_through(kind, &mut server, *fault, round * 100 + seed as u64).await;
            assert!(findings.is_empty(), "{findings:#?}");
        }
    }
}
