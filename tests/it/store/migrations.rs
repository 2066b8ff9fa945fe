//! The schema: made once, never in a database that Karbor created, left alone when it is newer.

use karbor_restore_worker::store::{Dialect, MigrateError, Store, StoreError};
use rstest::rstest;

use super::database::Database;

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn workers_that_start_together_migrate_once(#[case] dialect: Dialect) {
    let database = Database::create(dialect).await;
    let stores: Vec<Store> = (0..3).map(|_| database.store()).collect();
    match stores[0].check().await.unwrap_err() {
        StoreError::Fatal { .. } => {}
        // The file is not there yet.
        StoreError::Transient { .. } if dialect == Dialect::Sqlite => {}
        other => panic!("{other:?}"),
    }
    let (a, b, c) = tokio::join!(stores[0].migrate(), stores[1].migrate(), stores[2].migrate());
    let applied = [a, b, c].map(|report| report.unwrap().applied.len());
    assert_eq!(applied.iter().filter(|steps| **steps > 0).count(), 1, "{applied:?}");
    for store in &stores {
        store.check().await.unwrap();
        assert_eq!(store.durability_warnings().await.unwrap().len(), 0);
    }
    assert_eq!(stores[0].migrate().await.unwrap().applied, [""; 0]);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn database_of_karbor_must_be_adopted(#[case] dialect: Dialect) {
    let database = Database::create(dialect).await;
    database.execute("CREATE TABLE restores (id VARCHAR(36) NOT NULL PRIMARY KEY)").await;
    let store = database.store();
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(error, MigrateError::NeedsAdoption));
    assert!(error.to_string().contains("must be adopted"));
    let tables = match dialect {
        Dialect::Sqlite => "SELECT name AS line FROM sqlite_master WHERE type = 'table'",
        Dialect::Mysql => {
            "SELECT table_name AS line FROM information_schema.tables \
             WHERE table_schema = DATABASE()"
        }
        Dialect::Postgresql => {
            "SELECT table_name AS line FROM information_schema.tables \
             WHERE table_schema = 'public'"
        }
    };
    assert_eq!(database.lines(tables).await, ["restores"]);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn newer_schema_is_refused_only_when_this_version_is_too_old(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let newer = "UPDATE restore_schema_facts SET value = 9 WHERE fact = 'schema_version'";
    database.execute(newer).await;
    store.migrate().await.unwrap();
    store.check().await.unwrap();
    let served = "UPDATE restore_schema_facts SET value = 8 WHERE fact = 'oldest_version_served'";
    database.execute(served).await;
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(error, MigrateError::NewerSchema { oldest_served: 8 }));
    assert!(matches!(store.check().await.unwrap_err(), StoreError::Fatal { .. }));
}

#[rstest]
#[case::postgresql("postgres://postgres:hunter2@127.0.0.1:1/x")]
#[case::mysql("mysql://root:hunter2@127.0.0.1:1/x")]
#[case::sqlite("sqlite:///nowhere/is-no-directory/x.db")]
#[tokio::test(flavor = "multi_thread")]
async fn database_that_is_away_is_transient(#[case] url: &str) {
    let options = karbor_restore_worker::store::StoreOptions::new(url);
    let store = Store::new(options).unwrap();
    let error = store.check().await.unwrap_err();
    assert!(matches!(error, StoreError::Transient { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("hunter2"));
}
