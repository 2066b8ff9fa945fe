//! Where the worker may die, by database: the built binary ends by itself at a named point, or is
//! killed at random, under traffic whose end is known; another goes on, and a checker compares what
//! is there with what must be. docs/RELIABILITY.md holds the counts; `scripts/faults` writes them.
//!
//! ```text
//! traffic ─▶ scene (workers that die, one that goes on) ─▶ snapshot, inboxes ─▶ checker ─▶ report
//!    └▶ truth (two models) ──────────────────────────────────────────────────────┘
//! ```
//!
//! `TEST_FAULT_ROUNDS` and `TEST_FAULT_KILLS` make it longer; `TEST_FAULT_REPORT` names a file to
//! which each run adds a line.

mod checker;
mod checker_sees;
mod kills;
mod points;
mod report;
mod scene;
mod snapshot;
mod traffic;
mod truth;

/// A number from the environment, for the longer matrix.
fn number_from(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text}")),
        Err(_) => otherwise,
    }
}
