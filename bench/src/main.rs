//! What the worker does under load, with servers and the built worker that `bench/run` starts:
//! how fast it drains a backlog, beside what this machine can do at all (`drain`); whether bad
//! messages hold up good ones (`poison`); whether it stays as it is for long (`soak`).
//!
//! `drain` gives a table a database. Three phases a round:
//!
//! ```text
//! worker:  queue of N casts ─▶ serve ─▶ database, notifications    (from the first cast taken)
//! relay:   queue of N casts ─▶ plain lapin ─▶ N bodies of a notification's size
//! batches:        N updates ─▶ Store::commit_batch, 500 at a time
//! ```
//!
//! Broker, database and worker share the cores, so the limit is 1 / (1 / relay + 1 / batches).
//! Exits with 1 when a message was lost, left unpublished or published twice; when the flood slowed
//! the good ones by more than half, or its memory or log went over their bounds; when anything grew.

#![allow(clippy::print_stdout, reason = "the table is what it is run for")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares of small counts"
)]

mod backlog;
mod batches;
mod broker;
mod cpu;
mod database;
mod drain;
mod link;
mod poison;
mod relay;
mod report;
mod serve;
mod soak;
mod trend;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use karbor_restore_worker::store::{Store, StoreOptions};

use backlog::Backlog;
use broker::Broker;
use cpu::Processes;
use database::{Database, Kind};
use drain::Drained;
use report::Round;
use serve::Serve;
use soak::Soak;

/// Measures the built worker.
#[derive(Debug, Parser)]
struct Arguments {
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
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Measures the worker, a bare relay and the bare batches in turn.
    Drain(DrainArguments),
    /// Drains good casts alone, then the same number among bad messages, on PostgreSQL.
    Poison {
        /// Good casts, a multiple of 300.
        #[arg(long, default_value_t = 99_900)]
        good: usize,
        /// Bad messages between them.
        #[arg(long, default_value_t = 100_000)]
        poison: usize,
    },
    /// Keeps steady traffic with faults, and looks whether anything grows, on PostgreSQL.
    Soak {
        /// How long.
        #[arg(long, default_value_t = 12)]
        minutes: u64,
        /// Restores that are recorded each second; each brings 32 messages.
        #[arg(long, default_value_t = 4)]
        restores_per_second: usize,
    },
}

#[derive(Debug, Args)]
struct DrainArguments {
    /// Rounds; an odd number has a median of its own.
    #[arg(long, default_value = "3")]
    rounds: NonZeroUsize,
    /// Updates in the backlog, a multiple of 300.
    #[arg(long, default_value_t = 30_000)]
    updates: usize,
    /// Only this database.
    #[arg(long)]
    database: Option<Kind>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let holds = match &arguments.what {
        What::Drain(drain) => measure_drains(&arguments, drain).await?,
        What::Poison { good, poison } => {
            let database = create_database(Kind::Postgresql).await?;
            let holds = measure_poison(&arguments, &database.url, *good, *poison).await;
            database.drop().await?;
            holds?
        }
        What::Soak { minutes, restores_per_second } => {
            let database = create_database(Kind::Postgresql).await?;
            let holds = soak(&arguments, &database.url, *minutes, *restores_per_second).await;
            database.drop().await?;
            holds?
        }
    };
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A server's URL, from the environment alone: it may hold a password.
fn read_url(variable: &str) -> anyhow::Result<String> {
    std::env::var(variable).with_context(|| format!("`{variable}` is not set: see bench/run"))
}

/// The broker, and its URL for the worker.
async fn connect_broker() -> anyhow::Result<(Broker, String)> {
    let url = read_url("TEST_RABBITMQ_URL")?;
    Ok((Broker::connect(&url, "restore-bench").await?, url))
}

async fn create_database(kind: Kind) -> anyhow::Result<Database> {
    let server = read_url(match kind {
        Kind::Postgresql => "TEST_POSTGRESQL_URL",
        Kind::Mysql => "TEST_MYSQL_URL",
    })?;
    Database::create(kind, &server).await
}

fn serve(arguments: &Arguments, broker_url: &str, database_url: &str) -> Serve {
    Serve {
        binary: arguments.worker.clone(),
        broker_url: broker_url.to_owned(),
        database_url: database_url.to_owned(),
        topic: format!("restore-bench-{}", std::process::id()),
        log: arguments.worker_log.clone(),
    }
}

async fn measure_drains(arguments: &Arguments, drain: &DrainArguments) -> anyhow::Result<bool> {
    let kinds = drain.database.map_or(vec![Kind::Postgresql, Kind::Mysql], |kind| vec![kind]);
    let mut hold = true;
    for kind in kinds {
        let database = create_database(kind).await?;
        let rounds = measure(arguments, drain, kind, &database.url).await;
        database.drop().await?;
        let rounds = rounds?;
        let title = format!("{kind:?}, {} updates", drain.updates);
        println!("{}", report::spell_table(&title, &rounds));
        hold &= rounds.iter().all(Round::holds);
    }
    Ok(hold)
}

async fn measure(
    arguments: &Arguments,
    drain: &DrainArguments,
    kind: Kind,
    database_url: &str,
) -> anyhow::Result<Vec<Round>> {
    let (mut broker, url) = connect_broker().await?;
    let database_pid = match kind {
        Kind::Postgresql => arguments.postgresql_pid,
        Kind::Mysql => arguments.mariadb_pid,
    };
    let processes = Processes([Some(std::process::id()), arguments.rabbitmq_pid, database_pid]);
    let store = Store::new(StoreOptions::new(database_url))?;
    store.migrate().await?;
    let serve = serve(arguments, &url, database_url);
    let mut rounds = Vec::new();
    for number in 1..=drain.rounds.get() {
        let backlog = Backlog::new(drain.updates)?;
        let drained = drain::run(&serve, &mut broker, processes, &backlog).await?;
        let Drained { measure: worker, mut checks, notification_bytes } = drained;
        checks.lost = batches::count_lost(&store, &backlog).await?;
        // Restores that nobody has recorded yet.
        let backlog = Backlog::new(drain.updates)?;
        let casts = &backlog.update_casts;
        let relay = relay::relay(&mut broker, &url, processes, casts, notification_bytes).await?;
        let batches = batches::commit_all(&store, processes, &backlog).await?;
        let cast_bytes = casts[0].len();
        println!(
            "round {number}: casts of {cast_bytes} bytes, notifications of {notification_bytes}"
        );
        rounds.push(Round { worker, relay, batches, checks });
    }
    serve.delete_queues(&mut broker).await?;
    Ok(rounds)
}

async fn measure_poison(
    arguments: &Arguments,
    database_url: &str,
    good: usize,
    poison: usize,
) -> anyhow::Result<bool> {
    let (mut broker, url) = connect_broker().await?;
    let serve = serve(arguments, &url, database_url);
    let alone = poison::drain(&serve, &mut broker, &Backlog::new(good)?, 0).await?;
    let beside = poison::drain(&serve, &mut broker, &Backlog::new(good)?, poison).await?;
    println!("{}", poison::spell(&alone, &beside));
    Ok(poison::holds(&alone, &beside, poison))
}

async fn soak(
    arguments: &Arguments,
    database_url: &str,
    minutes: u64,
    restores_per_second: usize,
) -> anyhow::Result<bool> {
    let (mut broker, url) = connect_broker().await?;
    let (links, [broker_link, database_link]) = soak::link(&url, database_url).await?;
    let soak = Soak {
        serve: serve(arguments, &broker_link, &database_link),
        links,
        database: soak::connect(database_url).await?,
        minutes,
        restores_per_second,
        broker: &mut broker,
    };
    soak.run().await
}
