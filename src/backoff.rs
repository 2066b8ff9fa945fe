//! Pauses between attempts at something that may pass: a broker or a database that is away.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// The longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(2);

/// Endless pauses: doubling from 50 ms, with jitter, capped at 2 s.
#[derive(Debug)]
pub struct Pauses(backon::ExponentialBackoff);

impl Default for Pauses {
    fn default() -> Self {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(LONGEST)
            .with_jitter()
            .without_max_times();
        Self(pauses.build())
    }
}

impl Pauses {
    /// Waits out the next pause.
    pub async fn pause(&mut self) {
        let pause = self.0.next().map_or(LONGEST, |pause| pause.min(LONGEST));
        tokio::time::sleep(pause).await;
    }
}
