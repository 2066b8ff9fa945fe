//! Traffic whose end is known: casts and calls, lists, repeats, updates that come before their
//! restore, and poison. From a seed, so that a run can be repeated.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::truth::{RESOURCE_WORDS, RESTORE_WORDS, Said, Truth};
use crate::harness::{Request, new_id};

const VOLUME: &str = "OS::Cinder::Volume";
const RESOURCES: usize = 12;

/// Messages in the order in which they are to be published.
pub struct Traffic {
    pub bodies: Vec<Vec<u8>>,
    pub truth: Truth,
    random: StdRng,
    reply_q: String,
    /// Restores that are recorded before all traffic: only of these a call is sure of its answer.
    recorded: Vec<String>,
}

/// What casts of an unknown restore are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Their restore comes later.
    Early,
    /// It never comes: each is poison.
    Orphans,
}

impl Traffic {
    /// About `size` messages, for two restores that are `recorded` and two others.
    pub fn new(
        seed: u64,
        size: usize,
        unknown: Unknown,
        recorded: [String; 2],
        reply_q: &str,
    ) -> Self {
        let mut traffic = Self {
            bodies: Vec::new(),
            truth: Truth::default(),
            random: StdRng::seed_from_u64(seed),
            reply_q: reply_q.to_owned(),
            recorded: recorded.to_vec(),
        };
        for id in recorded {
            traffic.of_restore(&id, (None, "in_progress".to_owned(), None));
        }
        let later = [new_id(), new_id()];
        let at = [size / 2, size * 7 / 8];
        for number in 0..size {
            if unknown == Unknown::Early
                && let Some(index) = at.iter().position(|at| *at == number)
            {
                traffic.record(&later[index]);
            }
            match traffic.random.random_range(0..100) {
                0..70 => {
                    let id = traffic.any_restore(&later, unknown == Unknown::Early);
                    traffic.say(&id);
                }
                70..84 => traffic.call(),
                84..90 => traffic.repeat(),
                90..94 if unknown == Unknown::Orphans => traffic.orphan(),
                _ => traffic.poison(),
            }
        }
        traffic.truth.messages = traffic.bodies.len();
        traffic
    }

    /// Notes what somebody says of a restore by another way than a message.
    pub fn of_restore(&mut self, id: &str, said: Said) {
        self.truth.restores.entry(id.to_owned()).or_default().restore.push(said);
    }

    /// The same of a resource.
    pub fn of_resource(&mut self, id: &str, resource_id: &str, said: Said) {
        let restore = self.truth.restores.entry(id.to_owned()).or_default();
        restore.resources.entry(format!("{VOLUME}#{resource_id}")).or_default().push(said);
    }

    fn any_restore(&mut self, later: &[String], with_later: bool) -> String {
        let all = self.recorded.iter().chain(later.iter().filter(|_| with_later));
        let all: Vec<_> = all.cloned().collect();
        all[self.random.random_range(0..all.len())].clone()
    }

    fn record(&mut self, id: &str) {
        self.of_restore(id, (None, "in_progress".to_owned(), None));
        self.bodies.push(Request::restore(id).body());
    }

    fn say(&mut self, id: &str) {
        let request = match self.random.random_range(0..10) {
            0..7 => self.one_resource(id),
            7 => self.some_resources(id),
            8 => self.whole_restore(id),
            _ => self.expectation(id),
        };
        self.bodies.push(request.body());
    }

    fn call(&mut self) {
        let id = self.any_restore(&[], false);
        let msg_id = new_id();
        let request = self.one_resource(&id).call(&self.reply_q, &msg_id, None);
        self.truth.calls.insert(msg_id);
        self.bodies.push(request.body());
    }

    /// One of the messages before, as a broker delivers it twice.
    fn repeat(&mut self) {
        if !self.bodies.is_empty() {
            let body = self.bodies[self.random.random_range(0..self.bodies.len())].clone();
            self.bodies.push(body);
        }
    }

    fn poison(&mut self) {
        let mark = self.mark();
        let id = self.recorded[0].clone();
        let body = match self.random.random_range(0..3) {
            0 => format!("{{\"oslo.version\": \"2.0\", {mark}").into_bytes(),
            1 => Request::resource(&id, "volume-0", &mark, None).body(),
            _ => Request::new(&mark, json!({"restore_id": id})).body(),
        };
        self.bodies.push(body);
    }

    fn orphan(&mut self) {
        let mark = self.mark();
        self.bodies.push(Request::resource(&new_id(), &mark, "available", None).body());
    }

    fn mark(&mut self) -> String {
        let mark = format!("poison-{}.", self.truth.poison.len());
        self.truth.poison.insert(mark.clone());
        mark
    }

    fn one_resource(&mut self, id: &str) -> Request {
        let (resource_id, said) = self.resource();
        self.of_resource(id, &resource_id, said.clone());
        let request = Request::resource(id, &resource_id, &said.1, said.2.as_deref());
        request.with_arg("sequence", said.0)
    }

    fn some_resources(&mut self, id: &str) -> Request {
        let mut items = Vec::new();
        for _ in 0..self.random.random_range(1..5) {
            let (resource_id, said) = self.resource();
            self.of_resource(id, &resource_id, said.clone());
            items.push(json!({
                "resource_type": VOLUME, "resource_id": resource_id,
                "status": said.1, "reason": said.2, "sequence": said.0,
            }));
        }
        let arguments = json!({"restore_id": id, "resources": items});
        Request::new("update_resources_status", arguments)
    }

    fn whole_restore(&mut self, id: &str) -> Request {
        let said = self.said(&RESTORE_WORDS);
        self.of_restore(id, said.clone());
        let request = Request::finish(id, &said.1, said.2.as_deref());
        request.with_arg("sequence", said.0)
    }

    fn expectation(&mut self, id: &str) -> Request {
        let source = format!("source-{}", self.random.random_range(0..RESOURCES));
        let item: Value = json!({"resource_type": VOLUME, "source_id": source});
        let restore = self.truth.restores.entry(id.to_owned()).or_default();
        restore.expected.insert(format!("{VOLUME}#{source}"));
        Request::new("expect_resources", json!({"restore_id": id, "resources": [item]}))
    }

    fn resource(&mut self) -> (String, Said) {
        let resource_id = format!("volume-{}", self.random.random_range(0..RESOURCES));
        (resource_id, self.said(&RESOURCE_WORDS[1..]))
    }

    fn said(&mut self, words: &[&str]) -> Said {
        let sequence = self.random.random_bool(0.5).then(|| self.random.random_range(0..20));
        let status = words[self.random.random_range(0..words.len())].to_owned();
        let number = self.random.random_range(0..4);
        let reason = self.random.random_bool(0.3).then(|| format!("für {number}"));
        (sequence, status, reason)
    }
}
