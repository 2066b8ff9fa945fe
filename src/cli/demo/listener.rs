//! Consumes the demonstration's notifications, as any consumer would, and remembers them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// What a notification says, as far as the demonstration looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Seen {
    /// The same for every copy.
    pub message_id: String,
    /// What happened.
    pub event_type: String,
    /// To whom.
    pub payload: Payload,
}

/// The part of a payload that is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Payload {
    /// The restore.
    pub restore_id: String,
    /// The resource's type, of a resource.
    pub resource_type: Option<String>,
    /// The resource's id, of a resource.
    pub resource_id: Option<String>,
    /// Its status before.
    pub old_status: Option<String>,
    /// Its status now.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// Which change of it this is.
    pub transition: u64,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "oslo.message")]
    message: String,
}

impl Seen {
    /// Reads a `messagingv2` notification; `None` for anything else.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let envelope: Envelope = serde_json::from_slice(body).ok()?;
        serde_json::from_str(&envelope.message).ok()
    }
}

/// What was seen of each resource, and of the restore (under no key).
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Transition to (old status, status), by `TYPE#ID`; the restore's own by an empty text.
    pub transitions: BTreeMap<String, BTreeMap<u64, (Option<String>, String)>>,
    /// Every `message_id`.
    pub message_ids: BTreeSet<String>,
    /// Copies of a notification that was seen before.
    pub repeated: u64,
    /// Error notifications of dead letters.
    pub dead_letters: u64,
}

impl Record {
    /// Remembers a notification of `restore_id` (or of a dead letter); others are not ours.
    /// Says whether it is new.
    pub(super) fn note(&mut self, seen: &Seen, restore_id: &str) -> bool {
        let dead_letter = seen.event_type == "karbor.restore_message.error";
        if !dead_letter && seen.payload.restore_id != restore_id {
            return false;
        }
        if !self.message_ids.insert(seen.message_id.clone()) {
            self.repeated += 1;
            return false;
        }
        if dead_letter {
            self.dead_letters += 1;
            return false;
        }
        let payload = &seen.payload;
        let key = match (&payload.resource_type, &payload.resource_id) {
            (Some(resource_type), Some(resource_id)) => format!("{resource_type}#{resource_id}"),
            _ => String::new(),
        };
        self.transitions
            .entry(key)
            .or_default()
            .insert(payload.transition, (payload.old_status.clone(), payload.status.clone()));
        true
    }

    /// How many transitions were seen, the restore's own included.
    pub(super) fn count(&self) -> u64 {
        self.transitions.values().map(|transitions| transitions.len() as u64).sum()
    }

    /// The resource (or the restore) whose transitions are not 1, 2, 3, ... from nothing, each
    /// beginning where the one before ended.
    pub(super) fn broken_chain(&self) -> Option<&str> {
        let broken = self.transitions.iter().find(|(_, transitions)| {
            let mut expected = (1, None);
            !transitions.iter().all(|(&number, (old, new))| {
                let fits = (number, old) == (expected.0, &expected.1);
                expected = (number + 1, Some(new.clone()));
                fits
            })
        });
        broken.map(|(key, _)| key.as_str())
    }
}
