//! Updates that come before their restore.

use std::time::Duration;

use karbor_restore_worker::domain::{Effect, Outcome, Refusal, ResourceStatus as R};
use karbor_restore_worker::store::{Dialect, IfUnknown};
use rstest::rstest;

use super::database::Database;
use super::words::*;

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn early_update_waits_until_its_restore_is_recorded(#[case] dialect: Dialect) {
    let (_database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let (id, never) = (new_id(), new_id());
    let early = waiting(update(id, vec![said("T#a", R::Started)]), "early-1");
    let lost = waiting(update(never, vec![said("T#a", R::Started)]), "early-2");
    let IfUnknown::Wait(message) = early.if_unknown.clone() else { unreachable!() };
    let committed = worker.commit(&[early.clone(), lost]).await;
    assert_eq!(committed.outcomes, [Outcome::Waiting, Outcome::Waiting]);
    assert_eq!(committed.events, []);
    assert_eq!(store.count_early_updates().await.unwrap(), 2);
    assert!(store.oldest_early_update().await.unwrap().unwrap() < Duration::from_secs(60));
    assert_eq!(store.early_updates_due(10).await.unwrap(), []);

    // A command before the one that records its restore does not know it yet.
    let call = update(id, vec![said("T#b", R::Started)]);
    let committed = worker.commit(&[call, record(id)]).await;
    let not_found = Outcome::Refused(Refusal::RestoreNotFound(id));
    assert_eq!(committed.outcomes, [not_found, Outcome::Recorded]);

    let due = store.early_updates_due(10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].restore_id, &due[0].message), (id, &message));
    let mut again = early;
    again.if_unknown = IfUnknown::Waited(due[0].id);
    let committed = worker.commit(&[again.clone()]).await;
    assert_eq!(committed.outcomes, [Outcome::Resources(vec![(Effect::Applied, R::Started)])]);
    assert_eq!(store.early_updates_due(10).await.unwrap(), []);
    // Another worker that took the same row finds nothing to change.
    assert_eq!(worker.commit(&[again]).await.events, []);

    let hour = Duration::from_secs(3600);
    assert_eq!(store.early_updates_expired(hour, 10).await.unwrap(), []);
    let expired = store.early_updates_expired(Duration::ZERO, 10).await.unwrap();
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].restore_id, never);
    assert_eq!(store.remove_early_updates(&[expired[0].id]).await.unwrap(), 1);
    assert_eq!(store.remove_early_updates(&[expired[0].id]).await.unwrap(), 0);
    assert_eq!(store.count_early_updates().await.unwrap(), 0);
    assert_eq!(store.oldest_early_update().await.unwrap(), None);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn early_update_that_is_refused_keeps_its_row(#[case] dialect: Dialect) {
    let (_database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    let mut early = waiting(update(id, vec![said("T#a", R::Started)]), "early");
    early.sender = member("another");
    worker.commit(&[early.clone()]).await;
    worker.commit(&[record(id)]).await;
    let due = store.early_updates_due(10).await.unwrap();
    early.if_unknown = IfUnknown::Waited(due[0].id);
    let committed = worker.commit(&[early]).await;
    assert_eq!(committed.outcomes, [Outcome::Refused(Refusal::RestoreNotFound(id))]);
    assert_eq!(store.count_early_updates().await.unwrap(), 1);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_waited_too_long_is_claimed_by_one_worker(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let early = waiting(update(new_id(), vec![said("T#a", R::Started)]), "early");
    worker.commit(&[early]).await;
    let age = Duration::from_millis(1);
    let expired = loop {
        if let [expired] = &store.early_updates_expired(age, 10).await.unwrap()[..] {
            break expired.clone();
        }
    };
    let hour = Duration::from_secs(3600);
    assert!(!store.claim_expired_early_update(expired.id, hour).await.unwrap(), "it is not due");

    let others: Vec<_> = (0..4).map(|_| database.store()).collect();
    let claims = others.iter().map(|store| store.claim_expired_early_update(expired.id, age));
    let claims = futures_util::future::join_all(claims).await;
    assert_eq!(claims.iter().filter(|claim| *claim.as_ref().unwrap()).count(), 1, "{claims:?}");
    assert_eq!(store.early_updates_expired(age, 10).await.unwrap(), []);
    assert_eq!(store.count_early_updates().await.unwrap(), 1);
}
