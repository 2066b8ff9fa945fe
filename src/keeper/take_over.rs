//! Looks for publishers that ended with events beyond their position, and publishes those.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::standing::Standing;
use crate::bell::Bell;
use crate::outbox::TakeOver;

/// How often leases are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// How often publishers that are done are forgotten: a row that stays harms nobody.
const FORGET_EVERY: Duration = Duration::from_secs(60);

pub(super) async fn run(
    take_over: TakeOver,
    standing: Standing,
    left_behind: Bell,
    lease: Duration,
    ending: CancellationToken,
) {
    // After an outage of the database every lease looks run out: their owners get one lease's time
    // to renew before anybody closes them. What closed ones left is nobody's, and waits for no lease.
    let mut close_at = Instant::now();
    let mut forget_at = Instant::now();
    while !ending.is_cancelled() {
        // A take-over may wait for the broker. The worker's end does not wait for it: what is
        // beyond the position stays there for the next. A task of its own, so that no
        // transaction is dropped half way.
        let duty = take_over.clone();
        let close = Instant::now() >= close_at;
        let forget = Instant::now() >= forget_at;
        if forget {
            forget_at = Instant::now() + FORGET_EVERY;
        }
        let task = tokio::spawn(async move {
            if close {
                duty.close_expired().await?;
            }
            duty.publish_left().await?;
            if forget { duty.forget().await } else { Ok(()) }
        });
        // One that panicked is tried again.
        let turn = standing.turn("taking over", async { task.await.unwrap_or(Ok(())) });
        tokio::select! {
            () = ending.cancelled() => return,
            done = turn => if done.is_none() {
                close_at = Instant::now() + lease;
            },
        }
        ending.run_until_cancelled(left_behind.wait(EVERY)).await;
    }
}
