//! Named points at which the process ends by itself, as if killed there: for tests of what a crash
//! costs. `KARBOR_RESTORE_CRASH_AT=NAME` or `NAME:N` (the Nth passing, counted from 1) names one;
//! docs/RELIABILITY.md says where each stands. It is no setting, and read once, by `serve`.
//!
//! Unset, a passing is one load of a static.

use std::env;
use std::ffi::OsString;
use std::pin::pin;
use std::process;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::timeout;

/// The environment variable.
const VARIABLE: &str = "KARBOR_RESTORE_CRASH_AT";

/// How long a COMMIT that is to be cut off has, to reach its server.
const ON_ITS_WAY: Duration = Duration::from_millis(1);

/// The point at which to end, as [`code`] gives it; 0 is none.
static ARMED: AtomicU8 = AtomicU8::new(0);

/// Passings of it that are still to be survived.
static SPARED: AtomicU32 = AtomicU32::new(0);

macro_rules! points {
    ($($(#[doc = $doc:literal])+ $point:ident = $name:literal,)*) => {
        /// Where the process can be made to end.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum CrashPoint {
            $($(#[doc = $doc])+ $point,)*
        }

        impl CrashPoint {
            /// Every point with its name, in the order of a message's way.
            pub const ALL: &[(Self, &str)] = &[$((Self::$point, $name),)*];
        }
    };
}

points! {
    /// A delivery was taken from the consumer and is not decoded yet.
    Received = "received",
    /// A batch is about to begin its transaction.
    BeforeTransaction = "before-transaction",
    /// A batch has written all, and has not sent COMMIT.
    InTransaction = "in-transaction",
    /// COMMIT is on its way to the database; its answer is not known.
    CommitSent = "commit-sent",
    /// COMMIT was answered; nothing followed from it yet.
    Committed = "committed",
    /// Casts whose restore is unknown were found; they are about to be committed to wait for it.
    EarlyFound = "early-found",
    /// The broker confirmed an answer; its call is not acknowledged.
    Replied = "replied",
    /// A dead letter was confirmed; its notification is not sent.
    LetterConfirmed = "letter-confirmed",
    /// Both were confirmed; the message is not acknowledged.
    LetterTold = "letter-told",
    /// A notification was handed to the connection; it is not confirmed.
    Published = "published",
    /// A notification was confirmed; the position has not moved over it.
    Confirmed = "confirmed",
    /// The database holds a position that moved.
    PositionMoved = "position-moved",
    /// An acknowledgement was handed to the connection.
    Acknowledged = "acknowledged",
    /// In a take-over: publishers whose lease ran out were closed.
    TakeOverClosed = "take-over-closed",
    /// In a take-over: what was left was handed to the connection.
    TakeOverPublished = "take-over-published",
    /// In a take-over: what was left was confirmed; the position has not moved.
    TakeOverConfirmed = "take-over-confirmed",
    /// In a take-over: the position has moved.
    TakeOverMoved = "take-over-moved",
    /// In the keeper: early updates whose restore is known now were read.
    EarlyDue = "early-due",
    /// In the keeper: they were committed.
    EarlyApplied = "early-applied",
    /// In the keeper: an early update that waited too long is a dead letter; its row is still there.
    EarlyGivenUp = "early-given-up",
    /// In the keeper: Karbor's dictionaries were written; the transaction is open.
    DictionariesWritten = "dictionaries-written",
    /// In the keeper: that transaction was committed.
    DictionariesCommitted = "dictionaries-committed",
    /// In the keeper: something that Karbor wrote was noticed.
    KarborNoticed = "karbor-noticed",
    /// In the keeper: it was taken in.
    KarborTakenIn = "karbor-taken-in",
}

/// The variable does not name a point.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE} must be NAME or NAME:N with N from 1, and NAME one of {}", names())]
pub struct UnknownCrashPoint;

fn names() -> String {
    let names: Vec<&str> = CrashPoint::ALL.iter().map(|(_, name)| *name).collect();
    names.join(", ")
}

/// Reads the variable; to be called once, at start.
///
/// # Errors
/// [`UnknownCrashPoint`] where it is set to anything but a point.
pub fn arm() -> Result<(), UnknownCrashPoint> {
    let Some((point, passing)) = env::var_os(VARIABLE).map(read).transpose()? else {
        return Ok(());
    };
    SPARED.store(passing - 1, Ordering::Relaxed);
    ARMED.store(code(point), Ordering::Release);
    Ok(())
}

/// Gives the point and which passing of it, counted from 1.
fn read(value: OsString) -> Result<(CrashPoint, u32), UnknownCrashPoint> {
    let value = value.into_string().map_err(|_| UnknownCrashPoint)?;
    let (wanted, passing) = value.split_once(':').unwrap_or((&value, "1"));
    let point = CrashPoint::ALL.iter().find(|(_, name)| *name == wanted);
    let (point, _) = point.ok_or(UnknownCrashPoint)?;
    let passing = passing.parse().ok().filter(|&passing| passing > 0);
    Ok((*point, passing.ok_or(UnknownCrashPoint)?))
}

const fn code(point: CrashPoint) -> u8 {
    point as u8 + 1
}

fn is_armed(point: CrashPoint) -> bool {
    ARMED.load(Ordering::Relaxed) == code(point)
}

/// The process is at `point`: ends here if it was told to.
pub(crate) fn pass(point: CrashPoint) {
    if is_armed(point) {
        reach();
    }
}

/// Drives `act`; the process is at `point` once `act` has begun and before its end is made use of.
pub(crate) async fn pass_within<F: Future>(point: CrashPoint, act: F) -> F::Output {
    if !is_armed(point) {
        return act.await;
    }
    let mut act = pin!(act);
    let early = timeout(ON_ITS_WAY, &mut act).await;
    reach();
    match early {
        Ok(output) => output,
        Err(_) => act.await,
    }
}

#[cold]
fn reach() {
    let spared =
        SPARED.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
    if spared.is_err() {
        process::abort();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_point_is_read_with_its_passing() {
        assert_eq!(read("received".into()), Ok((CrashPoint::Received, 1)));
        assert_eq!(read("committed:12".into()), Ok((CrashPoint::Committed, 12)));
        for bad in ["", "nowhere", "received:0", "received:", "received:x", "Received", "none"] {
            assert_eq!(read(bad.into()), Err(UnknownCrashPoint), "{bad}");
        }
    }

    #[test]
    fn an_error_names_every_point_and_each_has_a_name_of_its_own() {
        let said = UnknownCrashPoint.to_string();
        for (_, name) in CrashPoint::ALL {
            assert!(said.contains(name), "{said}");
        }
        let names: BTreeSet<_> = CrashPoint::ALL.iter().map(|(_, name)| name).collect();
        assert_eq!(names.len(), CrashPoint::ALL.len());
    }
}
