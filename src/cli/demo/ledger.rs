//! The truth of what was sent: merges every update by the same rule, independently of the worker,
//! and says what must come out.

use std::collections::BTreeMap;

use crate::domain::{Effect, ResourceKey, ResourceState, merge};

/// How many updates had which effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Transitions.
    pub applied: u64,
    /// Repeats.
    pub unchanged: u64,
    /// Too late.
    pub stale: u64,
    /// Bad requests.
    pub refused: u64,
}

impl Tally {
    /// Counts one effect.
    pub(super) fn count(&mut self, effect: Effect) {
        match effect {
            Effect::Applied => self.applied += 1,
            Effect::Unchanged => self.unchanged += 1,
            Effect::Stale => self.stale += 1,
        }
    }

    /// All of them.
    pub(super) fn sum(&self) -> u64 {
        self.applied + self.unchanged + self.stale + self.refused
    }
}

/// What was sent, merged.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The state each resource must end in.
    pub states: BTreeMap<ResourceKey, Option<ResourceState>>,
    /// What the worker must have counted.
    pub tally: Tally,
}

impl Ledger {
    /// An update of a resource was sent.
    pub(super) fn sent(&mut self, key: &ResourceKey, state: ResourceState) {
        let known = self.states.entry(key.clone()).or_default();
        self.tally.count(merge(known, state));
    }
}
