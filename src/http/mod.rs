//! What is served over HTTP: here its parts that other rooms report to, health and metrics, and
//! the tokens that say who may ask.

mod health;
mod metrics;
mod token;

pub use health::{Health, Part};
pub use metrics::{Connection, Metrics};
pub use token::{Access, BadTokens, Tokens};
