//! One run: two restores are recorded and Karbor writes of them, traffic comes, workers die or meet
//! a fault of what they work with, some go on, and all is looked at once those have ended.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use tokio::time::interval;

use super::checker::{Heard, Verdict, check};
use super::report;
use super::snapshot::{PublisherRow, Snapshot, is_done, publishers};
use super::traffic::{Traffic, Unknown};
use crate::harness::{Inbox, Kind, PATIENCE, Received, Stage, Worker, WorkerBuilder, eventually};

/// SIGABRT: how a process ends at a crash point.
const ABORTED: i32 = 6;

/// The body of what is sent last.
const LAST: &[u8] = b"\"the last\"";

/// How long all may take on a busy machine before it is called broken.
const LONGEST: Duration = Duration::from_secs(90);

/// How often it is looked whether all is done.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A stage with traffic for it.
pub struct Scene {
    pub stage: Stage,
    pub traffic: Traffic,
    pub kills: usize,
    unknown: Unknown,
    reply_q: String,
    dead_ids: BTreeSet<String>,
    dead_hosts: BTreeSet<String>,
}

impl Scene {
    /// Nobody works yet; all queues are there.
    pub async fn new(kind: Kind, seed: u64, size: usize, unknown: Unknown) -> Self {
        Self::on(Stage::new(kind).await, seed, size, unknown).await
    }

    /// The same on a stage that was made for it, with servers of its own.
    pub async fn on(stage: Stage, seed: u64, size: usize, unknown: Unknown) -> Self {
        let first = settled(stage.worker("w0"), unknown).start().await;
        let recorded = [stage.record_restore().await, stage.record_restore().await];
        assert_eq!(first.terminate().await.code(), Some(0));

        let queue_type = if stage.has_quorum_queues() { "quorum" } else { "classic" };
        let reply_q = stage.broker.lasting_reply_queue(queue_type).await;
        stage.remove_at_end(&reply_q);
        let mut traffic = Traffic::new(seed, size, unknown, recorded.clone(), &reply_q);
        let key = "OS::Cinder::Volume#karbors-own";
        let karbors = [
            (&recorded[0], format!("resources_status = '{{\"{key}\": \"restoring\"}}'")),
            (&recorded[1], "status = 'fail'".to_owned()),
        ];
        for (id, what) in karbors {
            stage.database.execute(&format!("UPDATE restores SET {what} WHERE id = '{id}'")).await;
        }
        traffic.of_resource(&recorded[0], "karbors-own", (None, "restoring".to_owned(), None));
        traffic.of_restore(&recorded[1], (None, "fail".to_owned(), None));
        Self {
            stage,
            traffic,
            kills: 0,
            unknown,
            reply_q,
            dead_ids: BTreeSet::new(),
            dead_hosts: BTreeSet::new(),
        }
    }

    /// A worker's settings.
    pub fn worker(&self, name: &str) -> WorkerBuilder {
        settled(self.stage.worker(name), self.unknown)
    }

    /// Publishes part `part` of `of` of the traffic, and waits for its confirms.
    pub async fn publish(&self, part: usize, of: usize) {
        let size = self.traffic.bodies.len().div_ceil(of);
        if let Some(bodies) = self.traffic.bodies.chunks(size).nth(part) {
            self.publish_all(bodies).await;
        }
    }

    /// Publishes messages and waits for their confirms, over as many connections as it takes.
    pub async fn publish_all(&self, bodies: &[Vec<u8>]) {
        let (exchange, topic) = (&self.stage.exchange, &self.stage.topic);
        self.stage.broker.publish_until_taken(exchange, topic, bodies).await;
    }

    /// Starts a worker that is to end by itself at `point`, publishes a part meanwhile, and waits
    /// for its end. No other worker may live.
    pub async fn die_at(&mut self, name: &str, point: &str, part: usize, of: usize) {
        let builder = self.worker(name).set_variable("KARBOR_RESTORE_CRASH_AT", point);
        let mut worker = builder.spawn();
        let ((), status) = tokio::join!(self.publish(part, of), worker.ended());
        assert_eq!(status.signal(), Some(ABORTED), "{point}: {status}; its log:\n{}", worker.log());
        self.kills += 1;
        let all = publishers(&self.stage.database).await;
        self.dead_ids.extend(all.into_iter().filter(|row| !row.closed).map(|row| row.id));
        if self.unknown == Unknown::Orphans {
            // What a worker gives up on is its own for a minute: as if that had passed.
            let sql = "UPDATE restore_early_updates SET received_at = '2000-01-01 00:00:00.000'";
            self.stage.database.execute(sql).await;
        }
    }

    /// `kill -9`. No other worker may ever have its name.
    pub fn kill(&mut self, name: &str, worker: Worker) {
        worker.kill();
        self.kills += 1;
        self.dead_hosts.insert(name.to_owned());
    }

    /// Waits until those that go on have done all, ends them, and looks at everything. Gives what
    /// is not right.
    pub async fn end(self, fault: &str, going_on: Vec<Worker>, since: Instant) -> Vec<String> {
        self.end_and_mend(fault, going_on, since, std::future::ready(())).await
    }

    /// The same where something is to be mended when all is done, and before it is looked at.
    pub async fn end_and_mend(
        self,
        fault: &str,
        going_on: Vec<Worker>,
        since: Instant,
        mend: impl Future<Output = ()>,
    ) -> Vec<String> {
        let done = self.until_done().await;
        let recovery = since.elapsed();
        let logs: Vec<_> = going_on.iter().map(Worker::log).collect();
        self.until_only_theirs_are_open(going_on.len()).await;
        for worker in going_on {
            assert_eq!(worker.terminate().await.code(), Some(0));
        }
        mend.await;
        let mut verdict = self.look().await;
        if !done {
            verdict.findings.push(format!("not done within {LONGEST:?}"));
        }
        if !verdict.findings.is_empty() {
            verdict.findings.extend(logs);
        }
        verdict.counts.kills = self.kills;
        verdict.counts.recovery_s = recovery.as_secs_f64();
        let kind = self.stage.database.kind();
        report::add(fault, kind, &verdict.counts);
        let told = |finding| format!("{fault} on {kind:?}: {finding}");
        verdict.findings.into_iter().map(told).collect()
    }

    /// `false` when it takes longer than a broken system would.
    async fn until_done(&self) -> bool {
        let ends = self.traffic.truth.ends();
        let dead = |row: &PublisherRow| {
            self.dead_ids.contains(&row.id) || self.dead_hosts.contains(&row.host)
        };
        let started = Instant::now();
        let mut looks = interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            // The queue first: while it is full the database is spared.
            let empty = self.stage.broker.depth(&self.stage.topic).await;
            if empty.is_some_and(|(messages, _)| messages == 0)
                && is_done(&self.stage.database, &ends, dead).await
            {
                return true;
            }
            if started.elapsed() > LONGEST {
                return false;
            }
        }
    }

    /// Waits until no more publishers are open than those of so many workers: intake's and the
    /// keeper's of each. One that could not be closed in an outage may yet be.
    async fn until_only_theirs_are_open(&self, workers: usize) {
        eventually("nobody's publishers are closed", || async {
            let all = publishers(&self.stage.database).await;
            let open: Vec<_> = all.into_iter().filter(|row| !row.closed).collect();
            if open.len() <= 2 * workers { Ok(()) } else { Err(format!("{open:?}")) }
        })
        .await;
    }

    /// No worker lives: what one had not acknowledged is back in its queue.
    async fn look(&self) -> Verdict {
        let snapshot = Snapshot::take(&self.stage.database).await;
        let queues = self.stage.notification_queues();
        let heard = Heard {
            notifications: self.to_the_last(&queues).await,
            letters: self.to_the_last(&[self.stage.dead_letter_queue()]).await,
            replies: self.to_the_last(std::slice::from_ref(&self.reply_q)).await,
        };
        let mut verdict = check(&self.traffic.truth, &snapshot, &heard);
        for queue in self.stage.request_queues() {
            if let Some(left) = self.left_in(&queue).await {
                verdict.wrong(&format!("queue `{queue}` holds {left:?}"));
            }
        }
        verdict
    }

    /// What a queue holds in the end, and its consumers. A node that comes back finds out after a
    /// moment that those that it had are gone.
    async fn left_in(&self, queue: &str) -> Option<(u32, u32)> {
        let started = Instant::now();
        let mut looks = interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            match self.stage.broker.depth(queue).await {
                // A worker that died before its queue was declared left none.
                Some((0, 0)) | None => return None,
                left if started.elapsed() > PATIENCE => return left,
                Some(_) => {}
            }
        }
    }

    /// All that waits in queues. A consumer is there only now: what a broker hands over while it
    /// dies is lost to one that does not acknowledge.
    async fn to_the_last(&self, queues: &[String]) -> Vec<Received> {
        let broker = &self.stage.broker;
        for queue in queues {
            broker.publish_until_taken("", queue, &[LAST.to_vec()]).await;
        }
        let names: Vec<_> = queues.iter().map(String::as_str).collect();
        let mut inbox = Inbox::open(broker, &names).await;
        let is_last = |one: &&Received| one.body == LAST;
        let all = inbox
            .until("the last of each queue", |all| {
                let ended = all.iter().filter(is_last).map(|one| &one.queue);
                ended.collect::<BTreeSet<_>>().len() == queues.len()
            })
            .await;
        all.iter().filter(|one| !is_last(one)).cloned().collect()
    }
}

/// Small batches, so that there are many; the shortest lease.
fn settled(worker: WorkerBuilder, unknown: Unknown) -> WorkerBuilder {
    let worker = worker.set("BATCH__MAX_ITEMS", "20").set("PUBLISHER__LEASE_S", "5");
    match unknown {
        Unknown::Early => worker,
        Unknown::Orphans => worker.set("EARLY_UPDATES__MAX_AGE_S", "2"),
    }
}
