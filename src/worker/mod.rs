//! The worker as a whole: owns the order of start and stop, and is the only place that wires the
//! rooms together.
//!
//! ```text
//! start: http ─▶ database (migrate) ─▶ publishers ─▶ keeper ─▶ consumer
//! stop:  consumer (cancel, finish what was taken) ─▶ outbox (publish the rest) ─▶ keeper ─▶ links ─▶ http
//! ```

mod brokers;
mod last_wait;
mod links;
mod listeners;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::backoff::Pauses;
use crate::bell::Bell;
use crate::cause::with_causes;
use crate::http::{Connection, Health, Metrics, Part};
use crate::intake::{BatchBounds, Committer, DeadLetterOffice};
use crate::keeper::{Keeper, Needed};
use crate::outbox::{Lane, Refusals, Sink, TakeOver};
use crate::rpc::{Dispatcher, Notifier, Target};
use crate::settings::Settings;
use crate::shutdown::Signals;
use crate::store::Store;
use crate::transport::{Consumer, ConsumerSpec};
use crate::{intake, keeper};

pub use brokers::Brokers;

/// Whether `serve` brings the schema up to date first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrate {
    /// Under a database lock.
    First,
    /// Somebody else does: wait until it is there.
    Not,
}

/// What a worker tells of itself.
#[derive(Clone, Default)]
pub struct Telling {
    /// For `/readyz`.
    pub health: Health,
    /// For `/metrics`.
    pub metrics: Metrics,
}

/// Serves until the first signal, then drains. Returns once everything taken is settled, or given
/// back when the deadline in the settings is near.
pub async fn serve(
    settings: &Settings,
    brokers: Brokers,
    migrate: Migrate,
    signals: &Signals,
    telling: Telling,
) -> anyhow::Result<()> {
    let store = Store::new(settings.store_options()?)?
        .with_rules(settings.aliases()?, settings.limits.reason_chars);
    let http = listeners::start(settings, &store, &telling).await?;
    let health = telling.health.clone();
    let run = run(settings, brokers, migrate, store, telling, signals.draining.clone());
    let deadline = async {
        signals.draining.cancelled().await;
        health.set(Part::Shutdown, Err("no more messages are taken".to_owned()));
        // What is left is time for the connections to close.
        let time = Duration::from_secs(settings.shutdown.timeout_s).mul_f32(0.9);
        tokio::time::sleep(time).await;
    };
    tokio::select! {
        result = run => result?,
        () = deadline => warn!("not everything is finished in time; what is left is delivered again"),
    }
    http.stop().await;
    Ok(())
}

async fn run(
    settings: &Settings,
    brokers: Brokers,
    migrate: Migrate,
    store: Store,
    telling: Telling,
    draining: CancellationToken,
) -> anyhow::Result<()> {
    let Telling { health, metrics } = telling;
    tokio::select! {
        ready = prepare_database(&store, migrate, &health) => ready?,
        () = draining.cancelled() => return Ok(()),
    }
    let host = settings.messaging.server.clone();
    let target = settings.target();
    let notifier = Arc::new(Notifier::new(settings.notifier()));
    let watchers = TaskTracker::new();
    let given_up = last_wait::begin(store.clone(), draining.clone());

    let needed = what_brokers_need(&brokers, &target, &notifier);
    let refusals = Refusals::new(health.clone(), needed.iter().map(|n| n.missing.clone()));
    let answers = brokers.requests.publisher("answers", target.topology());
    let sink = Sink {
        publisher: brokers.notifications.publisher("notifications", notifier.topology()),
        notifier: notifier.clone(),
        refusals: refusals.clone(),
    };
    let lease = Duration::from_secs(settings.publisher.lease_s);
    let left_behind = Bell::default();
    let recorded = Bell::default();
    let lane = || {
        Lane::new(&host, store.clone(), sink.clone(), lease, metrics.clone(), left_behind.clone())
    };
    let (intake_lane, keeper_lane) = (lane(), lane());
    let dead_letters = DeadLetterOffice {
        letters: answers.clone(),
        notifications: sink.publisher.clone(),
        notifier: notifier.clone(),
        queue: target.dead_letter_queue(),
        host: host.clone(),
        refusals,
        metrics: metrics.clone(),
    };
    let dispatcher = Arc::new(Dispatcher::new(Arc::new(settings.aliases()?), settings.limits()));
    let committer = |lane: &Lane| {
        let (draining, given_up) = (draining.clone(), given_up.clone());
        Committer::new(store.clone(), lane.clone(), metrics.clone(), draining, given_up)
    };

    let keeper_ending = CancellationToken::new();
    let keeper = tokio::spawn(keeper::run(
        Keeper {
            store: store.clone(),
            committer: committer(&keeper_lane),
            dispatcher: dispatcher.clone(),
            dead_letters: dead_letters.clone(),
            take_over: TakeOver { store: store.clone(), sink: sink.clone(), host: host.clone() },
            recorded: recorded.clone(),
            left_behind,
            early_max_age: Duration::from_secs(settings.early_updates.max_age_s),
            stalled_after: Duration::from_secs(settings.stalled.after_s),
            events_kept_for: Duration::from_secs(settings.retention.events_days * 24 * 60 * 60),
            lease,
            notifications: brokers.notifications.clone(),
            notification_queues: notifier.queue_names(),
            needed,
            health: health.clone(),
            metrics: metrics.clone(),
        },
        keeper_ending.clone(),
    ));

    let consumer = start_to_consume(settings, &brokers, &target);
    let acker = consumer.acker();
    let links = [
        (acker.link(), Part::Consumer, Connection::Broker),
        (answers.link(), Part::Broker, Connection::Broker),
        (sink.publisher.link(), Part::Notifications, Connection::Notifications),
    ];
    links::watch(&watchers, links, &health, &metrics);

    let given_back = intake::run(intake::Parts {
        consumer,
        answers: answers.clone(),
        dispatcher,
        committer: committer(&intake_lane).telling(health.clone()),
        store,
        dead_letters,
        recorded,
        observed_queues: target.observed_queues().into_iter().collect(),
        prefetch: settings.messaging.prefetch,
        bounds: BatchBounds {
            max_items: settings.batch.max_items,
            max_bytes: settings.batch.max_bytes,
        },
        metrics,
        draining,
        given_up: given_up.clone(),
    })
    .await;
    last_wait::finish(&given_up, given_back, async {
        intake_lane.finish().await;
        end_keeper(&keeper_ending, keeper).await;
        keeper_lane.finish().await;
    })
    .await;
    acker.close().await;
    answers.close().await;
    sink.publisher.close().await;
    Ok(())
}

fn what_brokers_need(brokers: &Brokers, target: &Target, notifier: &Notifier) -> [Needed; 2] {
    [
        (brokers.requests.clone(), target.topology()),
        (brokers.notifications.clone(), notifier.topology()),
    ]
    .map(|(broker, topology)| Needed { broker, topology, missing: Bell::default() })
}

async fn end_keeper(ending: &CancellationToken, keeper: JoinHandle<()>) {
    ending.cancel();
    if let Err(panic) = keeper.await {
        error!(%panic, "the keeper ended by itself");
    }
}

/// Consumes what the worker is asked, and copies of what other services are asked.
fn start_to_consume(settings: &Settings, brokers: &Brokers, target: &Target) -> Box<dyn Consumer> {
    for key in &target.observe {
        info!(key, exchange = target.exchange, "observing requests to another service");
    }
    info!(host = target.server, topic = target.topic, "starting to consume");
    brokers.requests.consume(ConsumerSpec {
        name: "requests".to_owned(),
        topology: target.topology(),
        queues: target.consumed_queues(),
        prefetch: settings.messaging.prefetch,
    })
}

/// Waits for the database, and brings its schema up to date.
async fn prepare_database(store: &Store, migrate: Migrate, health: &Health) -> anyhow::Result<()> {
    let mut pauses = Pauses::default();
    loop {
        let attempt = match migrate {
            Migrate::First => store.migrate().await.map(|report| report.log()),
            Migrate::Not => store.check_schema().await,
        };
        match attempt {
            Ok(()) => break,
            Err(error) if error.is_transient() => {
                let cause = with_causes(&error);
                warn!(cause, "waiting for the database");
                health.set(Part::Database, Err(cause));
                pauses.pause().await;
            }
            // A password may be wrong here or there, and be mended there: the broker's is waited
            // for in the same way.
            Err(error) if error.is_denied() => {
                let cause = with_causes(&error);
                error!(cause, "the database refuses the login; trying again");
                health.set(Part::Database, Err(cause));
                pauses.pause().await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    health.set(Part::Database, Ok(()));
    match store.durability_warnings().await {
        Ok(warnings) => {
            for warning in warnings {
                warn!("{warning}");
            }
        }
        Err(error) => warn!(%error, "cannot read the database's durability settings"),
    }
    Ok(())
}
