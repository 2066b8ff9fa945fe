//! A database that Karbor made: adopted with its rows, without an event, and not without being
//! asked.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use karbor_restore_worker::domain::{ResourceStatus as R, RestoreStatus};
use karbor_restore_worker::store::{Adoption, Dialect, MigrateError, StoreError};
use rstest::rstest;
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

use super::database::Database;
use super::words::*;
use crate::harness::{Kind, Session};

/// As `karbor-manage db sync` of 1.6.0 leaves it, with its MySQL's character set.
async fn create_karbors(database: &Database, dialect: Dialect) {
    let (time, options) = match dialect {
        Dialect::Mysql => ("DATETIME", " ENGINE = InnoDB DEFAULT CHARACTER SET utf8"),
        _ => ("TIMESTAMP", ""),
    };
    database
        .execute(&format!(
            "CREATE TABLE restores (created_at {time}, updated_at {time}, deleted_at {time}, \
             deleted BOOLEAN, id VARCHAR(36) NOT NULL, project_id VARCHAR(255), \
             provider_id VARCHAR(36), checkpoint_id VARCHAR(36), restore_target VARCHAR(255), \
             parameters TEXT, status VARCHAR(64), resources_status TEXT, resources_reason TEXT, \
             PRIMARY KEY (id)){options}"
        ))
        .await;
}

async fn insert(database: &Database, id: &str, status: &str, deleted: bool, statuses: &str) {
    database
        .execute(&format!(
            "INSERT INTO restores VALUES ('2020-01-02 03:04:05', NULL, NULL, {deleted}, '{id}', \
             'project', 'provider', 'checkpoint', NULL, NULL, '{status}', '{statuses}', \
             '{{\"T#b\": \"no space\"}}')"
        ))
        .await;
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[tokio::test(flavor = "multi_thread")]
async fn karbors_rows_are_taken_in_without_an_event(#[case] dialect: Dialect) {
    let database = Database::create(dialect).await;
    create_karbors(&database, dialect).await;
    let (running, done, deleted) = (new_id(), new_id(), new_id());
    let statuses = r#"{"T#a": "BUILD", "T#b": "error", "T#w": "weird", "odd": "error"}"#;
    insert(&database, &running.to_string(), "in_progress", false, statuses).await;
    insert(&database, &done.to_string(), "success", false, statuses).await;
    insert(&database, &deleted.to_string(), "success", true, statuses).await;
    insert(&database, "no-uuid", "odd", false, "no JSON").await;
    let store = database.store();
    assert!(matches!(store.migrate().await.unwrap_err(), MigrateError::NeedsAdoption));

    let dry = store.adopt(Adoption::DryRun).await.unwrap();
    assert_eq!((dry.karbor_restores, dry.deleted, dry.restores), (4, 1, 0));
    assert!(dry.to_string().starts_with("would adopt"), "{dry}");
    assert!(matches!(store.migrate().await.unwrap_err(), MigrateError::NeedsAdoption));
    let report = store.adopt(Adoption::Real).await.unwrap();
    assert_eq!((report.karbor_restores, report.restores, report.resources), (4, 2, 6));
    assert_eq!(report.unread, 2);
    assert_eq!(report.migrations, dry.migrations);
    let wide = ["resources_reason", "resources_status"].map(str::to_owned);
    let widened = if dialect == Dialect::Mysql { wide.to_vec() } else { Vec::new() };
    assert_eq!((&report.widened, &dry.widened), (&widened, &widened));
    store.check().await.unwrap();
    assert_eq!(store.migrate().await.unwrap().applied, [""; 0]);
    let again = store.adopt(Adoption::Real).await.unwrap();
    assert_eq!((again.already, again.restores), (true, 0));

    // Nothing is news (nor is a silence of years), nothing is published, and Karbor's own text
    // stands.
    assert_eq!(store.silent_restores(now() + Duration::from_secs(9), 10).await.unwrap(), []);
    assert_eq!(store.notice_recent(10).await.unwrap().changed, []);
    assert_eq!(store.notice_page("", 10).await.unwrap().noticed.changed, []);
    assert_eq!(database.count("restore_events").await, 0);
    assert_eq!(store.write_dictionaries(10, &HashSet::new()).await.unwrap().written, 0);
    let column = format!("SELECT resources_status AS line FROM restores WHERE id = '{running}'");
    assert_eq!(database.lines(&column).await, [statuses]);
    let shown = store.restore_view(done).await.unwrap().unwrap();
    assert_eq!(
        (shown.status.as_str(), shown.counts.available, shown.counts.error),
        ("success", 1, 1)
    );

    // The first transition of each comes with its first change.
    let mut worker = Worker::start(&store, "host").await;
    let events = worker
        .commit(&[
            update(running, vec![said("T#a", R::Available)]),
            finish(running, RestoreStatus::Fail, None),
        ])
        .await
        .events;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.old_status.as_deref(), event.status.as_str(), event.transition))
        .collect();
    assert_eq!(told, [(Some("restoring"), "available", 1), (Some("in_progress"), "fail", 1)]);
    assert_eq!(store.write_dictionaries(10, &HashSet::new()).await.unwrap().written, 1);
    let written = r#"{"T#a": "available", "T#b": "error", "T#w": "weird", "odd": "error"}"#;
    assert_eq!(database.lines(&column).await, [written]);
}

/// MySQL commits each step of the schema by itself: a process may end before it is noted.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_was_done_and_not_noted_is_no_obstacle(#[values(true, false)] karbors: bool) {
    for step in if karbors { 1..=20 } else { 2..=20 } {
        let database = Database::create(Dialect::Mysql).await;
        let store = database.store();
        if karbors {
            create_karbors(&database, Dialect::Mysql).await;
            store.adopt(Adoption::Real).await.unwrap();
        } else {
            store.migrate().await.unwrap();
        }
        // As if the process had ended there: what comes after is not there.
        let version = format!("{step:04}");
        let forget = format!("DELETE FROM __diesel_schema_migrations WHERE version >= '{version}'");
        database.execute(&forget).await;
        let fact = match (karbors, step) {
            // The fact is written with the first step, and taken away at the end.
            (true, 2..) => "INSERT INTO restore_schema_facts (fact, value) VALUES ('adopting', 1)",
            _ => "DELETE FROM restore_schema_facts WHERE fact = 'adopting'",
        };
        database.execute(fact).await;
        // Steps that write rows are undone with their record.
        for (written_by, undo) in [
            (10, "DELETE FROM restore_schema_facts WHERE fact <> 'adopting'"),
            (16, "DELETE FROM restore_duties"),
            (19, "DELETE FROM restore_duties WHERE duty = 'old_events'"),
        ] {
            if step <= written_by {
                database.execute(undo).await;
            }
        }
        if karbors {
            assert!(matches!(store.migrate().await.unwrap_err(), MigrateError::NeedsAdoption));
            store.adopt(Adoption::Real).await.unwrap();
        } else {
            store.migrate().await.unwrap();
        }
        store.check().await.unwrap();
        assert_eq!(database.count("restore_duties").await, 3, "{step}");
    }
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_that_was_interrupted_goes_on(#[case] dialect: Dialect) {
    let database = Database::create(dialect).await;
    create_karbors(&database, dialect).await;
    let (first, second) = (new_id(), new_id());
    insert(&database, &first.to_string(), "in_progress", false, r#"{"T#a": "error"}"#).await;
    let store = database.store();
    store.adopt(Adoption::Real).await.unwrap();
    // As it is left by one that ended before the second restore.
    insert(&database, &second.to_string(), "in_progress", false, r#"{"T#a": "error"}"#).await;
    database.execute("INSERT INTO restore_schema_facts (fact, value) VALUES ('adopting', 1)").await;
    assert!(matches!(store.migrate().await.unwrap_err(), MigrateError::NeedsAdoption));
    assert!(matches!(store.check().await.unwrap_err(), StoreError::Fatal { .. }));
    let report = store.adopt(Adoption::Real).await.unwrap();
    assert_eq!((report.restores, report.resources), (1, 2));
    store.check().await.unwrap();
    assert_eq!(database.count("restore_states").await, 2);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_database_of_karbors_is_not_adopted(#[case] dialect: Dialect) {
    let empty = Database::create(dialect).await;
    let error = empty.store().adopt(Adoption::Real).await.unwrap_err();
    assert!(matches!(error, MigrateError::NothingToAdopt(_)), "{error}");
    // Some other program's table.
    empty.execute("CREATE TABLE restores (id INTEGER)").await;
    let error = empty.store().adopt(Adoption::Real).await.unwrap_err();
    assert!(matches!(error, MigrateError::NothingToAdopt(_)), "{error}");
}

/// Karbor reads a row and then writes it in one transaction, without a second try: an ALTER that
/// waits for its table in between would make it fail, and with it the restore.
#[tokio::test(flavor = "multi_thread")]
async fn karbors_saves_outlive_the_change_of_their_table() {
    let database = Database::create(Dialect::Mysql).await;
    create_karbors(&database, Dialect::Mysql).await;
    let (adopted, saving) = (CancellationToken::new(), Arc::new(Barrier::new(5)));
    let mut savers = Vec::new();
    for _ in 0..4 {
        let id = new_id();
        insert(&database, &id.to_string(), "in_progress", false, "{}").await;
        let mut session = Session::open(Kind::Mysql, &database.url).await.unwrap();
        let (adopted, saving) = (adopted.clone(), saving.clone());
        savers.push(tokio::spawn(async move {
            saving.wait().await;
            while !adopted.is_cancelled() {
                for statement in [
                    "BEGIN",
                    &format!("SELECT * FROM restores WHERE id = '{id}'"),
                    &format!("UPDATE restores SET updated_at = NOW() WHERE id = '{id}'"),
                    "COMMIT",
                ] {
                    session.run(statement).await.unwrap();
                }
            }
        }));
    }
    saving.wait().await;
    let report = database.store().adopt(Adoption::Real).await.unwrap();
    adopted.cancel();
    assert_eq!((report.restores, report.widened.len()), (4, 2));
    for saver in savers {
        saver.await.expect("no save failed");
    }
}
