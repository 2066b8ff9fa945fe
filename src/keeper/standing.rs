//! How the keeper's duties stand. One that fails is tried again without a word, since an outage of
//! the database is told of by others; one that cannot be done for longer while the database answers
//! (a locked table, a right that is missing) is told of in the log and by `/readyz`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tracing::{debug, info, warn};

use crate::cause::with_causes;
use crate::http::{Health, Part};
use crate::store::StoreError;

/// How long a duty may fail untold: within it an outage is noticed.
const LONG: Duration = Duration::from_secs(8);

/// The duties that fail; every clone is the same.
#[derive(Clone)]
pub(super) struct Standing {
    health: Health,
    failing: Arc<Mutex<BTreeMap<&'static str, Failing>>>,
}

struct Failing {
    /// When the first turn that failed began.
    since: Instant,
    /// Why, once it was told of.
    told: Option<String>,
}

impl Standing {
    pub fn new(health: Health) -> Self {
        Self { health, failing: Arc::default() }
    }

    /// Takes one turn of `duty`; `None` where it failed.
    pub fn turn<'a, T: Send>(
        &'a self,
        duty: &'static str,
        turn: impl Future<Output = Result<T, StoreError>> + Send + 'a,
    ) -> BoxFuture<'a, Option<T>> {
        let began = Instant::now();
        Box::pin(async move {
            match turn.await {
                Ok(done) => {
                    self.done(duty);
                    Some(done)
                }
                Err(error) => {
                    debug!(duty, %error, "a duty is not done this time");
                    self.failed(duty, began, &error);
                    None
                }
            }
        })
    }

    fn done(&self, duty: &'static str) {
        let mut failing = self.failing();
        if failing.remove(duty).is_some_and(|failing| failing.told.is_some()) {
            info!(duty, "a duty is done again");
            self.report(&failing);
        }
    }

    fn failed(&self, duty: &'static str, began: Instant, error: &StoreError) {
        let mut failing = self.failing();
        let entry = failing.entry(duty).or_insert(Failing { since: began, told: None });
        let is_away = self.health.parts().get(&Part::Database).is_some_and(Result::is_err);
        if entry.told.is_none() && !is_away && entry.since.elapsed() >= LONG {
            let cause = with_causes(error);
            warn!(duty, cause, "a duty cannot be done; trying again");
            entry.told = Some(cause);
            self.report(&failing);
        }
    }

    fn report(&self, failing: &BTreeMap<&'static str, Failing>) {
        let told = failing.iter().filter_map(|(duty, failing)| {
            failing.told.as_ref().map(|cause| format!("{duty}: {cause}"))
        });
        let reasons: Vec<String> = told.collect();
        let state = if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ")) };
        self.health.set(Part::Keeper, state);
    }

    fn failing(&self) -> MutexGuard<'_, BTreeMap<&'static str, Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
