//! Events and dead letters as notifications, as `oslo_messaging.Notifier` would send them.
//!
//! Takes committed facts, gives one message a topic, each with a `_unique_id` of its own and all
//! with the event's `message_id`. What a notification says of a restore's target is masked; its
//! parameters and every credential stay out.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::DeadLetter;
use super::caller::iso_8601;
use crate::domain::{Counts, Event, EventType, Subject, mask_passwords};
use crate::transport::{
    Binding, Exchange, ExchangeKind, Message, Properties, Queue, QueueType, Topology,
};
use crate::wire::{Context, Notification, NotificationFormat, told_text};

/// `[oslo_messaging_notifications] driver`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NotifierDriver {
    /// In an envelope.
    MessagingV2,
    /// Bare.
    Messaging,
    /// Nothing is sent.
    Noop,
}

/// How and where notifications are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifierSettings {
    /// Their format.
    pub driver: NotifierDriver,
    /// Their topics; each gets a copy, in the queue `TOPIC.PRIORITY`.
    pub topics: Vec<String>,
    /// The control exchange.
    pub exchange: String,
    /// `amqp_durable_queues`
    pub amqp_durable_queues: bool,
    /// `rabbit_quorum_queue`
    pub rabbit_quorum_queue: bool,
}

/// Turns events into messages.
#[derive(Debug, Clone)]
pub struct Notifier {
    settings: NotifierSettings,
}

const PRIORITIES: [&str; 3] = ["info", "warn", "error"];

impl Notifier {
    /// A notifier by these settings.
    pub fn new(settings: NotifierSettings) -> Self {
        Self { settings }
    }

    /// Whether anything is sent at all.
    pub fn is_sending(&self) -> bool {
        self.settings.driver != NotifierDriver::Noop
    }

    /// What to declare before the first notification: a queue for each topic and priority, so
    /// that none vanishes (`impl_rabbit.py`, `_publish_and_creates_default_queue`).
    pub fn topology(&self) -> Topology {
        let settings = &self.settings;
        if !self.is_sending() {
            return Topology::default();
        }
        let durable = settings.amqp_durable_queues || settings.rabbit_quorum_queue;
        let queue_type =
            if settings.rabbit_quorum_queue { QueueType::Quorum } else { QueueType::Classic };
        let names = self.queue_names();
        Topology {
            exchanges: vec![Exchange {
                name: settings.exchange.clone(),
                kind: ExchangeKind::Topic,
                durable,
                auto_delete: false,
            }],
            bindings: names
                .iter()
                .map(|name| Binding {
                    exchange: settings.exchange.clone(),
                    queue: name.clone(),
                    routing_key: name.clone(),
                })
                .collect(),
            queues: names
                .into_iter()
                .map(|name| Queue {
                    name,
                    queue_type,
                    durable,
                    exclusive: false,
                    expires_ms: None,
                    delivery_limit: None,
                    arguments: Vec::new(),
                    setting: "messaging.rabbit_quorum_queue",
                    durable_setting: Some("messaging.amqp_durable_queues"),
                })
                .collect(),
        }
    }

    /// The queues that notifications go to.
    pub fn queue_names(&self) -> Vec<String> {
        if !self.is_sending() {
            return Vec::new();
        }
        let topics = self.settings.topics.iter();
        topics.flat_map(|topic| PRIORITIES.map(|priority| format!("{topic}.{priority}"))).collect()
    }

    /// The notifications of one event.
    pub fn event(&self, event: &Event) -> Vec<Message> {
        self.messages(&Notification {
            message_id: event.message_id().to_string(),
            publisher_id: publisher_id(&event.host),
            event_type: event.event_type.as_str(),
            priority: priority_of(event.event_type),
            payload: payload_of(event),
            timestamp: event.occurred_at,
            context: Some(Context {
                user_id: event.user_id.clone(),
                project_id: event.context_project_id.clone(),
                is_admin: false,
                request_id: event.request_id.clone(),
                global_request_id: event.global_request_id.clone(),
            }),
        })
    }

    /// The error notifications of one dead letter, under its own `message_id`.
    pub fn dead_letter(
        &self,
        host: &str,
        letter: &DeadLetter<'_>,
        dead_letter_queue: &str,
        now: DateTime<Utc>,
    ) -> Vec<Message> {
        let sender = letter.sender;
        let mut payload = Map::new();
        let mut put = |key: &str, value: Value| payload.insert(key.to_owned(), value);
        put("error", Value::from(letter.error.class()));
        put("message", Value::from(letter.reason()));
        put("method", Value::from(letter.method));
        put("message_unique_id", Value::from(letter.unique_id));
        put("request_id", Value::from(sender.request_id.clone()));
        put("dead_letter_queue", Value::from(dead_letter_queue));
        self.messages(&Notification {
            message_id: letter.message_id.to_string(),
            publisher_id: publisher_id(host),
            event_type: "karbor.restore_message.error",
            priority: "error",
            payload,
            timestamp: now,
            context: Some(Context {
                user_id: sender.user_id.clone(),
                project_id: sender.project_id.as_deref().and_then(told_text),
                is_admin: false,
                request_id: sender.request_id.clone(),
                global_request_id: sender.global_request_id.clone(),
            }),
        })
    }

    fn messages(&self, notification: &Notification<'_>) -> Vec<Message> {
        let format = match self.settings.driver {
            NotifierDriver::MessagingV2 => NotificationFormat::V2,
            NotifierDriver::Messaging => NotificationFormat::V1,
            NotifierDriver::Noop => return Vec::new(),
        };
        let topics = self.settings.topics.iter();
        topics
            .map(|topic| Message {
                exchange: self.settings.exchange.clone(),
                routing_key: format!("{topic}.{}", notification.priority),
                mandatory: true,
                properties: Properties::oslo(),
                body: notification.to_body(format),
            })
            .collect()
    }
}

fn publisher_id(host: &str) -> String {
    format!("restore-worker.{host}")
}

fn priority_of(event_type: EventType) -> &'static str {
    match event_type {
        EventType::RestoreError | EventType::ResourceError => "error",
        EventType::RestoreStalled => "warn",
        EventType::RestoreStart
        | EventType::RestoreEnd
        | EventType::RestoreUpdate
        | EventType::ResourceStart
        | EventType::ResourceEnd
        | EventType::ResourceUpdate => "info",
    }
}

fn payload_of(event: &Event) -> Map<String, Value> {
    let mut payload = Map::new();
    let mut put = |key: &str, value: Value| payload.insert(key.to_owned(), value);
    put("restore_id", Value::from(event.restore_id.to_string()));
    put("project_id", Value::from(event.project_id.as_str()));
    put("tenant_id", Value::from(event.project_id.as_str()));
    put("provider_id", Value::from(event.provider_id.as_str()));
    put("checkpoint_id", Value::from(event.checkpoint_id.as_str()));
    put("request_id", Value::from(event.request_id.clone()));
    put("old_status", Value::from(event.old_status.clone()));
    put("status", Value::from(event.status.as_str()));
    put("reason", Value::from(event.reason.clone()));
    put("occurred_at", Value::from(iso_8601(event.occurred_at)));
    put("transition", Value::from(event.transition));
    match &event.subject {
        Subject::Resource { key, source_id, name } => {
            let source_id = source_id.as_ref().map(|id| id.as_str().to_owned());
            put("resource_type", Value::from(key.resource_type.as_str()));
            put("resource_id", Value::from(key.resource_id.as_str()));
            put("source_id", Value::from(source_id));
            put("name", Value::from(name.clone()));
            put("sequence", Value::from(event.sequence));
        }
        Subject::Restore { counts } => {
            let target = event.restore_target.as_deref().map(mask_passwords);
            put("restore_target", Value::from(target.map(std::borrow::Cow::into_owned)));
            put("resources", counts_to_json(counts));
        }
    }
    payload
}

/// How many resources stand where; zeros included.
pub(crate) fn counts_to_json(counts: &Counts) -> Value {
    let Counts { undefined, started, restoring, available, error, expected } = *counts;
    [
        ("undefined", undefined),
        ("started", started),
        ("restoring", restoring),
        ("available", available),
        ("error", error),
        ("expected", expected),
    ]
    .into_iter()
    .map(|(name, count)| (name.to_owned(), Value::from(count)))
    .collect()
}

#[cfg(test)]
mod tests;
