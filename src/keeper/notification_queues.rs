//! Watches the notification queues: nobody else bounds one that has no consumer.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::http::Metrics;
use crate::transport::Transport;

/// How often their depth is read.
const EVERY: Duration = Duration::from_secs(15);

pub(super) async fn run(
    transport: Arc<dyn Transport>,
    queues: Vec<String>,
    metrics: Metrics,
    ending: CancellationToken,
) {
    let mut warned = false;
    while !ending.is_cancelled() {
        let mut seen = false;
        for queue in &queues {
            match transport.inspect(queue).await {
                Ok(Some(depth)) => {
                    seen = true;
                    metrics.show_notification_queue(queue, depth.messages, depth.consumers);
                    if depth.consumers == 0 && !warned {
                        warn!(
                            queue,
                            messages = depth.messages,
                            "this notification queue has no consumer, and nothing bounds it: consume it, \
                             or set `notifications.driver` to `noop`"
                        );
                    }
                }
                Ok(None) => {}
                Err(error) => debug!(%error, queue, "cannot look at a notification queue"),
            }
        }
        warned |= seen;
        let pause = if seen || queues.is_empty() { EVERY } else { Duration::from_secs(1) };
        ending.run_until_cancelled(sleep(pause)).await;
    }
}
