//! Wakes a duty before its time: rung when there is something to do now.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

/// A bell that several may ring and one duty listens to; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Wakes the duty, or keeps it from sleeping next time.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits for the bell, but no longer than `period`.
    pub async fn wait(&self, period: Duration) {
        let _ = tokio::time::timeout(period, self.0.notified()).await;
    }
}
