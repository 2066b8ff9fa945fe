//! The file of an SQLite database is moved away, or another takes its place, under a running worker:
//! nothing is acknowledged that is not in the file at the path.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Kind, Request, Stage, Worker};

const CASTS: usize = 10;

/// Updates of resources that no other round has.
fn updates(restore_id: &str, round: &str) -> Vec<Request> {
    let update = |n| Request::resource(restore_id, &format!("{round}-{n}"), "available", None);
    (0..CASTS).map(update).collect()
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The file at the path is whole and has so many resources of a round.
async fn assert_stored(stage: &Stage, round: &str, count: usize) {
    let text = "SELECT integrity_check AS text FROM pragma_integrity_check";
    assert_eq!(stage.database.texts(text).await, [Some("ok".to_owned())]);
    let rows = format!("restore_resources WHERE resource_id LIKE '{round}-%'");
    assert_eq!(stage.database.count(&rows).await, count, "{round}");
}

async fn assert_waits(worker: &Worker) {
    let reasons = worker.not_ready().await;
    assert!(reasons.contains("was removed or replaced; put it back"), "{reasons}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_moved_away_is_waited_for_and_what_came_meanwhile_is_applied() {
    let (stage, worker, _notifications) = Stage::with_worker(Kind::Sqlite).await;
    let restore_id = stage.record_restore().await;
    let (file, elsewhere) = (stage.database.file(), beside(stage.database.file(), ".away"));

    fs::rename(file, &elsewhere).expect("the file is there");
    stage.cast_all(&updates(&restore_id, "during")).await;
    assert_waits(&worker).await;
    assert!(!file.exists(), "a file was made that nobody asked for");

    fs::rename(&elsewhere, file).expect("the file is there");
    worker.ready().await;
    stage.until_available(&restore_id, CASTS).await;
    assert_stored(&stage, "during", CASTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_takes_its_place_is_served_by_the_next_worker_alone() {
    let (stage, worker, _notifications) = Stage::with_worker(Kind::Sqlite).await;
    let restore_id = stage.record_restore().await;
    let copy = beside(stage.database.file(), ".copy");
    stage.database.execute(&format!("VACUUM INTO '{}'", copy.display())).await;

    fs::rename(copy, stage.database.file()).expect("the copy is there");
    stage.cast_all(&updates(&restore_id, "during")).await;
    assert_waits(&worker).await;
    assert_eq!(worker.terminate().await.code(), Some(0));
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(beside(stage.database.file(), suffix)).ok();
    }
    assert_stored(&stage, "during", 0).await;

    let _next = stage.worker("w2").start().await;
    stage.until_available(&restore_id, CASTS).await;
    assert_stored(&stage, "during", CASTS).await;
}
