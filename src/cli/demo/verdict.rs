//! Compares what came out with what was sent. Every disagreement is a line; none is success.

use super::ledger::{Ledger, Tally};
use super::listener::Record;
use super::plugins::DEAD_LETTERS;
use crate::store::RestoreView;

/// What disagrees, in words; empty when all is right.
pub(super) fn disagreements(
    ledger: &Ledger,
    counted: &Tally,
    record: &Record,
    view: &RestoreView,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, sent: u64, came: u64| {
        if sent != came {
            found.push(format!("{what}: {sent} by what was sent, {came} by the worker"));
        }
    };
    compare("applied", ledger.tally.applied, counted.applied);
    compare("unchanged", ledger.tally.unchanged, counted.unchanged);
    compare("stale", ledger.tally.stale, counted.stale);
    compare("refused", ledger.tally.refused, counted.refused);
    compare("notified transitions", transitions(ledger), record.count());
    compare("dead letters notified", DEAD_LETTERS, record.dead_letters);
    compare("notifications sent twice", 0, record.repeated);
    compare("resources shown", ledger.states.len() as u64, view.resources.len() as u64);
    if let Some(key) = record.broken_chain() {
        let key = if key.is_empty() { "the restore" } else { key };
        found.push(format!("the notifications of {key} do not chain from nothing to its state"));
    }
    for (key, status, reason) in &view.resources {
        let sent = ledger.states.get(key).and_then(Option::as_ref);
        if sent.map(|state| (state.status, &state.reason)) != Some((*status, reason)) {
            found.push(format!("{key} is shown as {status}, which is not what was sent last"));
        }
    }
    found
}

/// The transitions that what was sent must cause: each applied update, and the restore's start.
pub(super) fn transitions(ledger: &Ledger) -> u64 {
    ledger.tally.applied + 1
}
