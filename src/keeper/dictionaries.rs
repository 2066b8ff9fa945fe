//! Writes Karbor's columns: `resources_status` and `resources_reason` follow the rows within a
//! second, a restore once however many updates it had. Where Karbor said something there that is
//! not merged yet, that is taken in first.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::turns::Turns;
use crate::domain::Command;
use crate::http::Metrics;
use crate::store::Store;

/// How often restores that changed are looked for. Half of what is promised, so that a write that
/// takes its time is in time.
const EVERY: Duration = Duration::from_millis(400);

/// Restores written at once.
const AT_ONCE: u32 = 50;

pub(super) async fn run(store: Store, turns: Turns, metrics: Metrics, ending: CancellationToken) {
    loop {
        // One more look after the end was called, so that what was just committed is written.
        let last = ending.is_cancelled();
        match store.write_dictionaries(AT_ONCE).await {
            Ok(written) => {
                metrics
                    .dictionary_delay_seconds
                    .set(written.oldest_delay.unwrap_or_default().as_secs_f64());
                let found: Vec<_> = written.found.into_iter().map(Command::TakeIn).collect();
                // Given up while the worker ends, it is found again.
                let more = !found.is_empty() && turns.keep(found).await.is_ok();
                if (more || written.written >= u64::from(AT_ONCE)) && !last {
                    continue;
                }
            }
            Err(error) => debug!(%error, "Karbor's columns are not written this time"),
        }
        if last {
            return;
        }
        tokio::select! {
            () = ending.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
