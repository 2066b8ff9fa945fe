//! One test's surroundings: names that no other test uses, a database, a broker, workers.
//!
//! Takes a kind of database, gives workers and requests that reach them; removes its queues and
//! exchanges when it is dropped.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::broker::remove_later;
use super::{
    Broker, Database, Inbox, Kind, Received, Request, Worker, WorkerBuilder, broker_url, eventually,
};

/// A fresh id in the spelling that the worker stores.
pub fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// What a test plays on. Fields are dropped in order: the database last.
pub struct Stage {
    /// A client's connection.
    pub broker: Broker,
    /// `messaging.control_exchange`
    pub exchange: String,
    /// `messaging.topic`
    pub topic: String,
    /// `notifications.topics`
    pub notifications: String,
    /// `database.url`'s database
    pub database: Database,
    /// What workers run, unless the binary under test.
    pub binary: Option<PathBuf>,
    broker_url: String,
    /// What all workers are started with besides.
    settings: Vec<(&'static str, String)>,
    servers: Mutex<Vec<String>>,
    queues: Mutex<Vec<String>>,
    logs: TempDir,
}

impl Stage {
    /// Makes names and a database; no worker runs yet.
    pub async fn new(kind: Kind) -> Self {
        Self::on(&broker_url(), kind).await
    }

    /// The same on a broker of the test's own.
    pub async fn on(broker_url: &str, kind: Kind) -> Self {
        Self::of(broker_url, Database::fresh(kind).await).await
    }

    /// The same with a database that is there.
    pub async fn of(broker_url: &str, database: Database) -> Self {
        let id = &new_id()[..8];
        Self {
            broker: Broker::connect(broker_url).await,
            exchange: format!("e2e-{id}"),
            topic: format!("e2e-restore-{id}"),
            notifications: format!("e2e-notifications-{id}"),
            database,
            binary: None,
            broker_url: broker_url.to_owned(),
            settings: Vec::new(),
            servers: Mutex::default(),
            queues: Mutex::default(),
            logs: TempDir::new().expect("a temporary folder"),
        }
    }

    /// The same, with a setting for each of its workers.
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((key, value.into()));
        self
    }

    /// Whether its workers declare quorum queues where clients may want others.
    pub fn has_quorum_queues(&self) -> bool {
        self.settings
            .iter()
            .any(|(key, value)| *key == "MESSAGING__RABBIT_QUORUM_QUEUE" && value == "true")
    }

    /// A stage with one worker, ready, and an inbox of its notifications.
    pub async fn with_worker(kind: Kind) -> (Self, Worker, Inbox) {
        let stage = Self::new(kind).await;
        let worker = stage.worker("w1").start().await;
        let notifications = stage.notifications().await;
        (stage, worker, notifications)
    }

    /// The settings of a worker whose `messaging.server` is `server`.
    pub fn worker(&self, name: &str) -> WorkerBuilder {
        let count = {
            let mut servers = self.servers.lock().expect("no panic under the lock");
            servers.push(name.to_owned());
            servers.len()
        };
        let builder = WorkerBuilder::new(self.logs.path().join(format!("{name}-{count}.log")));
        let builder = match &self.binary {
            Some(binary) => builder.binary(binary),
            None => builder,
        };
        let worker = builder
            .set("MESSAGING__TRANSPORT_URL", &self.broker_url)
            .set("MESSAGING__CONTROL_EXCHANGE", &self.exchange)
            .set("MESSAGING__TOPIC", &self.topic)
            .set("MESSAGING__SERVER", name)
            .set("NOTIFICATIONS__TOPICS", &self.notifications)
            .set("DATABASE__URL", self.database.url());
        let settings = self.settings.iter();
        settings.fold(worker, |worker, (key, value)| worker.set(key, value))
    }

    /// The queue for what is refused.
    pub fn dead_letter_queue(&self) -> String {
        format!("{}.dead-letter", self.topic)
    }

    /// The queue of copies of what is sent to `key`; removed with the stage, as is that of copies
    /// that came late.
    pub fn observed_queue(&self, key: &str) -> String {
        let queue = format!("{}.observed.{key}", self.topic);
        self.remove_at_end(&queue);
        self.remove_at_end(&format!("{}.observed.late", self.topic));
        queue
    }

    /// Removes a queue with the stage.
    pub fn remove_at_end(&self, queue: &str) {
        self.queues.lock().expect("no panic under the lock").push(queue.to_owned());
    }

    /// Binds a queue of another service's own to `key`, as its server does, and consumes it.
    pub async fn other_service(&self, key: &str) -> Inbox {
        self.remove_at_end(key);
        self.broker.bind_queue(&self.exchange, key).await;
        Inbox::open(&self.broker, &[key]).await
    }

    /// Consumes the notifications of every priority; a worker must have declared their queues.
    pub async fn notifications(&self) -> Inbox {
        let queues = self.notification_queues();
        Inbox::open(&self.broker, &queues.each_ref().map(String::as_str)).await
    }

    /// The queues of notifications, of every priority.
    pub fn notification_queues(&self) -> [String; 3] {
        ["info", "warn", "error"].map(|priority| format!("{}.{priority}", self.notifications))
    }

    /// The queues of requests: the common one, and that of each worker that was made.
    pub fn request_queues(&self) -> BTreeSet<String> {
        let servers = self.servers.lock().map(|servers| servers.clone()).unwrap_or_default();
        let of_servers = servers.iter().map(|server| format!("{}.{server}", self.topic));
        of_servers.chain([self.topic.clone()]).collect()
    }

    /// Consumes the dead letters.
    pub async fn dead_letters(&self) -> Inbox {
        Inbox::open(&self.broker, &[&self.dead_letter_queue()]).await
    }

    /// Casts to any worker.
    pub async fn cast(&self, request: &Request) {
        self.broker.cast(&self.exchange, &self.topic, request).await;
    }

    /// Casts many to any worker.
    pub async fn cast_all(&self, requests: &[Request]) {
        self.broker.cast_all(&self.exchange, &self.topic, requests).await;
    }

    /// Calls any worker.
    pub async fn call(&self, request: Request) -> Received {
        self.broker.call(&self.exchange, &self.topic, request).await
    }

    /// What `get_restore` answers.
    pub async fn view(&self, restore_id: &str) -> Value {
        let arguments = json!({"restore_id": restore_id});
        let mut reply = self.call(Request::new("get_restore", arguments)).await;
        assert!(reply.message["failure"].is_null(), "{}", reply.message);
        reply.message["result"].take()
    }

    /// Waits until `get_restore` counts so many available resources.
    pub async fn until_available(&self, restore_id: &str, count: usize) {
        eventually("resources are available", || async {
            let counts = self.view(restore_id).await["resources"].take();
            if counts["available"] == count { Ok(()) } else { Err(counts.to_string()) }
        })
        .await;
    }

    /// Records a restore by a call, and gives its id.
    pub async fn record_restore(&self) -> String {
        let restore_id = new_id();
        let reply = self.call(Request::restore(&restore_id)).await;
        assert!(reply.message["failure"].is_null(), "{}", reply.message);
        restore_id
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let mut queues = vec![self.dead_letter_queue()];
        queues.extend(self.queues.lock().map(|queues| queues.clone()).unwrap_or_default());
        queues.extend(self.request_queues());
        queues.extend(self.notification_queues());
        let url = self.broker_url.clone();
        remove_later(url, queues, vec![self.exchange.clone(), format!("{}_fanout", self.topic)]);
    }
}
