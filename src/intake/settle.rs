//! Acknowledges deliveries that are done: as one range where they follow each other.
//!
//! What is done behind a gap is held back for a moment, since a quorum queue writes down each
//! acknowledgement of its own: dead letters among good messages make a gap each, and it closes within
//! milliseconds. A gap that stays does not hold up the rest: it is acknowledged one by one.
//!
//! A tag that was acknowledged by itself must not be named again: RabbitMQ closes the channel for
//! an unknown delivery tag, so a range always ends at a tag that is still open.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::crash_point::{self, CrashPoint};
use crate::transport::{Acker, DeliveryTag};

/// How long a gap may hold back what is done behind it.
const LONGEST_GAP: Duration = Duration::from_millis(200);

/// Where finished deliveries are handed in; cheap to clone.
#[derive(Clone)]
pub(super) struct Settler {
    done: mpsc::UnboundedSender<Vec<DeliveryTag>>,
}

impl Settler {
    /// Starts settling; the returned future ends when every `Settler` is dropped and all was sent.
    /// No more than `most_held` are held back: the broker sends nothing new in their place.
    pub(super) fn new(
        acker: Arc<dyn Acker>,
        most_held: usize,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (done, receiver) = mpsc::unbounded_channel();
        (Self { done }, settle(acker, receiver, most_held))
    }

    /// These deliveries are done: acknowledge them.
    pub(super) fn acknowledge(&self, tags: Vec<DeliveryTag>) {
        // The receiver is gone only when the worker aborts; the broker delivers again.
        let _ = self.done.send(tags);
    }
}

async fn settle(
    acker: Arc<dyn Acker>,
    mut done: mpsc::UnboundedReceiver<Vec<DeliveryTag>>,
    most_held: usize,
) {
    let mut ledger = Ledger::default();
    while let Some(mut tags) = next(&mut done, ledger.held_since).await {
        while let Ok(more) = done.try_recv() {
            tags.extend(more);
        }
        let mut acts = Vec::from_iter(ledger.settle(tags));
        let is_due = ledger.held_since.is_some_and(|since| since.elapsed() >= LONGEST_GAP);
        if is_due || ledger.held.len() > most_held {
            acts.extend(ledger.release());
        }
        send(acker.as_ref(), acts).await;
    }
    send(acker.as_ref(), ledger.release()).await;
}

/// Waits for what is done next, and no longer than what is held back may wait; `None` at the end.
async fn next(
    done: &mut mpsc::UnboundedReceiver<Vec<DeliveryTag>>,
    held_since: Option<Instant>,
) -> Option<Vec<DeliveryTag>> {
    match held_since {
        None => done.recv().await,
        Some(since) => {
            let more = timeout_at(since + LONGEST_GAP, done.recv()).await;
            more.unwrap_or_else(|_| Some(Vec::new()))
        }
    }
}

async fn send(acker: &dyn Acker, acts: Vec<Act>) {
    for act in acts {
        match act {
            Act::Through(tag) => acker.ack_through(tag).await,
            Act::One(tag) => acker.ack(tag).await,
        }
        crash_point::pass(CrashPoint::Acknowledged);
    }
}

/// What to send to the broker.
#[derive(Debug, PartialEq, Eq)]
enum Act {
    /// Acknowledge this and all before it.
    Through(DeliveryTag),
    /// Acknowledge this one.
    One(DeliveryTag),
}

/// Which tags of the present session are done: all up to `through`, and behind a gap those in
/// `held`, of which the broker was not told yet, and in `sent`, each acknowledged by itself.
#[derive(Debug, Default)]
struct Ledger {
    session: u64,
    through: u64,
    held: BTreeSet<u64>,
    sent: BTreeSet<u64>,
    /// Since when the gap is there that holds back `held`.
    held_since: Option<Instant>,
}

impl Ledger {
    /// Takes what is done, and gives what can be acknowledged as a range.
    fn settle(&mut self, tags: Vec<DeliveryTag>) -> Option<Act> {
        for DeliveryTag { session, tag } in tags {
            if session > self.session {
                *self = Self { session, ..Self::default() };
            }
            if session == self.session && tag > self.through && !self.sent.contains(&tag) {
                self.held.insert(tag);
            }
        }
        let before = self.through;
        let mut open_end = None;
        loop {
            let next = self.through + 1;
            if self.held.remove(&next) {
                open_end = Some(next);
            } else if !self.sent.remove(&next) {
                break;
            }
            self.through = next;
        }
        if self.held.is_empty() {
            self.held_since = None;
        } else if self.held_since.is_none() || self.through > before {
            self.held_since = Some(Instant::now());
        }
        open_end.map(|tag| Act::Through(self.at(tag)))
    }

    /// Gives up waiting for the gap to close.
    fn release(&mut self) -> Vec<Act> {
        self.held_since = None;
        let held = std::mem::take(&mut self.held);
        self.sent.extend(&held);
        held.into_iter().map(|tag| Act::One(self.at(tag))).collect()
    }

    fn at(&self, tag: u64) -> DeliveryTag {
        DeliveryTag { session: self.session, tag }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(session: u64, tags: &[u64]) -> Vec<DeliveryTag> {
        tags.iter().map(|&tag| DeliveryTag { session, tag }).collect()
    }

    fn through(session: u64, tag: u64) -> Act {
        Act::Through(DeliveryTag { session, tag })
    }

    #[test]
    fn a_run_is_acknowledged_at_once() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.settle(tags(1, &[1, 3, 2])), Some(through(1, 3)));
        assert_eq!(ledger.held_since, None);
    }

    #[test]
    fn what_a_gap_holds_back_goes_with_what_closes_it() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.settle(tags(1, &[1, 3, 4])), Some(through(1, 1)));
        assert!(ledger.held_since.is_some());
        assert_eq!(ledger.settle(tags(1, &[2])), Some(through(1, 4)));
        assert_eq!(ledger.held_since, None);
    }

    #[test]
    fn behind_a_gap_that_stays_each_is_acknowledged_by_itself_and_never_named_again() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.settle(tags(1, &[2, 3])), None);
        let ones: Vec<_> = tags(1, &[2, 3]).into_iter().map(Act::One).collect();
        assert_eq!(ledger.release(), ones);
        assert_eq!(ledger.settle(tags(1, &[3])), None);
        assert_eq!(ledger.settle(tags(1, &[1])), Some(through(1, 1)));
        assert_eq!(ledger.settle(tags(1, &[4])), Some(through(1, 4)));
    }

    #[test]
    fn an_old_session_is_forgotten() {
        let mut ledger = Ledger::default();
        ledger.settle(tags(1, &[1, 2, 4]));
        assert_eq!(ledger.settle(tags(2, &[1])), Some(through(2, 1)));
        assert_eq!(ledger.settle(tags(1, &[3])), None);
        assert_eq!(ledger.release(), []);
    }
}
