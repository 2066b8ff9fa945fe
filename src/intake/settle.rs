//! Acknowledges deliveries that are done: as one range where they follow each other, one by one
//! behind a gap.
//!
//! A tag that was acknowledged by itself must not be named again: RabbitMQ closes the channel for
//! an unknown delivery tag, so a range always ends at a tag that is still open.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::crash_point::{self, CrashPoint};
use crate::transport::{Acker, DeliveryTag};

/// Where finished deliveries are handed in; cheap to clone.
#[derive(Clone)]
pub(super) struct Settler {
    done: mpsc::UnboundedSender<Vec<DeliveryTag>>,
}

impl Settler {
    /// Starts settling; the returned future ends when every `Settler` is dropped and all was sent.
    pub(super) fn new(acker: Arc<dyn Acker>) -> (Self, impl Future<Output = ()> + Send) {
        let (done, receiver) = mpsc::unbounded_channel();
        (Self { done }, settle(acker, receiver))
    }

    /// These deliveries are done: acknowledge them.
    pub(super) fn acknowledge(&self, tags: Vec<DeliveryTag>) {
        // The receiver is gone only when the worker aborts; the broker delivers again.
        let _ = self.done.send(tags);
    }
}

async fn settle(acker: Arc<dyn Acker>, mut done: mpsc::UnboundedReceiver<Vec<DeliveryTag>>) {
    let mut ledger = Ledger::default();
    while let Some(mut tags) = done.recv().await {
        while let Ok(more) = done.try_recv() {
            tags.extend(more);
        }
        for act in ledger.settle(tags) {
            match act {
                Act::Through(tag) => acker.ack_through(tag).await,
                Act::One(tag) => acker.ack(tag).await,
            }
            crash_point::pass(CrashPoint::Acknowledged);
        }
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

/// Which tags of the present session are done: all up to `through`, and those in `beyond`, each
/// acknowledged by itself.
#[derive(Debug, Default)]
struct Ledger {
    session: u64,
    through: u64,
    beyond: BTreeMap<u64, Sent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Yes,
    NotYet,
}

impl Ledger {
    fn settle(&mut self, tags: Vec<DeliveryTag>) -> Vec<Act> {
        for DeliveryTag { session, tag } in tags {
            if session > self.session {
                *self = Self { session, ..Self::default() };
            }
            if session == self.session && tag > self.through {
                self.beyond.entry(tag).or_insert(Sent::NotYet);
            }
        }
        let at = |tag| DeliveryTag { session: self.session, tag };
        let mut acts = Vec::new();
        let mut open_end = None;
        while let Some(sent) = self.beyond.remove(&(self.through + 1)) {
            self.through += 1;
            if sent == Sent::NotYet {
                open_end = Some(at(self.through));
            }
        }
        acts.extend(open_end.map(Act::Through));
        for (&tag, sent) in &mut self.beyond {
            if *sent == Sent::NotYet {
                *sent = Sent::Yes;
                acts.push(Act::One(at(tag)));
            }
        }
        acts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(session: u64, tags: &[u64]) -> Vec<DeliveryTag> {
        tags.iter().map(|&tag| DeliveryTag { session, tag }).collect()
    }

    #[test]
    fn a_run_is_acknowledged_at_once() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.settle(tags(1, &[1, 3, 2])), [Act::Through(tags(1, &[3])[0])]);
    }

    #[test]
    fn behind_a_gap_each_is_acknowledged_by_itself_and_never_named_again() {
        let mut ledger = Ledger::default();
        assert_eq!(
            ledger.settle(tags(1, &[2, 3])),
            [Act::One(tags(1, &[2])[0]), Act::One(tags(1, &[3])[0])]
        );
        assert_eq!(ledger.settle(tags(1, &[1])), [Act::Through(tags(1, &[1])[0])]);
        assert_eq!(ledger.settle(tags(1, &[4])), [Act::Through(tags(1, &[4])[0])]);
    }

    #[test]
    fn an_old_session_is_forgotten() {
        let mut ledger = Ledger::default();
        ledger.settle(tags(1, &[1, 2]));
        assert_eq!(ledger.settle(tags(2, &[1])), [Act::Through(tags(2, &[1])[0])]);
        assert_eq!(ledger.settle(tags(1, &[3])), []);
    }
}
