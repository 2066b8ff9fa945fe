//! Says once of each silence that a restore under way has stalled: nothing was heard of it for as
//! long as the setting says. Two workers that find it at once tell it once: the row's lock decides.

use std::time::Duration;

use chrono::Utc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::standing::Standing;
use super::turns::Turns;
use crate::domain::Command;
use crate::store::{Store, StoreError};

/// Restores told of at once.
const AT_ONCE: u32 = 100;

/// The bounds of how often it is looked: a tenth of the silence, within them.
const AT_LEAST_EVERY: Duration = Duration::from_secs(60);
const AT_MOST_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(
    store: Store,
    standing: Standing,
    turns: Turns,
    after: Duration,
    ending: CancellationToken,
) {
    if after.is_zero() {
        return;
    }
    let every = (after / 10).clamp(AT_MOST_EVERY, AT_LEAST_EVERY);
    while !ending.is_cancelled() {
        standing.turn("looking for stalled restores", tell(&store, &turns, after)).await;
        ending.run_until_cancelled(sleep(every)).await;
    }
}

async fn tell(store: &Store, turns: &Turns, after: Duration) -> Result<(), StoreError> {
    let since = Utc::now() - after;
    let silent = store.silent_restores(since, AT_ONCE).await?;
    for restore_id in &silent {
        warn!(%restore_id, silent_for_s = after.as_secs(), "nothing was heard of a restore under way");
    }
    let commands = silent.into_iter().map(|restore_id| Command::NoteSilence { restore_id, since });
    // Given up while the worker ends, it is told by the next.
    let _ = turns.keep(commands.collect()).await;
    Ok(())
}
