//! Writes Karbor's columns: `resources_status` and `resources_reason` follow the rows within a
//! second, a restore once however many updates it had. Where Karbor said something there that is
//! not merged yet, that is taken in first. A restore that cannot be written is tried again after
//! growing pauses, and the others go on.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::standing::Standing;
use super::turns::Turns;
use crate::cause::with_causes;
use crate::domain::{Command, RestoreId};
use crate::http::Metrics;
use crate::store::{Dictionaries, Store, StoreError};

/// How often restores that changed are looked for. Half of what is promised, so that a write that
/// takes its time is in time.
const EVERY: Duration = Duration::from_millis(400);

/// Restores written at once.
const AT_ONCE: u32 = 50;

/// How long a restore that could not be written is spared at first, and at most.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// Restores that could not be written: until when they are spared, and how long that was.
#[derive(Default)]
struct Spared(HashMap<RestoreId, (Instant, Duration)>);

impl Spared {
    /// Those whose pause is not over.
    fn now(&self) -> HashSet<RestoreId> {
        let now = Instant::now();
        self.0.iter().filter(|(_, (until, _))| *until > now).map(|(id, _)| *id).collect()
    }

    /// Whoever was tried and did not fail is no longer known.
    fn note(&mut self, spared: &HashSet<RestoreId>, failed: Vec<(RestoreId, StoreError)>) {
        let before = std::mem::take(&mut self.0);
        for (id, error) in failed {
            let [first, longest] = PAUSES;
            let pause = before.get(&id).map_or(first, |(_, pause)| longest.min(*pause * 2));
            let cause = with_causes(&error);
            warn!(restore_id = %id, cause, ?pause, "Karbor's columns of a restore cannot be written; trying again");
            self.0.insert(id, (Instant::now() + pause, pause));
        }
        self.0.extend(before.into_iter().filter(|(id, _)| spared.contains(id)));
    }
}

pub(super) async fn run(
    store: Store,
    standing: Standing,
    turns: Turns,
    metrics: Metrics,
    ending: CancellationToken,
) {
    let mut spared = Spared::default();
    loop {
        // One more look after the end was called, so that what was just committed is written.
        let last = ending.is_cancelled();
        let spared_now = if last { HashSet::new() } else { spared.now() };
        let writing = store.write_dictionaries(AT_ONCE, &spared_now);
        if let Some(Dictionaries { written, oldest_delay, found, failed, .. }) =
            standing.turn("writing Karbor's columns", writing).await
        {
            let delay = oldest_delay.unwrap_or_default();
            metrics.dictionary_delay_seconds.set(delay.as_secs_f64());
            spared.note(&spared_now, failed);
            let found: Vec<_> = found.into_iter().map(Command::TakeIn).collect();
            // Given up while the worker ends, it is found again.
            let more = !found.is_empty() && turns.keep(found).await.is_ok();
            if (more || written >= u64::from(AT_ONCE)) && !last {
                continue;
            }
        }
        if last {
            return;
        }
        ending.run_until_cancelled(sleep(EVERY)).await;
    }
}
