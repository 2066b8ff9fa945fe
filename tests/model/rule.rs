//! How an update changes what is known of the one resource.

use karbor_restore_worker::domain::{Effect, ResourceState, ResourceStatus, merge};

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The worker's own, by its own code.
    Merge,
    /// Not a merge: the later wins.
    LastWriter,
    /// Not a merge: each counts one.
    Count,
}

/// What the values 1, 2, 3 stand for; 0 is nothing known.
const STATUSES: [ResourceStatus; 3] =
    [ResourceStatus::Started, ResourceStatus::Restoring, ResourceStatus::Available];

impl Rule {
    /// What is known after `value`, if that is a transition.
    pub fn apply(self, known: u8, value: u8) -> Option<u8> {
        let new = match self {
            Self::Merge => return merged(known, value),
            Self::LastWriter => value,
            Self::Count => known + 1,
        };
        (new != known).then_some(new)
    }
}

fn merged(known: u8, value: u8) -> Option<u8> {
    let state = |value: u8| {
        let status = *STATUSES.get(usize::from(value).checked_sub(1)?)?;
        Some(ResourceState { sequence: None, status, reason: None })
    };
    let mut result = state(known);
    match merge(&mut result, state(value)?) {
        Effect::Applied => {}
        Effect::Unchanged | Effect::Stale => return None,
    }
    let status = result?.status;
    (1..).zip(STATUSES).find(|&(_, of)| of == status).map(|(value, _)| value)
}
