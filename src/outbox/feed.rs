//! What is to be published next: from memory where it is there, else read back from the table.
//!
//! While the broker is away events are not kept beyond a bound: the writer then only says up to
//! which number it has committed, and the rest is read back in pages.

use std::collections::VecDeque;

use tokio::sync::{mpsc, watch};
use tracing::warn;

use crate::backoff::Pauses;
use crate::cause::with_causes;
use crate::domain::{Event, PublisherId};
use crate::store::{Publisher, Store};

/// Batches of events that wait in memory at most.
pub(super) const BATCHES_IN_MEMORY: usize = 4;

/// Events read back at once.
const PAGE: u32 = 500;

/// A publisher's events in order, without a gap.
pub(super) struct Feed {
    store: Store,
    id: PublisherId,
    /// The number of the next event to hand out.
    next: u64,
    pending: VecDeque<Event>,
    batches: mpsc::Receiver<Vec<Event>>,
    committed: watch::Receiver<u64>,
}

impl Feed {
    pub(super) fn new(
        store: Store,
        publisher: &Publisher,
        batches: mpsc::Receiver<Vec<Event>>,
        committed: watch::Receiver<u64>,
    ) -> Self {
        let next = publisher.next_number;
        Self { store, id: publisher.id, next, pending: VecDeque::new(), batches, committed }
    }

    /// The next event, if it is in memory.
    pub(super) fn ready(&mut self) -> Option<Event> {
        loop {
            let Some(event) = self.pending.pop_front() else {
                self.pending.extend(self.batches.try_recv().ok()?);
                continue;
            };
            if event.number == self.next {
                self.next += 1;
                return Some(event);
            }
            if event.number > self.next {
                // Those between were not kept: `lags` says so, `read_back` fetches them.
                self.pending.push_front(event);
                return None;
            }
            // Read back before it came: handed out already.
        }
    }

    /// Whether the next event is committed and not in memory.
    pub(super) fn lags(&self) -> bool {
        match self.pending.front() {
            Some(event) => event.number > self.next,
            None => self.batches.is_empty() && *self.committed.borrow() >= self.next,
        }
    }

    /// Reads the next page from the table, waiting for the database if need be.
    pub(super) async fn read_back(&mut self) {
        let mut pauses = Pauses::default();
        loop {
            match self.store.events_after(self.id, self.next - 1, PAGE).await {
                Ok(events) => {
                    for event in events.into_iter().rev() {
                        self.pending.push_front(event);
                    }
                    return;
                }
                Err(error) => {
                    warn!(cause = %with_causes(&error), "cannot read events back; trying again");
                    pauses.pause().await;
                }
            }
        }
    }

    /// Waits until there may be more. Safe to drop.
    pub(super) async fn more(&mut self) {
        tokio::select! {
            Some(events) = self.batches.recv() => self.pending.extend(events),
            Ok(()) = self.committed.changed() => {}
            else => std::future::pending().await,
        }
    }
}
