use std::collections::HashSet;

use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::domain::{PublisherId, Sender};
use crate::rpc::RpcError;
use crate::wire::open;

fn settings(driver: NotifierDriver) -> NotifierSettings {
    NotifierSettings {
        driver,
        topics: vec!["notifications".to_owned(), "audit".to_owned()],
        exchange: "openstack".to_owned(),
        amqp_durable_queues: false,
        rabbit_quorum_queue: false,
    }
}

fn event(event_type: EventType, subject: Subject) -> Event {
    Event {
        publisher: PublisherId(Uuid::from_u128(7)),
        number: 3,
        host: "host-1".to_owned(),
        event_type,
        restore_id: "f30fe76e-4715-4cf8-aff3-13deea7170c3".parse().unwrap(),
        project_id: "p".to_owned(),
        provider_id: "pr".to_owned(),
        checkpoint_id: "c".to_owned(),
        restore_target: Some("http://u:SECRET@keystone/v3".to_owned()),
        transition: 2,
        occurred_at: DateTime::from_timestamp_micros(1_700_000_000_000_001).unwrap(),
        old_status: None,
        status: "fail".to_owned(),
        reason: Some("é".to_owned()),
        sequence: Some(4),
        context_project_id: Some("p".to_owned()),
        user_id: Some("user-1".to_owned()),
        request_id: Some("req-1".to_owned()),
        global_request_id: None,
        subject,
    }
}

fn told(message: &Message) -> Value {
    Value::Object(open(&message.body).unwrap())
}

#[test]
fn a_restores_event_is_told_with_its_counts_and_a_masked_target() {
    let counts = Counts { error: 2, expected: 5, ..Counts::default() };
    let event = event(EventType::RestoreError, Subject::Restore { counts });
    let messages = Notifier::new(settings(NotifierDriver::MessagingV2)).event(&event);
    let keys: Vec<_> = messages.iter().map(|m| m.routing_key.as_str()).collect();
    assert_eq!(keys, ["notifications.error", "audit.error"]);
    let unique: HashSet<_> = messages.iter().map(|m| told(m)["_unique_id"].to_string()).collect();
    assert_eq!(unique.len(), 2);
    assert_eq!(messages[0].exchange, "openstack");
    let mut sent = told(&messages[0]);
    sent["_unique_id"].take();
    assert_eq!(
        sent,
        json!({
            "message_id": event.message_id().to_string(),
            "publisher_id": "restore-worker.host-1",
            "event_type": "karbor.restore.error",
            "priority": "ERROR",
            "payload": {
                "restore_id": "f30fe76e-4715-4cf8-aff3-13deea7170c3",
                "project_id": "p",
                "tenant_id": "p",
                "provider_id": "pr",
                "checkpoint_id": "c",
                "request_id": "req-1",
                "old_status": null,
                "status": "fail",
                "reason": "é",
                "occurred_at": "2023-11-14T22:13:20.000001+00:00",
                "transition": 2,
                "restore_target": "http://u:***@keystone/v3",
                "resources": {"undefined": 0, "started": 0, "restoring": 0, "available": 0,
                              "error": 2, "expected": 5},
            },
            "timestamp": "2023-11-14 22:13:20.000001",
            "_unique_id": null,
            "_context_user_id": "user-1",
            "_context_project_id": "p",
            "_context_is_admin": false,
            "_context_roles": [],
            "_context_request_id": "req-1",
            "_context_global_request_id": null,
        })
    );
}

#[test]
fn a_resources_event_is_told_with_its_key_and_source() {
    let subject = Subject::Resource {
        key: "t#r".parse().unwrap(),
        source_id: Some("s".parse().unwrap()),
        name: None,
    };
    let notifier = Notifier::new(settings(NotifierDriver::Messaging));
    let messages = notifier.event(&event(EventType::ResourceStart, subject));
    assert_eq!(messages[0].routing_key, "notifications.info");
    let bare: Value = serde_json::from_slice(&messages[0].body).unwrap();
    assert_eq!(bare["event_type"], "karbor.restore_resource.start");
    let payload = &bare["payload"];
    assert_eq!(payload["resource_type"], "t");
    assert_eq!(payload["resource_id"], "r");
    assert_eq!(payload["source_id"], "s");
    assert_eq!(payload["name"], Value::Null);
    assert_eq!(payload["sequence"], 4);
    assert!(payload.get("restore_target").is_none() && payload.get("resources").is_none());
}

#[test]
fn a_dead_letter_is_told_without_the_secrets_in_its_senders_project() {
    let sender = Sender {
        project_id: Some(r#"http://u:TOK@h {"restore_auth": "TOK"}"#.to_owned()),
        ..Sender::default()
    };
    let (properties, error) = (Properties::default(), RpcError::InternalError(String::new()));
    let letter = DeadLetter {
        queue: "q",
        properties: &properties,
        body: b"{}",
        unique_id: "u",
        message_id: uuid::Uuid::nil(),
        method: None,
        sender: &sender,
        error: &error,
    };
    let notifier = Notifier::new(settings(NotifierDriver::Messaging));
    let messages = notifier.dead_letter("h", &letter, "q.dead-letter", DateTime::UNIX_EPOCH);
    let bare: Value = serde_json::from_slice(&messages[0].body).unwrap();
    assert_eq!(bare["_context_project_id"], r#"http://u:***@h {"***"#);
}

#[test]
fn each_event_type_has_its_priority() {
    for event_type in EventType::ALL {
        let name = event_type.as_str();
        let priority = match name {
            "karbor.restore.stalled" => "warn",
            "karbor.restore.error" | "karbor.restore_resource.error" => "error",
            _ => "info",
        };
        assert_eq!(priority_of(event_type), priority, "{name}");
    }
}

#[test]
fn noop_sends_and_declares_nothing() {
    let notifier = Notifier::new(settings(NotifierDriver::Noop));
    let subject = Subject::Restore { counts: Counts::default() };
    assert!(notifier.event(&event(EventType::RestoreStart, subject)).is_empty());
    assert_eq!(notifier.topology(), Topology::default());
    assert!(notifier.queue_names().is_empty());
}

#[test]
fn queues_are_declared_as_oslo_messaging_declares_them() {
    for (amqp_durable_queues, rabbit_quorum_queue, durable, queue_type) in [
        (false, false, false, QueueType::Classic),
        (true, false, true, QueueType::Classic),
        (false, true, true, QueueType::Quorum),
    ] {
        let settings = NotifierSettings {
            amqp_durable_queues,
            rabbit_quorum_queue,
            ..settings(NotifierDriver::MessagingV2)
        };
        let topology = Notifier::new(settings).topology();
        assert!(topology.exchanges.iter().all(|e| e.durable == durable && !e.auto_delete));
        assert_eq!(topology.queues.len(), 6);
        assert!(topology.queues.iter().all(|q| q.durable == durable && q.queue_type == queue_type));
        assert!(topology.bindings.iter().all(|b| b.queue == b.routing_key));
        assert_eq!(topology.queues[0].name, "notifications.info");
    }
}

#[test]
fn a_dead_letter_is_told_under_its_own_id() {
    let properties = Properties::default();
    let sender = Sender { request_id: Some("req-1".to_owned()), ..Sender::default() };
    let letter = DeadLetter {
        queue: "karbor-restore",
        properties: &properties,
        body: b"{}",
        unique_id: "u",
        message_id: Uuid::from_u128(1),
        method: None,
        sender: &sender,
        error: &RpcError::InvalidInput("x".to_owned()),
    };
    let notifier = Notifier::new(settings(NotifierDriver::MessagingV2));
    let messages = notifier.dead_letter("h", &letter, "q.dead-letter", DateTime::UNIX_EPOCH);
    assert_eq!(messages[0].routing_key, "notifications.error");
    let sent = told(&messages[0]);
    let message_id =
        letter.message("q.dead-letter", DateTime::UNIX_EPOCH).properties.message_id.unwrap();
    assert_eq!(sent["message_id"], message_id);
    assert_eq!(sent["event_type"], "karbor.restore_message.error");
    assert_eq!(sent["publisher_id"], "restore-worker.h");
    assert_eq!(
        sent["payload"],
        json!({
            "error": "InvalidInput",
            "message": "Invalid input received: x",
            "method": null,
            "message_unique_id": "u",
            "request_id": "req-1",
            "dead_letter_queue": "q.dead-letter",
        })
    );
}
