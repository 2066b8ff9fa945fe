//! A policy's small delivery limit, which no client can undo: what the worker's warning tells the
//! operator to do against it.

use std::process::Command;

use super::rabbit::{Log, behind_proxy};
use super::*;
use crate::harness::broker_control;

const LIMIT: u32 = 4;

/// Takes the queue's message and leaves it, as a worker does that dies with it.
async fn deliver_in_vain(transport: &dyn Transport, spec: &ConsumerSpec) {
    let mut consumer = transport.consume(spec.clone());
    assert_eq!(body(&next(&mut consumer).await), "1");
    consumer.acker().close().await;
}

/// Runs a command that the log gave, by the test broker's own `rabbitmqctl`.
fn run(command: &str) {
    let control = std::env::var("TEST_RABBITMQ_CTL").expect("scripts/test sets it");
    let command = command.replace("rabbitmqctl", &control);
    let output = Command::new("sh").args(["-c", &command]).output().expect("sh runs");
    assert!(output.status.success(), "`{command}`: {output:?}");
}

#[tokio::test]
async fn what_a_warning_says_to_do_against_a_policy_keeps_the_message() {
    let (log, _guard) = Log::start();
    let (transport, names) = (rabbit_at(&rabbit_url()), names());
    let queue = names.queue.as_str();
    let (theirs, limit) = (format!("{queue}.theirs"), format!("{{\"delivery-limit\":{LIMIT}}}"));
    let pattern = format!("^{queue}");
    broker_control(&["set_policy", "--apply-to", "queues", &theirs, &pattern, &limit]).await;
    let mut spec = spec(&names, 10);
    spec.topology.queues[0].queue_type = QueueType::Quorum;
    spec.topology.queues[0].delivery_limit = Some(1_000_000);
    let publisher = transport.publisher("test", spec.topology.clone());
    publisher.publish(message(&names, "1")).await.await.unwrap();

    let often = "delivered so often in vain";
    for _ in 0..LIMIT {
        deliver_in_vain(&transport, &spec).await;
    }
    let line = log.line_with(often);
    let (_, command) = line.split_once("remedy=").expect(&line);
    run(command);
    for _ in 0..LIMIT {
        deliver_in_vain(&transport, &spec).await;
    }
    broker_control(&["clear_policy", &theirs]).await;
    broker_control(&["clear_policy", queue]).await;
}

#[tokio::test]
async fn a_queue_is_warned_of_once_over_all_sessions() {
    let (log, _guard) = Log::start();
    let (proxy, through) = behind_proxy().await;
    let (direct, names) = (rabbit_at(&rabbit_url()), names());
    let mut spec = spec(&names, 10);
    spec.topology.queues[0].queue_type = QueueType::Quorum;
    let publisher = direct.publisher("test", spec.topology.clone());
    publisher.publish(message(&names, "1")).await.await.unwrap();

    let mut consumer = rabbit_at(&through).consume(spec);
    assert_eq!(body(&next(&mut consumer).await), "1");
    for _ in 0..4 {
        proxy.cut();
        assert_eq!(body(&next(&mut consumer).await), "1");
    }
    assert_eq!(log.text().matches("delivered so often in vain").count(), 1, "{}", log.text());
}
