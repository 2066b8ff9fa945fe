//! Compares what is there with what must be there. Takes the truth, the database, and all that the
//! inboxes got; gives counts, and a sentence for each thing that is not right.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::report::Counts;
use super::snapshot::{EventRow, Snapshot, Subject};
use super::truth::{End, RESOURCE_WORDS, RESTORE_WORDS, Said, Truth};
use crate::harness::Received;

/// All that came, to its end.
pub struct Heard {
    pub notifications: Vec<Received>,
    pub letters: Vec<Received>,
    pub replies: Vec<Received>,
}

/// The verdict.
#[derive(Default)]
pub struct Verdict {
    pub counts: Counts,
    pub findings: Vec<String>,
}

/// Looks at everything, once all workers have ended.
pub fn check(truth: &Truth, snapshot: &Snapshot, heard: &Heard) -> Verdict {
    let mut verdict = Verdict::default();
    verdict.counts.messages = truth.messages;
    let ends = truth.ends();
    verdict.check_ends(&ends, snapshot);
    verdict.check_karbor(&ends, snapshot);
    verdict.check_chains(snapshot);
    verdict.check_notifications(&snapshot.events, &heard.notifications);
    verdict.check_letters(&truth.poison, heard);
    verdict.check_replies(&truth.calls, &heard.replies);
    verdict.check_rest(snapshot);
    verdict
}

impl Verdict {
    fn lost(&mut self, what: &str) {
        self.counts.lost += 1;
        self.findings.push(format!("lost: {what}"));
    }

    /// Something is wrong that is no loss.
    pub fn wrong(&mut self, what: &str) {
        self.counts.wrong += 1;
        self.findings.push(format!("wrong: {what}"));
    }

    fn check_ends(&mut self, ends: &BTreeMap<String, End>, snapshot: &Snapshot) {
        for id in snapshot.ends.keys().filter(|id| !ends.contains_key(*id)) {
            self.wrong(&format!("restore {id} was never sent"));
        }
        for (id, end) in ends {
            let Some(held) = snapshot.ends.get(id) else {
                self.lost(&format!("restore {id}"));
                continue;
            };
            self.compare(id, &RESTORE_WORDS, Some(&end.restore), Some(&held.restore));
            let keys: BTreeSet<_> = end.resources.keys().chain(held.resources.keys()).collect();
            for key in keys {
                let (wanted, held) = (end.resources.get(key), held.resources.get(key));
                self.compare(&format!("{id} {key}"), &RESOURCE_WORDS, wanted, held);
            }
            for key in end.expected.difference(&held.expected) {
                self.lost(&format!("{id} does not expect {key}"));
            }
            for key in held.expected.difference(&end.expected) {
                self.wrong(&format!("{id} expects {key}"));
            }
        }
    }

    fn compare(&mut self, what: &str, words: &[&str], wanted: Option<&Said>, held: Option<&Said>) {
        let rank = |said: &Said| {
            let word = words.iter().position(|word| *word == said.1);
            (said.0, word, said.2.clone())
        };
        match (wanted, held) {
            _ if wanted == held => {}
            (Some(wanted), held) if held.map(rank) < Some(rank(wanted)) => {
                self.lost(&format!("{what}: {held:?} instead of {wanted:?}"));
            }
            _ => self.wrong(&format!("{what}: {held:?} instead of {wanted:?}")),
        }
    }

    fn check_karbor(&mut self, ends: &BTreeMap<String, End>, snapshot: &Snapshot) {
        for (id, end) in ends {
            let (mut statuses, mut reasons) = (Map::new(), Map::new());
            for (key, (_, status, reason)) in &end.resources {
                statuses.insert(key.clone(), json!(status));
                reasons.extend(reason.as_ref().map(|reason| (key.clone(), json!(reason))));
            }
            let wanted = (end.restore.1.clone(), statuses, reasons);
            let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
            let held = snapshot.karbor.get(id);
            let held = held.map(|(status, both, why)| (status.clone(), object(both), object(why)));
            if held.as_ref() != Some(&wanted) {
                self.wrong(&format!("Karbor's row of {id}: {held:?} instead of {wanted:?}"));
            }
        }
    }

    /// The events of each subject lead from nothing to its state: 1, 2, 3, ..., each from where the
    /// one before ended.
    fn check_chains(&mut self, snapshot: &Snapshot) {
        let mut chains: BTreeMap<&Subject, Vec<&EventRow>> = BTreeMap::new();
        for event in &snapshot.events {
            chains.entry(&event.subject).or_default().push(event);
        }
        for (subject, chain) in &mut chains {
            chain.sort_by_key(|event| event.transition);
            let mut before = None;
            for (index, event) in chain.iter().enumerate() {
                if event.transition != index as u64 + 1 || event.old_status != before {
                    self.wrong(&format!("the chain of {subject:?} breaks at {event:?}"));
                }
                before = Some(event.status.clone());
            }
        }
        for (id, end) in &snapshot.ends {
            let resources = end.resources.iter().map(|(key, said)| (Some(key.clone()), said));
            for (key, said) in resources.chain([(None, &end.restore)]) {
                let subject = (id.clone(), key);
                let last = chains.get(&subject).and_then(|chain| chain.last());
                let told = last.map(|event| (&event.status, &event.reason));
                if told != Some((&said.1, &said.2)) {
                    self.wrong(&format!("{subject:?} is {said:?}, and its last event {last:?}"));
                }
            }
        }
    }

    fn check_notifications(&mut self, events: &[EventRow], all: &[Received]) {
        let mut copies: BTreeMap<(Subject, u64), Vec<&Received>> = BTreeMap::new();
        for one in all.iter().filter(|one| !is_of_letter(one)) {
            copies.entry(transition(one)).or_default().push(one);
            self.counts.notifications += 1;
        }
        self.counts.resent = self.counts.notifications - copies.len();
        let mut ids = BTreeSet::new();
        for event in events {
            let key = (event.subject.clone(), event.transition);
            let Some(copies) = copies.remove(&key) else {
                self.counts.unpublished += 1;
                self.findings.push(format!("unpublished: {event:?}"));
                continue;
            };
            let of_event: BTreeSet<_> = copies.iter().map(|copy| message_id(copy)).collect();
            if of_event.len() > 1 {
                self.counts.two_ids += 1;
                self.findings.push(format!("two ids: {of_event:?} of {event:?}"));
            }
            if !of_event.iter().all(|id| ids.insert(id.clone())) {
                self.wrong(&format!("another transition has the id of {event:?}"));
            }
            let told = |copy: &&Received| {
                let payload = &copy.message["payload"];
                payload["status"] == event.status
                    && payload["old_status"] == json!(event.old_status)
            };
            if !copies.iter().all(told) {
                self.wrong(&format!("a notification tells {event:?} otherwise"));
            }
        }
        for (key, _) in copies {
            self.wrong(&format!("a notification of {key:?}, which has no event"));
        }
        let fresh: BTreeSet<_> =
            all.iter().map(|one| one.message["_unique_id"].to_string()).collect();
        if fresh.len() != all.len() {
            self.wrong("a copy of a notification has the `_unique_id` of another");
        }
    }

    fn check_letters(&mut self, poison: &BTreeSet<String>, heard: &Heard) {
        let mut letters: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for letter in &heard.letters {
            let text = String::from_utf8_lossy(&letter.body);
            match poison.iter().find(|mark| text.contains(*mark)) {
                Some(mark) => {
                    let id = letter.properties.message_id().as_ref();
                    let id = id.map_or_else(String::new, |id| id.as_str().to_owned());
                    letters.entry(mark.clone()).or_default().insert(id);
                }
                None => self.wrong(&format!("a dead letter of a good message: {text}")),
            }
        }
        for mark in poison {
            match letters.get(mark).map(BTreeSet::len) {
                None => self.lost(&format!("the dead letter of {mark}")),
                Some(1) => {}
                Some(_) => {
                    self.counts.two_ids += 1;
                    self.findings.push(format!("two ids: {:?} of {mark}", letters[mark]));
                }
            }
        }
        let told: BTreeSet<_> =
            heard.notifications.iter().filter(|one| is_of_letter(one)).map(message_id).collect();
        let kept: BTreeSet<_> = letters.into_values().flatten().collect();
        for id in kept.difference(&told) {
            self.counts.unpublished += 1;
            self.findings.push(format!("unpublished: the dead letter {id}"));
        }
        for id in told.difference(&kept) {
            self.wrong(&format!("a notification of a dead letter {id} that is not there"));
        }
    }

    fn check_replies(&mut self, calls: &BTreeSet<String>, replies: &[Received]) {
        let mut answered = BTreeSet::new();
        for reply in replies {
            let msg_id = reply.message["_msg_id"].as_str().unwrap_or_default();
            if !calls.contains(msg_id) || !reply.message["failure"].is_null() {
                self.wrong(&format!("an answer: {}", reply.message));
            }
            answered.insert(msg_id.to_owned());
        }
        for call in calls.difference(&answered) {
            self.lost(&format!("the answer to {call}"));
        }
    }

    fn check_rest(&mut self, snapshot: &Snapshot) {
        for row in &snapshot.publishers {
            if !row.closed || row.behind > 0 {
                self.wrong(&format!("a publisher is left: {row:?}"));
            }
        }
        if snapshot.waiting > 0 {
            self.wrong(&format!("{} early updates wait", snapshot.waiting));
        }
    }
}

fn is_of_letter(one: &Received) -> bool {
    one.message["event_type"] == "karbor.restore_message.error"
}

fn message_id(one: &Received) -> String {
    one.message["message_id"].as_str().unwrap_or_default().to_owned()
}

fn transition(one: &Received) -> (Subject, u64) {
    let payload = &one.message["payload"];
    let text = |key: &str| payload[key].as_str().unwrap_or_default().to_owned();
    let resource =
        payload["resource_id"].as_str().map(|id| format!("{}#{id}", text("resource_type")));
    ((text("restore_id"), resource), payload["transition"].as_u64().unwrap_or_default())
}
