//! A cluster of three nodes loses one under load, and is restarted node by node; a worker that knows
//! all hosts goes on.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::number_from;
use super::scene::Scene;
use super::traffic::Unknown;
use crate::harness::{Kind, RabbitCluster, Stage, Worker};

/// Messages of one run.
const MESSAGES: usize = 300;

/// How long traffic flows before the leader dies.
const BEFORE: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    LeaderKilled,
    NodesRestarted,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::LeaderKilled => "kill -9 of a leader of a cluster, left dead",
            Self::NodesRestarted => "a cluster restarted node by node",
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_loses_a_node_costs_nothing() {
    let rounds = number_from("TEST_FAULT_ROUNDS", 1);
    let kinds: &[Kind] = match rounds {
        1 => &[Kind::Postgresql],
        _ => &[Kind::Postgresql, Kind::Mysql, Kind::Sqlite],
    };
    let cluster = Mutex::new(RabbitCluster::start().await);
    for round in 0..rounds {
        for fault in [Fault::LeaderKilled, Fault::NodesRestarted] {
            let findings = meet(fault, &cluster, kinds, round * 100 + fault as u64).await;
            assert!(findings.is_empty(), "{findings:#?}");
        }
    }
}

async fn meet(
    fault: Fault,
    cluster: &Mutex<RabbitCluster>,
    kinds: &[Kind],
    seed: u64,
) -> Vec<String> {
    let url = cluster.lock().await.url();
    let plays = join_all(kinds.iter().map(|kind| begin(&url, *kind, seed))).await;
    let leader = cluster.lock().await.leader(&plays[0].0.stage.topic).await;
    let happening = async {
        let mut cluster = cluster.lock().await;
        match fault {
            Fault::LeaderKilled => {
                sleep(BEFORE).await;
                cluster.nodes[leader].down("KILL").await;
            }
            Fault::NodesRestarted => {
                for node in &mut cluster.nodes {
                    node.restart().await;
                }
            }
        }
    }
    .shared();
    let lasting = match fault {
        Fault::LeaderKilled => 2 * BEFORE,
        Fault::NodesRestarted => Duration::from_secs(20),
    };
    let through = plays.iter().map(|(scene, _)| scene.through(lasting, happening.clone()));
    let since = join_all(through).await;
    let mending = async {
        if fault == Fault::LeaderKilled {
            cluster.lock().await.nodes[leader].up().await;
        }
    }
    .shared();
    let ends = plays.into_iter().zip(since).map(|((scene, worker), since)| {
        scene.end_and_mend(fault.name(), vec![worker], since, mending.clone())
    });
    join_all(ends).await.concat()
}

/// A worker whose queues are all on every node, and its traffic.
async fn begin(url: &str, kind: Kind, seed: u64) -> (Scene, Worker) {
    let stage = Stage::on(url, kind).await.with("MESSAGING__RABBIT_QUORUM_QUEUE", "true");
    let scene = Scene::on(stage, seed, MESSAGES, Unknown::Early).await;
    let worker = scene.worker("w0").start().await;
    (scene, worker)
}
