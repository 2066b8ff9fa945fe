//! What the rounds measured, as a table: rates, the limit that follows from them, CPU time, and
//! whether anything was lost.

use std::fmt::Write as _;
use std::time::Instant;

use super::cpu::Cpu;

/// One phase: its rate, and CPU seconds for 1000 messages.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    rate: f64,
    cpu: [f64; 3],
}

impl Measure {
    /// `messages` went through since `began`.
    pub fn since(messages: usize, began: Instant, cpu: Cpu) -> Self {
        let messages = messages as f64;
        let rate = messages / began.elapsed().as_secs_f64();
        Self { rate, cpu: cpu.0.map(|seconds| seconds * 1000.0 / messages) }
    }
}

/// What must be zero after the drain.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checks {
    /// Resources that the database does not show as available.
    pub lost: usize,
    /// Transitions without a notification.
    pub unpublished: usize,
    /// Notifications beyond one a transition.
    pub published_twice: usize,
    /// Requests that were back in their queue after the worker ended.
    pub unacknowledged: usize,
}

/// The three phases of one round.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    pub worker: Measure,
    pub relay: Measure,
    pub batches: Measure,
    pub checks: Checks,
}

impl Round {
    /// Whether the worker kept its promises.
    pub fn holds(&self) -> bool {
        let Checks { lost, unpublished, published_twice, unacknowledged } = self.checks;
        lost + unpublished + published_twice + unacknowledged == 0
    }

    /// Broker, database and worker share the cores: what both take adds up.
    fn limit(&self) -> f64 {
        1.0 / (1.0 / self.relay.rate + 1.0 / self.batches.rate)
    }
}

/// One line a quantity, one column a round, then the median.
pub fn spell_table(title: &str, rounds: &[Round]) -> String {
    type Quantity = (&'static str, usize, fn(&Round) -> f64);
    let quantities: [Quantity; 16] = [
        ("relay/s", 0, |r| r.relay.rate),
        ("batches/s", 0, |r| r.batches.rate),
        ("limit/s", 0, Round::limit),
        ("worker/s", 0, |r| r.worker.rate),
        ("worker/limit, %", 0, |r| 100.0 * r.worker.rate / r.limit()),
        ("CPU s per 1000: relay, itself", 3, |r| r.relay.cpu[0]),
        ("  relay, broker", 3, |r| r.relay.cpu[1]),
        ("  batches, themselves", 3, |r| r.batches.cpu[0]),
        ("  batches, database", 3, |r| r.batches.cpu[2]),
        ("  worker, itself", 3, |r| r.worker.cpu[0]),
        ("  worker, broker", 3, |r| r.worker.cpu[1]),
        ("  worker, database", 3, |r| r.worker.cpu[2]),
        ("lost", 0, |r| r.checks.lost as f64),
        ("unpublished", 0, |r| r.checks.unpublished as f64),
        ("published twice", 0, |r| r.checks.published_twice as f64),
        ("unacknowledged", 0, |r| r.checks.unacknowledged as f64),
    ];
    let mut table = format!("\n{title:<32}{:>10}  rounds\n", "median");
    for (name, decimals, read) in quantities {
        let values: Vec<f64> = rounds.iter().map(read).collect();
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let _ = write!(table, "{name:<32}{:>10.decimals$} ", sorted[sorted.len() / 2]);
        for value in values {
            let _ = write!(table, "{value:>10.decimals$}");
        }
        table.push('\n');
    }
    table
}
