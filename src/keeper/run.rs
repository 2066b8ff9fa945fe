//! Starts every duty and ends them together.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::karbor::{self, Karbor};
use super::standing::Standing;
use super::topology::Needed;
use super::turns::Turns;
use super::{
    dictionaries, early, notification_queues, readiness, retention, stalled, take_over, topology,
};
use crate::bell::Bell;
use crate::http::{Health, Metrics};
use crate::intake::{Committer, DeadLetterOffice};
use crate::outbox::TakeOver;
use crate::rpc::Dispatcher;
use crate::store::Store;
use crate::transport::Transport;

/// What the keeper works with.
pub struct Keeper {
    /// The database.
    pub store: Store,
    /// Commits what the duties bring, as a publisher of the keeper's own.
    pub committer: Committer,
    /// Understands early updates again.
    pub dispatcher: Arc<Dispatcher>,
    /// Keeps what waited too long, or is refused when it is applied.
    pub dead_letters: DeadLetterOffice,
    /// Publishes what dead workers left.
    pub take_over: TakeOver,
    /// Rung when a restore was recorded.
    pub recorded: Bell,
    /// Rung when a publisher of this worker ended.
    pub left_behind: Bell,
    /// How long an early update may wait.
    pub early_max_age: Duration,
    /// After how long a silence a restore has stalled; zero is never.
    pub stalled_after: Duration,
    /// For how long events are kept; zero is for ever.
    pub events_kept_for: Duration,
    /// A lease's length: after an outage of the database nobody is taken over for as long.
    pub lease: Duration,
    /// Looks at the notification queues.
    pub notifications: Arc<dyn Transport>,
    /// Their names.
    pub notification_queues: Vec<String>,
    /// What each broker must have.
    pub needed: [Needed; 2],
    /// What `/readyz` says of the database.
    pub health: Health,
    /// What is counted.
    pub metrics: Metrics,
}

/// Runs every duty until `ending` is cancelled and each has finished what it was doing.
pub async fn run(keeper: Keeper, ending: CancellationToken) {
    let duties = TaskTracker::new();
    let turns = Turns::new(keeper.committer);
    let standing = Standing::new(keeper.health.clone());
    let watch = Karbor {
        store: keeper.store.clone(),
        turns: turns.clone(),
        standing: standing.clone(),
        recorded: keeper.recorded.clone(),
        metrics: keeper.metrics.clone(),
    };
    duties.spawn(karbor::watch_recent(watch.clone(), ending.clone()));
    duties.spawn(karbor::watch_all(watch, ending.clone()));
    duties.spawn(stalled::run(
        keeper.store.clone(),
        standing.clone(),
        turns.clone(),
        keeper.stalled_after,
        ending.clone(),
    ));
    duties.spawn(retention::run(
        keeper.store.clone(),
        standing.clone(),
        keeper.events_kept_for,
        keeper.metrics.clone(),
        ending.clone(),
    ));
    duties.spawn(early::run(
        early::Early {
            store: keeper.store.clone(),
            turns: turns.clone(),
            standing: standing.clone(),
            dispatcher: keeper.dispatcher,
            dead_letters: keeper.dead_letters,
            recorded: keeper.recorded,
            max_age: keeper.early_max_age,
            metrics: keeper.metrics.clone(),
        },
        ending.clone(),
    ));
    duties.spawn(dictionaries::run(
        keeper.store.clone(),
        standing.clone(),
        turns,
        keeper.metrics.clone(),
        ending.clone(),
    ));
    duties.spawn(take_over::run(
        keeper.take_over,
        standing,
        keeper.left_behind,
        keeper.lease,
        ending.clone(),
    ));
    duties.spawn(notification_queues::run(
        keeper.notifications,
        keeper.notification_queues,
        keeper.metrics,
        ending.clone(),
    ));
    for needed in keeper.needed {
        duties.spawn(topology::run(needed, ending.clone()));
    }
    duties.spawn(readiness::run(keeper.store, keeper.health, ending));
    duties.close();
    duties.wait().await;
}
