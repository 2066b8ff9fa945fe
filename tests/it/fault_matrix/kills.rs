//! `kill -9` at whatever point a worker is, again and again, while others work beside it.

use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rstest::rstest;

use super::number_from;
use super::scene::Scene;
use super::traffic::Unknown;
use crate::harness::{Kind, eventually};

/// Deaths one after the other; RabbitMQ 4 drops what was delivered more than 20 times in vain.
const CRASHES: usize = 25;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_outlives_many_crashes_at_its_first_message() {
    let kind = Kind::Sqlite;
    let mut scene = Scene::new(kind, 25, 300, Unknown::Early).await;
    scene.publish(0, 1).await;
    for _ in 0..CRASHES {
        scene.die_at("w1", "received", 1, 1).await;
    }
    let since = Instant::now();
    let heir = scene.worker("w1").start().await;
    let fault = format!("{CRASHES} crashes at the first message");
    let findings = scene.end(&fault, vec![heir], since).await;
    assert!(findings.is_empty(), "{findings:#?}");
}
