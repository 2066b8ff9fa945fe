//! Any updates, in any order and any batches, by any workers: one state, and events that chain.

use std::collections::{BTreeMap, BTreeSet};

use karbor_restore_worker::domain::{
    Event, ResourceId, ResourceKey, ResourceState, ResourceStatus, ResourceType, ResourceUpdate,
    RestoreId, RestoreStatus, Subject, merge,
};
use karbor_restore_worker::store::{BatchItem, Dialect, Store};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rstest::rstest;

use super::database::Database;
use super::words::*;

fn any_update() -> impl Strategy<Value = ResourceUpdate> {
    let resource = proptest::sample::select(vec!["T#a", "T#b", "U#a"]);
    let status = proptest::sample::select(&ResourceStatus::ALL[..]);
    let reason = proptest::option::of("[a-bä]{1,2}");
    let source = proptest::option::of("[a-b]");
    (resource, proptest::option::of(0_u64..3), status, reason, source).prop_map(
        |(resource, sequence, status, reason, source)| ResourceUpdate {
            key: key(resource),
            state: ResourceState { sequence, status, reason },
            source_id: source.map(|source| source.parse().unwrap()),
            name: None,
        },
    )
}

/// Every event of the store, by publisher and number.
async fn all_events(workers: &[Worker]) -> Vec<Event> {
    let mut events = Vec::new();
    for worker in workers {
        events.extend(worker.store.events_after(worker.publisher.id, 0, 100_000).await.unwrap());
    }
    events
}

/// The events of each subject lead from nothing to its end, transition by transition; gives the
/// ends.
fn chain(events: Vec<Event>) -> BTreeMap<Option<ResourceKey>, Event> {
    let mut by_subject: BTreeMap<Option<ResourceKey>, Vec<Event>> = BTreeMap::new();
    for event in events {
        let subject = match &event.subject {
            Subject::Restore { .. } => None,
            Subject::Resource { key, .. } => Some(key.clone()),
        };
        by_subject.entry(subject).or_default().push(event);
    }
    let mut ends = BTreeMap::new();
    for (subject, mut chain) in by_subject {
        chain.sort_by_key(|event| event.transition);
        let mut status = None;
        for (index, event) in chain.iter().enumerate() {
            assert_eq!(event.transition, index as u64 + 1, "{subject:?}");
            assert_eq!(event.old_status, status, "{subject:?} {}", event.transition);
            status = Some(event.status.clone());
        }
        ends.insert(subject, chain.pop().unwrap());
    }
    ends
}

fn greatest(updates: &[ResourceUpdate]) -> BTreeMap<ResourceKey, ResourceState> {
    let mut known: BTreeMap<ResourceKey, Option<ResourceState>> = BTreeMap::new();
    for update in updates {
        merge(known.entry(update.key.clone()).or_default(), update.state.clone());
    }
    known.into_iter().map(|(key, state)| (key, state.unwrap())).collect()
}

/// The types and ids that others of their type carry as their source.
fn sources(updates: &[ResourceUpdate]) -> BTreeSet<(ResourceType, ResourceId)> {
    let mut greatest: BTreeMap<&ResourceKey, &ResourceId> = BTreeMap::new();
    for update in updates {
        let Some(source) = &update.source_id else { continue };
        let known = greatest.entry(&update.key).or_insert(source);
        *known = source.max(*known);
    }
    let carried = greatest.into_iter().filter(|(key, source)| key.resource_id != **source);
    carried.map(|(key, source)| (key.resource_type.clone(), source.clone())).collect()
}

async fn run_workers(stores: &[Store], id: RestoreId, shares: Vec<Vec<BatchItem>>) -> Vec<Worker> {
    let mut tasks = Vec::new();
    for (index, share) in shares.into_iter().enumerate() {
        let store = stores[index % stores.len()].clone();
        tasks.push(tokio::spawn(async move {
            let mut worker = Worker::start(&store, &format!("host-{index}")).await;
            worker.commit_at_last(&[record(id)]).await;
            for batch in share.chunks(7) {
                worker.commit_at_last(batch).await;
            }
            worker
        }));
    }
    let mut workers = Vec::new();
    for task in tasks {
        workers.push(task.await.unwrap());
    }
    workers
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_order_over_workers_ends_in_one_state_and_events_chain(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let stores = [store, database.store()];
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let updates = proptest::collection::vec(any_update(), 40..80);
    for ends in [false, true, false, true] {
        let mut share = || updates.new_tree(&mut runner).unwrap().current();
        let (first, second) = (share(), share());
        let all: Vec<ResourceUpdate> = first.iter().chain(&second).cloned().collect();
        let id = new_id();
        let items = |updates: &[ResourceUpdate]| -> Vec<BatchItem> {
            let mut items: Vec<_> =
                updates.chunks(2).map(|part| update(id, part.to_vec())).collect();
            if ends {
                // A success without a sequence, in the middle of it all.
                items.insert(items.len() / 2, finish(id, RestoreStatus::Success, None));
            }
            items
        };
        let counts_as = |state: ResourceState| if ends { state.ended() } else { state };
        // The second worker also does the first one's share, backwards.
        let mut again = items(&second);
        again.extend(items(&first).into_iter().rev());
        let workers = run_workers(&stores, id, vec![items(&first), again]).await;
        let mut last = chain(all_events(&workers).await);
        let status = if ends { "success" } else { "in_progress" };
        assert_eq!(last.remove(&None).unwrap().status, status);
        let hidden = sources(&all);
        for (key, said) in greatest(&all) {
            let state = counts_as(said.clone());
            let is_hidden = hidden.contains(&(key.resource_type.clone(), key.resource_id.clone()));
            let end = last.remove(&Some(key)).unwrap();
            let told = (end.status.as_str(), end.reason);
            // Of one that another carries as its source an end is not told.
            if !(is_hidden && told == (said.status.as_str(), said.reason)) {
                assert_eq!(told, (state.status.as_str(), state.reason));
            }
        }
        assert!(last.is_empty());
        // A sequence that grew alone has no event; the row holds it.
        let rows = database
            .lines(&format!(
                "SELECT {} AS line FROM restore_resources WHERE restore_id = '{id}' \
                 ORDER BY resource_type, resource_id",
                if dialect == Dialect::Mysql {
                    "CONCAT(resource_type, '#', resource_id, ' ', COALESCE(sequence, -1))"
                } else {
                    "resource_type || '#' || resource_id || ' ' || COALESCE(sequence, -1)"
                }
            ))
            .await;
        let wanted: Vec<String> = greatest(&all)
            .into_iter()
            .map(|(key, state)| {
                let sequence = state.sequence.map_or("-1".to_owned(), |s| s.to_string());
                format!("{key} {sequence}")
            })
            .collect();
        assert_eq!(rows, wanted);
    }
}
