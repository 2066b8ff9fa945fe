//! `kill -9` at whatever point a worker is, again and again, while others work beside it.

use std::time::Instant;

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rstest::rstest;

use super::number_from;
use super::scene::Scene;
use super::traffic::Unknown;
use crate::harness::{Kind, Stage, eventually};

/// Deaths one after the other; RabbitMQ 4 drops what was delivered more than 20 times in vain.
const CRASHES: usize = 25;

/// `x-delivery-limit` of a queue that somebody else made.
const SMALL_LIMIT: usize = 3;

/// More than any backlog here.
const PREFETCH: &str = "1000";

/// Messages for each kill.
const MESSAGES_A_KILL: usize = 80;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_killed_at_random_under_load_lose_nothing(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
    #[values(2, 3)] workers: usize,
) {
    let kills = usize::try_from(number_from("TEST_FAULT_KILLS", 5)).expect("a small number");
    let seed = workers as u64;
    let mut random = StdRng::seed_from_u64(seed);
    let mut scene = Scene::new(kind, seed, kills * MESSAGES_A_KILL, Unknown::Early).await;
    let mut alive = Vec::new();
    for number in 0..workers {
        let name = format!("w{number}");
        alive.push((scene.worker(&name).set("MESSAGING__PREFETCH", "30").start().await, name));
    }

    for kill in 0..kills {
        scene.publish(kill, kills).await;
        // At some point of the work on it; which, is chance.
        let left = random.random_range(0..u32::try_from(MESSAGES_A_KILL).expect("it is small"));
        eventually("work in progress", || async {
            let depth = scene.stage.broker.depth(&scene.stage.topic).await;
            if depth.is_some_and(|(messages, _)| messages <= left) {
                Ok(())
            } else {
                Err(format!("{depth:?}"))
            }
        })
        .await;
        let (victim, name) = alive.swap_remove(random.random_range(0..workers));
        scene.kill(&name, victim);
        let name = format!("w{}", workers + kill);
        alive.push((scene.worker(&name).set("MESSAGING__PREFETCH", "30").spawn(), name));
    }

    let since = Instant::now();
    for (worker, _) in &alive {
        worker.ready().await;
    }
    let alive = alive.into_iter().map(|(worker, _)| worker).collect();
    let fault = format!("kill -9 of one of {workers} workers");
    let findings = scene.end(&fault, alive, since).await;
    assert!(findings.is_empty(), "{findings:#?}");
}

/// All of it is in the hands of each that dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_outlives_many_crashes_at_its_first_message() {
    let stage = Stage::new(Kind::Sqlite).await.with("MESSAGING__PREFETCH", PREFETCH);
    let fault = format!("{CRASHES} crashes at the first message, prefetch {PREFETCH}");
    crash_at_the_first_message(stage, CRASHES, &fault).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_outlives_as_many_crashes_as_anothers_delivery_limit() {
    let stage = Stage::new(Kind::Sqlite).await.with("MESSAGING__PREFETCH", PREFETCH);
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let limit = i32::try_from(SMALL_LIMIT).expect("it is small");
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(limit));
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    let name = stage.topic.as_str().into();
    let channel = stage.broker.channel().await;
    channel.queue_declare(name, options, arguments).await.expect("the queue is free");
    let fault = format!("{SMALL_LIMIT} crashes, somebody else's delivery limit {SMALL_LIMIT}");
    crash_at_the_first_message(stage, SMALL_LIMIT, &fault).await;
}

async fn crash_at_the_first_message(stage: Stage, crashes: usize, fault: &str) {
    let mut scene = Scene::on(stage, 25, 300, Unknown::Early).await;
    scene.publish(0, 1).await;
    for _ in 0..crashes {
        scene.die_at("w1", "received", 1, 1).await;
    }
    let since = Instant::now();
    let heir = scene.worker("w1").start().await;
    let findings = scene.end(fault, vec![heir], since).await;
    assert!(findings.is_empty(), "{findings:#?}");
}
