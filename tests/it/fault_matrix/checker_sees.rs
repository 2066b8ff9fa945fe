//! The checker itself: it is content with a run in which all is right, and sees each thing that
//! is not.

use std::collections::{BTreeMap, BTreeSet};

use lapin::BasicProperties;
use rstest::rstest;
use serde_json::{Value, json};

use super::checker::{Heard, check};
use super::report::Counts;
use super::snapshot::{EventRow, PublisherRow, Snapshot};
use super::truth::{End, OfRestore, Said, Truth};
use crate::harness::Received;

const KEY: &str = "OS::Cinder::Volume#volume-1";

/// A restore with one resource, one message of poison, one call; all of it done.
struct Run {
    truth: Truth,
    snapshot: Snapshot,
    heard: Heard,
}

fn said(status: &str) -> Said {
    (None, status.to_owned(), None)
}

fn received(message: Value, message_id: &str, body: &[u8]) -> Received {
    Received {
        queue: String::new(),
        properties: BasicProperties::default().with_message_id(message_id.into()),
        body: body.to_vec(),
        message,
    }
}

/// A notification, each with a `_unique_id` of its own.
fn notification(event: &EventRow, message_id: &str, unique_id: &str) -> Received {
    let resource = event.subject.1.as_ref().and_then(|key| key.split_once('#'));
    let payload = json!({
        "restore_id": event.subject.0,
        "resource_type": resource.map(|(kind, _)| kind),
        "resource_id": resource.map(|(_, id)| id),
        "transition": event.transition,
        "old_status": event.old_status,
        "status": event.status,
    });
    let message = json!({"event_type": "karbor.restore.update", "message_id": message_id,
                         "_unique_id": unique_id, "payload": payload});
    received(message, "", b"")
}

fn run() -> Run {
    let resources = [(KEY.to_owned(), vec![said("started"), said("available")])];
    let of_restore = OfRestore {
        restore: vec![said("in_progress")],
        resources: resources.into(),
        expected: BTreeSet::new(),
    };
    let truth = Truth {
        restores: [("r".to_owned(), of_restore)].into(),
        poison: ["poison-0.".to_owned()].into(),
        calls: ["call".to_owned()].into(),
        messages: 5,
    };
    let event = |key: Option<&str>, transition, old: Option<&str>, status: &str| EventRow {
        subject: ("r".to_owned(), key.map(str::to_owned)),
        transition,
        old_status: old.map(str::to_owned),
        status: status.to_owned(),
        reason: None,
    };
    let events = vec![
        event(None, 1, None, "in_progress"),
        event(Some(KEY), 1, None, "started"),
        event(Some(KEY), 2, Some("started"), "available"),
    ];
    let mut notifications: Vec<_> = (0..3)
        .map(|index: usize| notification(&events[index], &format!("m{index}"), &index.to_string()))
        .collect();
    let of_letter = json!({"event_type": "karbor.restore_message.error", "message_id": "letter",
                           "_unique_id": "of the letter"});
    notifications.push(received(of_letter, "", b""));
    let end = End {
        restore: said("in_progress"),
        resources: [(KEY.to_owned(), said("available"))].into(),
        expected: BTreeSet::new(),
    };
    let karbor = ("in_progress".to_owned(), json!({KEY: "available"}), Value::Null);
    Run {
        truth,
        snapshot: Snapshot {
            ends: [("r".to_owned(), end)].into(),
            events,
            publishers: vec![PublisherRow {
                id: "p".to_owned(),
                host: "w1".to_owned(),
                closed: true,
                behind: 0,
            }],
            waiting: 0,
            karbor: BTreeMap::from([("r".to_owned(), karbor)]),
        },
        heard: Heard {
            notifications,
            letters: vec![received(Value::Null, "letter", b"poison-0.")],
            replies: vec![received(json!({"_msg_id": "call", "failure": null}), "", b"")],
        },
    }
}

#[test]
fn it_is_content_where_all_is_right_and_counts_copies() {
    let mut run = run();
    let copy = notification(&run.snapshot.events[0], "m0", "a copy");
    run.heard.notifications.push(copy);
    let verdict = check(&run.truth, &run.snapshot, &run.heard);
    assert!(verdict.findings.is_empty(), "{:?}", verdict.findings);
    assert_eq!((verdict.counts.notifications, verdict.counts.resent), (4, 1));
}

type Spoil = fn(&mut Run);
type Count = fn(&Counts) -> usize;

fn set_resource(run: &mut Run, status: &str) {
    let end = run.snapshot.ends.get_mut("r").expect("it is there");
    end.resources.insert(KEY.to_owned(), said(status));
}

#[rstest]
#[case::a_lower_state(|run: &mut Run| set_resource(run, "started"), |counts: &Counts| counts.lost)]
#[case::a_greater_state(|run: &mut Run| set_resource(run, "error"), |counts: &Counts| counts.wrong)]
#[case::no_restore(|run: &mut Run| run.snapshot.ends.clear(), |counts: &Counts| counts.lost)]
#[case::no_letter(|run: &mut Run| run.heard.letters.clear(), |counts: &Counts| counts.lost)]
#[case::no_answer(|run: &mut Run| run.heard.replies.clear(), |counts: &Counts| counts.lost)]
#[case::a_failure(
    |run: &mut Run| run.heard.replies[0].message["failure"] = json!("{}"), |counts: &Counts| counts.wrong)]
#[case::a_good_letter(|run: &mut Run| run.heard.letters[0].body = b"good".to_vec(), |counts: &Counts| counts.wrong)]
#[case::karbors_status(
    |run: &mut Run| run.snapshot.karbor.get_mut("r").expect("a row").0 = "fail".to_owned(),
    |counts: &Counts| counts.wrong)]
#[case::karbors_dictionary(
    |run: &mut Run| run.snapshot.karbor.get_mut("r").expect("a row").1 = json!({}), |counts: &Counts| counts.wrong)]
#[case::a_gap(|run: &mut Run| run.snapshot.events[2].transition = 3, |counts: &Counts| counts.wrong)]
#[case::a_broken_chain(
    |run: &mut Run| run.snapshot.events[2].old_status = None, |counts: &Counts| counts.wrong)]
#[case::no_last_event(|run: &mut Run| drop(run.snapshot.events.pop()), |counts: &Counts| counts.wrong)]
#[case::not_told(|run: &mut Run| drop(run.heard.notifications.remove(1)), |counts: &Counts| counts.unpublished)]
#[case::letter_not_told(|run: &mut Run| drop(run.heard.notifications.pop()), |counts: &Counts| counts.unpublished)]
#[case::told_under_two_ids(
    |run: &mut Run| {
        let copy = notification(&run.snapshot.events[0], "another", "a copy");
        run.heard.notifications.push(copy);
    },
    |counts: &Counts| counts.two_ids)]
#[case::a_letter_under_two_ids(
    |run: &mut Run| run.heard.letters.push(received(Value::Null, "another", b"poison-0.")),
    |counts: &Counts| counts.two_ids)]
#[case::an_id_twice(
    |run: &mut Run| run.heard.notifications[1].message["message_id"] = json!("m0"), |counts: &Counts| counts.wrong)]
#[case::a_copy_byte_for_byte(
    |run: &mut Run| run.heard.notifications.push(run.heard.notifications[0].clone()),
    |counts: &Counts| counts.wrong)]
#[case::a_publisher_left_open(
    |run: &mut Run| run.snapshot.publishers[0].closed = false, |counts: &Counts| counts.wrong)]
#[case::events_left_behind(|run: &mut Run| run.snapshot.publishers[0].behind = 1, |counts: &Counts| counts.wrong)]
#[case::an_early_update_left(|run: &mut Run| run.snapshot.waiting = 1, |counts: &Counts| counts.wrong)]
fn it_sees_what_is_not_right(#[case] spoil: Spoil, #[case] count: Count) {
    let mut run = run();
    spoil(&mut run);
    let verdict = check(&run.truth, &run.snapshot, &run.heard);
    assert!(count(&verdict.counts) > 0, "{:?}", verdict.findings);
    assert!(!verdict.findings.is_empty());
}
