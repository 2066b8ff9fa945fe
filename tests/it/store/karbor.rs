//! What Karbor itself writes into its table: noticed, merged forward only, put back where its
//! last save dropped it; and what its success ends.

use std::collections::HashSet;
use std::time::Duration;

use karbor_restore_worker::domain::{
    Command, Event, EventType, ResourceStatus as R, RestoreId, RestoreStatus, State, Subject,
};
use karbor_restore_worker::store::{BatchItem, Dialect, Duty, Noticed, Store};
use rstest::rstest;
use uuid::Uuid;

use super::database::Database;
use super::words::*;

const STATUSES: &str = "SELECT resources_status AS line FROM restores ORDER BY id";

fn take_in(id: RestoreId) -> BatchItem {
    item(Command::TakeIn(id))
}

/// As Karbor's API service creates one.
async fn insert(database: &Database, id: RestoreId, status: &str, statuses: &str) {
    database
        .execute(&format!(
            "INSERT INTO restores (created_at, deleted, id, project_id, provider_id, \
             checkpoint_id, restore_target, parameters, status, resources_status) VALUES \
             (CURRENT_TIMESTAMP, FALSE, '{id}', 'project', 'provider', 'checkpoint', NULL, '{{}}', \
             '{status}', '{statuses}')"
        ))
        .await;
}

async fn noticed(store: &Store) -> Vec<RestoreId> {
    let Noticed { mut changed, gone } = store.notice_recent(100).await.unwrap();
    assert_eq!(gone, []);
    changed.sort();
    changed
}

/// `TYPE#ID old -> new` of each, `restore` for the restore as a whole.
fn told(events: &[Event]) -> Vec<String> {
    let tell = |event: &Event| {
        let what = match &event.subject {
            Subject::Restore { .. } => "restore".to_owned(),
            Subject::Resource { key, .. } => key.to_string(),
        };
        let old = event.old_status.as_deref().unwrap_or("-");
        format!(
            "{} {what} {old} -> {} ({})",
            event.event_type.as_str(),
            event.status,
            event.transition
        )
    };
    events.iter().map(tell).collect()
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn what_karbor_writes_is_noticed_and_merged(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    insert(&database, id, "in_progress", r#"{"T#a": "started"}"#).await;
    assert_eq!(noticed(&store).await, [id]);
    let events = worker.commit(&[take_in(id)]).await.events;
    assert_eq!(
        told(&events),
        [
            "karbor.restore.start restore - -> in_progress (1)",
            "karbor.restore_resource.start T#a - -> started (1)"
        ]
    );
    assert_eq!(noticed(&store).await, []);
    // What we wrote is no news either.
    worker.commit(&[update(id, vec![said("T#b", R::Restoring)])]).await;
    assert_eq!(store.write_dictionaries(10, &HashSet::new()).await.unwrap().written, 1);
    assert_eq!(noticed(&store).await, []);

    // Its next save has an object that never heard of T#b, an alias, and a word of its own.
    let saved = r#"{"T#a": "ACTIVE", "T#c": "weird"}"#;
    database.execute(&format!("UPDATE restores SET resources_status = '{saved}'")).await;
    assert_eq!(noticed(&store).await, [id]);
    let events = worker.commit(&[take_in(id)]).await.events;
    assert_eq!(
        told(&events),
        [
            "karbor.restore_resource.end T#a started -> available (2)",
            "karbor.restore_resource.update T#c - -> undefined (1)"
        ]
    );
    assert_eq!(store.write_dictionaries(10, &HashSet::new()).await.unwrap().written, 1);
    let all = r#"{"T#a": "available", "T#b": "restoring", "T#c": "weird"}"#;
    assert_eq!(database.lines(STATUSES).await, [all]);
    assert_eq!(noticed(&store).await, []);

    // A save of less is put back; a status goes forward only.
    database.execute(r#"UPDATE restores SET resources_status = '{"T#a": "started"}'"#).await;
    assert_eq!(noticed(&store).await, [id]);
    assert_eq!(worker.commit(&[take_in(id)]).await.events, []);
    assert_eq!(store.write_dictionaries(10, &HashSet::new()).await.unwrap().written, 1);
    let all = r#"{"T#a": "available", "T#b": "restoring", "T#c": "undefined"}"#;
    assert_eq!(database.lines(STATUSES).await, [all]);
    worker.commit(&[finish(id, RestoreStatus::Fail, None)]).await;
    database.execute("UPDATE restores SET status = 'in_progress'").await;
    assert_eq!(noticed(&store).await, [id]);
    assert_eq!(worker.commit(&[take_in(id)]).await.events, []);
    assert_eq!(database.lines("SELECT status AS line FROM restores").await, ["fail"]);
    assert_eq!(noticed(&store).await, []);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn karbors_success_ends_what_is_under_way_whenever_it_is_said(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    let mut restoring = said("OS::Trove::Instance#b", R::Restoring);
    restoring.state.reason = Some("half way".to_owned());
    let known = vec![restoring.clone(), said("T#failed", R::Error), said("T#none", R::Undefined)];
    worker.commit(&[record(id), update(id, known)]).await;
    database.execute("UPDATE restores SET status = 'success'").await;
    assert_eq!(noticed(&store).await, [id]);
    let events = worker.commit(&[take_in(id)]).await.events;
    assert_eq!(
        told(&events),
        [
            "karbor.restore_resource.end OS::Trove::Instance#b restoring -> available (2)",
            "karbor.restore.end restore in_progress -> success (2)"
        ]
    );
    let Subject::Restore { counts } = &events[1].subject else { panic!() };
    assert_eq!((counts.available, counts.restoring, counts.error, counts.undefined), (1, 0, 1, 1));
    // Later ones count the same, a retry's too; a repeat changes nothing.
    let mut again = said("T#failed", R::Restoring);
    again.state.sequence = Some(1);
    let later = vec![said("T#late", R::Started), again];
    let events = worker.commit(&[update(id, later.clone())]).await.events;
    assert_eq!(
        told(&events),
        [
            "karbor.restore_resource.end T#late - -> available (1)",
            "karbor.restore_resource.end T#failed error -> available (2)"
        ]
    );
    assert_eq!(worker.commit(&[update(id, later)]).await.events, []);
    // A success of another attempt ends nothing: what was said counts again.
    let state = State { sequence: Some(7), status: RestoreStatus::InProgress, reason: None };
    let retry = item(Command::UpdateRestore { restore_id: id, state });
    let events = worker.commit(&[retry]).await.events;
    assert_eq!(
        told(&events),
        [
            "karbor.restore_resource.update OS::Trove::Instance#b available -> restoring (3)",
            "karbor.restore_resource.update T#failed available -> restoring (3)",
            "karbor.restore_resource.update T#late available -> started (2)",
            "karbor.restore.update restore success -> in_progress (3)"
        ]
    );
    assert_eq!(events[0].reason.as_deref(), Some("half way"));
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn deleted_and_old_restores_are_watched_no_more(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let (deleted, old, never) = (new_id(), new_id(), new_id());
    worker.commit(&[record(deleted), record(old)]).await;
    worker.commit(&[finish(old, RestoreStatus::Success, None)]).await;
    database.execute(&format!("UPDATE restores SET deleted = TRUE WHERE id = '{deleted}'")).await;
    let gone = store.notice_recent(10).await.unwrap();
    assert_eq!(gone, Noticed { changed: vec![], gone: vec![deleted] });
    store.forget_gone(&gone.gone).await.unwrap();
    assert_eq!(noticed(&store).await, []);
    // What is final for longer than a day is found only in the whole table, and so is what is
    // new there and older than a day.
    insert(&database, never, "success", "{}").await;
    database.execute("UPDATE restores SET created_at = '2020-01-01 00:00:00'").await;
    database.execute("UPDATE restore_states SET final_since = '2020-01-01 00:00:00.000000'").await;
    let change = format!("UPDATE restores SET status = 'fail' WHERE id = '{old}'");
    database.execute(&change).await;
    assert_eq!(noticed(&store).await, []);
    let (mut after, mut found) = (String::new(), Vec::new());
    loop {
        let page = store.notice_page(&after, 1).await.unwrap();
        assert_eq!(page.noticed.gone, []);
        found.extend(page.noticed.changed);
        let Some(next) = page.next else { break };
        after = next;
    }
    let mut expected = vec![old, never];
    expected.sort();
    assert_eq!(found, expected);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn a_silence_is_told_once(#[case] dialect: Dialect) {
    let (_database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    worker.commit(&[record(id), update(id, vec![said("T#a", R::Started)])]).await;
    let before = now() - Duration::from_secs(60);
    assert_eq!(store.silent_restores(before, 10).await.unwrap(), []);
    let since = now() + Duration::from_secs(60);
    assert_eq!(store.silent_restores(since, 10).await.unwrap(), [id]);
    let silence = |since| item(Command::NoteSilence { restore_id: id, since });
    // Something was heard after all.
    assert_eq!(worker.commit(&[silence(before)]).await.events, []);
    let events = worker.commit(&[silence(since), silence(since)]).await.events;
    assert_eq!(told(&events), ["karbor.restore.stalled restore in_progress -> in_progress (2)"]);
    let Subject::Restore { counts } = &events[0].subject else { panic!() };
    assert_eq!(counts.started, 1);
    assert_eq!(store.silent_restores(since, 10).await.unwrap(), []);
    assert_eq!(worker.commit(&[silence(since)]).await.events, []);
    // A stale update is a sign of life: the next silence is another.
    worker.commit(&[update(id, vec![said("T#a", R::Undefined)])]).await;
    assert_eq!(store.silent_restores(since, 10).await.unwrap(), [id]);
    let events = worker.commit(&[silence(since)]).await.events;
    assert_eq!(events[0].event_type, EventType::RestoreStalled);
    worker.commit(&[finish(id, RestoreStatus::Fail, None)]).await;
    assert_eq!(store.silent_restores(since, 10).await.unwrap(), []);
    assert_eq!(worker.commit(&[silence(since)]).await.events, []);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn a_duty_is_one_workers_until_its_lease_runs_out(#[case] dialect: Dialect) {
    let (_database, store) = Database::migrated(dialect).await;
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    let duty = Duty::RecentRestores;
    let claim =
        async |holder, lease| store.claim_duty(duty, holder, lease, Duration::ZERO).await.unwrap();
    let (long, none) = (Duration::from_secs(600), Duration::ZERO);
    assert!(claim(first, long).await);
    assert!(!claim(second, long).await);
    assert!(claim(first, none).await);
    assert!(claim(second, long).await);
    assert!(store.release_duty(duty, second).await.unwrap());
    assert!(claim(first, long).await);
    // Done, it is due again after the pause.
    let hour = Duration::from_secs(3600);
    let all = Duty::AllRestores;
    assert!(store.claim_duty(all, first, none, hour).await.unwrap());
    assert!(store.finish_duty(all, first).await.unwrap());
    assert!(!store.claim_duty(all, first, long, hour).await.unwrap());
    assert!(store.claim_duty(all, first, long, none).await.unwrap());
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_by_its_new_id_is_ended_once(#[case] dialect: Dialect) {
    let (_database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    let carry = |resource: &str, status, source: &str| {
        let mut update = said(resource, status);
        update.source_id = Some(source.parse().unwrap());
        update
    };
    // As the hook tells it: under the source's id, until there is a new one.
    worker.commit(&[record(id), update(id, vec![carry("T#old", R::Started, "old")])]).await;
    worker.commit(&[update(id, vec![carry("T#new", R::Restoring, "old")])]).await;
    let events = worker.commit(&[finish(id, RestoreStatus::Success, None)]).await.events;
    assert_eq!(
        told(&events),
        [
            "karbor.restore_resource.end T#new restoring -> available (2)",
            "karbor.restore.end restore in_progress -> success (2)"
        ]
    );
    // The new one turns out to be another's: the old one is seen again, and counts as ended.
    let events = worker.commit(&[update(id, vec![carry("T#new", R::Available, "other")])]).await;
    assert_eq!(
        told(&events.events),
        ["karbor.restore_resource.end T#old started -> available (2)"]
    );
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_karbor_saved_and_the_flow_explains_is_told_once(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    worker.commit(&[record(id)]).await;
    database.execute("UPDATE restores SET status = 'fail'").await;
    let events = worker.commit(&[finish(id, RestoreStatus::Fail, Some("no space"))]).await.events;
    assert_eq!(told(&events), ["karbor.restore.error restore in_progress -> fail (2)"]);
    assert_eq!(events[0].reason.as_deref(), Some("no space"));
    // What says more than the request is still taken in.
    database.execute("UPDATE restores SET status = 'success'").await;
    let events = worker.commit(&[finish(id, RestoreStatus::Fail, Some("no time"))]).await.events;
    assert_eq!(told(&events), ["karbor.restore.end restore fail -> success (3)"]);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn a_dictionary_that_is_damaged_is_left_as_it_is(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    // As a TEXT column cuts one that is too long.
    let cut = r#"{"T#a": "available", "T#b": "err"#;
    insert(&database, id, "in_progress", cut).await;
    worker.commit(&[take_in(id), update(id, vec![said("T#n", R::Available)])]).await;
    let written = store.write_dictionaries(10, &HashSet::new()).await.unwrap();
    assert_eq!((written.written, written.behind), (0, 0));
    assert_eq!(database.lines(STATUSES).await, [cut]);
    assert_eq!(noticed(&store).await, []);
    // Karbor's next save is whole again.
    database.execute(r#"UPDATE restores SET resources_status = '{"T#a": "error"}'"#).await;
    worker.commit(&[take_in(id)]).await;
    assert_eq!(store.write_dictionaries(10, &HashSet::new()).await.unwrap().written, 1);
    assert_eq!(database.lines(STATUSES).await, [r#"{"T#a": "error", "T#n": "available"}"#]);
}
