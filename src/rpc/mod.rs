//! Requests to commands, outcomes to replies, events to notifications: what the message contract
//! promises its clients, in one room.
//!
//! Takes bodies and settings, gives domain types and messages ready to publish. Everything is
//! validated here, with the domain's newtypes, before anything is stored. What is wrong with a
//! request is a value ([`RpcError`]), never a panic; no error text repeats what was sent, but for
//! names that are cut and cleaned. Only `client` awaits.

mod error;
mod arguments;
mod restores;
mod dispatcher;
mod observed;
mod caller;
mod early;
mod properties;
mod dead_letter;
mod kept_letter;
mod notifier;
mod target;
pub mod client;
#[cfg(test)]
mod fuzz;

pub use caller::Caller;
pub use dead_letter::DeadLetter;
pub use dispatcher::{Action, Dispatched, Dispatcher, ReplyShape};
pub use early::resting_body;
pub use error::RpcError;
pub use kept_letter::{KeptLetter, replayed};
pub use notifier::{Notifier, NotifierDriver, NotifierSettings};
pub use observed::observe;
pub use properties::{properties_from_json, properties_to_json};
pub use target::{LATE_BYTES, Target};
