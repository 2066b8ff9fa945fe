//! What `/metrics` shows. The other rooms count here; names begin with `karbor_restore_`, and labels
//! are those of `label`.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::health::{Health, Part};
use super::label::{
    CLASSES, ClassLabel, Connection, ConnectionLabel, EffectLabel, METHODS, MethodLabel, Observed,
    ObservedLabel, PartLabel, QueueLabel, VersionLabel, known,
};
use crate::domain::Effect;

/// All counters; every clone counts into the same ones.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    messages: Family<MethodLabel, Counter>,
    observed: Family<ObservedLabel, Counter>,
    updates: Family<EffectLabel, Counter>,
    dead_letters: Family<ClassLabel, Counter>,
    reconnects: Family<ConnectionLabel, Counter>,
    queue_depth: Family<QueueLabel, Gauge>,
    queue_consumers: Family<QueueLabel, Gauge>,
    part_ready: Family<PartLabel, Gauge>,
    /// Stale updates to `available` or `error`: somebody forgot to raise the sequence.
    pub stale_finals: Counter,
    /// Batches committed.
    pub batches: Counter,
    /// Commands in a batch.
    pub batch_items: Histogram,
    /// How long a batch's transaction took, in seconds.
    pub commit_seconds: Histogram,
    /// Notifications that the broker confirmed.
    pub notifications_published: Counter,
    /// Events committed and not yet published.
    pub unpublished_events: Gauge,
    /// Updates that wait for their restore.
    pub early_updates: Gauge,
    taken_in: Counter,
    commit_failures: Counter,
    deleted_events: Counter,
    /// Replies handed to the broker.
    pub replies_sent: Counter,
    /// Replies whose queue was gone.
    pub replies_dropped: Counter,
    /// How old the oldest change is that Karbor's dictionaries do not show yet, in seconds.
    pub dictionary_delay_seconds: Gauge<f64, AtomicU64>,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("karbor_restore");
        let r = &mut registry;
        let metrics = Self {
            messages: add(r, "messages", "Messages received, by method"),
            observed: add(r, "observed", "Copies of requests to other services, by kind"),
            updates: add(r, "updates", "Updates by what they did"),
            dead_letters: add(r, "dead_letters", "Messages put to the dead letters, by error"),
            reconnects: add(r, "reconnects", "Connections that were made again after a loss"),
            queue_depth: add(
                r,
                "notification_queue_depth",
                "Messages in a notification queue; nobody but its consumer bounds it",
            ),
            queue_consumers: add(
                r,
                "notification_queue_consumers",
                "Consumers of a notification queue",
            ),
            part_ready: add(r, "part_ready", "1 where this part of the worker stands well"),
            stale_finals: add(
                r,
                "stale_finals",
                "Stale updates to available or error: a retry without a higher sequence",
            ),
            batches: add(r, "batches", "Batches committed"),
            batch_items: add_histogram(
                r,
                "batch_items",
                "Commands in a batch",
                [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0],
            ),
            commit_seconds: add_histogram(
                r,
                "commit_seconds",
                "How long the transaction of a batch took",
                [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0],
            ),
            notifications_published: add(
                r,
                "notifications_published",
                "Notifications that the broker confirmed",
            ),
            unpublished_events: add(
                r,
                "unpublished_events",
                "Events that this worker committed and has not yet published",
            ),
            early_updates: add(r, "early_updates", "Updates that wait for their restore"),
            commit_failures: add(
                r,
                "commit_failures",
                "Times that the database did not take a batch",
            ),
            deleted_events: add(r, "deleted_events", "Old events that this worker deleted"),
            taken_in: add(
                r,
                "taken_in",
                "Times that what Karbor itself wrote of a restore was taken in",
            ),
            replies_sent: add(r, "replies_sent", "Replies handed to the broker"),
            replies_dropped: add(r, "replies_dropped", "Replies whose queue was gone"),
            dictionary_delay_seconds: add(
                r,
                "dictionary_delay_seconds",
                "Age of the oldest change that Karbor's dictionaries do not show yet",
            ),
            registry: Arc::default(),
        };
        metrics.show_zeros();
        let build: Family<VersionLabel, Gauge> = add(r, "build_info", "Always 1");
        build.get_or_create(&VersionLabel { version: env!("CARGO_PKG_VERSION") }).set(1);
        Self { registry: Arc::new(registry), ..metrics }
    }

    /// Each series with labels exists from the start: of one that appears with its first count,
    /// nobody sees the rise.
    fn show_zeros(&self) {
        for method in METHODS.into_iter().chain(["other"]) {
            drop(self.messages.get_or_create(&MethodLabel { method }));
        }
        for kind in Observed::ALL {
            drop(self.observed.get_or_create(&ObservedLabel { kind: kind.as_str() }));
        }
        for effect in ["applied", "unchanged", "stale", "refused"] {
            drop(self.updates.get_or_create(&EffectLabel { effect }));
        }
        for class in CLASSES {
            drop(self.dead_letters.get_or_create(&ClassLabel { class }));
        }
        for connection in [Connection::Broker, Connection::Notifications] {
            let connection = connection.as_str();
            drop(self.reconnects.get_or_create(&ConnectionLabel { connection }));
        }
    }

    /// Counts a message that came in; a method that is not ours counts as `other`.
    pub fn count_message(&self, method: &str) {
        let method = known(&METHODS, method);
        self.messages.get_or_create(&MethodLabel { method }).inc();
    }

    /// Counts a copy of another service's request.
    pub fn count_observed(&self, kind: Observed) {
        self.observed.get_or_create(&ObservedLabel { kind: kind.as_str() }).inc();
    }

    /// Counts an accepted update by its effect.
    pub fn count_update(&self, effect: Effect) {
        self.updates.get_or_create(&EffectLabel { effect: effect.as_str() }).inc();
    }

    /// Counts a request that was refused.
    pub fn count_refused(&self) {
        self.updates.get_or_create(&EffectLabel { effect: "refused" }).inc();
    }

    /// How many updates had this effect.
    pub fn updates_counted(&self, effect: Effect) -> u64 {
        self.updates.get_or_create(&EffectLabel { effect: effect.as_str() }).get()
    }

    /// How many requests were refused.
    pub fn refused_counted(&self) -> u64 {
        self.updates.get_or_create(&EffectLabel { effect: "refused" }).get()
    }

    /// Counts a dead letter; a class that is not ours counts as `other`.
    pub fn count_dead_letter(&self, class: &str) {
        let class = known(&CLASSES, class);
        self.dead_letters.get_or_create(&ClassLabel { class }).inc();
    }

    /// Counts a batch that the database did not take.
    pub fn count_commit_failure(&self) {
        self.commit_failures.inc();
    }

    /// Counts restores of which was taken in what Karbor wrote.
    pub fn count_taken_in(&self, restores: usize) {
        self.taken_in.inc_by(u64::try_from(restores).unwrap_or(u64::MAX));
    }

    /// Counts old events that were deleted.
    pub fn count_deleted_events(&self, events: u64) {
        self.deleted_events.inc_by(events);
    }

    /// Counts a committed batch.
    pub fn count_batch(&self, commands: usize, took: Duration) {
        self.batches.inc();
        self.batch_items.observe(f64::from(u32::try_from(commands).unwrap_or(u32::MAX)));
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// Counts events that are committed and still to be published.
    pub fn count_committed_events(&self, events: usize) {
        self.unpublished_events.inc_by(i64::try_from(events).unwrap_or(i64::MAX));
    }

    /// Counts one of them as done with: nothing of it is to be published any more.
    pub fn count_finished_event(&self) {
        self.unpublished_events.dec();
    }

    /// Shows how many updates wait for their restore.
    pub fn show_early_updates(&self, waiting: u64) {
        self.early_updates.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// Counts a connection that was lost and made again.
    pub fn count_reconnect(&self, connection: Connection) {
        let connection = connection.as_str();
        self.reconnects.get_or_create(&ConnectionLabel { connection }).inc();
    }

    /// Shows a notification queue; `queue` must be one that the settings name.
    pub fn show_notification_queue(&self, queue: &str, depth: u64, consumers: u64) {
        let label = QueueLabel { queue: queue.to_owned() };
        let show = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.queue_depth.get_or_create(&label).set(show(depth));
        self.queue_consumers.get_or_create(&label).set(show(consumers));
    }

    /// Everything as OpenMetrics 1.0 text.
    pub fn encode(&self, health: &Health) -> String {
        let parts = health.parts();
        for part in Part::ALL {
            let label = PartLabel { part: part.as_str() };
            // What did not report yet stands well, as for `/readyz`.
            let ready = parts.get(&part).is_none_or(Result::is_ok);
            self.part_ready.get_or_create(&label).set(i64::from(ready));
        }
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("writing into a String does not fail");
        page
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn add<M>(registry: &mut Registry, name: &str, help: &str) -> M
where
    M: prometheus_client::registry::Metric + Clone + Default,
{
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn add_histogram(registry: &mut Registry, name: &str, help: &str, buckets: [f64; 10]) -> Histogram {
    let histogram = Histogram::new(buckets);
    registry.register(name, help, histogram.clone());
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_shown() {
        let metrics = Metrics::new();
        metrics.count_message("update_resource_status");
        metrics.count_message("surprise");
        metrics.count_message("surprise too");
        metrics.count_observed(Observed::Ignored);
        metrics.count_update(Effect::Stale);
        metrics.clone().batches.inc();
        metrics.commit_seconds.observe(0.02);
        metrics.show_notification_queue("notifications.info", 7, 0);
        let page = metrics.encode(&Health::new());
        for line in [
            "karbor_restore_messages_total{method=\"other\"} 2",
            "karbor_restore_messages_total{method=\"update_resource_status\"} 1",
            "karbor_restore_observed_total{kind=\"ignored\"} 1",
            "karbor_restore_observed_total{kind=\"restore\"} 0",
            "karbor_restore_updates_total{effect=\"stale\"} 1",
            "karbor_restore_dead_letters_total{class=\"MalformedMessage\"} 0",
            "karbor_restore_dead_letters_total{class=\"InternalError\"} 0",
            "karbor_restore_reconnects_total{connection=\"broker\"} 0",
            "karbor_restore_batches_total 1",
            "karbor_restore_commit_seconds_bucket{le=\"0.025\"} 1",
            "karbor_restore_notification_queue_depth{queue=\"notifications.info\"} 7",
            "karbor_restore_part_ready{part=\"database\"} 0",
            "karbor_restore_part_ready{part=\"commits\"} 1",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line} is not in\n{page}");
        }
        let ours = |line: &str| line.starts_with('#') || line.starts_with("karbor_restore_");
        assert!(page.lines().all(ours), "{page}");
    }
}
