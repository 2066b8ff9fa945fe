//! Notifications by the transition that each tells of.
//!
//! Takes what an inbox saw. After a fault a transition may be told twice, but only under one id.

use std::collections::{BTreeMap, BTreeSet};

use super::Received;

/// Which transition a notification tells of: of a resource, or of the restore.
pub fn transition(one: &Received) -> (String, Option<u64>) {
    let payload = &one.message["payload"];
    (payload["resource_id"].to_string(), payload["transition"].as_u64())
}

/// Every copy of a transition has the same `message_id`.
pub fn assert_one_message_id_each(seen: &[Received]) {
    let mut ids: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for one in seen {
        ids.entry(transition(one)).or_default().insert(one.message["message_id"].to_string());
    }
    assert!(ids.values().all(|ids| ids.len() == 1), "a transition has two message ids: {ids:?}");
}
