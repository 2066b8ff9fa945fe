//! Death at each named point, by the worker's own hand; another of the same name or of another goes
//! on. A point that is not reached fails the test: the worker does not end.

use std::time::Instant;

use futures_util::future::join_all;
use karbor_restore_worker::crash_point::CrashPoint;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rstest::rstest;

use super::number_from;
use super::scene::Scene;
use super::traffic::Unknown;
use crate::harness::{Kind, Stage};

/// Messages of one run.
const MESSAGES: usize = 300;

/// Points that are tried at once: most of their time is a lease that runs out.
const GROUPS: [&[CrashPoint]; 4] = [
    &[
        CrashPoint::Received,
        CrashPoint::BeforeTransaction,
        CrashPoint::InTransaction,
        CrashPoint::CommitSent,
        CrashPoint::Committed,
        CrashPoint::EarlyFound,
    ],
    &[
        CrashPoint::Replied,
        CrashPoint::LetterConfirmed,
        CrashPoint::LetterTold,
        CrashPoint::Published,
        CrashPoint::Confirmed,
        CrashPoint::PositionMoved,
        CrashPoint::Acknowledged,
    ],
    &[
        CrashPoint::TakeOverClosed,
        CrashPoint::TakeOverPublished,
        CrashPoint::TakeOverConfirmed,
        CrashPoint::TakeOverMoved,
    ],
    &[
        CrashPoint::EarlyDue,
        CrashPoint::EarlyApplied,
        CrashPoint::EarlyGivenUp,
        CrashPoint::DictionariesWritten,
        CrashPoint::DictionariesCommitted,
        CrashPoint::KarborNoticed,
        CrashPoint::KarborTakenIn,
    ],
];

/// The last passing of a point that this traffic is sure to reach.
fn last_passing(point: CrashPoint) -> u32 {
    match point {
        CrashPoint::Received => 120,
        CrashPoint::Published | CrashPoint::Confirmed => 40,
        CrashPoint::Replied => 8,
        CrashPoint::BeforeTransaction
        | CrashPoint::InTransaction
        | CrashPoint::CommitSent
        | CrashPoint::Committed
        | CrashPoint::Acknowledged => 6,
        CrashPoint::LetterConfirmed | CrashPoint::LetterTold => 4,
        CrashPoint::PositionMoved
        | CrashPoint::EarlyFound
        | CrashPoint::EarlyGivenUp
        | CrashPoint::DictionariesWritten
        | CrashPoint::DictionariesCommitted => 2,
        CrashPoint::TakeOverClosed
        | CrashPoint::TakeOverPublished
        | CrashPoint::TakeOverConfirmed
        | CrashPoint::TakeOverMoved
        | CrashPoint::EarlyDue
        | CrashPoint::EarlyApplied
        | CrashPoint::KarborNoticed
        | CrashPoint::KarborTakenIn => 1,
    }
}

/// Dies at `point`, goes on under one of two names, and looks at everything.
async fn die_at(kind: Kind, (point, name): (CrashPoint, &str), round: u64) -> Vec<String> {
    let seed = round * 100 + point as u64;
    let last = last_passing(point);
    let passing = match round {
        0 => last,
        _ => StdRng::seed_from_u64(seed).random_range(1..=last),
    };
    let unknown = if point == CrashPoint::EarlyGivenUp { Unknown::Orphans } else { Unknown::Early };
    let mut scene = Scene::new(kind, seed, MESSAGES, unknown).await;
    let at = format!("{name}:{passing}");
    if name.starts_with("take-over") {
        scene.publish(0, 3).await;
        // Its position is before that event: something is left behind.
        scene.die_at("w1", "published:20", 1, 3).await;
        scene.die_at("w2", &at, 2, 3).await;
    } else {
        scene.publish(0, 2).await;
        scene.die_at("w1", &at, 1, 2).await;
    }
    let heir = if seed.is_multiple_of(2) { "w1" } else { "w3" };
    let since = Instant::now();
    let heir = scene.worker(heir).start().await;
    scene.end(name, vec![heir], since).await
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_at_any_point_costs_nothing(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
    #[values(0, 1, 2, 3)] group: usize,
) {
    let named = |point: &CrashPoint| {
        let named = CrashPoint::ALL.iter().find(|(known, _)| known == point);
        *named.expect("every point has a name")
    };
    for round in 0..number_from("TEST_FAULT_ROUNDS", 1) {
        let runs = GROUPS[group].iter().map(|point| die_at(kind, named(point), round));
        let findings: Vec<_> = join_all(runs).await.concat();
        assert!(findings.is_empty(), "{findings:#?}");
    }
}

#[test]
fn every_point_is_tried() {
    let tried = GROUPS.concat();
    for (point, name) in CrashPoint::ALL {
        assert!(tried.contains(point), "{name} is in no group");
    }
}

#[tokio::test]
async fn an_unknown_point_ends_with_code_2_and_the_known_ones_are_named() {
    let stage = Stage::new(Kind::Sqlite).await;
    let worker = stage.worker("w1").set_variable("KARBOR_RESTORE_CRASH_AT", "nowhere");
    let output = worker.run(&["serve"]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for (_, name) in CrashPoint::ALL {
        assert!(said.contains(name), "{said}");
    }
}
