//! A fault that waits for one transaction on a proxied connection to a database, or for one
//! publication on one to a broker.
//!
//! Takes the bytes of each connection's client, says when the fault is due. A transaction is known
//! by a mark, a text that its statements carry and no other's before it; so is a publication. The
//! link must be in the clear (`database.ssl_mode` = `disable`).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What opens a publisher.
const OPENING: &[u8] = b"INSERT INTO restore_publishers";

/// What happens to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    /// The transaction's COMMIT reaches the server; the connection ends before its answer.
    LoseCommit,
    /// The same, but the connection stays open, and nothing is forwarded any more.
    FreezeCommit,
    /// The opening of the publisher of the host that is the mark reaches the server; the connection
    /// ends before its answer.
    LoseOpening,
    /// The publication reaches the broker; the connection ends before its confirm.
    LoseConfirm,
    /// The connection ends in the place of the mark, and so does each further one, until it is
    /// disarmed.
    Cut,
    /// From the mark on nothing more is forwarded, and the connection stays open.
    Freeze,
}

/// The trap that is set, if any; it springs once, unless it is a [`Trap::Cut`].
#[derive(Clone, Default)]
pub(super) struct Armed {
    set: Arc<Mutex<Option<(Trap, String)>>>,
    sprung: Arc<AtomicUsize>,
}

/// One connection's client.
pub(super) struct Watched {
    armed: Armed,
    /// The mark was seen: the next COMMIT is that of its transaction.
    marked: bool,
    /// What may be the beginning of the text that is looked for.
    tail: Vec<u8>,
}

impl Armed {
    pub(super) fn set(&self, trap: Trap, mark: &str) {
        *self.set.lock().expect("no panic under the lock") = Some((trap, mark.to_owned()));
    }

    pub(super) fn sprung(&self) -> usize {
        self.sprung.load(Ordering::Relaxed)
    }

    pub(super) fn disarm(&self) {
        *self.set.lock().expect("no panic under the lock") = None;
    }

    pub(super) fn is_set(&self) -> bool {
        self.set.lock().expect("no panic under the lock").is_some()
    }

    pub(super) fn watch(&self) -> Watched {
        Watched { armed: self.clone(), marked: false, tail: Vec::new() }
    }
}

impl Watched {
    /// Reads what the client sends next; gives the trap when it springs on these bytes.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Option<Trap> {
        let mut armed = self.armed.set.lock().expect("no panic under the lock");
        let (trap, mark) = (*armed).as_ref()?;
        self.tail.extend_from_slice(bytes);
        // A prepared statement's text comes before what it is done with.
        let begins = if *trap == Trap::LoseOpening { OPENING } else { mark.as_bytes() };
        if !self.marked
            && let Some(end) = find(&self.tail, begins)
        {
            self.marked = true;
            self.tail.drain(..end);
        }
        let springs = match trap {
            Trap::Cut | Trap::Freeze | Trap::LoseConfirm => self.marked,
            Trap::LoseOpening => self.marked && find(&self.tail, mark.as_bytes()).is_some(),
            Trap::LoseCommit | Trap::FreezeCommit => {
                self.marked && find(&self.tail, b"COMMIT").is_some()
            }
        };
        if springs {
            self.armed.sprung.fetch_add(1, Ordering::Relaxed);
            if *trap == Trap::Cut {
                return Some(Trap::Cut);
            }
            return armed.take().map(|(trap, _)| trap);
        }
        let kept = self.tail.len().saturating_sub(mark.len().max(OPENING.len()));
        self.tail.drain(..kept);
        None
    }
}

/// Where the first occurrence ends.
fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text).map(|at| at + text.len())
}
