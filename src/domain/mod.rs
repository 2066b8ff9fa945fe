//! The rules: what a status means, which of two states is the greater, what a change is called.
//!
//! Takes values that `wire` and `rpc` have decoded, gives decisions. Pure: nothing here awaits,
//! reads a clock, or knows that a broker or a database exists. Every rule that changes a state
//! must be a merge (associative, commutative, idempotent), because messages arrive late, twice
//! and in any order; `merge` says how.

mod id;
mod status;
mod alias;
mod mask;
mod reason;
mod merge;
mod limit;
mod command;
mod event;
#[cfg(test)]
mod fuzz;

pub use alias::{AliasTable, BadAlias, UnknownStatusText};
pub use command::{
    Command, ExpectedResource, NewRestore, Outcome, Refusal, ResourceUpdate, Sender,
};
pub use event::{Counts, Event, EventType, PublisherId, Subject, resource_event, restore_event};
pub use id::{InvalidId, ResourceId, ResourceKey, ResourceType, RestoreId};
pub(crate) use limit::ITEMS_PER_REQUEST;
pub use limit::Limits;
pub(crate) use merge::keep_greater;
pub use merge::{Effect, ResourceState, RestoreState, State, merge};
pub use reason::{clean_name, clean_reason, mask_passwords};
pub use status::{ResourceStatus, RestoreStatus, UnknownStatus};
