//! How fast the worker drains a backlog, beside what this machine can do at all. Takes servers and
//! the built worker, gives a table a database; `bench/run` starts both. Three phases a round:
//!
//! ```text
//! worker:  queue of N casts ─▶ serve ─▶ database, notifications    (from the first cast taken)
//! relay:   queue of N casts ─▶ plain lapin ─▶ N bodies of a notification's size
//! batches:        N updates ─▶ Store::commit_batch, 500 at a time
//! ```
//!
//! Broker, database and worker share the cores, so the limit is 1 / (1 / relay + 1 / batches).
//! Exits with 1 when a message was lost, left unpublished or published twice.

#![allow(clippy::print_stdout, reason = "the table is what it is run for")]

mod backlog;
mod batches;
mod broker;
mod cpu;
mod database;
mod drain;
mod relay;
mod report;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use karbor_restore_worker::store::{Store, StoreOptions};

use backlog::Backlog;
use broker::Broker;
use cpu::Processes;
use database::{Database, Kind};
use drain::{Drain, Drained};
use report::Round;

/// Measures the worker, a bare relay and the bare batches in turn.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds; an odd number has a median of its own.
    #[arg(long, default_value = "3")]
    rounds: NonZeroUsize,
    /// Updates in the backlog, a multiple of 300.
    #[arg(long, default_value_t = 30_000)]
    updates: usize,
    /// Only this database.
    #[arg(long)]
    database: Option<Kind>,
    /// The worker's binary.
    #[arg(long)]
    worker: PathBuf,
    /// The file that the worker logs to; overwritten at each start.
    #[arg(long, default_value = "/dev/null")]
    worker_log: PathBuf,
    /// The servers' processes, for their CPU time.
    #[arg(long)]
    rabbitmq_pid: Option<u32>,
    #[arg(long)]
    postgresql_pid: Option<u32>,
    #[arg(long)]
    mariadb_pid: Option<u32>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let kinds = arguments.database.map_or(vec![Kind::Postgresql, Kind::Mysql], |kind| vec![kind]);
    let mut hold = true;
    for kind in kinds {
        let server = read_url(match kind {
            Kind::Postgresql => "TEST_POSTGRESQL_URL",
            Kind::Mysql => "TEST_MYSQL_URL",
        })?;
        let database = Database::create(kind, &server).await?;
        let rounds = measure(&arguments, kind, &database.url).await;
        database.drop().await?;
        let rounds = rounds?;
        let title = format!("{kind:?}, {} updates", arguments.updates);
        println!("{}", report::spell_table(&title, &rounds));
        hold &= rounds.iter().all(Round::holds);
    }
    Ok(if hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A server's URL, from the environment alone: it may hold a password.
fn read_url(variable: &str) -> anyhow::Result<String> {
    std::env::var(variable).with_context(|| format!("`{variable}` is not set: see bench/run"))
}

async fn measure(
    arguments: &Arguments,
    kind: Kind,
    database_url: &str,
) -> anyhow::Result<Vec<Round>> {
    let url = read_url("TEST_RABBITMQ_URL")?;
    let mut broker = Broker::connect(&url, "restore-bench").await?;
    let database_pid = match kind {
        Kind::Postgresql => arguments.postgresql_pid,
        Kind::Mysql => arguments.mariadb_pid,
    };
    let processes = Processes([Some(std::process::id()), arguments.rabbitmq_pid, database_pid]);
    let store = Store::new(StoreOptions::new(database_url))?;
    store.migrate().await?;
    let drain = Drain {
        binary: arguments.worker.clone(),
        broker_url: url.clone(),
        database_url: database_url.to_owned(),
        topic: format!("restore-bench-{}", std::process::id()),
        log: arguments.worker_log.clone(),
    };
    let mut rounds = Vec::new();
    for number in 1..=arguments.rounds.get() {
        let backlog = Backlog::new(arguments.updates)?;
        let drained = drain.run(&mut broker, processes, &backlog).await?;
        let Drained { measure: worker, mut checks, notification_bytes } = drained;
        checks.lost = batches::count_lost(&store, &backlog).await?;
        // Restores that nobody has recorded yet.
        let backlog = Backlog::new(arguments.updates)?;
        let casts = &backlog.update_casts;
        let relay = relay::relay(&mut broker, &url, processes, casts, notification_bytes).await?;
        let batches = batches::commit_all(&store, processes, &backlog).await?;
        let cast_bytes = casts[0].len();
        println!(
            "round {number}: casts of {cast_bytes} bytes, notifications of {notification_bytes}"
        );
        rounds.push(Round { worker, relay, batches, checks });
    }
    drain.delete_queues(&mut broker).await?;
    Ok(rounds)
}
