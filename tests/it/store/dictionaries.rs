//! Karbor's columns: its JSON, in time, and nothing it said erased.

use std::collections::HashSet;

use karbor_restore_worker::domain::{ResourceStatus as R, RestoreStatus};
use karbor_restore_worker::store::Dialect;
use rstest::rstest;

use super::database::Database;
use super::words::*;

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn columns_hold_karbors_json(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    let mut failed = said("OS::Nova::Server#b", R::Error);
    failed.state.reason = Some("kaputt: ä \u{1f600}\n\"x\"".to_owned());
    let mut new = said("OS::Cinder::Volume#new", R::Available);
    new.source_id = Some("old".parse().unwrap());
    let updates = vec![said("OS::Cinder::Volume#old", R::Started), failed, new];
    worker.commit(&[record(id), update(id, updates)]).await;

    let written = store.write_dictionaries(10, &HashSet::new()).await.unwrap();
    assert_eq!((written.written, written.behind, written.oldest_delay), (1, 0, None));
    assert_eq!(written.found, []);
    assert_eq!(
        database.lines("SELECT resources_status AS line FROM restores").await,
        [r#"{"OS::Cinder::Volume#new": "available", "OS::Nova::Server#b": "error"}"#]
    );
    assert_eq!(
        database.lines("SELECT resources_reason AS line FROM restores").await,
        [r#"{"OS::Nova::Server#b": "kaputt: \u00e4 \ud83d\ude00\n\"x\""}"#]
    );
    let updated = "SELECT 'updated' AS line FROM restores WHERE updated_at IS NOT NULL";
    assert_eq!(database.lines(updated).await, ["updated"]);
    assert_eq!(store.write_dictionaries(10, &HashSet::new()).await.unwrap().written, 0);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn what_karbor_said_there_is_not_erased(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    worker.commit(&[record(id), update(id, vec![said("T#a", R::Started)])]).await;
    store.write_dictionaries(10, &HashSet::new()).await.unwrap();
    // Karbor's save, from an object of its own, with more than we know.
    let more = r#"{"T#b": "available"}"#;
    database.execute(&format!("UPDATE restores SET resources_status = '{more}'")).await;
    worker.commit(&[update(id, vec![said("T#a", R::Available)])]).await;
    let written = store.write_dictionaries(10, &HashSet::new()).await.unwrap();
    assert_eq!((written.written, written.behind, written.found), (0, 1, vec![id]));
    let column = "SELECT resources_status AS line FROM restores";
    assert_eq!(database.lines(column).await, [more]);
    // With less than we know, it is put back.
    worker.commit(&[update(id, vec![said("T#b", R::Available)])]).await;
    assert_eq!(store.write_dictionaries(10, &HashSet::new()).await.unwrap().written, 1);
    let all = r#"{"T#a": "available", "T#b": "available"}"#;
    assert_eq!(database.lines(column).await, [all]);
    // The same of its status.
    worker.commit(&[update(id, vec![said("T#a", R::Error)])]).await;
    database.execute("UPDATE restores SET status = 'success'").await;
    assert_eq!(store.write_dictionaries(10, &HashSet::new()).await.unwrap().found, [id]);
    worker.commit(&[finish(id, RestoreStatus::Fail, None)]).await;
    assert_eq!(store.write_dictionaries(10, &HashSet::new()).await.unwrap().written, 1);
    assert_eq!(database.lines("SELECT status AS line FROM restores").await, ["success"]);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_written_does_not_hold_up_the_others(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let (refused, other) = (new_id(), new_id());
    worker.commit(&[record(refused), update(refused, vec![said("T#refused", R::Started)])]).await;
    let refusal = match dialect {
        Dialect::Sqlite => {
            "CREATE TRIGGER refusal BEFORE UPDATE ON restores \
             WHEN NEW.resources_status LIKE '%refused%' BEGIN SELECT RAISE(ABORT, 'no'); END"
        }
        Dialect::Postgresql | Dialect::Mysql => {
            "ALTER TABLE restores ADD CONSTRAINT refusal \
             CHECK (COALESCE(resources_status, '') NOT LIKE '%refused%')"
        }
    };
    database.execute(refusal).await;
    worker.commit(&[record(other), update(other, vec![said("T#a", R::Started)])]).await;

    let spares_none = HashSet::new();
    let mut written = store.write_dictionaries(1, &spares_none).await.unwrap();
    assert_eq!((written.written, written.behind), (0, 2));
    let (failed, _) = written.failed.pop().unwrap();
    assert_eq!(failed, refused);
    assert!(written.oldest_delay.is_some());
    // The oldest one, spared, leaves its place to the next.
    let written = store.write_dictionaries(1, &HashSet::from([refused])).await.unwrap();
    assert_eq!((written.written, written.behind, written.failed.len()), (1, 1, 0));
    let column = format!("SELECT resources_status AS line FROM restores WHERE id = '{other}'");
    assert_eq!(database.lines(&column).await, [r#"{"T#a": "started"}"#]);
    // Both at once: the other is written all the same.
    worker.commit(&[update(other, vec![said("T#a", R::Available)])]).await;
    let written = store.write_dictionaries(10, &spares_none).await.unwrap();
    assert_eq!((written.written, written.behind, written.failed.len()), (1, 1, 1));
}
