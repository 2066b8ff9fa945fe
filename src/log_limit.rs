//! Keeps the log from growing with what others send.
//!
//! A line that a message causes is written for the first of its kind within a period; of the rest
//! the period's end says how many there were, in one line. What is left out is never lost: each is
//! counted in `/metrics`, and kept where it is promised to be.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tracing::warn;

/// Lines of one kind within a period: enough to see what is wrong, little enough for days of it.
const LINES: u64 = 50;

/// How long a period lasts; whoever reads along learns the rest of a flood as soon.
const PERIOD: Duration = Duration::from_secs(5);

/// The lines of one kind, of the whole process.
#[derive(Debug)]
pub(crate) struct LogLimit {
    /// What such a line tells of.
    kind: &'static str,
    period: Mutex<Option<Period>>,
}

#[derive(Debug)]
struct Period {
    began: Instant,
    seen: u64,
}

/// What becomes of one line.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Write,
    /// The first that is left out: the period's end must tell, after so long.
    LeaveOutAndTell(Duration),
    LeaveOut,
}

impl LogLimit {
    /// A limit of lines that tell of `kind`, a plural.
    pub(crate) const fn new(kind: &'static str) -> Self {
        Self { kind, period: Mutex::new(None) }
    }

    /// Whether the next line may be written. Outside of a runtime all may: no flood comes there.
    pub(crate) fn admits(&'static self) -> bool {
        let Ok(runtime) = Handle::try_current() else { return true };
        match self.judge(Instant::now()) {
            Verdict::Write => true,
            Verdict::LeaveOut => false,
            Verdict::LeaveOutAndTell(after) => {
                runtime.spawn(async move {
                    tokio::time::sleep(after).await;
                    self.tell();
                });
                false
            }
        }
    }

    fn judge(&self, now: Instant) -> Verdict {
        let mut period = self.period.lock().unwrap_or_else(PoisonError::into_inner);
        match period.as_mut() {
            // One in which lines were left out ends when that was told, so that none is forgotten.
            Some(of) if of.seen > LINES || now.duration_since(of.began) < PERIOD => {
                of.seen += 1;
                match of.seen {
                    ..=LINES => Verdict::Write,
                    seen if seen == LINES + 1 => {
                        Verdict::LeaveOutAndTell(PERIOD.saturating_sub(now - of.began))
                    }
                    _ => Verdict::LeaveOut,
                }
            }
            _ => {
                *period = Some(Period { began: now, seen: 1 });
                Verdict::Write
            }
        }
    }

    fn tell(&self) {
        if let Some(left_out) = self.end_period() {
            warn!(left_out, within_s = PERIOD.as_secs(), "more {} like those before", self.kind);
        }
    }

    /// Ends the period; gives how many lines were left out in it.
    fn end_period(&self) -> Option<u64> {
        let period = self.period.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        period.seen.checked_sub(LINES).filter(|left_out| *left_out > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_of_in_its_first_lines_and_by_its_number() {
        let limit = LogLimit::new("tests");
        let start = Instant::now();
        for _ in 0..LINES {
            assert_eq!(limit.judge(start), Verdict::Write);
        }
        let later = start + Duration::from_secs(2);
        assert_eq!(limit.judge(later), Verdict::LeaveOutAndTell(Duration::from_secs(3)));
        // The teller may be late; what comes meanwhile is of the same period.
        assert_eq!(limit.judge(start + 3 * PERIOD), Verdict::LeaveOut);
        assert_eq!(limit.end_period(), Some(2));
        assert_eq!(limit.judge(start + 3 * PERIOD), Verdict::Write);
    }

    #[test]
    fn a_trickle_is_told_of_line_by_line() {
        let limit = LogLimit::new("tests");
        let start = Instant::now();
        for period in 0..5 {
            for _ in 0..LINES {
                assert_eq!(limit.judge(start + period * PERIOD), Verdict::Write);
            }
        }
        assert_eq!(limit.end_period(), None);
    }
}
