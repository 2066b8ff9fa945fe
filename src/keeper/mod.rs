//! What time and others bring: one file a duty, each on its own clock, none on a message's way.
//!
//! The keeper writes events of its own (early updates that are applied at last, what Karbor wrote by itself, silences) as a publisher of
//! its own, by the same merge and the same batch as intake.

mod run;
mod turns;
mod standing;
mod early;
mod dictionaries;
mod karbor;
mod stalled;
mod retention;
mod take_over;
mod readiness;
mod notification_queues;
mod topology;

pub use run::{Keeper, run};
pub use topology::Needed;
