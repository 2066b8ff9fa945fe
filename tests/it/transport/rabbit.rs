//! What only a broker over a network can do: go away, come back, refuse, and have things already.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use karbor_restore_worker::transport::{
    ExchangeKind, Link, Message, PublishError, Publisher, QueueType,
};
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::harness::{Proxy, SilentQueue};

/// A proxy before the broker, and the URL through it.
pub(super) async fn behind_proxy() -> (Proxy, String) {
    let url: TransportUrl = rabbit_url().parse().expect("a URL");
    let proxy = Proxy::start(&url.hosts[0].to_string()).await;
    let through = url_to(&proxy.address().to_string(), None);
    (proxy, through)
}

/// A channel beside the code under test.
pub(super) async fn channel() -> (Connection, Channel) {
    let url: TransportUrl = rabbit_url().parse().expect("a URL");
    let uri = url_to(&url.hosts[0].to_string(), None).replacen("rabbit", "amqp", 1);
    let connection =
        Connection::connect(&uri, ConnectionProperties::default()).await.expect("broker");
    let channel = connection.create_channel().await.expect("a channel");
    (connection, channel)
}

/// What is logged on this thread.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(super) fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8")
    }

    pub(super) fn line_with(&self, words: &str) -> String {
        let text = self.text();
        text.lines().find(|line| line.contains(words)).expect(&text).to_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_consumer_comes_back_after_its_connection_was_cut() {
    let (log, _guard) = Log::start();
    let (proxy, url) = behind_proxy().await;
    let (direct, through, names) = (rabbit_at(&rabbit_url()), rabbit_at(&url), names());
    publish_all(&direct, &names, &["1", "2"]).await;
    let mut consumer = through.consume(spec(&names, 1));
    let acker = consumer.acker();
    let mut link = acker.link();
    let old = next(&mut consumer).await;

    proxy.cut();
    wait_for_link(&mut link, |link| *link != Link::Up).await;
    let again = next(&mut consumer).await;
    assert_eq!((body(&again).as_str(), again.redelivered), ("1", true));
    assert!(again.tag.session > old.tag.session);
    assert_eq!(again.tag.tag, 1);

    // Of the old session: must not settle the new session's delivery of the same tag.
    acker.ack_through(old.tag).await;
    wait_for_depth(&direct, &names.queue, 1).await;
    acker.ack(again.tag).await;
    assert_eq!(body(&next(&mut consumer).await), "2");
    assert_eq!(*link.borrow(), Link::Up);

    let text = log.text();
    assert_eq!(text.matches("the connection to the broker is lost").count(), 1, "{text}");
    assert_eq!(text.matches("connected to the broker again").count(), 1, "{text}");
}

#[tokio::test]
async fn deliveries_of_an_ended_session_are_not_handed_out() {
    let (proxy, url) = behind_proxy().await;
    let (direct, through, names) = (rabbit_at(&rabbit_url()), rabbit_at(&url), names());
    publish_all(&direct, &names, &["1", "2", "3"]).await;
    let mut consumer = through.consume(spec(&names, 10));
    let mut link = consumer.acker().link();
    assert_eq!(body(&next(&mut consumer).await), "1");
    wait_for_depth(&direct, &names.queue, 0).await;
    proxy.cut();
    wait_for_link(&mut link, |link| *link != Link::Up).await;
    for expected in ["1", "2", "3"] {
        let delivery = next(&mut consumer).await;
        assert_eq!((body(&delivery).as_str(), delivery.tag.session), (expected, 2));
    }
}

#[tokio::test]
async fn an_unconfirmed_message_is_lost_and_the_next_one_waits_for_the_connection() {
    let (proxy, url) = behind_proxy().await;
    let (through, names) = (rabbit_at(&url), names());
    let publisher = through.publisher("test", topology(&names));
    let mut link = publisher.link();
    wait_for_link(&mut link, |link| *link == Link::Up).await;

    proxy.freeze();
    let plain = publisher.publish(message(&names, "1")).await;
    let mandatory = Message { mandatory: true, ..message(&names, "2") };
    let mandatory = publisher.publish(mandatory).await;
    proxy.refuse();
    assert_eq!(plain.await, Err(PublishError::Lost));
    assert_eq!(mandatory.await, Err(PublishError::Lost));

    wait_for_link(&mut link, |link| matches!(link, Link::Down(_))).await;
    let mut waiting = publisher.publish(message(&names, "3"));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    proxy.restore();
    assert_eq!(waiting.await.await, Ok(()));
    wait_for_depth(&through, &names.queue, 1).await;
}

#[tokio::test]
async fn an_idle_publisher_notices_that_its_connection_is_gone() {
    let (proxy, url) = behind_proxy().await;
    let (through, names) = (rabbit_at(&url), names());
    let publisher = through.publisher("test", topology(&names));
    let mut link = publisher.link();
    wait_for_link(&mut link, |link| *link == Link::Up).await;
    proxy.cut();
    wait_for_link(&mut link, |link| *link != Link::Up).await;
    wait_for_link(&mut link, |link| *link == Link::Up).await;
}

#[tokio::test]
async fn the_next_host_is_tried_when_one_refuses_connections() {
    let (proxy, _) = behind_proxy().await;
    proxy.refuse();
    let good: TransportUrl = rabbit_url().parse().unwrap();
    let hosts = format!("{},{}", proxy.address(), good.hosts[0]);
    let (transport, names) = (rabbit_at(&url_to(&hosts, None)), names());
    let publisher = transport.publisher("test", topology(&names));
    publisher.publish(message(&names, "1")).await.await.unwrap();
    assert_eq!(transport.inspect(&names.queue).await.unwrap().unwrap().messages, 1);
}

#[tokio::test]
async fn the_next_host_is_tried_when_one_takes_connections_and_never_answers() {
    let (log, _guard) = Log::start();
    let (proxy, _) = behind_proxy().await;
    proxy.freeze();
    let good: TransportUrl = rabbit_url().parse().unwrap();
    let hosts = format!("{},{}", proxy.address(), good.hosts[0]);
    let (transport, names) = (rabbit_at(&url_to(&hosts, None)), names());
    let publisher = transport.publisher("test", topology(&names));
    publisher.publish(message(&names, "1")).await.await.unwrap();
    // Which names the silent one.
    let line = log.line_with("cannot connect");
    for words in ["WARN", &proxy.address().port().to_string(), "no answer within 5 s"] {
        assert!(line.contains(words), "`{words}` in {line}");
    }
    assert_eq!(transport.inspect(&names.queue).await.unwrap().unwrap().messages, 1);
    let browser = transport.browse(&names.queue).await.unwrap().expect("the queue is there");
    assert_eq!(browser.depth(), 1);
    browser.close().await.unwrap();
    let mut consumer = transport.consume(spec(&names, 10));
    assert_eq!(body(&next(&mut consumer).await), "1");
}

#[tokio::test]
async fn a_frozen_connection_is_closed_within_the_deadline() {
    let (proxy, url) = behind_proxy().await;
    let (through, names) = (rabbit_at(&url), names());
    publish_all(&through, &names, &["1", "2"]).await;
    let mut consumer = through.consume(spec(&names, 10));
    let acker = consumer.acker();
    let publisher = through.publisher("test", topology(&names));
    publisher.publish(message(&names, "3")).await.await.unwrap();
    next(&mut consumer).await;
    next(&mut consumer).await;
    next(&mut consumer).await;

    proxy.freeze();
    let started = Instant::now();
    let unconfirmed = publisher.publish(message(&names, "4")).await;
    acker.cancel().await;
    assert!(end(&mut consumer).await.is_none());
    tokio::join!(acker.close(), publisher.close());
    assert_eq!(unconfirmed.await, Err(PublishError::Lost));
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_queue_deleted_under_its_consumer_is_declared_and_consumed_again() {
    let (transport, names) = (rabbit_at(&rabbit_url()), names());
    let mut consumer = transport.consume(spec(&names, 10));
    let mut link = consumer.acker().link();
    wait_for_link(&mut link, |link| *link == Link::Up).await;
    let (_connection, channel) = channel().await;
    let name = names.queue.as_str().into();
    channel.queue_delete(name, QueueDeleteOptions::default()).await.unwrap();
    let down = wait_for_link(&mut link, |link| *link != Link::Up).await;
    assert!(format!("{down:?}").contains(&names.queue), "{down:?}");
    wait_for_link(&mut link, |link| *link == Link::Up).await;
    publish_all(&transport, &names, &["1"]).await;
    assert_eq!(body(&next(&mut consumer).await), "1");
}

/// So many quorum queues on one exchange, made by a publisher, which is given as well.
async fn quorum_queues<const N: usize>(
    transport: &dyn Transport,
) -> ([Names; N], ConsumerSpec, Arc<dyn Publisher>) {
    let all = names_of_one_exchange();
    let mut spec = spec_of(&all, 10);
    for queue in &mut spec.topology.queues {
        queue.queue_type = QueueType::Quorum;
    }
    let publisher = transport.publisher("test", spec.topology.clone());
    wait_for_link(&mut publisher.link(), |link| *link == Link::Up).await;
    (all, spec, publisher)
}

#[tokio::test]
async fn a_consumer_goes_without_the_queues_that_do_not_answer_until_they_do() {
    let transport = rabbit_at(&rabbit_url());
    let ([first, second, third], spec, publisher) = quorum_queues(&transport).await;
    publisher.publish(message(&first, "0")).await.await.unwrap();
    let silent = [&first, &second].map(|names| SilentQueue::make(&names.queue));
    let silent = futures_util::future::join_all(silent).await;

    let mut consumer = transport.consume(spec);
    let mut link = consumer.acker().link();
    let without = |link: &Link| matches!(link, Link::Without(queues) if queues.len() == 2);
    let without = wait_for_link(&mut link, without).await;
    for names in [&first, &second] {
        assert!(format!("{without:?}").contains(&names.queue), "{without:?}");
    }
    publisher.publish(message(&third, "3")).await.await.unwrap();
    assert_eq!(body(&next(&mut consumer).await), "3");

    drop(silent);
    wait_for_link(&mut link, |link| *link == Link::Up).await;
    publisher.publish(message(&second, "2")).await.await.unwrap();
    // The first may have been given to a question, which gives it back.
    let mut missing = BTreeSet::from(["0".to_owned(), "2".to_owned()]);
    while !missing.is_empty() {
        missing.remove(&body(&next(&mut consumer).await));
    }
}

#[tokio::test]
async fn a_consumer_whose_only_queue_does_not_answer_says_which_and_tries_it_again() {
    let transport = rabbit_at(&rabbit_url());
    let ([names], spec, publisher) = quorum_queues(&transport).await;
    let silent = SilentQueue::make(&names.queue).await;

    let mut consumer = transport.consume(spec);
    let mut link = consumer.acker().link();
    let is_it = |link: &Link| format!("{link:?}").contains(&names.queue);
    let down = wait_for_link(&mut link, is_it).await;
    assert!(matches!(down, Link::Down(_)), "{down:?}");

    drop(silent);
    wait_for_link(&mut link, |link| *link == Link::Up).await;
    publisher.publish(message(&names, "1")).await.await.unwrap();
    assert_eq!(body(&next(&mut consumer).await), "1");
}

#[tokio::test]
async fn an_exchange_with_other_flags_is_adopted_with_a_warning_naming_both() {
    let (log, _guard) = Log::start();
    let (transport, names) = (rabbit_at(&rabbit_url()), names());
    let (_connection, channel) = channel().await;
    let options = ExchangeDeclareOptions {
        durable: true,
        auto_delete: true,
        ..ExchangeDeclareOptions::default()
    };
    let name = names.exchange.as_str().into();
    let kind = lapin::ExchangeKind::Topic;
    channel.exchange_declare(name, kind, options, FieldTable::default()).await.unwrap();

    publish_all(&transport, &names, &["1"]).await;
    let mut consumer = transport.consume(spec(&names, 10));
    assert_eq!(body(&next(&mut consumer).await), "1");
    let line = log.line_with("used as it is");
    for words in [&*names.exchange, "'durable'", "'false'", "'true'"] {
        assert!(line.contains(words), "`{words}` in {line}");
    }
}

#[tokio::test]
async fn a_queue_with_other_arguments_is_consumed_with_a_warning_naming_both_and_the_setting() {
    let (log, _guard) = Log::start();
    let (proxy, url) = behind_proxy().await;
    let (transport, names) = (rabbit_at(&url), names());
    let (_connection, channel) = channel().await;
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-expires".into(), lapin::types::AMQPValue::LongInt(120_000));
    let name = names.queue.as_str().into();
    channel.queue_declare(name, options, arguments).await.unwrap();

    let mut spec = spec(&names, 10);
    spec.topology.queues[0].queue_type = QueueType::Quorum;
    let mut consumer = transport.consume(spec.clone());
    let mut link = consumer.acker().link();
    wait_for_link(&mut link, |link| *link == Link::Up).await;
    let publisher = transport.publisher("test", spec.topology);
    publisher.publish(message(&names, "1")).await.await.unwrap();
    assert_eq!(body(&next(&mut consumer).await), "1");
    let told = log.line_with("used as it is");
    for words in [&*names.queue, "x-queue-type", "quorum", "messaging.queue_type"] {
        assert!(told.contains(words), "`{words}` in {told}");
    }
    // By the publisher and by the consumer once each, however often they come back.
    proxy.cut();
    wait_for_link(&mut link, |link| *link != Link::Up).await;
    wait_for_link(&mut link, |link| *link == Link::Up).await;
    assert_eq!(log.text().matches("used as it is").count(), 2, "{}", log.text());
}

#[tokio::test]
async fn an_argument_that_no_setting_decides_is_told_as_such() {
    let (log, _guard) = Log::start();
    let (transport, names) = (rabbit_at(&rabbit_url()), names());
    let (_connection, channel) = channel().await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-expires".into(), lapin::types::AMQPValue::LongInt(100_000));
    let name = names.queue.as_str().into();
    channel.queue_declare(name, QueueDeclareOptions::default(), arguments).await.unwrap();

    publish_all(&transport, &names, &["1"]).await;
    let line = log.line_with("used as it is");
    for words in [&*names.queue, "'x-expires'", "'100000'", "setting=\"none"] {
        assert!(line.contains(words), "`{words}` in {line}");
    }
}

#[tokio::test]
async fn a_queue_with_a_small_delivery_limit_is_warned_about_before_and_when_it_matters() {
    let (log, _guard) = Log::start();
    let (transport, names) = (rabbit_at(&rabbit_url()), names());
    let (_connection, channel) = channel().await;
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), lapin::types::AMQPValue::LongString("quorum".into()));
    arguments.insert("x-delivery-limit".into(), lapin::types::AMQPValue::LongInt(5));
    arguments.insert("x-expires".into(), lapin::types::AMQPValue::LongInt(120_000));
    let name = names.queue.as_str().into();
    channel.queue_declare(name, options, arguments).await.unwrap();

    let mut spec = spec(&names, 10);
    spec.topology.queues[0].queue_type = QueueType::Quorum;
    spec.topology.queues[0].delivery_limit = Some(1_000_000);
    let publisher = transport.publisher("test", spec.topology.clone());
    for body in ["1", "2"] {
        publisher.publish(message(&names, body)).await.await.unwrap();
    }
    let line = log.line_with("another delivery limit");
    for words in ["WARN", &*names.queue, "'5'", "'1000000'"] {
        assert!(line.contains(words), "`{words}` in {line}");
    }

    let often = "delivered so often in vain";
    for in_vain in 0..4 {
        assert!(!log.text().contains(often), "after {in_vain}: {}", log.text());
        let mut consumer = transport.consume(spec.clone());
        let bodies =
            BTreeSet::from([body(&next(&mut consumer).await), body(&next(&mut consumer).await)]);
        assert_eq!(bodies, BTreeSet::from(["1".to_owned(), "2".to_owned()]));
        consumer.acker().close().await;
    }
    // Of both messages, once.
    assert_eq!(log.text().matches(often).count(), 1, "{}", log.text());
    let line = log.line_with(often);
    for words in ["WARN", &*names.queue, "count=3", "list_policies"] {
        assert!(line.contains(words), "`{words}` in {line}");
    }
}

#[tokio::test]
async fn an_exchange_of_another_type_is_an_error_that_says_what_it_costs() {
    let (log, _guard) = Log::start();
    let (transport, names) = (rabbit_at(&rabbit_url()), names());
    let (_connection, channel) = channel().await;
    let options = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
    let name = names.exchange.as_str().into();
    let kind = lapin::ExchangeKind::Direct;
    channel.exchange_declare(name, kind, options, FieldTable::default()).await.unwrap();

    publish_all(&transport, &names, &["1"]).await;
    let line = log.line_with("used as it is");
    let setting = "messaging.control_exchange";
    for words in ["ERROR", &*names.exchange, "'direct'", "of another type", "406", setting] {
        assert!(line.contains(words), "`{words}` in {line}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_said_without_it() {
    let (log, _guard) = Log::start();
    let url: TransportUrl = rabbit_url().parse().unwrap();
    let host = url.hosts[0].to_string();
    let transport = rabbit_at(&url_to(&host, Some("not-the-password")));
    let names = names();
    let consumer = transport.consume(spec(&names, 10));
    let refused = |link: &Link| format!("{link:?}").contains("ACCESS_REFUSED");
    let link = wait_for_link(&mut consumer.acker().link(), refused).await;
    assert!(!format!("{link:?}").contains("not-the-password"), "{link:?}");
    let error = transport.inspect(&names.queue).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("not-the-password"), "{error:?}");
    let text = log.text();
    assert!(text.contains("cannot connect"), "{text}");
    assert!(!text.contains("not-the-password"), "{text}");
}

#[tokio::test]
async fn what_the_broker_refuses_is_named_with_its_setting() {
    let (transport, names) = (rabbit_at(&rabbit_url()), names());
    // Another connection's own queue: neither to be declared nor to be used.
    let (_connection, channel) = channel().await;
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let name = names.queue.as_str().into();
    channel.queue_declare(name, options, FieldTable::default()).await.unwrap();
    let publisher = transport.publisher("test", Topology::default());
    let error = publisher.declare(topology(&names)).await.unwrap_err().to_string();
    assert!(error.contains(&names.queue), "{error}");
    assert!(error.contains("messaging.queue_type"), "{error}");
    assert!(error.contains("RESOURCE_LOCKED"), "{error}");
    // The refused part must not keep the publisher from working.
    let direct =
        Message { exchange: String::new(), mandatory: true, ..message(&names, "still there") };
    assert_eq!(publisher.publish(direct).await.await, Ok(()));
}

#[tokio::test]
async fn a_publisher_recovers_from_an_unknown_exchange() {
    let (transport, names) = (rabbit_at(&rabbit_url()), names());
    let publisher = transport.publisher("test", topology(&names));
    let lost = Message { exchange: format!("{}.none", names.exchange), ..message(&names, "1") };
    assert_eq!(publisher.publish(lost).await.await, Err(PublishError::Lost));
    assert_eq!(publisher.publish(message(&names, "2")).await.await, Ok(()));
}

#[tokio::test]
async fn a_quorum_queue_is_declared_with_its_arguments() {
    let (transport, names) = (rabbit_at(&rabbit_url()), names());
    let mut wanted = topology(&names);
    wanted.exchanges[0].kind = ExchangeKind::Topic;
    wanted.queues[0].queue_type = QueueType::Quorum;
    wanted.queues[0].delivery_limit = Some(1_000_000);
    let publisher = transport.publisher("test", wanted);
    publisher.publish(message(&names, "1")).await.await.unwrap();
    let (_connection, channel) = channel().await;
    let name = names.queue.as_str().into();
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), lapin::types::AMQPValue::LongString("quorum".into()));
    arguments.insert("x-delivery-limit".into(), lapin::types::AMQPValue::LongInt(1_000_000));
    arguments.insert("x-expires".into(), lapin::types::AMQPValue::LongInt(120_000));
    channel.queue_declare(name, options, arguments).await.expect("the same arguments");
}
