//! Publishes what ended publishers left: dead workers', and our own that were in doubt.

use tracing::info;

use super::send::Sink;
use crate::crash_point::{self, CrashPoint};
use crate::store::{LeftBehind, Store, StoreError};

/// Events read and published before the position is written.
const PAGE: u32 = 500;

/// The duty of taking over.
#[derive(Clone)]
pub struct TakeOver {
    /// Where the events are.
    pub store: Store,
    /// Where they go.
    pub sink: Sink,
    /// This worker's host, for the log of the one it takes from.
    pub host: String,
}

impl TakeOver {
    /// Closes publishers whose lease ran out.
    pub async fn close_expired(&self) -> Result<(), StoreError> {
        let closed = self.store.close_expired_publishers().await?;
        for id in &closed {
            info!(publisher = %id, "a publisher's lease ran out; its events are taken over");
        }
        if !closed.is_empty() {
            crash_point::pass(CrashPoint::TakeOverClosed);
        }
        Ok(())
    }

    /// Publishes what closed publishers left.
    pub async fn publish_left(&self) -> Result<(), StoreError> {
        for left in self.store.left_behind(&self.host).await? {
            self.publish(left).await?;
        }
        Ok(())
    }

    /// Forgets closed publishers that are done.
    pub async fn forget(&self) -> Result<(), StoreError> {
        self.store.forget_publishers().await.map(drop)
    }

    async fn publish(&self, left: LeftBehind) -> Result<u64, StoreError> {
        let mut position = left.published_through;
        loop {
            // Each page in a transaction of its own, begun after the publisher was closed: what
            // that one had committed is all there.
            let events = self.store.events_after(left.id, position, PAGE).await?;
            let Some(last) = events.last().map(|event| event.number) else { break };
            self.sink.publish_all(&events).await;
            crash_point::pass(CrashPoint::TakeOverConfirmed);
            position = last;
            self.store.move_left_behind(left.id, position).await?;
            crash_point::pass(CrashPoint::TakeOverMoved);
        }
        let published = position - left.published_through;
        info!(publisher = %left.id, of = left.host, published, "took over a publisher's events");
        Ok(published)
    }
}
