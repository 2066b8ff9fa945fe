//! What both drivers promise: each test runs over both.

use futures_util::future::join_all;
use karbor_restore_worker::transport::{
    ExchangeKind, HeaderValue, Link, Message, Properties, PublishError, Topology,
};
use rstest::rstest;

use super::*;

#[rstest]
#[tokio::test]
async fn a_message_is_delivered_as_it_was_sent(#[values(Kind::Memory, Kind::Rabbit)] kind: Kind) {
    let (transport, names) = (open(kind), names());
    let mut consumer = transport.consume(spec(&names, 10));
    let publisher = transport.publisher("test", topology(&names));
    let sent = Message {
        properties: Properties {
            message_id: Some("id".to_owned()),
            correlation_id: Some("correlation".to_owned()),
            timestamp: Some(1),
            headers: [("error".to_owned(), HeaderValue::from("é"))].into(),
            ..Properties::oslo()
        },
        ..message(&names, "body")
    };
    wait_for_link(&mut consumer.acker().link(), |link| *link == Link::Up).await;
    publisher.publish(sent.clone()).await.await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(body(&delivery), "body");
    assert_eq!(delivery.properties, sent.properties);
    assert_eq!(delivery.queue, names.queue);
    assert_eq!(delivery.exchange, names.exchange);
    assert_eq!(delivery.routing_key, names.queue);
    assert_eq!((delivery.tag.tag, delivery.redelivered), (1, false));
}

#[rstest]
#[tokio::test]
async fn what_is_not_acknowledged_is_delivered_again(
    #[values(Kind::Memory, Kind::Rabbit)] kind: Kind,
) {
    let (transport, names) = (open(kind), names());
    publish_all(&*transport, &names, &["1", "2", "3"]).await;
    let mut first = transport.consume(spec(&names, 10));
    next(&mut first).await;
    let second = next(&mut first).await;
    next(&mut first).await;
    first.acker().ack(second.tag).await;
    first.acker().close().await;
    assert!(end(&mut first).await.is_none());

    let mut successor = transport.consume(spec(&names, 10));
    for expected in ["1", "3"] {
        let delivery = next(&mut successor).await;
        assert_eq!((body(&delivery).as_str(), delivery.redelivered), (expected, true));
    }
    assert!(successor.try_next().is_none());
}

#[rstest]
#[tokio::test]
async fn a_dropped_consumer_gives_back_what_it_had(
    #[values(Kind::Memory, Kind::Rabbit)] kind: Kind,
) {
    let (transport, names) = (open(kind), names());
    publish_all(&*transport, &names, &["1"]).await;
    let mut first = transport.consume(spec(&names, 10));
    next(&mut first).await;
    drop(first);
    let mut successor = transport.consume(spec(&names, 10));
    assert!(next(&mut successor).await.redelivered);
}

#[rstest]
#[tokio::test]
async fn ack_through_settles_all_earlier_deliveries(
    #[values(Kind::Memory, Kind::Rabbit)] kind: Kind,
) {
    let (transport, names) = (open(kind), names());
    publish_all(&*transport, &names, &["1", "2", "3", "4"]).await;
    let mut first = transport.consume(spec(&names, 10));
    let mut deliveries = Vec::new();
    for _ in 0..4 {
        deliveries.push(next(&mut first).await);
    }
    first.acker().ack_through(deliveries[2].tag).await;
    first.acker().close().await;
    wait_for_depth(&*transport, &names.queue, 1).await;
    let mut successor = transport.consume(spec(&names, 10));
    assert_eq!(body(&next(&mut successor).await), "4");
}

#[rstest]
#[tokio::test]
async fn a_requeued_message_comes_again(#[values(Kind::Memory, Kind::Rabbit)] kind: Kind) {
    let (transport, names) = (open(kind), names());
    publish_all(&*transport, &names, &["1"]).await;
    let mut consumer = transport.consume(spec(&names, 10));
    let first = next(&mut consumer).await;
    consumer.acker().requeue(first.tag).await;
    let again = next(&mut consumer).await;
    assert_eq!((body(&again).as_str(), again.redelivered, again.tag.tag), ("1", true, 2));
}

#[rstest]
#[tokio::test]
async fn prefetch_bounds_what_is_unsettled(#[values(Kind::Memory, Kind::Rabbit)] kind: Kind) {
    let (transport, names) = (open(kind), names());
    publish_all(&*transport, &names, &["1", "2", "3", "4", "5"]).await;
    let mut consumer = transport.consume(spec(&names, 2));
    let first = next(&mut consumer).await;
    next(&mut consumer).await;
    wait_for_depth(&*transport, &names.queue, 3).await;
    assert!(consumer.try_next().is_none());
    consumer.acker().ack(first.tag).await;
    assert_eq!(body(&next(&mut consumer).await), "3");
}

#[rstest]
#[tokio::test]
async fn a_cancelled_consumer_hands_out_what_came_and_can_settle_it(
    #[values(Kind::Memory, Kind::Rabbit)] kind: Kind,
) {
    let (transport, names) = (open(kind), names());
    publish_all(&*transport, &names, &["1", "2", "3", "4", "5", "6"]).await;
    let mut consumer = transport.consume(spec(&names, 4));
    let first = next(&mut consumer).await;
    wait_for_depth(&*transport, &names.queue, 2).await;
    let acker = consumer.acker();
    acker.cancel().await;
    let mut last = first.tag;
    for expected in ["2", "3", "4"] {
        let delivery = next(&mut consumer).await;
        assert_eq!(body(&delivery), expected);
        last = delivery.tag;
    }
    assert!(end(&mut consumer).await.is_none());
    acker.ack_through(last).await;
    acker.close().await;
    wait_for_depth(&*transport, &names.queue, 2).await;
}

#[rstest]
#[tokio::test]
async fn each_mandatory_message_gets_its_own_answer(
    #[values(Kind::Memory, Kind::Rabbit)] kind: Kind,
) {
    let (transport, names) = (open(kind), names());
    let mut consumer = transport.consume(spec(&names, 0));
    wait_for_link(&mut consumer.acker().link(), |link| *link == Link::Up).await;
    let publisher = transport.publisher("test", topology(&names));
    let mut confirms = Vec::new();
    for number in 0..600 {
        let mut sent = Message { mandatory: true, ..message(&names, &number.to_string()) };
        if number % 3 == 0 {
            sent.routing_key = "nowhere".to_owned();
        }
        confirms.push(publisher.publish(sent).await);
    }
    for (number, answer) in join_all(confirms).await.into_iter().enumerate() {
        let expected = if number % 3 == 0 { Err(PublishError::Returned) } else { Ok(()) };
        assert_eq!(answer, expected, "{number}");
    }
    for number in (0..600).filter(|number| number % 3 != 0) {
        assert_eq!(body(&next(&mut consumer).await), number.to_string());
    }
}

#[rstest]
#[tokio::test]
async fn a_message_that_no_queue_takes_is_dropped_unless_mandatory(
    #[values(Kind::Memory, Kind::Rabbit)] kind: Kind,
) {
    let (transport, names) = (open(kind), names());
    let publisher = transport.publisher("test", topology(&names));
    let sent = Message { routing_key: "nowhere".to_owned(), ..message(&names, "x") };
    assert_eq!(publisher.publish(sent).await.await, Ok(()));
    let direct = Message {
        exchange: String::new(),
        routing_key: "reply_gone".to_owned(),
        mandatory: true,
        ..message(&names, "x")
    };
    assert_eq!(publisher.publish(direct).await.await, Err(PublishError::Returned));
}

#[rstest]
#[tokio::test]
async fn the_default_exchange_routes_by_the_queues_name(
    #[values(Kind::Memory, Kind::Rabbit)] kind: Kind,
) {
    let (transport, names) = (open(kind), names());
    let publisher = transport.publisher("test", topology(&names));
    let sent = Message { exchange: String::new(), mandatory: true, ..message(&names, "x") };
    assert_eq!(publisher.publish(sent).await.await, Ok(()));
    wait_for_depth(&*transport, &names.queue, 1).await;
}

#[rstest]
#[tokio::test]
async fn a_fanout_exchange_copies_to_every_queue(#[values(Kind::Memory, Kind::Rabbit)] kind: Kind) {
    let (transport, names) = (open(kind), names());
    let other = format!("{}.other", names.queue);
    let spread = Topology {
        exchanges: vec![exchange(&names.exchange, ExchangeKind::Fanout)],
        queues: vec![queue(&names.queue), queue(&other)],
        bindings: vec![
            bind(&names.exchange, &names.queue, ""),
            bind(&names.exchange, &other, "any"),
        ],
    };
    let publisher = transport.publisher("test", spread);
    publisher.publish(message(&names, "x")).await.await.unwrap();
    wait_for_depth(&*transport, &names.queue, 1).await;
    wait_for_depth(&*transport, &other, 1).await;
}

#[rstest]
#[tokio::test]
async fn tags_grow_by_one_over_all_queues_of_a_consumer(
    #[values(Kind::Memory, Kind::Rabbit)] kind: Kind,
) {
    let (transport, names) = (open(kind), names());
    let other = format!("{}.other", names.queue);
    let mut both = topology(&names);
    both.queues.push(queue(&other));
    both.bindings.push(bind(&names.exchange, &other, &other));
    let publisher = transport.publisher("test", both.clone());
    let mut confirms = Vec::new();
    for number in 0..1000 {
        let key = if number % 2 == 0 { &names.queue } else { &other };
        let sent = Message { routing_key: key.clone(), ..message(&names, &number.to_string()) };
        confirms.push(publisher.publish(sent).await);
    }
    join_all(confirms).await.into_iter().for_each(|confirm| confirm.unwrap());

    let queues = vec![names.queue.clone(), other.clone()];
    let mut consumer =
        transport.consume(ConsumerSpec { topology: both, queues, ..spec(&names, 100) });
    let mut last = [None, None];
    for tag in 1..=1000_u64 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.tag.tag, tag);
        let number: u32 = body(&delivery).parse().unwrap();
        let place = usize::from(delivery.queue == other);
        assert!(last[place].replace(number) < Some(number), "order within a queue");
        consumer.acker().ack_through(delivery.tag).await;
    }
    wait_for_depth(&*transport, &names.queue, 0).await;
}

#[rstest]
#[tokio::test]
async fn thousands_of_confirms_may_be_in_flight(#[values(Kind::Memory, Kind::Rabbit)] kind: Kind) {
    let (transport, names) = (open(kind), names());
    let publisher = transport.publisher("test", topology(&names));
    let mut confirms = Vec::new();
    for number in 0..3000 {
        confirms.push(publisher.publish(message(&names, &number.to_string())).await);
    }
    for confirm in join_all(confirms).await {
        confirm.unwrap();
    }
    let mut consumer = transport.consume(spec(&names, 500));
    for number in 0..3000 {
        let delivery = next(&mut consumer).await;
        assert_eq!(body(&delivery), number.to_string());
        consumer.acker().ack(delivery.tag).await;
    }
}

#[rstest]
#[tokio::test]
async fn a_queue_is_declared_before_the_first_message_goes_there(
    #[values(Kind::Memory, Kind::Rabbit)] kind: Kind,
) {
    let (transport, names) = (open(kind), names());
    let publisher = transport.publisher("test", Topology::default());
    publisher.declare(topology(&names)).await.unwrap();
    let sent = Message { mandatory: true, ..message(&names, "x") };
    assert_eq!(publisher.publish(sent).await.await, Ok(()));
    let depth = transport.inspect(&names.queue).await.unwrap().expect("a queue");
    assert_eq!(depth.consumers, 0);
}

#[rstest]
#[tokio::test]
async fn a_queue_that_does_not_exist_has_no_depth(
    #[values(Kind::Memory, Kind::Rabbit)] kind: Kind,
) {
    let transport = open(kind);
    assert_eq!(transport.inspect("test-none").await.unwrap(), None);
    assert_eq!(transport.inspect(&"x".repeat(300)).await.unwrap(), None);
}

#[rstest]
#[tokio::test]
async fn a_closed_publisher_publishes_nothing(#[values(Kind::Memory, Kind::Rabbit)] kind: Kind) {
    let (transport, names) = (open(kind), names());
    let publisher = transport.publisher("test", topology(&names));
    publisher.publish(message(&names, "1")).await.await.unwrap();
    publisher.close().await;
    assert_eq!(publisher.publish(message(&names, "2")).await.await, Err(PublishError::Lost));
    wait_for_depth(&*transport, &names.queue, 1).await;
}

#[rstest]
#[tokio::test]
async fn a_browser_takes_what_it_acknowledges_and_gives_back_the_rest_in_order(
    #[values(Kind::Memory, Kind::Rabbit)] kind: Kind,
) {
    let (transport, names) = (open(kind), names());
    publish_all(&*transport, &names, &["1", "2", "3", "4"]).await;
    wait_for_depth(&*transport, &names.queue, 4).await;
    let mut browser = transport.browse(&names.queue).await.unwrap().expect("the queue is there");
    assert_eq!(browser.depth(), 4);
    for expected in ["1", "2", "3"] {
        let delivery = browser.next().await.unwrap().expect(expected);
        assert_eq!(body(&delivery), expected);
        if expected == "2" {
            browser.ack(delivery.tag).await.unwrap();
        }
    }
    let second = transport.browse(&names.queue).await.err().expect("one at a time").to_string();
    assert!(second.contains(&names.queue) && second.contains("somebody else"), "{second}");
    browser.close().await.unwrap();

    let mut browser = transport.browse(&names.queue).await.unwrap().expect("the queue is there");
    for expected in ["1", "3", "4"] {
        let delivery = browser.next().await.unwrap().expect(expected);
        assert_eq!(body(&delivery), expected);
        // The last may have been on its way to the first browser.
        assert!(delivery.redelivered || expected == "4");
    }
    assert_eq!(browser.next().await.unwrap(), None);
    // Cut off, not closed.
    drop(browser);
    wait_for_depth(&*transport, &names.queue, 3).await;
    assert!(transport.browse("no-such-queue").await.unwrap().is_none());
}
