//! The transport's two drivers: what both promise (`contract`, `browser`), and what only a broker
//! over a network can do (`rabbit`, `cancelling`, `missing`, `delivery_limit`, `tls`).
//!
//! Queues expire and exchanges go with their last binding, so a test leaves nothing behind.

mod browser;
mod cancelling;
mod contract;
mod delivery_limit;
mod missing;
mod rabbit;
mod tls;

use std::time::Duration;

use karbor_restore_worker::transport::memory::MemoryBroker;
use karbor_restore_worker::transport::rabbit::{RabbitOptions, RabbitTransport};
use karbor_restore_worker::transport::url::TransportUrl;
use karbor_restore_worker::transport::{
    Binding, Consumer, ConsumerSpec, Delivery, Exchange, ExchangeKind, Link, Message, Properties,
    Queue, QueueType, Topology, Transport,
};
use secrecy::ExposeSecret;
use tokio::sync::watch;
use tokio::time::timeout;
use uuid::Uuid;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
enum Kind {
    Memory,
    Rabbit,
}

fn open(kind: Kind) -> Box<dyn Transport> {
    match kind {
        Kind::Memory => Box::new(MemoryBroker::new()),
        Kind::Rabbit => Box::new(rabbit_at(&rabbit_url())),
    }
}

fn rabbit_url() -> String {
    std::env::var("TEST_RABBITMQ_URL")
        .unwrap_or_else(|_| "rabbit://guest:guest@127.0.0.1:5672/".to_owned())
}

fn rabbit_at(url: &str) -> RabbitTransport {
    RabbitTransport::new(url.parse().expect("a URL"), RabbitOptions::default())
}

/// The test broker's URL with other hosts, and perhaps another password.
fn url_to(hosts: &str, password: Option<&str>) -> String {
    let url: TransportUrl = rabbit_url().parse().expect("a URL");
    let user = &url.hosts[0].username;
    let password = password.unwrap_or(url.hosts[0].password.expose_secret());
    let hosts: Vec<_> = hosts.split(',').map(|h| format!("{user}:{password}@{h}")).collect();
    let vhost = url.virtual_host.replace('/', "%2F");
    format!("rabbit://{}/{vhost}", hosts.join(","))
}

/// Names of one test.
struct Names {
    exchange: String,
    queue: String,
}

fn names() -> Names {
    let id = Uuid::new_v4().simple();
    Names { exchange: format!("test-{id}"), queue: format!("test-{id}.queue") }
}

fn queue(name: &str) -> Queue {
    Queue {
        name: name.to_owned(),
        queue_type: QueueType::Classic,
        durable: false,
        exclusive: false,
        expires_ms: Some(120_000),
        delivery_limit: None,
        arguments: Vec::new(),
        setting: "messaging.queue_type",
        durable_setting: None,
    }
}

fn exchange(name: &str, kind: ExchangeKind) -> Exchange {
    Exchange { name: name.to_owned(), kind, durable: false, auto_delete: true }
}

/// One queue, bound by its own name.
fn topology(names: &Names) -> Topology {
    Topology {
        exchanges: vec![exchange(&names.exchange, ExchangeKind::Topic)],
        queues: vec![queue(&names.queue)],
        bindings: vec![bind(&names.exchange, &names.queue, &names.queue)],
    }
}

fn bind(exchange: &str, queue: &str, key: &str) -> Binding {
    Binding { exchange: exchange.to_owned(), queue: queue.to_owned(), routing_key: key.to_owned() }
}

fn spec(names: &Names, prefetch: u16) -> ConsumerSpec {
    spec_of(std::slice::from_ref(names), prefetch)
}

/// So many queues on one exchange.
fn names_of_one_exchange<const N: usize>() -> [Names; N] {
    let exchange = names().exchange;
    std::array::from_fn(|_| Names { exchange: exchange.clone(), ..names() })
}

/// All of these queues on one channel.
fn spec_of(all: &[Names], prefetch: u16) -> ConsumerSpec {
    let mut topology = Topology::default();
    for names in all {
        topology.merge(self::topology(names));
    }
    let queues = all.iter().map(|names| names.queue.clone()).collect();
    ConsumerSpec { name: "test".to_owned(), topology, queues, prefetch }
}

fn message(names: &Names, body: &str) -> Message {
    Message {
        exchange: names.exchange.clone(),
        routing_key: names.queue.clone(),
        mandatory: false,
        properties: Properties::oslo(),
        body: body.as_bytes().to_vec(),
    }
}

async fn publish_all(transport: &dyn Transport, names: &Names, bodies: &[&str]) {
    let publisher = transport.publisher("test", topology(names));
    for body in bodies {
        publisher.publish(message(names, body)).await.await.expect(body);
    }
    publisher.close().await;
}

async fn next(consumer: &mut Box<dyn Consumer>) -> Delivery {
    let delivery = timeout(PATIENCE, consumer.next()).await.expect("a delivery in time");
    delivery.expect("a delivery, not the end")
}

async fn end(consumer: &mut Box<dyn Consumer>) -> Option<Delivery> {
    timeout(PATIENCE, consumer.next()).await.expect("the end in time")
}

fn body(delivery: &Delivery) -> String {
    String::from_utf8(delivery.body.clone()).expect("a test's body is text")
}

async fn wait_for_link(
    link: &mut watch::Receiver<Link>,
    wanted: impl FnMut(&Link) -> bool,
) -> Link {
    timeout(PATIENCE, link.wait_for(wanted)).await.expect("in time").expect("lives").clone()
}

/// Waits until `queue` holds `messages` that nobody has.
async fn wait_for_depth(transport: &dyn Transport, queue: &str, messages: u64) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let reached = async {
        loop {
            ticks.tick().await;
            let depth = transport.inspect(queue).await.expect("the broker answers");
            if depth.is_some_and(|depth| depth.messages == messages) {
                return;
            }
        }
    };
    timeout(PATIENCE, reached).await.expect("the depth in time");
}
