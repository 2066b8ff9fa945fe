//! How long an ending worker waits for its database.
//!
//! A statement that a server never answers is waited for longer than an end may take, and so is
//! the next. Takes the call to end, gives another: the database is away, let go of what waits for
//! it. A database that only makes statements wait for locks answers, and is waited for.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::store::Store;

/// How long the database may be silent.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pause between two questions.
const EVERY: Duration = Duration::from_millis(500);

/// From `draining` on asks the database whether it is there; the returned token is cancelled once
/// it has not answered for 5 s.
pub(super) fn begin(store: Store, draining: CancellationToken) -> CancellationToken {
    let given_up = CancellationToken::new();
    let given_up_here = given_up.clone();
    tokio::spawn(async move {
        draining.cancelled().await;
        let mut answered_at = Instant::now();
        while answered_at.elapsed() < PATIENCE {
            if timeout_at(answered_at + PATIENCE, store.answers()).await == Ok(true) {
                answered_at = Instant::now();
            }
            sleep(EVERY).await;
        }
        given_up_here.cancel();
    });
    given_up
}

/// Waits for the last writes, unless the database is given up: then the next worker does them. Says
/// how it ended; so many messages were `given_back` before.
pub(super) async fn finish(
    given_up: &CancellationToken,
    given_back: usize,
    last_writes: impl Future<Output = ()>,
) {
    tokio::select! {
        biased;
        () = given_up.cancelled() => {
            warn!("ending without the database; what is not published others will publish");
        }
        () = last_writes => if given_back == 0 {
            info!("everything taken is finished");
        }
    }
    if given_back > 0 {
        warn!("ended; {given_back} messages were given back and are delivered again");
    }
}
