//! One writer of events, and its publishers one after the other.
//!
//! The writer commits one batch at a time as the current publisher and hands the events on here.
//! In doubt, or fenced, it abandons that publisher and becomes another; what the old one committed
//! and had not published is found like a dead worker's.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::generation::{Generation, Handle};
use super::send::Sink;
use crate::bell::Bell;
use crate::domain::{Event, PublisherId};
use crate::http::Metrics;
use crate::store::{Publisher, Store, StoreError};

/// A writer's side of the outbox; cheap to clone.
#[derive(Clone)]
pub struct Lane(Arc<Shared>);

struct Shared {
    host: String,
    store: Store,
    sink: Sink,
    lease: Duration,
    metrics: Metrics,
    left_behind: Bell,
    current: Mutex<Option<Handle>>,
    /// The publisher whose opening was tried and not answered: it may be there.
    opening: Mutex<Option<PublisherId>>,
    generations: TaskTracker,
}

impl Lane {
    /// A lane that publishes to `sink`; `left_behind` is rung when a publisher of it ended with
    /// events that others must publish. Opens its first publisher when one is needed.
    pub fn new(
        host: &str,
        store: Store,
        sink: Sink,
        lease: Duration,
        metrics: Metrics,
        left_behind: Bell,
    ) -> Self {
        Self(Arc::new(Shared {
            host: host.to_owned(),
            store,
            sink,
            lease,
            metrics,
            left_behind,
            current: Mutex::new(None),
            opening: Mutex::new(None),
            generations: TaskTracker::new(),
        }))
    }

    /// The publisher to commit as: the current one, or a new one.
    pub async fn publisher(&self) -> Result<Publisher, StoreError> {
        let current =
            self.locked().as_ref().filter(|handle| !handle.is_over()).map(Handle::publisher);
        if let Some(publisher) = current {
            return Ok(publisher);
        }
        self.abandon();
        let publisher = self.open().await?;
        let (generation, handle) = Generation::new(
            publisher.clone(),
            self.0.store.clone(),
            self.0.sink.clone(),
            self.0.lease,
            self.0.metrics.clone(),
            self.0.left_behind.clone(),
        );
        self.0.generations.spawn(generation.run());
        *self.locked() = Some(handle);
        Ok(publisher)
    }

    /// Opens a publisher, under the id of the attempt before if that failed: were its row there after
    /// all, it would stay open, nobody's, until its lease ran out.
    async fn open(&self) -> Result<Publisher, StoreError> {
        let id = *self.opening().get_or_insert_with(|| PublisherId(Uuid::now_v7()));
        let opened = self.0.store.open_publisher(id, &self.0.host).await;
        if matches!(opened, Ok(_) | Err(StoreError::Fenced)) {
            *self.opening() = None;
        }
        opened
    }

    /// Every event up to this number of the current publisher is published.
    pub fn position(&self) -> u64 {
        self.locked().as_ref().map_or(0, Handle::position)
    }

    /// A batch was committed as `publisher`, with `written` as its position: publish `events`.
    /// Waits while more is waiting to be published than the memory should hold, unless the broker
    /// is away; then the events are read back from the table later.
    pub async fn committed(&self, publisher: Publisher, written: u64, events: Vec<Event>) {
        let handle = self.locked().as_ref().filter(|handle| handle.id() == publisher.id).cloned();
        if let Some(handle) = handle {
            handle.committed(publisher, written, events).await;
        }
    }

    /// Ends the current publisher: it is fenced, or in doubt. The next batch is another's.
    pub fn abandon(&self) {
        if let Some(handle) = self.locked().take() {
            handle.abandon();
        }
    }

    /// Publishes all that is committed, writes the position, closes the publisher.
    pub async fn finish(&self) {
        if let Some(handle) = self.locked().take() {
            handle.finish();
        }
        self.0.generations.close();
        self.0.generations.wait().await;
    }

    fn opening(&self) -> std::sync::MutexGuard<'_, Option<PublisherId>> {
        self.0.opening.lock().expect("no code panics while it holds this lock")
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Option<Handle>> {
        self.0.current.lock().expect("no code panics while it holds this lock")
    }
}
