//! Counts of one run, for a reader and for `scripts/faults`.

use std::fs::OpenOptions;
use std::io::Write as _;

use serde::Serialize;

use crate::harness::Kind;

/// What one run counted.
#[derive(Debug, Default, Serialize)]
pub struct Counts {
    /// Processes that died.
    pub kills: usize,
    /// Messages published and confirmed.
    pub messages: usize,
    /// Effects, dead letters or answers that are not there.
    pub lost: usize,
    /// Whatever is there and must not be, or is other than it must be.
    pub wrong: usize,
    /// Transitions without a notification.
    pub unpublished: usize,
    /// Transitions or dead letters under more than one `message_id`.
    pub two_ids: usize,
    /// Notifications of transitions, copies included.
    pub notifications: usize,
    /// Copies beyond the first of a transition.
    pub resent: usize,
    /// From the start of the worker that goes on, or from the end of a fault that workers lived
    /// through, until all is done.
    pub recovery_s: f64,
}

#[derive(Serialize)]
struct Line<'a> {
    fault: &'a str,
    database: &'static str,
    #[serde(flatten)]
    counts: &'a Counts,
}

/// Adds the run to the file that `TEST_FAULT_REPORT` names, if it does.
pub fn add(fault: &str, kind: Kind, counts: &Counts) {
    let Some(path) = std::env::var_os("TEST_FAULT_REPORT") else { return };
    let database = match kind {
        Kind::Postgresql => "PostgreSQL",
        Kind::Mysql => "MariaDB",
        Kind::Sqlite => "SQLite",
    };
    let line = serde_json::to_string(&Line { fault, database, counts }).expect("it is JSON");
    let mut file =
        OpenOptions::new().create(true).append(true).open(path).expect("the report's file");
    // One write a line: other tests write there too.
    file.write_all(format!("{line}\n").as_bytes()).expect("a line is written");
}
