//! Commits batches, whatever it takes: waits while the database is away, becomes a new publisher
//! when fenced or in doubt, halves what the database refuses until the one at fault is alone.
//!
//! Doing a batch again is always right, because a repeat merges into what is known and writes no
//! event.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::backoff::Pauses;
use crate::cause::with_causes;
use crate::domain::Outcome;
use crate::http::{Health, Metrics, Part};
use crate::outbox::Lane;
use crate::store::{BatchItem, DatabaseFault, Store, StoreError};

/// What became of one item: its outcome, or that the database (or the worker) fails on it alone.
pub type ItemResult = Result<Outcome, DatabaseFault>;

/// How long a worker that is draining tries a database that is away, before it gives back what it
/// holds.
const DRAINING_PATIENCE: Duration = Duration::from_secs(5);

/// How long nothing may be committed before the worker is not ready: a database that answers may
/// still be read-only, full, or locked.
const UNREADY_AFTER: Duration = Duration::from_secs(3);

/// The batch was not committed, because the worker is to end and the database is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenUp;

/// Commits as one publisher after another; one transaction at a time.
pub struct Committer {
    store: Store,
    lane: Lane,
    metrics: Metrics,
    draining: CancellationToken,
    given_up: CancellationToken,
    /// Since when a draining worker has been without its database.
    without_database: Option<Instant>,
    /// Where it is told that nothing can be committed.
    health: Option<Health>,
    /// Since when nothing was committed, though it was tried.
    failing_since: Option<Instant>,
}

impl Committer {
    /// A committer that hands its events to `lane`. While `draining` a database that fails is
    /// tried for a few seconds; once `given_up`, nothing is waited for.
    pub fn new(
        store: Store,
        lane: Lane,
        metrics: Metrics,
        draining: CancellationToken,
        given_up: CancellationToken,
    ) -> Self {
        Self {
            store,
            lane,
            metrics,
            draining,
            given_up,
            without_database: None,
            health: None,
            failing_since: None,
        }
    }

    /// Tells `/readyz` when nothing can be committed for a while.
    #[must_use]
    pub fn telling(mut self, health: Health) -> Self {
        self.health = Some(health);
        self
    }

    /// Commits `items` in order and hands their events on. Gives the items back with one result
    /// each, in order.
    ///
    /// # Errors
    /// [`GivenUp`] only while draining: some may be committed; all can be delivered again.
    pub async fn commit(
        &mut self,
        items: Vec<BatchItem>,
    ) -> Result<(Vec<BatchItem>, Vec<ItemResult>), GivenUp> {
        let mut done = Vec::with_capacity(items.len());
        let mut results = Vec::with_capacity(items.len());
        // Parts still to be done, the next one last.
        let mut parts = vec![items];
        while let Some(part) = parts.pop() {
            let (mut part, outcomes) = self.commit_part(part).await?;
            match outcomes {
                Ok(outcomes) => results.extend(outcomes.into_iter().map(Ok)),
                Err(fault) if part.len() == 1 => results.push(Err(fault)),
                Err(fault) => {
                    warn!(%fault, items = part.len(), "the database refuses a batch; halving it");
                    parts.push(part.split_off(part.len() / 2));
                    parts.push(part);
                    continue;
                }
            }
            done.append(&mut part);
        }
        Ok((done, results))
    }

    /// Commits one part, retrying what may pass. Gives the part back with its outcomes, or with the
    /// fault that belongs to the data itself.
    #[allow(clippy::type_complexity, reason = "said in the sentence above")]
    async fn commit_part(
        &mut self,
        mut part: Vec<BatchItem>,
    ) -> Result<(Vec<BatchItem>, Result<Vec<Outcome>, DatabaseFault>), GivenUp> {
        let mut pauses = Pauses::default();
        loop {
            let given_up = self.given_up.clone();
            let begun = Instant::now();
            let (returned, result) = tokio::select! {
                biased;
                // The transaction goes on by itself, and may yet commit: what is delivered again
                // finds it so, and another publishes its events.
                () = given_up.cancelled() => {
                    warn!("the database does not answer; what is held is given back");
                    return Err(GivenUp);
                }
                tried = self.try_once(part) => tried,
            };
            part = returned;
            let error = match result {
                Ok(outcomes) => {
                    self.without_database = None;
                    self.note_success();
                    return Ok((part, Ok(outcomes)));
                }
                Err(StoreError::Refused { source, .. }) => return Ok((part, Err(source))),
                Err(error) => error,
            };
            self.note_failure(&error, begun);
            // Before giving up: a later batch must not go on as a publisher that is in doubt, whose
            // numbers may be taken.
            if matches!(error, StoreError::Fenced | StoreError::Doubt { .. }) {
                info!(cause = %with_causes(&error), "beginning anew as another publisher");
                self.lane.abandon();
            }
            if self.draining.is_cancelled() {
                let since = *self.without_database.get_or_insert_with(Instant::now);
                if since.elapsed() >= DRAINING_PATIENCE {
                    warn!(error = %with_causes(&error), "ending without the database; what is held is given back");
                    return Err(GivenUp);
                }
            }
            match &error {
                StoreError::Fenced | StoreError::Doubt { .. } => {}
                StoreError::Fatal { .. } | StoreError::Denied { .. } => {
                    error!(cause = %with_causes(&error), "the database cannot be used; trying again");
                    pauses.pause().await;
                }
                StoreError::Transient { .. } => {
                    let (cause, restores) = (with_causes(&error), some_restores(&part));
                    warn!(%cause, %restores, "the database did not take a batch; trying again");
                    pauses.pause().await;
                }
                StoreError::Refused { .. } => unreachable!("returned above"),
            }
        }
    }

    fn note_success(&mut self) {
        if self.failing_since.take().is_some()
            && let Some(health) = &self.health
        {
            health.set(Part::Commits, Ok(()));
        }
    }

    /// A try that began at `begun` failed. A statement that waited for its time limit has kept
    /// everything waiting for as long already.
    fn note_failure(&mut self, error: &StoreError, begun: Instant) {
        // Another publisher does it in a moment: nothing is amiss with the database.
        if !matches!(error, StoreError::Fenced) {
            self.metrics.count_commit_failure();
        }
        let since = *self.failing_since.get_or_insert(begun);
        if since.elapsed() >= UNREADY_AFTER
            && let Some(health) = &self.health
        {
            let reason = format!("nothing can be committed: {}", with_causes(error));
            health.set(Part::Commits, Err(reason));
        }
    }

    async fn try_once(
        &mut self,
        part: Vec<BatchItem>,
    ) -> (Vec<BatchItem>, Result<Vec<Outcome>, StoreError>) {
        let publisher = match self.lane.publisher().await {
            Ok(publisher) => publisher,
            Err(error) => return (part, Err(error)),
        };
        let position = self.lane.position();
        let begun = Instant::now();
        // A task of its own: a transaction is never dropped half way, and a panic in it is that
        // batch's matter, not the worker's.
        let store = self.store.clone();
        let part = Arc::new(part);
        let items = part.clone();
        let task = tokio::spawn(async move {
            let mut publisher = publisher;
            let committed = store.commit_batch(&mut publisher, position, &items, Utc::now()).await;
            drop(items);
            (publisher, committed)
        });
        let joined = task.await;
        let part = Arc::try_unwrap(part).unwrap_or_else(|shared| (*shared).clone());
        let (publisher, committed) = match joined {
            Ok((publisher, committed)) => (publisher, committed),
            Err(panic) => {
                error!(%panic, items = part.len(), "committing a batch panicked");
                // Whether its transaction ended is unknown.
                self.lane.abandon();
                let fault = DatabaseFault("the worker failed on it".to_owned());
                return (part, Err(StoreError::Refused { act: "commit a batch", source: fault }));
            }
        };
        match committed {
            Ok(committed) => {
                self.metrics.count_batch(part.len(), begun.elapsed());
                self.lane.committed(publisher, position, committed.events).await;
                (part, Ok(committed.outcomes))
            }
            Err(error) => (part, Err(error)),
        }
    }
}

/// Which restores a batch is about, a few of them: one that another program keeps locked is among
/// them.
fn some_restores(part: &[BatchItem]) -> String {
    let restores: BTreeSet<_> = part.iter().map(|item| item.command.restore_id()).collect();
    let mut text: Vec<String> = restores.iter().take(3).map(ToString::to_string).collect();
    if restores.len() > text.len() {
        text.push(format!("{} more", restores.len() - text.len()));
    }
    text.join(", ")
}
