//! Where the worker may die, and what its servers and the network may do to it, by database: under
//! traffic whose end is known the built binary ends by itself at a named point, is killed at random,
//! lives through a fault, or works beside the version before; a checker compares what is there at the end with what must be.
//! docs/RELIABILITY.md holds the counts; `scripts/faults` writes them.
//!
//! ```text
//! traffic ─▶ scene (workers that die or meet a fault, some that go on) ─▶ snapshot, inboxes ─▶ checker ─▶ report
//!    └▶ truth (two models) ─────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! `TEST_FAULT_ROUNDS` and `TEST_FAULT_KILLS` make it longer; `TEST_FAULT_REPORT` names a file to
//! which each run adds a line.

mod broker;
mod checker;
mod checker_sees;
mod cluster;
mod flow;
mod kills;
mod links;
mod others;
mod points;
mod report;
mod restarts;
mod scene;
mod snapshot;
mod traffic;
mod truth;
mod versions;

/// Whether this is the longer matrix: with faults that last, and on every database.
fn is_long() -> bool {
    number_from("TEST_FAULT_ROUNDS", 1) > 1
}

/// A number from the environment, for the longer matrix.
fn number_from(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text}")),
        Err(_) => otherwise,
    }
}
