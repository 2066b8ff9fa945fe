//! The version before and this one on one schema, under load: rolled forward, back, and forward
//! again, each killed while the other works. `TEST_PREVIOUS_WORKER` names the binary of the version
//! before, which `scripts/test` builds.

use std::path::PathBuf;
use std::time::Instant;

use karbor_restore_worker::store::SCHEMA_VERSION;
use rstest::rstest;

use super::number_from;
use super::scene::Scene;
use super::traffic::Unknown;
use crate::harness::{Kind, Stage, Worker, eventually};

/// Messages of one run.
const MESSAGES: usize = 480;

/// Parts in which they are published.
const PARTS: usize = 6;

/// A worker of either version.
fn of(scene: &Scene, name: &str, binary: Option<&PathBuf>) -> crate::harness::WorkerBuilder {
    // A small prefetch, so that each gets some of the load.
    let builder = scene.worker(name).set("MESSAGING__PREFETCH", "30");
    match binary {
        Some(binary) => builder.binary(binary),
        None => builder,
    }
}

/// How many messages it took so far.
async fn taken(worker: &Worker) -> u64 {
    let metrics = worker.get("/metrics").await.body;
    let counts = metrics.lines().filter(|line| line.starts_with("karbor_restore_messages_total"));
    let count = |line: &str| line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok());
    counts.filter_map(count).sum()
}

/// Publishes a part, and waits until each of `workers` has taken some of it.
async fn publish(scene: &Scene, part: usize, workers: &[&Worker]) {
    let mut before = Vec::new();
    for worker in workers {
        before.push(taken(worker).await);
    }
    scene.publish(part, PARTS).await;
    for (worker, before) in workers.iter().zip(before) {
        eventually("each version takes messages", || async {
            let now = taken(worker).await;
            if now > before { Ok(()) } else { Err(format!("{now} since {before}")) }
        })
        .await;
    }
}

async fn schema_version(scene: &Scene) -> i64 {
    let sql = "SELECT CAST(value AS CHAR(9)) AS text FROM restore_schema_facts \
               WHERE fact = 'schema_version'";
    let version = scene.stage.database.text(sql).await.expect("a version");
    version.trim().parse().expect("a number")
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_work_side_by_side_and_are_rolled_forward_and_back(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let previous = std::env::var_os("TEST_PREVIOUS_WORKER").map(PathBuf::from);
    let previous = previous.expect("TEST_PREVIOUS_WORKER is not set: run scripts/test");
    for round in 0..number_from("TEST_FAULT_ROUNDS", 1) {
        let mut stage = Stage::new(kind).await;
        stage.binary = Some(previous.clone());
        let mut scene = Scene::on(stage, 4000 + round, MESSAGES, Unknown::Early).await;
        scene.stage.binary = None;
        assert!(schema_version(&scene).await <= SCHEMA_VERSION);

        let before = of(&scene, "before-1", Some(&previous)).start().await;
        publish(&scene, 0, &[&before]).await;
        // This one joins, and migrates under load.
        let after = of(&scene, "after-1", None).spawn();
        publish(&scene, 1, &[&before]).await;
        after.ready().await;
        assert_eq!(schema_version(&scene).await, SCHEMA_VERSION);
        publish(&scene, 2, &[&before, &after]).await;
        scene.kill("before-1", before);
        // Back: the version before comes beside this one, then works alone.
        let before = of(&scene, "before-2", Some(&previous)).start().await;
        publish(&scene, 3, &[&before, &after]).await;
        scene.kill("after-1", after);
        publish(&scene, 4, &[&before]).await;
        // Forward again.
        let after = of(&scene, "after-2", None).start().await;
        publish(&scene, 5, &[&before, &after]).await;

        let fault = "the version before beside this one, rolled forward and back";
        let findings = scene.end(fault, vec![before, after], Instant::now()).await;
        assert!(findings.is_empty(), "{findings:#?}");
    }
}
