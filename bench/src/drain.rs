//! The measurement itself: the built worker drains a backlog that was confirmed before it began
//! to consume. Nobody consumes the notifications meanwhile; they are held against the updates
//! afterwards, one by one.

use std::collections::HashSet;
use std::time::Instant;

use anyhow::Context;
use serde_json::Value;

use super::backlog::{Backlog, RESTORES, spell_transition};
use super::broker::Broker;
use super::cpu::Processes;
use super::report::{Checks, Measure};
use super::serve::{Serve, stop};

/// What a drained backlog shows.
pub struct Drained {
    pub measure: Measure,
    /// `lost` is not known yet.
    pub checks: Checks,
    /// The mean size of a notification.
    pub notification_bytes: usize,
}

/// Records the restores, lays down their updates while no worker runs, then lets one drain
/// them: from the first cast it takes to the last one published, with the queue empty.
pub async fn run(
    serve: &Serve,
    broker: &mut Broker,
    processes: Processes,
    backlog: &Backlog,
) -> anyhow::Result<Drained> {
    let (requests, all) = (&serve.topic, backlog.update_casts.len());
    let notifications = serve.notifications("info");
    record_restores(serve, broker, backlog).await?;
    broker.publish_all(requests, &backlog.update_casts).await?;

    let worker = serve.start(&[])?;
    let processes = processes.driven_by(worker.pid);
    serve.watch(broker, requests, |depth| depth.ready < all).await?;
    let (before, began) = (processes.read(), Instant::now());
    serve.watch(broker, &notifications, |depth| depth.ready >= all).await?;
    serve.watch(broker, requests, |depth| depth.ready == 0).await?;
    let measure = Measure::since(all, began, processes.read() - before);
    stop(worker).await?;

    // What was taken and not acknowledged is back in its queue now.
    let unacknowledged = broker.read_depth(requests).await?.ready;
    let bodies = broker.take_all(&notifications).await?;
    let notification_bytes = bodies.iter().map(Vec::len).sum::<usize>() / bodies.len();
    let published = bodies.iter().map(|b| read_transition(b)).collect::<Result<HashSet<_>, _>>()?;
    let checks = Checks {
        lost: 0,
        unpublished: backlog.transitions.difference(&published).count(),
        published_twice: bodies.len() - published.len(),
        unacknowledged,
    };
    Ok(Drained { measure, checks, notification_bytes })
}

/// Lets a worker record the restores of a backlog, and takes their notifications away.
pub async fn record_restores(
    serve: &Serve,
    broker: &mut Broker,
    backlog: &Backlog,
) -> anyhow::Result<()> {
    let notifications = serve.notifications("info");
    let worker = serve.start(&[])?;
    serve.watch(broker, &serve.topic, |depth| depth.consumers > 0).await?;
    broker.publish_all(&serve.topic, &backlog.restore_casts).await?;
    serve.watch(broker, &notifications, |depth| depth.ready >= RESTORES).await?;
    stop(worker).await?;
    broker.take_all(&notifications).await?;
    Ok(())
}

/// Which transition a notification tells.
pub fn read_transition(body: &[u8]) -> anyhow::Result<String> {
    let envelope: Value = serde_json::from_slice(body)?;
    let message = envelope["oslo.message"].as_str().context("a notification without envelope")?;
    let message: Value = serde_json::from_str(message)?;
    let read = |key: &str| message["payload"][key].as_str().unwrap_or_default();
    Ok(spell_transition(read("restore_id"), read("resource_id"), read("status")))
}
