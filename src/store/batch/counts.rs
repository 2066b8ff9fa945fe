//! How many resources of a restore stand where, while a batch changes some of them.
//!
//! A hidden resource (`store::hidden`) does not count. The database counts all resources before the batch writes; the batch holds those
//! it touches, with all that may hide them or that they may hide. So the counts at any moment are
//! the database's, less what the held ones were, plus what they are.

use std::collections::{HashMap, HashSet};

use super::working::Resource;
use crate::domain::{Counts, ResourceId, ResourceKey, ResourceStatus, ResourceType};
use crate::store::hidden::hidden;

/// Signed counts by status, in the order of [`ResourceStatus::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally([i64; 5]);

impl Tally {
    /// Adds `number` of one status.
    pub fn add(&mut self, status: ResourceStatus, number: i64) {
        self.0[status as usize] += number;
    }

    /// The shown ones among these.
    pub fn of(resources: &HashMap<ResourceKey, Resource>) -> Self {
        let hidden = hidden_among(resources);
        let mut tally = Self::default();
        for (key, resource) in resources {
            if !hidden.contains(&(&key.resource_type, &key.resource_id)) {
                tally.add(resource.state.status, 1);
            }
        }
        tally
    }

    /// This less another.
    pub fn less(mut self, other: Self) -> Self {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine -= theirs;
        }
        self
    }

    /// This and another, as an event shows it.
    pub fn with(self, other: Self, expected: u64) -> Counts {
        let mut counts = Counts { expected, ..Counts::default() };
        for status in ResourceStatus::ALL {
            let number = self.0[status as usize] + other.0[status as usize];
            *counts.of_mut(status) = u64::try_from(number).unwrap_or(0);
        }
        counts
    }
}

/// The types and ids of the hidden ones among these.
pub(super) fn hidden_among(
    resources: &HashMap<ResourceKey, Resource>,
) -> HashSet<(&ResourceType, &ResourceId)> {
    hidden(
        resources.iter().map(|(key, resource)| {
            (&key.resource_type, &key.resource_id, resource.source_id.as_ref())
        }),
    )
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::domain::State;

    fn resource(status: ResourceStatus, source: Option<&str>) -> Resource {
        Resource {
            source_id: source.map(|source| source.parse().unwrap()),
            name: None,
            state: State { sequence: None, status, reason: None },
            said: None,
            transition: 1,
            changed_at: Utc::now(),
            dirty: false,
        }
    }

    #[test]
    fn a_resource_under_its_sources_id_is_hidden_by_the_one_that_carries_it() {
        let mut resources = HashMap::new();
        resources.insert("T#old".parse().unwrap(), resource(ResourceStatus::Started, None));
        resources.insert("U#old".parse().unwrap(), resource(ResourceStatus::Error, None));
        let own = resource(ResourceStatus::Restoring, Some("self"));
        resources.insert("T#self".parse().unwrap(), own);
        let before = Tally::of(&resources).with(Tally::default(), 0);
        assert_eq!((before.started, before.error, before.restoring), (1, 1, 1));
        let new = resource(ResourceStatus::Available, Some("old"));
        resources.insert("T#new".parse().unwrap(), new);
        let after = Tally::of(&resources).with(Tally::default(), 0);
        assert_eq!((after.started, after.error, after.available), (0, 1, 1));
        // A chain and a pair: each has a source of its own.
        for (key, source) in [("T#next", "new"), ("T#a", "b"), ("T#b", "a")] {
            let next = resource(ResourceStatus::Available, Some(source));
            resources.insert(key.parse().unwrap(), next);
        }
        let chained = Tally::of(&resources).with(Tally::default(), 0);
        assert_eq!((chained.started, chained.error, chained.available), (0, 1, 4));
    }
}
