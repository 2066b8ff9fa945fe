//! State that merges: of two states the greater wins, so any order and any repetition of any set
//! of updates ends in one state. There is no memory of past messages, and none is needed.
//!
//! ```text
//! (sequence, status, reason)   compared in this order
//!  None < 0 < 1 ...  statuses as declared   None < "" < ... by UTF-8 bytes
//! ```
//!
//! Guard this: a rule that is not a merge would bring back an inbox table, duplicate windows and
//! an order to keep between messages.

use serde::{Deserialize, Serialize};

use super::{ResourceStatus, RestoreStatus};

/// What is known of a resource or a restore. The derived order is the rule: fields in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct State<S> {
    /// The attempt this was said in; none is lower than any. At most 2^63 - 1.
    pub sequence: Option<u64>,
    /// The status itself.
    pub status: S,
    /// Why; already cleaned, never empty.
    pub reason: Option<String>,
}

/// The state of one resource of a restore.
pub type ResourceState = State<ResourceStatus>;

/// The state of a restore as a whole.
pub type RestoreState = State<RestoreStatus>;

impl ResourceState {
    /// What it counts as while its restore's success ends its resources: what was under way is
    /// done. Karbor's flow ends with success only when each plugin's operation returned, and
    /// Trove's and Manila's plugins report the status of the moment of creation, nothing after it.
    ///
    /// Monotone, so it is the same before a merge and after it. The reason of what was under way
    /// is left out: kept, the end would depend on the order.
    #[must_use]
    pub fn ended(self) -> Self {
        match self.status {
            ResourceStatus::Started | ResourceStatus::Restoring => {
                Self { status: ResourceStatus::Available, reason: None, ..self }
            }
            ResourceStatus::Undefined | ResourceStatus::Available | ResourceStatus::Error => self,
        }
    }
}

impl RestoreState {
    /// Whether it ends what its resources have under way: a success as Karbor's column says it,
    /// without a sequence.
    pub fn ends_resources(&self) -> bool {
        self.sequence.is_none() && self.status == RestoreStatus::Success
    }
}

/// What an update did to what was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It was greater; what is known has grown. The only effect that is a transition.
    Applied,
    /// It was equal, or greater only by its sequence (which is then kept).
    Unchanged,
    /// What is known is greater, or the restore was deleted.
    Stale,
}

impl Effect {
    /// Its spelling as `outcome` in a reply.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Stale => "stale",
        }
    }
}

/// Joins `update` into `known` and says what it did. Nothing known is lower than everything.
pub fn merge<S: Ord>(known: &mut Option<State<S>>, update: State<S>) -> Effect {
    let Some(before) = known else {
        *known = Some(update);
        return Effect::Applied;
    };
    if update < *before {
        return Effect::Stale;
    }
    let effect = if update.status == before.status && update.reason == before.reason {
        Effect::Unchanged
    } else {
        Effect::Applied
    };
    *before = update;
    effect
}

/// Keeps the greater of two optional texts, by bytes: how `source_id` and `name` merge.
/// Says whether `known` grew.
pub(crate) fn keep_greater<T: Ord>(known: &mut Option<T>, update: Option<T>) -> bool {
    let grows = update > *known;
    if grows {
        *known = update;
    }
    grows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state() -> impl Strategy<Value = ResourceState> {
        let status = proptest::sample::select(&ResourceStatus::ALL[..]);
        let reason = proptest::option::of("[ab]{1,2}");
        (proptest::option::of(0_u64..3), status, reason)
            .prop_map(|(sequence, status, reason)| State { sequence, status, reason })
    }

    fn join(states: &[ResourceState]) -> Option<ResourceState> {
        let mut known = None;
        for state in states {
            merge(&mut known, state.clone());
        }
        known
    }

    proptest! {
        #[test]
        fn merge_is_commutative_and_idempotent(a in state(), b in state()) {
            prop_assert_eq!(join(&[a.clone(), b.clone()]), join(&[b.clone(), a.clone()]));
            prop_assert_eq!(join(&[a.clone(), a.clone()]), Some(a));
        }

        #[test]
        fn an_end_is_the_same_before_a_merge_and_after_it(a in state(), b in state()) {
            let after = join(&[a.clone(), b.clone()]).unwrap().ended();
            prop_assert_eq!(join(&[a.clone().ended(), b.ended()]).unwrap(), after);
            prop_assert_eq!(a.clone().ended().ended(), a.ended());
        }

        #[test]
        fn merge_is_associative(a in state(), b in state(), c in state()) {
            let left = join(&[join(&[a.clone(), b.clone()]).unwrap(), c.clone()]);
            let right = join(&[a, join(&[b, c]).unwrap()]);
            prop_assert_eq!(left, right);
        }

        #[test]
        fn a_state_never_goes_down(states in proptest::collection::vec(state(), 1..12)) {
            let mut known = None;
            for update in states {
                let before = known.clone();
                let effect = merge(&mut known, update.clone());
                prop_assert!(known >= before);
                let visible = |s: &Option<ResourceState>| {
                    s.as_ref().map(|s| (s.status, s.reason.clone()))
                };
                prop_assert_eq!(effect == Effect::Applied, visible(&known) != visible(&before));
                prop_assert_eq!(effect == Effect::Stale, before.is_some_and(|b| update < b));
            }
        }

        #[test]
        fn any_order_and_repetition_ends_in_the_greatest(
            states in proptest::collection::vec(state(), 1..8).prop_shuffle(),
            repeats in proptest::collection::vec(0_usize..8, 0..8),
        ) {
            let mut sent = states.clone();
            sent.extend(repeats.iter().filter_map(|&i| states.get(i).cloned()));
            prop_assert_eq!(join(&sent), states.into_iter().max());
        }
    }
}
