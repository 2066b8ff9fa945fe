//! What the network may do to the links between a worker and its database, or its broker. By a proxy
//! between them; what is silent is found out by short deadlines.

use std::time::Duration;

use futures_util::future::join_all;
use rstest::rstest;
use tokio::time::sleep;

use super::scene::Scene;
use super::traffic::Unknown;
use super::{is_long, number_from};
use crate::harness::{Kind, Proxy, Trap, broker_url, eventually, proxied};

/// Messages of one run.
const MESSAGES: usize = 300;

/// Whose link it is.
#[derive(Debug, Clone, Copy)]
enum Peer {
    Database,
    Broker,
}

/// What happens to it.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// Refused for so many milliseconds, connections that are open included.
    Out(u64),
    /// Cut ten times, forwarded again at once.
    Cuts,
    /// Frozen for so many milliseconds, then thawed.
    Frozen(u64),
    /// Each packet comes late by so many milliseconds.
    Slow(u64),
    /// Half-open: the peer has ended what the worker still thinks open.
    HalfOpen,
    /// For so many milliseconds nothing comes back.
    OneWay(u64),
    /// Three times springs a trap.
    Trapped(Trap),
}

/// A mark of the transactions that write what the traffic is about, and of no start of a worker.
const OF_A_BATCH: &str = "volume-";

/// A mark of notifications.
const OF_A_NOTIFICATION: &str = "karbor.restore_resource";

/// How many are tried at once: most of it is waiting.
const AT_ONCE: usize = 5;

/// What is tried each time.
const SHORT: &[Fault] = &[Fault::Out(1000), Fault::Cuts, Fault::Frozen(1000), Fault::HalfOpen];

/// What is tried besides in the longer matrix.
const LONG: &[Fault] = &[
    Fault::Out(100),
    Fault::Out(10_000),
    Fault::Out(60_000),
    Fault::Frozen(10_000),
    Fault::Slow(50),
    Fault::OneWay(2000),
    Fault::OneWay(10_000),
];

impl Peer {
    /// What is tried each time: that, and what this peer's answers can meet.
    fn short(self) -> Vec<Fault> {
        let trap = match self {
            Self::Database => Trap::LoseCommit,
            Self::Broker => Trap::LoseConfirm,
        };
        [SHORT, &[Fault::Trapped(trap)]].concat()
    }

    fn long(self) -> Vec<Fault> {
        let traps: &[Fault] = match self {
            Self::Database => &[Fault::Trapped(Trap::FreezeCommit), Fault::Trapped(Trap::Freeze)],
            Self::Broker => &[],
        };
        [LONG, traps].concat()
    }
}

impl Fault {
    fn name(self, peer: Peer) -> String {
        let seconds = |ms: u64| Duration::from_millis(ms).as_secs_f64();
        let what = match self {
            Self::Out(ms) => format!("out of reach for {} s", seconds(ms)),
            Self::Cuts => "cut 10 times".to_owned(),
            Self::Frozen(ms) => format!("frozen for {} s", seconds(ms)),
            Self::Slow(ms) => format!("{ms} ms late for 3 s"),
            Self::HalfOpen => "half-open".to_owned(),
            Self::OneWay(ms) => format!("one-way for {} s", seconds(ms)),
            Self::Trapped(Trap::LoseCommit) => "cut before COMMIT's answer, 3 times".to_owned(),
            Self::Trapped(Trap::FreezeCommit) => {
                "frozen before COMMIT's answer, 3 times".to_owned()
            }
            Self::Trapped(Trap::Freeze) => "frozen in a transaction, 3 times".to_owned(),
            Self::Trapped(Trap::LoseConfirm) => "cut before a confirm, 3 times".to_owned(),
            Self::Trapped(Trap::LoseOpening) => "cut before an opening's answer".to_owned(),
            Self::Trapped(Trap::Cut) => "cut at a publication".to_owned(),
        };
        match peer {
            Peer::Database => format!("link to the database: {what}"),
            Peer::Broker => format!("link to the broker: {what}"),
        }
    }

    /// For about how long it lasts.
    fn lasts(self) -> Duration {
        match self {
            Self::Out(ms) | Self::Frozen(ms) | Self::OneWay(ms) => Duration::from_millis(ms),
            Self::Cuts | Self::HalfOpen => Duration::from_secs(1),
            Self::Slow(_)
            | Self::Trapped(Trap::LoseCommit | Trap::LoseConfirm | Trap::LoseOpening | Trap::Cut) => {
                Duration::from_secs(3)
            }
            Self::Trapped(Trap::FreezeCommit | Trap::Freeze) => Duration::from_secs(15),
        }
    }

    async fn strike(self, proxy: &Proxy, peer: Peer) {
        assert!(proxy.has_connections(), "nothing goes through the proxy");
        match self {
            Self::Out(ms) => {
                proxy.refuse();
                sleep(Duration::from_millis(ms)).await;
            }
            Self::Cuts => {
                for _ in 0..10 {
                    proxy.cut();
                    sleep(self.lasts() / 10).await;
                }
            }
            Self::Frozen(ms) => {
                proxy.freeze();
                sleep(Duration::from_millis(ms)).await;
            }
            Self::Slow(ms) => {
                proxy.slow(Duration::from_millis(ms));
                sleep(self.lasts()).await;
            }
            Self::HalfOpen => proxy.half_cut(),
            Self::OneWay(ms) => {
                proxy.mute();
                sleep(Duration::from_millis(ms)).await;
            }
            Self::Trapped(trap) => {
                let mark = match peer {
                    Peer::Database => OF_A_BATCH,
                    Peer::Broker => OF_A_NOTIFICATION,
                };
                for _ in 0..3 {
                    proxy.trap(trap, mark);
                    eventually("the trap springs", || async {
                        if proxy.is_armed() { Err("it waits".to_owned()) } else { Ok(()) }
                    })
                    .await;
                }
            }
        }
        proxy.restore();
    }
}

/// One run; gives what is not right.
async fn live_through(kind: Kind, peer: Peer, fault: Fault, seed: u64) -> Vec<String> {
    let scene = Scene::new(kind, seed, MESSAGES, Unknown::Early).await;
    let (setting, url) = match peer {
        Peer::Database => ("DATABASE__URL", scene.stage.database.url().to_owned()),
        Peer::Broker => ("MESSAGING__TRANSPORT_URL", broker_url()),
    };
    let proxy = Proxy::start(&proxied::server(&url)).await;
    let worker = scene
        .worker("w1")
        .set(setting, proxied::url(&url, &proxy))
        .set("DATABASE__SSL_MODE", "disable")
        .set("DATABASE__STATEMENT_TIMEOUT_MS", "2000")
        .set("MESSAGING__HEARTBEAT_TIMEOUT_THRESHOLD_S", "2")
        .start()
        .await;
    let since = scene.through(fault.lasts(), fault.strike(&proxy, peer)).await;
    scene.end(&fault.name(peer), vec![worker], since).await
}

async fn live_through_all(kind: Kind, peer: Peer, faults: &[Fault], round: u64) {
    let mut seeds = round * 100..;
    for some in faults.chunks(AT_ONCE) {
        let runs = some.iter().zip(&mut seeds);
        let runs = runs.map(|(fault, seed)| live_through(kind, peer, *fault, seed));
        let findings: Vec<_> = join_all(runs).await.concat();
        assert!(findings.is_empty(), "{findings:#?}");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_to_the_database_that_fails_costs_nothing(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    for round in 0..number_from("TEST_FAULT_ROUNDS", 1) {
        live_through_all(kind, Peer::Database, &Peer::Database.short(), round).await;
    }
    if is_long() {
        live_through_all(kind, Peer::Database, &Peer::Database.long(), 99).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_to_the_broker_that_fails_costs_nothing() {
    live_through_all(Kind::Sqlite, Peer::Broker, &Peer::Broker.short(), 0).await;
    if is_long() {
        for kind in [Kind::Postgresql, Kind::Mysql] {
            live_through_all(kind, Peer::Broker, &Peer::Broker.short(), 0).await;
        }
        for kind in [Kind::Postgresql, Kind::Mysql, Kind::Sqlite] {
            live_through_all(kind, Peer::Broker, &Peer::Broker.long(), 99).await;
        }
    }
}
