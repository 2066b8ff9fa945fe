//! How workers end and what is left to others: nothing is lost, each transition has one message id.

use std::collections::{BTreeMap, BTreeSet};

use rstest::rstest;
use serde_json::json;

use crate::harness::{Inbox, Kind, Received, Request, Stage};

const RESOURCES: usize = 1500;

/// Updates of many resources, two transitions each.
fn load(restore_id: &str) -> Vec<Request> {
    let update = |n, status| Request::resource(restore_id, &format!("volume-{n}"), status, None);
    let rounds = ["restoring", "available"].into_iter();
    rounds.flat_map(|status| (0..RESOURCES).map(move |n| update(n, status))).collect()
}

/// The copies of each transition of a resource: `(resource, transition)` to message ids.
fn copies(seen: &[Received]) -> BTreeMap<(String, u64), Vec<String>> {
    let mut copies: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for one in seen {
        let payload = &one.message["payload"];
        if let (Some(id), Some(transition)) =
            (payload["resource_id"].as_str(), payload["transition"].as_u64())
        {
            let message_id = one.message["message_id"].as_str().expect("each has one").to_owned();
            copies.entry((id.to_owned(), transition)).or_default().push(message_id);
        }
    }
    copies
}

/// Waits until each resource is known to be available, by all of its transitions from 1 on, and
/// gives all copies. What a killed worker had not published may come after what others did since.
async fn all_chains(notifications: &mut Inbox) -> BTreeMap<(String, u64), Vec<String>> {
    let whole = |all: &[Received]| {
        // `available` is the greatest state here: its transition is the last.
        let ends = all.iter().filter(|one| one.message["payload"]["status"] == "available");
        let last = |one: &Received| one.message["payload"]["transition"].as_u64().unwrap_or(0);
        let lasts: BTreeMap<_, _> = ends
            .map(|one| (one.message["payload"]["resource_id"].to_string(), last(one)))
            .collect();
        let whole = lasts.values().sum::<u64>();
        lasts.len() == RESOURCES && u64::try_from(copies(all).len()) == Ok(whole)
    };
    copies(notifications.until("every transition of every resource", whole).await)
}

/// Each transition has one message id, however many copies there are.
fn assert_one_message_id_each(copies: &BTreeMap<(String, u64), Vec<String>>) {
    for (transition, ids) in copies {
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 1, "{transition:?}: {ids:?}");
    }
}

async fn assert_all_available(stage: &Stage, restore_id: &str) {
    let view = stage.call(Request::new("get_restore", json!({"restore_id": restore_id}))).await;
    assert_eq!(view.message["result"]["resources"]["available"], RESOURCES);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_loses_and_repeats_nothing(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let (stage, worker, mut notifications) = Stage::with_worker(kind).await;
    let restore_id = stage.record_restore().await;
    let requests = load(&restore_id);

    let (status, ()) = tokio::join!(
        async {
            notifications.until("work in progress", |all| all.len() > 50).await;
            worker.terminate().await
        },
        stage.cast_all(&requests)
    );
    assert_eq!(status.code(), Some(0));
    let _successor = stage.worker("w1").start().await;

    let copies = all_chains(&mut notifications).await;
    assert!(copies.values().all(|ids| ids.len() == 1), "a transition was published twice");
    assert_all_available(&stage, &restore_id).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_under_load_loses_nothing_and_another_worker_goes_on(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let (stage, victim, mut notifications) = Stage::with_worker(kind).await;
    let _other = stage.worker("w2").start().await;
    let restore_id = stage.record_restore().await;
    let requests = load(&restore_id);

    let ((), ()) = tokio::join!(
        async {
            notifications.until("work in progress", |all| all.len() > 50).await;
            victim.kill();
        },
        stage.cast_all(&requests)
    );

    assert_one_message_id_each(&all_chains(&mut notifications).await);
    assert_all_available(&stage, &restore_id).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_word_of_a_worker_that_gave_messages_back_says_so(
    #[values(Kind::Postgresql, Kind::Mysql, Kind::Sqlite)] kind: Kind,
) {
    let stage = Stage::new(kind).await;
    let worker = stage.worker("w1").set("DATABASE__STATEMENT_TIMEOUT_MS", "1000");
    let mut worker = worker.start().await;
    let restore_id = stage.record_restore().await;
    let lock = stage.database.lock().await;
    let update = |n| Request::resource(&restore_id, &format!("volume-{n}"), "available", None);
    stage.cast_all(&(0..10).map(update).collect::<Vec<_>>()).await;
    stage.broker.until_depth(&stage.topic, (0, 1)).await;

    worker.signal("TERM");
    assert_eq!(worker.ended().await.code(), Some(0));

    stage.broker.until_depth(&stage.topic, (10, 0)).await;
    let log = worker.log();
    assert!(log.contains("10 messages were given back"), "{log}");
    assert!(!log.contains("everything taken is finished"), "{log}");
    drop(lock);
}
