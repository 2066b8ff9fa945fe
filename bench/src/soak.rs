//! Whether a worker that lives long stays as it is: steady traffic for minutes, connections that
//! break, restores that are recorded, finished and deleted, old events that are deleted; memory, file
//! handles, threads, rows and queues looked at all the while.
//!
//! A day passes in a minute: events are dated back, and the worker's hourly look at them is made due
//! again. Restores and resources are the record itself, which nothing deletes: their rows must be
//! as many as were sent, and no more.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;
use tokio::time::MissedTickBehavior;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use super::backlog::{cast_restore, encode_call, encode_cast};
use super::broker::Broker;
use super::link::{Link, find_server};
use super::poison::poisoned;
use super::serve::{Serve, count_handles, read_status, stop};
use super::trend::{Quantity, Trend};

const RESOURCES: usize = 10;
const STATUSES: [&str; 3] = ["started", "restoring", "available"];
/// Seconds between two breaks of a connection; the broker's and the database's by turns.
const CUT_EVERY: u64 = 20;
/// Seconds between two looks.
const LOOK_EVERY: u64 = 10;
/// Seconds between two runs of [`DELETE`] and [`AGE`].
const AGE_EVERY: u64 = 15;

/// As Karbor deletes a restore.
const DELETE: &str = "UPDATE restores SET deleted = TRUE, deleted_at = (now() AT TIME ZONE 'UTC') \
     WHERE status = 'success' AND NOT deleted \
     AND created_at < (now() AT TIME ZONE 'UTC') - INTERVAL '30 s'";
const AGE: &str = "UPDATE restore_events SET occurred_at = occurred_at - INTERVAL '3 days' \
     WHERE occurred_at > (now() AT TIME ZONE 'UTC') - INTERVAL '1 day' \
     AND occurred_at < (now() AT TIME ZONE 'UTC') - INTERVAL '45 s'; \
     UPDATE restore_duties SET done_at = NULL WHERE duty = 'old_events'";

/// Rows that must not become more, by table.
const BOUNDED_TABLES: [&str; 4] =
    ["restore_events", "restore_early_updates", "restore_publishers", "restore_duties"];

/// A database server on the way through a link.
pub struct Soak<'a> {
    pub serve: Serve,
    pub links: [Link; 2],
    pub database: Client,
    pub minutes: u64,
    /// Restores recorded each second, each of [`RESOURCES`] resources.
    pub restores_per_second: usize,
    pub broker: &'a mut Broker,
}

/// Connects to the database for the soak's own statements.
pub async fn connect(database_url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(database_url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Links to the broker and the database, and the URLs that go through them.
pub async fn link(broker: &str, database: &str) -> anyhow::Result<([Link; 2], [String; 2])> {
    let links =
        [Link::open(find_server(broker)?).await?, Link::open(find_server(database)?).await?];
    let urls = [links[0].through(broker)?, links[1].through(database)?];
    Ok((links, urls))
}

impl Soak<'_> {
    /// Runs to the end; prints what it sees, and gives whether all stayed flat and nothing was lost.
    pub async fn run(mut self) -> anyhow::Result<bool> {
        let worker = self.serve.start(&[("RETENTION__EVENTS_DAYS", "1")])?;
        self.serve.watch(self.broker, &self.serve.topic, |depth| depth.consumers > 0).await?;
        let reply_q = format!("reply_{}", self.serve.topic);
        self.broker.declare_quorum_queue(&reply_q).await?;

        let mut trend = Trend::new(&Self::quantities());
        let mut restores: Vec<Uuid> = Vec::new();
        let (began, mut second) = (Instant::now(), 0);
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        // A machine that is busy with other work is behind, and sends less.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while began.elapsed() < Duration::from_secs(self.minutes * 60) {
            ticks.tick().await;
            second += 1;
            let bodies = self.write_second(&mut restores, second, &reply_q);
            self.broker.publish_all(&self.serve.topic, &bodies).await?;
            if second.is_multiple_of(CUT_EVERY) {
                self.links[usize::from(second.is_multiple_of(2 * CUT_EVERY))].cut();
            }
            if second.is_multiple_of(AGE_EVERY) {
                self.database.execute(DELETE, &[]).await?;
                self.database.batch_execute(AGE).await?;
            }
            if second.is_multiple_of(LOOK_EVERY) {
                trend.look(began.elapsed(), self.look(worker.pid).await?);
                self.empty_queues(&reply_q).await?;
            }
        }
        let applied = self.check(&restores).await;
        println!("{}", trend.spell());
        stop(worker).await?;
        self.broker.delete_queue(&reply_q).await?;
        self.serve.delete_queues(self.broker).await?;
        println!("{} restores, {} resources: all applied", applied?, restores.len() * RESOURCES);
        Ok(trend.is_flat())
    }

    fn quantities() -> Vec<Quantity> {
        let quantity = |name: &'static str, share, more| Quantity { name, share, more };
        // By how much the end may be above the beginning: a share, and a number more.
        let mut all = vec![
            quantity("memory, KiB", 0.10, 4096),
            quantity("file handles", 0.0, 3),
            quantity("threads", 0.0, 2),
        ];
        // What a look finds depends on how long ago the hourly deletion was.
        all.extend(BOUNDED_TABLES.map(|table| quantity(table, 0.25, 5)));
        all.extend(["requests", "dead letters", "notifications"].map(|q| quantity(q, 0.5, 200)));
        all
    }

    /// What is sent within a second: new restores, the next status of all resources of those of the
    /// last seconds, ends, an update that comes before its restore, a call, a bad message.
    fn write_second(&self, restores: &mut Vec<Uuid>, second: u64, reply_q: &str) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        let early = Uuid::new_v4();
        bodies.push(update(&early, 0, STATUSES[0]));
        for (step, status) in STATUSES.into_iter().enumerate() {
            for restore in of_second(restores, self.restores_per_second, step) {
                bodies.extend((0..RESOURCES).map(|n| update(restore, n, status)));
            }
        }
        for restore in of_second(restores, self.restores_per_second, STATUSES.len()) {
            bodies.push(finish(restore));
            let arguments = json!({"restore_id": restore.to_string()});
            bodies.push(encode_call("get_restore", &arguments, reply_q));
        }
        let new = (1..self.restores_per_second).map(|_| Uuid::new_v4()).chain([early]);
        restores.extend(new);
        let new = &restores[restores.len() - self.restores_per_second..];
        bodies.extend(new.iter().map(cast_restore));
        bodies.push(poisoned(usize::try_from(second).unwrap_or_default()));
        bodies
    }

    async fn look(&mut self, pid: u32) -> anyhow::Result<Vec<u64>> {
        let mut seen =
            vec![read_status(pid, "VmRSS")?, count_handles(pid)?, read_status(pid, "Threads")?];
        for table in BOUNDED_TABLES {
            seen.push(self.count(&format!("SELECT count(*) FROM {table}")).await?);
        }
        let queues =
            [self.serve.topic.clone(), self.serve.dead_letters(), self.serve.notifications("info")];
        for queue in queues {
            seen.push(self.broker.read_depth(&queue).await?.ready as u64);
        }
        Ok(seen)
    }

    /// As the consumers of notifications and answers, and an operator, would.
    async fn empty_queues(&mut self, reply_q: &str) -> anyhow::Result<()> {
        let priorities = ["info", "warn", "error"].map(|name| self.serve.notifications(name));
        for queue in priorities.iter().chain([&self.serve.dead_letters()]) {
            self.broker.take_all(queue).await?;
        }
        self.broker.take_all(reply_q).await?;
        Ok(())
    }

    /// Sends what is still to be said of the last restores, and waits until every restore is recorded and
    /// every resource available; gives how many restores.
    async fn check(&mut self, restores: &[Uuid]) -> anyhow::Result<usize> {
        let mut bodies = Vec::new();
        for restore in restores.iter().rev().take(self.restores_per_second * 5) {
            bodies.extend((0..RESOURCES).map(|n| update(restore, n, STATUSES[2])));
            bodies.push(finish(restore));
        }
        self.broker.publish_all(&self.serve.topic, &bodies).await?;
        let began = Instant::now();
        loop {
            let counts = [
                self.count("SELECT count(*) FROM restores").await?,
                self.count("SELECT count(*) FROM restore_states WHERE status = 'success'").await?,
                self.count("SELECT count(*) FROM restore_resources WHERE status = 'available'")
                    .await?,
                self.count("SELECT count(*) FROM restore_resources").await?,
            ];
            let (each, all) = (restores.len() as u64, (restores.len() * RESOURCES) as u64);
            if counts == [each, each, all, all] {
                return Ok(restores.len());
            }
            ensure!(
                began.elapsed() < Duration::from_secs(60),
                "of {each} restores and {all} resources there are {counts:?} \
                 (restores, successes, available, resources):\n{}",
                self.serve.read_log()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn count(&self, statement: &str) -> anyhow::Result<u64> {
        let count: i64 = self.database.query_one(statement, &[]).await?.get(0);
        Ok(u64::try_from(count)?)
    }
}

/// The restores that were recorded `ago` seconds before the last.
fn of_second(restores: &[Uuid], per_second: usize, ago: usize) -> &[Uuid] {
    let end = restores.len().saturating_sub(ago * per_second);
    &restores[end.saturating_sub(per_second)..end]
}

fn update(restore: &Uuid, number: usize, status: &str) -> Vec<u8> {
    encode_cast(
        "update_resource_status",
        &json!({"restore_id": restore.to_string(), "resource_type": "OS::Cinder::Volume",
                "resource_id": format!("volume-{number}"), "status": status,
                "source_id": format!("source-{number}")}),
    )
}

fn finish(restore: &Uuid) -> Vec<u8> {
    let arguments = json!({"restore_id": restore.to_string(), "status": "success"});
    encode_cast("update_restore_status", &arguments)
}
