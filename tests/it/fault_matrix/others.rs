//! What other programs may do in the worker's database: end its connections, lock what it needs in
//! another order or for too long, make it read-only, ask so much that no connection is left.

use std::time::Duration;

use futures_util::future::join_all;
use rstest::rstest;
use tokio::time::{Instant, sleep};

use super::scene::Scene;
use super::traffic::Unknown;
use super::{is_long, number_from};
use crate::harness::{Kind, PATIENCE, PROJECT, Session, Worker};

/// Messages of one run.
const MESSAGES: usize = 300;

/// How long the first of two locks is held before the second is asked for.
const HELD: Duration = Duration::from_millis(200);

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Every connection of the worker's is ended, 20 times.
    Ended,
    /// Restores are locked in the opposite order, for 3 s; the worker is the one who loses.
    Deadlocks,
    /// A restore is locked for 4 s, which is longer than a statement may wait.
    LongLock,
    /// Five readers want the only connection for 2 s.
    PoolOfOne,
    /// The database is read-only for 2 s.
    ReadOnly,
}

const FAULTS: &[Fault] = &[Fault::Ended, Fault::Deadlocks, Fault::LongLock];
const LONG: &[Fault] = &[Fault::PoolOfOne];

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Ended => "connections to the database ended 20 times",
            Self::Deadlocks => "deadlocks for 3 s",
            Self::LongLock => "a restore locked for 4 s",
            Self::PoolOfOne => "a pool of one connection, with readers",
            Self::ReadOnly => "the database read-only for 2 s",
        }
    }

    fn lasts(self) -> Duration {
        match self {
            Self::Ended | Self::PoolOfOne | Self::ReadOnly => Duration::from_secs(2),
            Self::Deadlocks => Duration::from_secs(3),
            Self::LongLock => Duration::from_secs(4),
        }
    }

    /// What the worker must have said of it.
    fn told(self) -> Option<&'static str> {
        match self {
            Self::Deadlocks => Some("deadlock"),
            Self::LongLock | Self::ReadOnly => Some("did not take a batch"),
            Self::Ended | Self::PoolOfOne => None,
        }
    }
}

/// The other program, and what it works on.
struct Other<'a> {
    kind: Kind,
    scene: &'a Scene,
    session: Session,
    /// The restores that were recorded, in the order in which the worker locks them.
    restores: Vec<String>,
}

impl<'a> Other<'a> {
    async fn open(kind: Kind, scene: &'a Scene) -> Self {
        let session = Session::open(kind, scene.stage.database.url()).await.expect("it is up");
        let sql = "SELECT restore_id AS text FROM restore_states ORDER BY restore_id";
        let restores = scene.stage.database.texts(sql).await.into_iter().flatten().collect();
        Self { kind, scene, session, restores }
    }

    async fn strike(&mut self, fault: Fault, worker: &Worker) {
        match fault {
            Fault::Ended => self.end_connections(fault.lasts()).await,
            Fault::Deadlocks => self.lock_in_the_opposite_order(fault.lasts(), worker).await,
            Fault::LongLock => {
                self.session.run("BEGIN").await.expect("a transaction begins");
                self.lock(0).await.expect("nobody else waits for long");
                sleep(fault.lasts()).await;
                self.session.run("ROLLBACK").await.expect("it ends");
            }
            Fault::PoolOfOne => read(worker, fault.lasts()).await,
            Fault::ReadOnly => {
                self.make_read_only("on").await;
                sleep(fault.lasts()).await;
                self.make_read_only("off").await;
            }
        }
    }

    async fn end_connections(&mut self, lasting: Duration) {
        let mut ended = 0;
        for _ in 0..20 {
            ended += self.end_all().await;
            sleep(lasting / 20).await;
        }
        assert!(ended > 0, "no connection was ended");
    }

    /// Ends all connections to this database but its own; gives how many.
    async fn end_all(&mut self) -> usize {
        let database = &self.scene.stage.database;
        if self.kind == Kind::Postgresql {
            let sql = "SELECT pg_terminate_backend(pid)::text AS text FROM pg_stat_activity \
                       WHERE datname = current_database() AND pid <> pg_backend_pid() \
                       AND application_name = 'karbor-restore-worker'";
            return database.texts(sql).await.len();
        }
        let sql = "SELECT CAST(id AS CHAR) AS text FROM information_schema.processlist \
                   WHERE db = DATABASE() AND id <> CONNECTION_ID()";
        let mut ended = 0;
        for id in database.texts(sql).await.into_iter().flatten() {
            // It may be gone by itself.
            ended += usize::from(self.session.run(&format!("KILL {id}")).await.is_ok());
        }
        ended
    }

    async fn lock(&mut self, restore: usize) -> Result<(), String> {
        let id = &self.restores[restore];
        let sql = format!("SELECT 1 FROM restore_states WHERE restore_id = '{id}' FOR UPDATE");
        self.session.run(&sql).await
    }

    /// For so long, and on a busy machine until it has come to a deadlock.
    async fn lock_in_the_opposite_order(&mut self, lasting: Duration, worker: &Worker) {
        if self.kind == Kind::Postgresql {
            // Who looks for a deadlock first loses: the worker does, after 1 s.
            self.session.run("SET deadlock_timeout = '60s'").await.expect("it is a superuser");
        }
        // MariaDB lets go on who has written more.
        let rows = vec!["(1)"; 1000].join(", ");
        let write = format!("INSERT INTO another_programs_own VALUES {rows}");
        self.session.run("CREATE TABLE another_programs_own (n int)").await.expect("a table");
        let begun = Instant::now();
        let lost = || worker.log().to_lowercase().contains("deadlock");
        while begun.elapsed() < lasting || !lost() && begun.elapsed() < PATIENCE {
            self.session.run("BEGIN").await.expect("a transaction begins");
            self.session.run(&write).await.expect("its own table");
            // Somebody loses, and whoever it is ends the transaction.
            let mut held = self.lock(1).await;
            sleep(HELD).await;
            if held.is_ok() {
                held = self.lock(0).await;
            }
            drop(held);
            self.session.run("ROLLBACK").await.expect("it ends");
        }
        self.session.run("DROP TABLE another_programs_own").await.expect("it is there");
    }

    /// As a standby answers after a fail-over.
    async fn make_read_only(&mut self, value: &str) {
        let database = self.scene.stage.database.name();
        let sql = format!("ALTER DATABASE {database} SET default_transaction_read_only = {value}");
        self.session.run(&sql).await.expect("this session is older");
        self.end_all().await;
    }
}

/// Five readers over HTTP, for so long.
async fn read(worker: &Worker, lasting: Duration) {
    let until = Instant::now() + lasting;
    let path = format!("/v1/{PROJECT}/restores");
    let reader = async || {
        let mut answers = 0;
        while Instant::now() < until {
            answers += usize::from(worker.get(&path).await.status == 200);
        }
        answers
    };
    let answers: usize = join_all((0..5).map(|_| reader())).await.into_iter().sum();
    assert!(answers > 0, "nothing could be read");
}

/// One run; gives what is not right.
async fn live_through(kind: Kind, fault: Fault, seed: u64) -> Vec<String> {
    let scene = Scene::new(kind, seed, MESSAGES, Unknown::Early).await;
    let mut other = Other::open(kind, &scene).await;
    let mut worker = scene.worker("w1");
    match fault {
        Fault::LongLock => worker = worker.set("DATABASE__STATEMENT_TIMEOUT_MS", "1000"),
        Fault::PoolOfOne => worker = worker.set("DATABASE__POOL_SIZE", "1"),
        Fault::Ended | Fault::Deadlocks | Fault::ReadOnly => {}
    }
    let worker = worker.start().await;
    let since = scene.through(fault.lasts(), other.strike(fault, &worker)).await;
    drop(other);
    let log = worker.log().to_lowercase();
    assert!(fault.told().is_none_or(|words| log.contains(words)), "{fault:?}: {log}");
    scene.end(fault.name(), vec![worker], since).await
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_programs_of_the_database_cost_nothing(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    for round in 0..number_from("TEST_FAULT_ROUNDS", 1) {
        let mut faults = FAULTS.to_vec();
        if is_long() {
            faults.extend(LONG);
        }
        // On MariaDB it is the whole server's: see `restarts`.
        if is_long() && kind == Kind::Postgresql {
            faults.push(Fault::ReadOnly);
        }
        let runs = faults.iter().enumerate();
        let runs = runs.map(|(seed, fault)| live_through(kind, *fault, round * 100 + seed as u64));
        let findings: Vec<_> = join_all(runs).await.concat();
        assert!(findings.is_empty(), "{findings:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_program_locks_costs_nothing() {
    let scene = Scene::new(Kind::Sqlite, 0, MESSAGES, Unknown::Early).await;
    let worker = scene.worker("w1").set("DATABASE__STATEMENT_TIMEOUT_MS", "1000").start().await;
    let lasting = Duration::from_secs(3);
    let since = scene
        .through(lasting, async {
            let _lock = scene.stage.database.lock().await;
            sleep(lasting).await;
        })
        .await;
    assert!(worker.log().contains("did not take a batch"), "{}", worker.log());
    let findings = scene.end("the file locked for 3 s", vec![worker], since).await;
    assert!(findings.is_empty(), "{findings:#?}");
}
