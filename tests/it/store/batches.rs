//! A batch: all or nothing, once however often it is done, in order.

use karbor_restore_worker::domain::{
    Effect, EventType, Outcome, ResourceStatus as R, RestoreStatus, Subject,
};
use karbor_restore_worker::store::{Dialect, StoreError};
use rstest::rstest;

use super::database::Database;
use super::words::*;

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn batch_is_all_or_nothing(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    worker.commit(&[record(id)]).await;

    // The last thing a batch writes is its events: a number that is taken makes it fail there.
    let (other, number) = (new_id(), worker.publisher.next_number);
    worker.publisher.next_number = 1;
    let items = [update(id, vec![said("T#a", R::Started)]), record(other)];
    let error = worker.try_commit(&items).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    assert_eq!(worker.publisher.next_number, 1);
    assert_eq!(database.count("restore_resources").await, 0);
    assert_eq!(database.count("restores").await, 1);
    assert_eq!(database.count("restore_states").await, 1);
    assert_eq!(database.count("restore_events").await, 1);

    worker.publisher.next_number = number;
    let committed = worker.commit(&items).await;
    assert_eq!(committed.events.len(), 2);
    assert_eq!(database.count("restore_resources").await, 1);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn batch_done_again_changes_nothing(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    let mut named = said("T#b", R::Error);
    named.state.reason = Some("kaputt: 'ä' \u{1f600} \"x\" \\ \n".to_owned());
    named.state.sequence = Some(i64::MAX as u64);
    named.source_id = Some("source".parse().unwrap());
    named.name = Some("Größe".to_owned());
    let items = [
        record(id),
        update(id, vec![said("T#a", R::Started), named.clone(), said("T#a", R::Available)]),
        expect(id, &["T#source", "T#other"]),
        finish(id, RestoreStatus::Fail, Some("gründlich")),
    ];
    let first = worker.commit(&items).await;
    assert_eq!(first.events.len(), 5);
    assert_eq!(first.outcomes[0], Outcome::Recorded);
    assert_eq!(first.outcomes[2], Outcome::Expected(2));
    assert_eq!(first.outcomes[3], Outcome::Restore(Effect::Applied, RestoreStatus::Fail));

    let second = worker.commit(&items).await;
    assert_eq!(second.events, []);
    let effects = vec![
        (Effect::Stale, R::Available),
        (Effect::Unchanged, R::Error),
        (Effect::Unchanged, R::Available),
    ];
    assert_eq!(second.outcomes[1], Outcome::Resources(effects));
    assert_eq!(second.outcomes[3], Outcome::Restore(Effect::Unchanged, RestoreStatus::Fail));
    assert_eq!(database.count("restore_events").await, 5);

    // What was committed is what is read back.
    let read = store.events_after(worker.publisher.id, 0, 100).await.unwrap();
    assert_eq!(read, first.events);
    let numbers: Vec<u64> = read.iter().map(|event| event.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    let event = &read[2];
    assert_eq!(event.reason, named.state.reason);
    assert_eq!(event.sequence, named.state.sequence);
    assert_eq!(event.request_id.as_deref(), Some("req-1"));
    let subject = Subject::Resource {
        key: named.key.clone(),
        source_id: named.source_id.clone(),
        name: named.name.clone(),
    };
    assert_eq!(event.subject, subject);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn every_transition_of_one_resource_in_a_batch_is_kept_in_order(#[case] dialect: Dialect) {
    let (_database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    worker.commit(&[record(id)]).await;
    let updates: Vec<_> = (0..500_u64)
        .map(|sequence| {
            let mut update = said("T#a", if sequence % 2 == 0 { R::Started } else { R::Error });
            update.state.sequence = Some(sequence);
            update
        })
        .collect();
    let items: Vec<_> = updates.chunks(100).map(|part| update(id, part.to_vec())).collect();
    worker.commit(&items).await;
    let events = store.events_after(worker.publisher.id, 1, 1000).await.unwrap();
    assert_eq!(events.len(), 500);
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.number, index as u64 + 2);
        assert_eq!(event.transition, index as u64 + 1);
        assert_eq!(event.sequence, Some(index as u64));
        let is_start = index % 2 == 0;
        let kind = if is_start { EventType::ResourceStart } else { EventType::ResourceError };
        assert_eq!(event.event_type, kind);
        let before = index.checked_sub(1).map(|before| events[before].status.as_str());
        assert_eq!(event.old_status.as_deref(), before);
    }
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn sequence_alone_grows_without_an_event(#[case] dialect: Dialect) {
    let (_database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    worker.commit(&[record(id), update(id, vec![said("T#a", R::Available)])]).await;
    let mut again = said("T#a", R::Available);
    again.state.sequence = Some(5);
    let committed = worker.commit(&[update(id, vec![again])]).await;
    assert_eq!(committed.events, []);
    let unchanged = Outcome::Resources(vec![(Effect::Unchanged, R::Available)]);
    assert_eq!(committed.outcomes, [unchanged]);
    // The sequence was kept: without one, a greater status is stale now.
    let committed = worker.commit(&[update(id, vec![said("T#a", R::Error)])]).await;
    assert_eq!(committed.outcomes, [Outcome::Resources(vec![(Effect::Stale, R::Available)])]);
}
