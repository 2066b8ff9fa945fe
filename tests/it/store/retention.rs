//! Old events: deleted in pages, as far as nobody needs them.

use std::time::Duration;

use karbor_restore_worker::domain::{ResourceStatus as R, RestoreStatus};
use karbor_restore_worker::store::{DeletedPage, Dialect, Duty};
use rstest::rstest;
use uuid::Uuid;

use super::database::Database;
use super::words::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn old_events_are_deleted_unless_somebody_needs_them(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let (done, under_way, recent) = (new_id(), new_id(), new_id());
    let old = [
        record(done),
        update(done, vec![said("T#a", R::Available)]),
        finish(done, RestoreStatus::Success, None),
        record(under_way),
    ];
    let publisher = &mut worker.publisher;
    store.commit_batch(publisher, 0, &old, now() - 40 * DAY).await.unwrap();
    worker.commit(&[record(recent), finish(recent, RestoreStatus::Fail, None)]).await;
    let before = now() - 30 * DAY;
    let delete = async || store.delete_old_events(before, None, 100).await.unwrap();
    let page = |deleted, kept| DeletedPage { deleted, kept, next: None };

    assert_eq!(delete().await, page(0, 4), "nothing is published yet");
    assert!(!store.earlier_events_deleted(done).await.unwrap());
    let id = worker.publisher.id;
    store.renew_publisher(id, 2).await.unwrap();
    assert_eq!(delete().await, page(2, 2), "up to the position");
    store.renew_publisher(id, 6).await.unwrap();
    assert_eq!(delete().await, page(1, 1), "but for the restore under way");
    assert_eq!(delete().await, page(0, 1));
    assert_eq!(database.count("restore_events").await, 3);
    for (restore, deleted) in [(done, true), (under_way, false), (recent, false), (new_id(), false)]
    {
        assert_eq!(store.earlier_events_deleted(restore).await.unwrap(), deleted);
    }

    worker.commit(&[finish(under_way, RestoreStatus::Success, None)]).await;
    store.close_publisher(id).await.unwrap();
    assert_eq!(store.forget_publishers().await.unwrap(), 0, "its last event is not published");
    store.move_left_behind(id, 7).await.unwrap();
    assert_eq!(store.forget_publishers().await.unwrap(), 1);
    assert_eq!(delete().await, page(1, 0), "nobody is left to publish it");
    assert_eq!(database.count("restore_events").await, 3);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn old_events_are_deleted_page_by_page_past_those_that_stay(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let (stays, goes) = (new_id(), new_id());
    let updates = |n: u32| (0..n).map(|n| said(&format!("T#{n}"), R::Available)).collect();
    let publisher = &mut worker.publisher;
    let at = now() - 40 * DAY;
    store
        .commit_batch(publisher, 0, &[record(stays), update(stays, updates(4))], at)
        .await
        .unwrap();
    let items = [record(goes), update(goes, updates(5)), finish(goes, RestoreStatus::Fail, None)];
    store.commit_batch(publisher, 0, &items, at).await.unwrap();
    store.renew_publisher(worker.publisher.id, 12).await.unwrap();

    let (mut last, mut pages) = (None, Vec::new());
    loop {
        let page = store.delete_old_events(now() - DAY, last.as_ref(), 3).await.unwrap();
        pages.push((page.deleted, page.kept));
        last = page.next;
        if last.is_none() {
            break;
        }
    }
    assert_eq!(pages, [(0, 3), (1, 2), (3, 0), (3, 0), (0, 0)]);
    assert_eq!(database.count("restore_events").await, 5);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn one_worker_at_a_time_deletes_old_events_and_not_again_within_the_pause(
    #[case] dialect: Dialect,
) {
    let (_database, store) = Database::migrated(dialect).await;
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    let claim = async |holder| store.claim_duty(Duty::OldEvents, holder, DAY, DAY).await.unwrap();
    assert!(claim(a).await && !claim(b).await && claim(a).await);
    assert!(store.finish_duty(Duty::OldEvents, a).await.unwrap());
    assert!(store.release_duty(Duty::OldEvents, a).await.unwrap());
    assert!(!claim(b).await);
}
