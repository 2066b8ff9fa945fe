//! Restores: recorded, first met in Karbor's table, of another project, deleted, too large.

use karbor_restore_worker::domain::{
    Command, Counts, Effect, EventType, Outcome, Refusal, ResourceStatus as R, RestoreStatus,
    Subject,
};
use karbor_restore_worker::store::Dialect;
use rstest::rstest;

use super::database::Database;
use super::words::*;

const NO: &str = "created_at, updated_at, deleted_at, deleted, id, project_id, provider_id, \
                  checkpoint_id, status, resources_status, resources_reason";

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn new_restore_starts_and_then_has_its_outcome(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let mut new = new_restore(new_id());
    new.status = RestoreStatus::Fail;
    new.resources = vec![said("T#a", R::Available)];
    let committed = worker.commit(&[item(Command::RecordRestore(new.clone()))]).await;
    let events: Vec<_> = committed
        .events
        .iter()
        .map(|e| (e.event_type, e.transition, e.old_status.as_deref(), e.status.as_str()))
        .collect();
    assert_eq!(
        events,
        [
            (EventType::RestoreStart, 1, None, "in_progress"),
            (EventType::ResourceEnd, 1, None, "available"),
            (EventType::RestoreError, 2, Some("in_progress"), "fail"),
        ]
    );
    let Subject::Restore { counts } = committed.events[0].subject else { unreachable!() };
    assert_eq!(counts, Counts::default());
    let Subject::Restore { counts } = committed.events[2].subject else { unreachable!() };
    assert_eq!(counts, Counts { available: 1, ..Counts::default() });
    let line = "SELECT CONCAT(status, ' ', project_id, ' ', parameters) AS line FROM restores";
    let line = line.replace(
        "CONCAT(status, ' ', project_id, ' ', parameters)",
        match dialect {
            Dialect::Mysql => "CONCAT(status, ' ', project_id, ' ', parameters)",
            _ => "status || ' ' || project_id || ' ' || parameters",
        },
    );
    assert_eq!(database.lines(&line).await, ["fail project {\"a\": {\"b\": \"c\"}}"]);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn restore_first_met_in_karbors_table_is_taken_in(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    database
        .execute(&format!(
            "INSERT INTO restores ({NO}) VALUES ('2020-01-01 00:00:00', NULL, NULL, FALSE, '{id}', \
             'project', 'provider', 'checkpoint', 'success', \
             '{{\"T#a\": \"restoring\", \"T#b\": \"ACTIVE\"}}', '{{\"T#a\": \"slow\"}}')"
        ))
        .await;
    let mut update = update(id, vec![said("T#a", R::Error)]);
    update.sender = member("project");
    let committed = worker.commit(&[update]).await;
    let events: Vec<_> = committed
        .events
        .iter()
        .map(|e| (e.event_type, e.status.as_str(), e.reason.as_deref()))
        .collect();
    assert_eq!(
        events,
        [
            (EventType::RestoreStart, "in_progress", None),
            (EventType::ResourceStart, "restoring", Some("slow")),
            (EventType::ResourceEnd, "available", None),
            // What Karbor's success ends.
            (EventType::ResourceEnd, "available", None),
            (EventType::RestoreEnd, "success", None),
            (EventType::ResourceError, "error", None),
        ]
    );
    assert_eq!(committed.outcomes, [Outcome::Resources(vec![(Effect::Applied, R::Error)])]);
    assert_eq!(committed.events[0].context_project_id.as_deref(), Some("project"));
    assert_eq!(committed.events[0].transition, 1);
    // What Karbor says there itself is merged before its row is written.
    database.execute(&format!("UPDATE restores SET status = 'fail' WHERE id = '{id}'")).await;
    let committed = worker.commit(&[finish(id, RestoreStatus::Fail, None)]).await;
    assert_eq!(committed.outcomes, [Outcome::Restore(Effect::Stale, RestoreStatus::Success)]);
    assert_eq!(database.lines("SELECT status AS line FROM restores").await, ["success"]);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn karbors_success_is_not_erased(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    worker.commit(&[record(id)]).await;
    database.execute("UPDATE restores SET status = 'success'").await;
    let committed = worker.commit(&[finish(id, RestoreStatus::Fail, Some("late"))]).await;
    assert_eq!(committed.outcomes, [Outcome::Restore(Effect::Stale, RestoreStatus::Success)]);
    assert_eq!(committed.events.len(), 1);
    assert_eq!(committed.events[0].event_type, EventType::RestoreEnd);
    assert_eq!(committed.events[0].user_id, None);
    assert_eq!(database.lines("SELECT status AS line FROM restores").await, ["success"]);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn restore_of_another_project_is_not_found(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let (id, other) = (new_id(), new_id());
    worker.commit(&[record(id)]).await;
    let mut items = [
        update(id, vec![said("T#a", R::Error)]),
        expect(id, &["T#a"]),
        finish(id, RestoreStatus::Fail, None),
        record(id),
        record(other),
    ];
    for item in &mut items {
        item.sender = member("another");
    }
    let committed = worker.commit(&items).await;
    let refused = |id| Outcome::Refused(Refusal::RestoreNotFound(id));
    assert_eq!(committed.outcomes[..4], [(); 4].map(|()| refused(id)));
    assert_eq!(committed.outcomes[4], refused(other));
    assert_eq!(committed.events, []);
    assert_eq!(database.count("restore_states").await, 1);
    assert_eq!(database.count("restores").await, 1);
    for item in &mut items {
        item.sender = member("project");
    }
    assert_eq!(worker.commit(&items).await.events.len(), 3);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn deleted_restore_stays_as_it_is(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    let items = [record(id), update(id, vec![said("T#a", R::Started)]), expect(id, &["T#x"])];
    worker.commit(&items).await;
    database.execute("UPDATE restores SET deleted = TRUE").await;
    let items = [
        update(id, vec![said("T#a", R::Error), said("T#b", R::Error)]),
        expect(id, &["T#y"]),
        finish(id, RestoreStatus::Success, None),
        record(id),
    ];
    let committed = worker.commit(&items).await;
    assert_eq!(committed.events, []);
    let stale = vec![(Effect::Stale, R::Started), (Effect::Stale, R::Undefined)];
    let outcomes = [
        Outcome::Resources(stale),
        Outcome::Expected(1),
        Outcome::Restore(Effect::Stale, RestoreStatus::InProgress),
        Outcome::Recorded,
    ];
    assert_eq!(committed.outcomes, outcomes);
    assert_eq!(database.lines("SELECT status AS line FROM restores").await, ["in_progress"]);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn command_beyond_the_limit_is_refused_whole(#[case] dialect: Dialect) {
    let (database, _store) = Database::migrated(dialect).await;
    let store = database.store_with(|options| options.resources_per_restore = 2);
    let mut worker = Worker::start(&store, "host").await;
    let (id, large) = (new_id(), new_id());
    let too_many = Outcome::Refused(Refusal::TooManyResources { limit: 2 });
    let three = vec![said("T#a", R::Started), said("T#b", R::Started), said("T#c", R::Started)];
    let mut new = new_restore(large);
    new.resources.clone_from(&three);
    let items = [
        record(id),
        update(id, three.clone()),
        update(id, three[..2].to_vec()),
        update(id, three.clone()),
        update(id, vec![said("T#a", R::Available)]),
        expect(id, &["T#a", "T#b", "T#c"]),
        expect(id, &["T#a", "T#b", "T#a"]),
        expect(id, &["T#c"]),
        item(Command::RecordRestore(new)),
    ];
    let outcomes = worker.commit(&items).await.outcomes;
    let refused: Vec<usize> =
        (0..items.len()).filter(|index| outcomes[*index] == too_many).collect();
    assert_eq!(refused, [1, 3, 5, 7, 8]);
    assert_eq!(outcomes[6], Outcome::Expected(2));
    assert_eq!(database.count("restores").await, 1);
    assert_eq!(database.count("restore_resources").await, 2);
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn counts_leave_out_a_source_that_another_carries(#[case] dialect: Dialect) {
    let (_database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    let updates = vec![said("T#old", R::Started), said("T#x", R::Error), said("U#old", R::Started)];
    worker.commit(&[record(id), update(id, updates), expect(id, &["T#old"])]).await;
    let counts = |committed: &karbor_restore_worker::store::Committed| {
        let last = committed.events.last().unwrap();
        let Subject::Restore { counts } = last.subject else { panic!("{last:?}") };
        counts
    };
    // In one batch, the rows of the others unread.
    let mut new = said("T#new", R::Available);
    new.source_id = Some("old".parse().unwrap());
    let committed = worker
        .commit(&[
            finish(id, RestoreStatus::Fail, Some("a")),
            update(id, vec![new]),
            finish(id, RestoreStatus::Fail, Some("b")),
        ])
        .await;
    let Subject::Restore { counts: before } = committed.events[0].subject else { unreachable!() };
    assert_eq!((before.started, before.error, before.available, before.expected), (2, 1, 0, 1));
    let after = counts(&committed);
    assert_eq!((after.started, after.error, after.available, after.expected), (1, 1, 1, 1));
    // A success ends the one under way.
    let committed = worker.commit(&[finish(id, RestoreStatus::Success, None)]).await;
    let ended = counts(&committed);
    assert_eq!((ended.started, ended.error, ended.available, ended.expected), (0, 1, 2, 1));
}

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn what_has_a_source_itself_is_hidden_by_nothing(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    let mut worker = Worker::start(&store, "host").await;
    let id = new_id();
    let carrying = |key: &str, status, source: &str| {
        let mut update = said(key, status);
        update.source_id = Some(source.parse().unwrap());
        update
    };
    // What failed under a new id is the source of the next one; and a pair swapped its ids.
    worker.commit(&[record(id), update(id, vec![carrying("V#v2", R::Error, "v1")])]).await;
    let pair = vec![carrying("V#a", R::Available, "b"), carrying("V#b", R::Available, "a")];
    let third = carrying("V#v3", R::Available, "v2");
    let committed = worker
        .commit(&[update(id, pair), update(id, vec![third]), finish(id, RestoreStatus::Fail, None)])
        .await;
    let Subject::Restore { counts } = committed.events.last().unwrap().subject else {
        panic!("{committed:?}")
    };
    assert_eq!((counts.error, counts.available), (1, 3));
    let view = store.restore_view(id).await.unwrap().unwrap();
    let keys: Vec<_> = view.resources.iter().map(|(key, ..)| key.to_string()).collect();
    assert_eq!(keys, ["V#a", "V#b", "V#v2", "V#v3"]);
    assert_eq!((view.counts.error, view.counts.available), (1, 3));
    store.write_dictionaries(10, &std::collections::HashSet::new()).await.unwrap();
    assert_eq!(
        database.lines("SELECT resources_status AS line FROM restores").await,
        [r#"{"V#a": "available", "V#b": "available", "V#v2": "error", "V#v3": "available"}"#]
    );
}
