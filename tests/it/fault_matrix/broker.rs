//! The broker fails under workers that live: it stops, dies, ends connections, takes nothing, loses
//! a queue, closes a channel, or one of its hosts is silent. One node of the test's own does that to
//! workers on every database at once.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use lapin::options::QueueDeleteOptions;
use rstest::rstest;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::number_from;
use super::scene::Scene;
use super::traffic::Unknown;
use crate::harness::{
    Kind, PATIENCE, Proxy, RabbitNode, Stage, Worker, broker_url, eventually, proxied,
};

/// Messages of one run.
const MESSAGES: usize = 300;

/// How long traffic flows during a fault, about.
const LASTING: Duration = Duration::from_secs(3);

/// Longer than the lease of the workers here: it must not run out.
const ALARM: Duration = Duration::from_secs(6);

/// How often a queue is deleted.
const DELETIONS: usize = 3;

/// Ends every connection ten times over, whoever connected meanwhile.
const END_CONNECTIONS: &str = "[begin \
    rabbit_networking:close_connections(rabbit_networking:connections(), \"a test\"), \
    timer:sleep(300) end || _ <- lists:seq(1, 10)].";

/// From now on a channel whose consumer holds a message ends within seconds instead of half an hour.
const SHORT_PATIENCE: &str = "[application:set_env(rabbit, Key, Value) || {Key, Value} <- \
    [{consumer_timeout, 3000}, {channel_tick_interval, 500}]].";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Stopped,
    Killed,
    ConnectionsEnded,
    Alarm,
    QueueDeleted,
    ChannelClosed,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "the broker stopped and started",
            Self::Killed => "kill -9 of the broker, and started",
            Self::ConnectionsEnded => "all connections ended ten times over",
            Self::Alarm => "the broker out of memory for 6 s",
            Self::QueueDeleted => "the request queues deleted three times over",
            Self::ChannelClosed => "the channel closed by the broker",
        }
    }

    /// Does it to all that play.
    async fn happen(self, node: &Mutex<RabbitNode>, plays: &[Play]) {
        let mut node = node.lock().await;
        match self {
            Self::Stopped => node.restart().await,
            Self::Killed => {
                node.down("KILL").await;
                node.up().await;
            }
            Self::ConnectionsEnded => drop(node.control(&["eval", END_CONNECTIONS]).await),
            Self::Alarm => {
                // The broker blocks who publishes: what comes meanwhile is committed during the alarm.
                let locks = plays.iter().map(|play| play.scene.stage.database.lock());
                let locks = join_all(locks).await;
                node.control(&["set_vm_memory_high_watermark", "0"]).await;
                drop(locks);
                sleep(ALARM).await;
                join_all(plays.iter().map(Play::is_told_of_the_alarm)).await;
                node.control(&["set_vm_memory_high_watermark", "0.4"]).await;
            }
            Self::QueueDeleted => drop(join_all(plays.iter().map(Play::delete_queues)).await),
            Self::ChannelClosed => drop(join_all(plays.iter().map(Play::hold_up)).await),
        }
    }
}

/// A worker and its traffic.
struct Play {
    scene: Scene,
    worker: Worker,
}

impl Play {
    async fn begin(node: &RabbitNode, kind: Kind, seed: u64) -> Self {
        let stage = Stage::on(&node.url(), kind).await;
        // What the broker confirmed outlives it.
        let stage = stage.with("MESSAGING__AMQP_DURABLE_QUEUES", "true");
        let scene = Scene::on(stage, seed, MESSAGES, Unknown::Early).await;
        let worker = scene.worker("w0").start().await;
        Self { scene, worker }
    }

    /// What was published before a queue was deleted may have gone with it: all is published again.
    async fn after(&self, fault: Fault) {
        if fault == Fault::QueueDeleted {
            self.scene.publish_all(&self.scene.traffic.bodies).await;
        }
    }

    async fn is_told_of_the_alarm(&self) {
        let reasons = self.worker.not_ready().await;
        assert!(reasons.contains("the broker takes no messages"), "{reasons}");
        assert_eq!(self.worker.get("/healthz").await.status, 200);
    }

    async fn delete_queues(&self) {
        let stage = &self.scene.stage;
        for _ in 0..DELETIONS {
            for queue in [stage.topic.clone(), format!("{}.w0", stage.topic)] {
                eventually("the queue is consumed", || async {
                    match stage.broker.depth(&queue).await {
                        Some((_, 1)) => Ok(()),
                        other => Err(format!("{other:?}")),
                    }
                })
                .await;
                let name = queue.as_str().into();
                let channel = stage.broker.channel().await;
                channel.queue_delete(name, QueueDeleteOptions::default()).await.expect("ours");
            }
        }
    }

    /// A batch waits for a lock until the broker has lost its patience.
    async fn hold_up(&self) {
        let lock = self.scene.stage.database.lock().await;
        self.worker.says("timed out").await;
        drop(lock);
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_fails_costs_nothing(
    #[values(
        Fault::Stopped,
        Fault::Killed,
        Fault::ConnectionsEnded,
        Fault::Alarm,
        Fault::QueueDeleted,
        Fault::ChannelClosed
    )]
    fault: Fault,
) {
    let node = Mutex::new(RabbitNode::start().await);
    for round in 0..number_from("TEST_FAULT_ROUNDS", 1) {
        let findings = meet(fault, &node, round * 100 + fault as u64).await;
        assert!(findings.is_empty(), "{findings:#?}");
    }
}

async fn meet(fault: Fault, node: &Mutex<RabbitNode>, seed: u64) -> Vec<String> {
    let plays = {
        let node = node.lock().await;
        if fault == Fault::ChannelClosed {
            node.control(&["eval", SHORT_PATIENCE]).await;
        }
        let kinds = [Kind::Postgresql, Kind::Mysql, Kind::Sqlite];
        join_all(kinds.map(|kind| Play::begin(&node, kind, seed))).await
    };
    let happening = fault.happen(node, &plays).shared();
    let since = join_all(plays.iter().map(async |play| {
        let ended = play.scene.through(LASTING, happening.clone()).await;
        play.after(fault).await;
        ended
    }))
    .await;
    drop(happening);
    let ends = plays.into_iter().zip(since);
    let ends = ends.map(|(play, since)| play.scene.end(fault.name(), vec![play.worker], since));
    join_all(ends).await.concat()
}

/// One of its hosts takes connections and says nothing: the next is good.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_host_is_left_for_the_next(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let scene = Scene::new(kind, 7, MESSAGES, Unknown::Early).await;
    let proxy = Proxy::start(&proxied::server(&broker_url())).await;
    let address = broker_url();
    let (login, good) = address.rsplit_once('@').expect("a URL with a login");
    let user = login.split_once("://").expect("a scheme").1;
    let hosts = format!("{login}@{},{user}@{good}", proxy.address());
    let worker = scene.worker("w1").set("MESSAGING__TRANSPORT_URL", hosts).start().await;
    let since = scene
        .through(LASTING, async {
            proxy.freeze();
            proxy.cut();
        })
        .await;
    let findings = scene.end("a host that takes connections and is silent", vec![worker], since);
    let findings = tokio::time::timeout(3 * PATIENCE, findings).await.expect("it ends");
    assert!(findings.is_empty(), "{findings:#?}");
}
