//! A fault of what workers work with, while they live and traffic flows: what comes before it, during
//! it and after it must all be done, and the recovery is counted from its end.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::scene::Scene;

impl Scene {
    /// Publishes a quarter of the traffic, then half of it steadily while `fault` goes on, which lasts
    /// for about `lasting`, and the rest at once when it is over. Gives the moment in which it was.
    pub async fn through(&self, lasting: Duration, fault: impl Future<Output = ()>) -> Instant {
        let quarter = self.traffic.bodies.len() / 4;
        let (before, others) = self.traffic.bodies.split_at(quarter);
        let (during, after) = others.split_at(2 * quarter);
        self.publish_all(before).await;
        let over = CancellationToken::new();
        let ended = async {
            fault.await;
            over.cancel();
            Instant::now()
        };
        let ((), ended) = tokio::join!(self.flow(during, lasting, &over), ended);
        self.publish_all(after).await;
        ended
    }

    async fn flow(&self, bodies: &[Vec<u8>], lasting: Duration, over: &CancellationToken) {
        let messages = u32::try_from(bodies.len()).expect("it is small");
        let mut ticks = interval((lasting / messages.max(1)).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for (index, body) in bodies.iter().enumerate() {
            tokio::select! {
                _ = ticks.tick() => self.publish_all(std::slice::from_ref(body)).await,
                () = over.cancelled() => return self.publish_all(&bodies[index..]).await,
            }
        }
    }
}
