//! What the broker and this machine can do at all: takes each message of a quorum queue, publishes
//! one of a notification's size with a confirm, acknowledges. The worker's windows, cumulative
//! acknowledgements, consuming and publishing on connections of their own; nothing is decoded.

use std::time::Instant;

use anyhow::{Context, ensure};
use futures_util::StreamExt;

use super::broker::{Broker, ack_through, consume};
use super::cpu::Processes;
use super::report::Measure;

const FROM: &str = "restore-bench.relay-in";
const TO: &str = "restore-bench.relay-out";

/// Lays `bodies` down in one queue, then relays them all.
pub async fn relay(
    broker: &mut Broker,
    url: &str,
    processes: Processes,
    bodies: &[Vec<u8>],
    notification_bytes: usize,
) -> anyhow::Result<Measure> {
    for queue in [FROM, TO] {
        broker.delete_queue(queue).await?;
        broker.declare_quorum_queue(queue).await?;
    }
    broker.publish_all(FROM, bodies).await?;
    let consuming = Broker::connect(url, "restore-bench relay in").await?.open_channel().await?;
    let mut window = Broker::connect(url, "restore-bench relay out").await?.open_window().await?;
    let notification = vec![b'x'; notification_bytes];

    let (before, began) = (processes.read(), Instant::now());
    let mut deliveries = consume(&consuming, FROM).await?;
    for _ in bodies {
        let delivery = deliveries.next().await.context("the broker ended the consumer")??;
        let confirmed = window.publish(TO, &notification, delivery.delivery_tag).await?;
        if let Some(tag) = confirmed {
            ack_through(&consuming, tag).await?;
        }
    }
    if let Some(tag) = window.finish().await? {
        ack_through(&consuming, tag).await?;
    }
    let measure = Measure::since(bodies.len(), began, processes.read() - before);

    consuming.close(200, "done".into()).await?;
    let (left, relayed) =
        (broker.read_depth(FROM).await?.ready, broker.read_depth(TO).await?.ready);
    ensure!(left == 0 && relayed == bodies.len(), "{relayed} were relayed, {left} were left");
    for queue in [FROM, TO] {
        broker.delete_queue(queue).await?;
    }
    Ok(measure)
}
