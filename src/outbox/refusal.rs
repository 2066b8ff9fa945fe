//! What the broker does not take: `/readyz` tells of it while it lasts, and where no queue is there
//! whoever can make one is woken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::bell::Bell;
use crate::http::{Health, Part};
use crate::transport::PublishError;

/// How long a message may be refused untold: a queue that moves refuses for a moment.
const UNREADY_AFTER: Duration = Duration::from_secs(3);

/// The messages that are refused for long; every clone is the same.
#[derive(Clone, Default)]
pub struct Refusals(Arc<Inner>);

#[derive(Default)]
struct Inner {
    health: Health,
    /// Rung for a message that no queue takes.
    missing: Vec<Bell>,
    told: Mutex<usize>,
}

impl Refusals {
    /// Told to `health`; `missing` are rung for a message that no queue takes.
    pub fn new(health: Health, missing: impl IntoIterator<Item = Bell>) -> Self {
        let missing = missing.into_iter().collect();
        Self(Arc::new(Inner { health, missing, told: Mutex::default() }))
    }

    /// A message that is to be published, or one after the other; to be dropped once that is done.
    pub(super) fn watch(&self) -> Watched {
        Watched { refusals: self.clone(), since: None, told: false }
    }

    fn told(&self) -> MutexGuard<'_, usize> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is on its way.
pub(super) struct Watched {
    refusals: Refusals,
    since: Option<Instant>,
    told: bool,
}

impl Watched {
    /// The broker took it; what comes next is another.
    pub(super) fn taken(&mut self) {
        if self.since.is_some() {
            *self = self.refusals.watch();
        }
    }

    /// The broker does not take it.
    pub(super) fn refused(&mut self, error: &PublishError, routing_key: &str) {
        let Inner { health, missing, .. } = &*self.refusals.0;
        if *error == PublishError::Returned {
            missing.iter().for_each(Bell::ring);
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        if !self.told && since.elapsed() >= UNREADY_AFTER {
            self.told = true;
            let mut told = self.refusals.told();
            *told += 1;
            let reason = format!("{error} (routing key `{routing_key}`)");
            health.set(Part::Publications, Err(reason));
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.told {
            let mut told = self.refusals.told();
            *told -= 1;
            if *told == 0 {
                self.refusals.0.health.set(Part::Publications, Ok(()));
            }
        }
    }
}
