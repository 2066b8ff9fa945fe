//! Waiting for a condition, with a bound that only a broken system reaches.
//!
//! Takes a probe that says what it saw, gives its value once it holds. Never a fixed pause.

use std::time::Duration;

use tokio::time::{Instant, interval};

/// How long anything may take on a busy machine before a test calls it broken.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// The same of a server's start, of which several may be on their way.
pub const PATIENCE_WITH_SERVERS: Duration = Duration::from_secs(120);

/// Asks `probe` until it is `Ok` and gives its value; fails with `what` and the last thing seen.
pub async fn eventually<T, F>(what: &str, probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    eventually_within(PATIENCE, what, probe).await
}

/// The same with another patience.
pub async fn eventually_within<T, F>(
    patience: Duration,
    what: &str,
    mut probe: impl FnMut() -> F,
) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let started = Instant::now();
    let mut ticks = interval(Duration::from_millis(20));
    loop {
        ticks.tick().await;
        match probe().await {
            Ok(value) => return value,
            Err(seen) if started.elapsed() > patience => {
                panic!("not within {patience:?}: {what}; last seen: {seen}")
            }
            Err(_) => {}
        }
    }
}
