//! One publisher's life: from its first event to its close.
//!
//! ```text
//! feed ─▶ publish ─▶ in flight (at most a window, in order) ─▶ confirmed ─▶ position
//! ```
//!
//! Confirms are awaited in the order of publication, so the position is always the end of an
//! unbroken run of confirmed events. What is not confirmed is published again before the position
//! moves past it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::ready;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::feed::{BATCHES_IN_MEMORY, Feed};
use super::lease;
use super::refusal::Watched;
use super::send::{Sink, WINDOW};
use crate::backoff::Pauses;
use crate::bell::Bell;
use crate::cause::with_causes;
use crate::crash_point::{self, CrashPoint};
use crate::domain::{Event, PublisherId};
use crate::http::Metrics;
use crate::store::{Publisher, Store, StoreError};
use crate::transport::{Confirm, Link, PublishError};

/// How long an ended publisher waits for confirms that are still out.
const LAST_CONFIRMS: Duration = Duration::from_secs(3);

/// What writer, publisher task and lease share.
pub(super) struct Progress {
    /// Every event up to this number is confirmed.
    pub position: AtomicU64,
    /// The position that the database knows.
    pub written: AtomicU64,
    /// When the publisher's row was last written, and so its lease renewed.
    pub renewed_at: Mutex<Instant>,
    /// Fenced or in doubt: no more is published.
    pub abandoned: CancellationToken,
    /// The worker ends: publish what there is, then close.
    pub finishing: CancellationToken,
}

impl Progress {
    /// The publisher's row was written with this position.
    pub(super) fn note_written(&self, position: u64) {
        if self.written.fetch_max(position, Ordering::AcqRel) < position {
            crash_point::pass(CrashPoint::PositionMoved);
        }
        *self.renewed_at.lock().expect("no code panics while it holds this lock") = Instant::now();
    }
}

/// The writer's handle on a generation.
#[derive(Clone)]
pub(super) struct Handle {
    publisher: Arc<Mutex<Publisher>>,
    progress: Arc<Progress>,
    events: mpsc::Sender<Vec<Event>>,
    committed: watch::Sender<u64>,
    link: watch::Receiver<Link>,
    metrics: Metrics,
}

impl Handle {
    pub(super) fn id(&self) -> PublisherId {
        self.publisher().id
    }

    pub(super) fn publisher(&self) -> Publisher {
        self.publisher.lock().expect("no code panics while it holds this lock").clone()
    }

    pub(super) fn position(&self) -> u64 {
        self.progress.position.load(Ordering::Acquire)
    }

    pub(super) fn is_over(&self) -> bool {
        self.progress.abandoned.is_cancelled()
    }

    pub(super) fn abandon(&self) {
        self.progress.abandoned.cancel();
    }

    pub(super) fn finish(&self) {
        self.progress.finishing.cancel();
    }

    pub(super) async fn committed(
        mut self,
        publisher: Publisher,
        written: u64,
        events: Vec<Event>,
    ) {
        let through = publisher.next_number - 1;
        *self.publisher.lock().expect("no code panics while it holds this lock") = publisher;
        self.progress.note_written(written);
        self.metrics.count_committed_events(events.len());
        if !events.is_empty() {
            let away = self.link.wait_for(|link| *link != Link::Up);
            tokio::select! {
                permit = self.events.reserve() => if let Ok(permit) = permit {
                    permit.send(events);
                },
                // The feed reads them back from the table.
                _ = away => {}
                () = self.progress.abandoned.cancelled() => {}
            }
        }
        self.committed.send_replace(through);
    }
}

/// The publishing task of one publisher.
pub(super) struct Generation {
    publisher: Publisher,
    progress: Arc<Progress>,
    feed: Feed,
    in_flight: VecDeque<(Event, Confirm)>,
    pauses: Pauses,
    refusal: Watched,
    store: Store,
    sink: Sink,
    lease: Duration,
    metrics: Metrics,
    left_behind: Bell,
}

impl Generation {
    pub(super) fn new(
        publisher: Publisher,
        store: Store,
        sink: Sink,
        lease: Duration,
        metrics: Metrics,
        left_behind: Bell,
    ) -> (Self, Handle) {
        let progress = Arc::new(Progress {
            position: AtomicU64::new(publisher.next_number - 1),
            written: AtomicU64::new(publisher.next_number - 1),
            renewed_at: Mutex::new(Instant::now()),
            abandoned: CancellationToken::new(),
            finishing: CancellationToken::new(),
        });
        let (events, receiver) = mpsc::channel(BATCHES_IN_MEMORY);
        let (committed, through) = watch::channel(publisher.next_number - 1);
        let handle = Handle {
            publisher: Arc::new(Mutex::new(publisher.clone())),
            progress: progress.clone(),
            events,
            committed,
            link: sink.publisher.link(),
            metrics: metrics.clone(),
        };
        let feed = Feed::new(store.clone(), &publisher, receiver, through);
        let generation = Self {
            publisher,
            progress,
            feed,
            in_flight: VecDeque::with_capacity(WINDOW),
            pauses: Pauses::default(),
            refusal: sink.refusals.watch(),
            store,
            sink,
            lease,
            metrics,
            left_behind,
        };
        (generation, handle)
    }

    /// Publishes until finished or abandoned, then closes the publisher.
    pub(super) async fn run(mut self) {
        let id = self.publisher.id;
        let lease =
            tokio::spawn(lease::keep(self.store.clone(), id, self.progress.clone(), self.lease));
        let abandoned = self.progress.abandoned.clone();
        // Dropping the future in the middle of a publication is right here: an event that may or
        // may not be out is beyond the position, and whoever takes over publishes it.
        tokio::select! {
            () = abandoned.cancelled() => {
                let _ = tokio::time::timeout(LAST_CONFIRMS, self.await_confirms()).await;
            }
            () = self.publish_all() => {}
        }
        lease.abort();
        let _ = lease.await;
        self.close().await;
    }

    async fn publish_all(&mut self) {
        let finishing = self.progress.finishing.clone();
        loop {
            while self.in_flight.len() < WINDOW {
                let Some(event) = self.feed.ready() else { break };
                let confirm = self.sink.publish(&event).await;
                crash_point::pass(CrashPoint::Published);
                self.in_flight.push_back((event, confirm));
            }
            if self.in_flight.len() < WINDOW && self.feed.lags() {
                self.feed.read_back().await;
                continue;
            }
            if self.in_flight.is_empty() && finishing.is_cancelled() && !self.feed.lags() {
                return;
            }
            let room = self.in_flight.len() < WINDOW;
            tokio::select! {
                biased;
                result = next_confirm(&mut self.in_flight), if !self.in_flight.is_empty() => {
                    self.confirm_front(result).await;
                }
                () = self.feed.more(), if room => {}
                () = finishing.cancelled(), if !finishing.is_cancelled() => {}
            }
        }
    }

    /// The oldest event in flight was answered: move the position over it, or publish it again
    /// with all others that failed.
    async fn confirm_front(&mut self, result: Result<(), PublishError>) {
        let Some((event, confirm)) = self.in_flight.front_mut() else { return };
        let Err(error) = result else {
            crash_point::pass(CrashPoint::Confirmed);
            let number = event.number;
            self.in_flight.pop_front();
            self.note_published(number);
            self.pauses = Pauses::default();
            self.refusal.taken();
            return;
        };
        // A future that has answered must not be asked again: what stands for it says the same.
        *confirm = answered(Err(error.clone()));
        if error == PublishError::Lost {
            debug!("notifications are published again over the next connection");
        } else {
            // Of several topics one may have refused it.
            let messages = self.sink.notifier.event(event).into_iter();
            let keys: Vec<_> = messages.map(|message| message.routing_key).collect();
            let routing_key = keys.join("`, `");
            self.refusal.refused(&error, &routing_key);
            warn!(%error, routing_key, "a notification is not published; trying again");
            self.pauses.pause().await;
        }
        // All that failed at once: one by one, each would wait for the confirm of the one before.
        for (event, confirm) in &mut self.in_flight {
            let Some(result) = confirm.as_mut().now_or_never() else { continue };
            let failed = result.is_err();
            *confirm = answered(result);
            if failed {
                *confirm = self.sink.publish(event).await;
            }
        }
    }

    fn note_published(&self, number: u64) {
        self.progress.position.store(number, Ordering::Release);
        self.metrics.count_finished_event();
        if self.sink.notifier.is_sending() {
            self.metrics.notifications_published.inc();
        }
    }

    async fn await_confirms(&mut self) {
        while let Some((event, confirm)) = self.in_flight.pop_front() {
            if confirm.await.is_err() {
                return;
            }
            self.note_published(event.number);
        }
    }

    /// Writes the last position, then closes the publisher: in this order nobody finds it closed
    /// with events behind it that are published. What lies beyond is rung for.
    async fn close(self) {
        let id = self.publisher.id;
        let position = self.progress.position.load(Ordering::Acquire);
        let mut pauses = Pauses::default();
        while let Err(error) = close_once(&self.store, id, position).await {
            if self.progress.finishing.is_cancelled() {
                // Its lease runs out, and whoever finds that closes it.
                break;
            }
            warn!(cause = %with_causes(&error), publisher = %id, "cannot close a publisher yet");
            pauses.pause().await;
        }
        self.left_behind.ring();
    }
}

/// A confirm that is known.
fn answered(result: Result<(), PublishError>) -> Confirm {
    Box::pin(ready(result))
}

async fn close_once(store: &Store, id: PublisherId, position: u64) -> Result<(), StoreError> {
    match store.renew_publisher(id, position).await {
        Ok(()) => store.close_publisher(id).await,
        // Another worker closed it; what is published since need not be published by that one.
        Err(StoreError::Fenced) => store.move_left_behind(id, position).await,
        Err(error) => Err(error),
    }
}

async fn next_confirm(in_flight: &mut VecDeque<(Event, Confirm)>) -> Result<(), PublishError> {
    match in_flight.front_mut() {
        Some((_, confirm)) => confirm.await,
        None => std::future::pending().await,
    }
}
