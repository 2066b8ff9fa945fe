//! From committed events to notifications: publish with confirms, then move the position on.
//!
//! ```text
//! commit ─▶ lane ─▶ feed (from memory, else from the table) ─▶ publish ─▶ confirm ─▶ position
//! ```
//!
//! A [`Lane`] is one writer of events (intake has one, the keeper another) and its publishers, one
//! after the other. What is published is one number, the position; it is written with the next
//! batch, or by the lease when none comes. `take_over` publishes what ended publishers left.
//! The position never passes an event that the broker has not confirmed.
//! `refusal` tells of what the broker does not take.

mod lane;
mod generation;
mod feed;
mod lease;
mod send;
mod refusal;
mod take_over;

pub use lane::Lane;
pub use refusal::Refusals;
pub use send::{Sink, publish_until_confirmed};
pub use take_over::TakeOver;
