//! Publishers: the fence, the take-over, positions that never move backwards.

use std::time::Duration;

use karbor_restore_worker::domain::{PublisherId, ResourceStatus as R};
use karbor_restore_worker::store::{Dialect, LeftBehind, Store, StoreError};
use rstest::rstest;

use super::database::Database;
use super::words::*;

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn fenced_publisher_writes_nothing(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    worker.commit(&[record(id)]).await;
    store.close_publisher(worker.publisher.id).await.unwrap();
    store.close_publisher(worker.publisher.id).await.unwrap();
    let error = worker.try_commit(&[update(id, vec![said("T#a", R::Error)])]).await.unwrap_err();
    assert!(matches!(error, StoreError::Fenced));
    let error = store.renew_publisher(worker.publisher.id, 1).await.unwrap_err();
    assert!(matches!(error, StoreError::Fenced));
    assert_eq!(database.count("restore_resources").await, 0);
    assert_eq!(database.count("restore_events").await, 1);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn take_over_finds_exactly_what_is_beyond_the_position(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let brief = database.store_with(|options| options.lease = Duration::from_millis(50));
    let mut worker = Worker::start(&brief, "dead").await;
    let alive = Worker::start(&store, "alive").await;
    let id = new_id();
    let statuses = [R::Undefined, R::Started, R::Restoring, R::Available];
    let updates = statuses.map(|status| said("T#a", status)).to_vec();
    worker.commit(&[record(id), update(id, updates)]).await;
    brief.renew_publisher(worker.publisher.id, 2).await.unwrap();
    brief.renew_publisher(worker.publisher.id, 1).await.unwrap();
    assert_eq!(store.left_behind("alive").await.unwrap(), []);
    assert_eq!(until_closed(&store).await, [worker.publisher.id]);

    let left =
        LeftBehind { id: worker.publisher.id, host: "dead".to_owned(), published_through: 2 };
    assert_eq!(store.left_behind("alive").await.unwrap(), [left]);
    let events = store.events_after(worker.publisher.id, 2, 100).await.unwrap();
    assert_eq!(events.iter().map(|event| event.number).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(store.events_after(worker.publisher.id, 2, 2).await.unwrap(), events[..2]);
    assert_eq!(store.forget_publishers().await.unwrap(), 0);

    store.move_left_behind(worker.publisher.id, 4).await.unwrap();
    store.move_left_behind(worker.publisher.id, 3).await.unwrap();
    assert_eq!(store.left_behind("alive").await.unwrap()[0].published_through, 4);
    store.move_left_behind(worker.publisher.id, 5).await.unwrap();
    assert_eq!(store.left_behind("alive").await.unwrap(), []);
    assert_eq!(store.forget_publishers().await.unwrap(), 1);
    store.renew_publisher(alive.publisher.id, 0).await.unwrap();
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn publisher_opened_twice_is_one_until_it_is_closed(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let id = new_publisher();
    let first = store.open_publisher(id, "host").await.unwrap();
    assert_eq!(store.open_publisher(id, "host").await.unwrap(), first);
    assert_eq!(database.count("restore_publishers").await, 1);
    let mut worker = Worker { store: store.clone(), publisher: first };
    worker.commit(&[record(new_id())]).await;

    store.close_publisher(id).await.unwrap();
    let error = store.open_publisher(id, "host").await.unwrap_err();
    assert!(matches!(error, StoreError::Fenced));
    assert_eq!(store.left_behind("host").await.unwrap()[0].id, id);
}

/// Closes expired publishers until one was.
async fn until_closed(store: &Store) -> Vec<PublisherId> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while tokio::time::Instant::now() < deadline {
        let closed = store.close_expired_publishers().await.unwrap();
        if !closed.is_empty() {
            return closed;
        }
        tokio::task::yield_now().await;
    }
    panic!("no lease ran out in 20 s");
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn position_moves_with_the_batch(#[case] dialect: Dialect) {
    let (_database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    worker.commit(&[record(new_id()), record(new_id())]).await;
    let Worker { store, mut publisher } = worker;
    store.commit_batch(&mut publisher, 1, &[], now()).await.unwrap();
    store.close_publisher(publisher.id).await.unwrap();
    assert_eq!(store.left_behind("host").await.unwrap()[0].published_through, 1);
}
