//! Consumes OpenStack Karbor's restore and status-update messages from RabbitMQ, merges them into
//! a database, and publishes every transition. Three loops joined by the database:
//!
//! ```text
//! RabbitMQ ─▶ transport ─▶ wire ─▶ rpc ─▶ domain ─▶ store (one transaction a batch) ─▶ replies, acks
//!  (or memory)  deliveries   decode  dispatch  merge      state + events                   │
//!                                                           outbox ─▶ publish + confirm ─▶ position moved on
//! ```

pub mod cli;
pub mod settings;
pub mod telemetry;
pub mod worker;
pub mod shutdown;
pub mod intake;
pub mod outbox;
pub mod keeper;
pub mod transport;
pub mod wire;
pub mod rpc;
pub mod domain;
pub mod store;
pub mod http;
pub mod crash_point;

mod backoff;
mod bell;
mod cause;
mod formatting;
mod log_limit;
#[cfg(test)]
mod fuzz;
