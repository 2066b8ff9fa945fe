//! Keeps a publisher's lease and writes its position when no batch does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::warn;

use super::generation::Progress;
use crate::domain::PublisherId;
use crate::store::{Store, StoreError};

/// How soon a position that moved is written when no batch takes it along.
const IDLE_FLUSH: Duration = Duration::from_millis(200);

/// Renews the lease at three tenths of its length, and writes the position sooner when it moved.
/// Ends (and ends the generation) when another worker has closed the publisher.
pub(super) async fn keep(store: Store, id: PublisherId, progress: Arc<Progress>, lease: Duration) {
    let mut ticks = tokio::time::interval(IDLE_FLUSH);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let idle =
            progress.renewed_at.lock().expect("no code panics while it holds this lock").elapsed();
        let position = progress.position.load(Ordering::Acquire);
        let moved = position > progress.written.load(Ordering::Acquire);
        if !(moved && idle >= IDLE_FLUSH || idle >= lease.mul_f32(0.3)) {
            continue;
        }
        match store.renew_publisher(id, position).await {
            Ok(()) => progress.note_written(position),
            Err(StoreError::Fenced) => {
                warn!(publisher = %id, "this publisher was closed by another worker");
                progress.abandoned.cancel();
                return;
            }
            // Readiness reports the database; the next tick tries again.
            Err(error) => tracing::debug!(%error, "the lease is not renewed"),
        }
    }
}
