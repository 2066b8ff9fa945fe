//! The worker that is measured: the built binary as an operator starts and stops it, its queues,
//! and what the system says of its process.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::process::{Child, Command};

use super::broker::{Broker, Depth};

const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Nothing moved for so long: the worker is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// What a worker is started with.
pub struct Serve {
    pub binary: PathBuf,
    pub broker_url: String,
    pub database_url: String,
    /// Names the request queue of this run, and with a suffix its notification queues.
    pub topic: String,
    pub log: PathBuf,
}

/// A worker that was started; killed when dropped.
pub struct Worker {
    child: Child,
    pub pid: u32,
}

impl Serve {
    /// Starts it with further settings, `SECTION__KEY` each.
    pub fn start(&self, further: &[(&str, &str)]) -> anyhow::Result<Worker> {
        let log = std::fs::File::create(&self.log)?;
        let settings = [
            ("MESSAGING__TRANSPORT_URL", self.broker_url.as_str()),
            ("MESSAGING__TOPIC", &self.topic),
            ("MESSAGING__SERVER", "bench"),
            ("NOTIFICATIONS__TOPICS", &format!("{}-notifications", self.topic)),
            ("DATABASE__URL", &self.database_url),
            ("HTTP__LISTEN", "off"),
        ];
        let child = Command::new(&self.binary)
            .arg("serve")
            .envs(
                settings
                    .iter()
                    .chain(further)
                    .map(|(key, value)| (format!("KARBOR_RESTORE__{key}"), value)),
            )
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start `{}`", self.binary.display()))?;
        let pid = child.id().context("the worker ended by itself")?;
        Ok(Worker { child, pid })
    }

    /// The queue of notifications of this priority.
    pub fn notifications(&self, priority: &str) -> String {
        format!("{}-notifications.{priority}", self.topic)
    }

    /// The queue of what cannot be applied.
    pub fn dead_letters(&self) -> String {
        format!("{}.dead-letter", self.topic)
    }

    /// Waits until a queue stands as wanted, for as long as it changes.
    pub async fn watch(
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

    /// Deletes the queues that the worker declared.
    pub async fn delete_queues(&self, broker: &mut Broker) -> anyhow::Result<()> {
        let own = ["", ".bench", ".dead-letter"].map(|suffix| format!("{}{suffix}", self.topic));
        let notifications = ["info", "warn", "error"].map(|name| self.notifications(name));
        for queue in own.iter().chain(&notifications) {
            broker.delete_queue(queue).await?;
        }
        Ok(())
    }

    /// The end of its log.
    pub fn read_log(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// How long its log is, in bytes.
    pub fn log_bytes(&self) -> anyhow::Result<u64> {
        Ok(std::fs::metadata(&self.log)?.len())
    }
}

/// SIGTERM, as an operator stops it: everything that was taken is finished.
pub async fn stop(mut worker: Worker) -> anyhow::Result<()> {
    // Until it was waited for, the id is nobody else's.
    Command::new("kill").args(["-TERM", &worker.pid.to_string()]).status().await?;
    let status = tokio::time::timeout(STUCK, worker.child.wait()).await??;
    ensure!(status.success(), "the worker ended with {status}");
    Ok(())
}

/// A number of `/proc/PID/status`, for example `VmRSS` in KiB or `Threads`.
pub fn read_status(pid: u32, name: &str) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.with_context(|| format!("`/proc/PID/status` has no `{name}`"))?.parse()?)
}

/// How many file handles a process has open.
pub fn count_handles(pid: u32) -> anyhow::Result<u64> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64)
}
