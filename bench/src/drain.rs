//! The measurement itself: the built worker drains a backlog that was confirmed before it began
//! to consume. Nobody consumes the notifications meanwhile; they are held against the updates
//! afterwards, one by one.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::backlog::{Backlog, RESTORES, spell_transition};
use super::broker::{Broker, Depth};
use super::cpu::Processes;
use super::report::{Checks, Measure};

const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Nothing moved for so long: the worker is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// What a worker is started with.
pub struct Drain {
    pub binary: PathBuf,
    pub broker_url: String,
    pub database_url: String,
    /// Names the request queue of this run, and with a suffix its notification queues.
    pub topic: String,
    pub log: PathBuf,
}

/// What a drained backlog shows.
pub struct Drained {
    pub measure: Measure,
    /// `lost` is not known yet.
    pub checks: Checks,
    /// The mean size of a notification.
    pub notification_bytes: usize,
}

impl Drain {
    /// Records the restores, lays down their updates while no worker runs, then lets one drain
    /// them: from the first cast it takes to the last one published, with the queue empty.
    pub async fn run(
        &self,
        broker: &mut Broker,
        processes: Processes,
        backlog: &Backlog,
    ) -> anyhow::Result<Drained> {
        let (requests, all) = (&self.topic, backlog.update_casts.len());
        let notifications = format!("{requests}-notifications.info");
        let worker = self.start()?;
        self.watch(broker, requests, |depth| depth.consumers > 0).await?;
        broker.publish_all(requests, &backlog.restore_casts).await?;
        self.watch(broker, &notifications, |depth| depth.ready >= RESTORES).await?;
        stop(worker).await?;
        broker.take_all(&notifications).await?;
        broker.publish_all(requests, &backlog.update_casts).await?;

        let worker = self.start()?;
        let processes = processes.driven_by(worker.id());
        self.watch(broker, requests, |depth| depth.ready < all).await?;
        let (before, began) = (processes.read(), Instant::now());
        self.watch(broker, &notifications, |depth| depth.ready >= all).await?;
        self.watch(broker, requests, |depth| depth.ready == 0).await?;
        let measure = Measure::since(all, began, processes.read() - before);
        stop(worker).await?;

        // What was taken and not acknowledged is back in its queue now.
        let unacknowledged = broker.read_depth(requests).await?.ready;
        let bodies = broker.take_all(&notifications).await?;
        let notification_bytes = bodies.iter().map(Vec::len).sum::<usize>() / bodies.len();
        let published =
            bodies.iter().map(|b| read_transition(b)).collect::<Result<HashSet<_>, _>>()?;
        let checks = Checks {
            lost: 0,
            unpublished: backlog.transitions.difference(&published).count(),
            published_twice: bodies.len() - published.len(),
            unacknowledged,
        };
        Ok(Drained { measure, checks, notification_bytes })
    }

    /// Deletes the queues that the worker declared.
    pub async fn delete_queues(&self, broker: &mut Broker) -> anyhow::Result<()> {
        let suffixes = ["", ".bench", ".dead-letter"];
        let priorities = ["info", "warn", "error"].map(|name| format!("-notifications.{name}"));
        for suffix in suffixes.into_iter().chain(priorities.iter().map(String::as_str)) {
            broker.delete_queue(&format!("{}{suffix}", self.topic)).await?;
        }
        Ok(())
    }

    fn start(&self) -> anyhow::Result<Child> {
        let log = std::fs::File::create(&self.log)?;
        let settings = [
            ("MESSAGING__TRANSPORT_URL", self.broker_url.clone()),
            ("MESSAGING__TOPIC", self.topic.clone()),
            ("MESSAGING__SERVER", "bench".to_owned()),
            ("NOTIFICATIONS__TOPICS", format!("{}-notifications", self.topic)),
            ("DATABASE__URL", self.database_url.clone()),
            ("HTTP__LISTEN", "off".to_owned()),
        ];
        Command::new(&self.binary)
            .arg("serve")
            .envs(settings.map(|(key, value)| (format!("KARBOR_RESTORE__{key}"), value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start `{}`", self.binary.display()))
    }

    /// Waits until a queue stands as wanted, for as long as it changes.
    async fn watch(
        &self,
        broker: &mut Broker,
        queue: &str,
        is_wanted: impl Fn(Depth) -> bool,
    ) -> anyhow::Result<()> {
        let (mut last, mut changed) = (Depth::default(), Instant::now());
        loop {
            let depth = broker.read_depth(queue).await?;
            if is_wanted(depth) {
                return Ok(());
            }
            if depth != last {
                (last, changed) = (depth, Instant::now());
            }
            ensure!(
                changed.elapsed() < STUCK,
                "`{queue}` stays at {depth:?}:\n{}",
                self.read_log()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn read_log(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// SIGTERM, as an operator stops it: everything that was taken is finished.
async fn stop(mut worker: Child) -> anyhow::Result<()> {
    let pid = worker.id().context("the worker ended by itself")?.to_string();
    Command::new("kill").args(["-TERM", &pid]).status().await?;
    let status = tokio::time::timeout(STUCK, worker.wait()).await??;
    ensure!(status.success(), "the worker ended with {status}");
    Ok(())
}

/// Which transition a notification tells.
fn read_transition(body: &[u8]) -> anyhow::Result<String> {
    let envelope: Value = serde_json::from_slice(body)?;
    let message = envelope["oslo.message"].as_str().context("a notification without envelope")?;
    let message: Value = serde_json::from_str(message)?;
    let read = |key: &str| message["payload"][key].as_str().unwrap_or_default();
    Ok(spell_transition(read("restore_id"), read("resource_id"), read("status")))
}
