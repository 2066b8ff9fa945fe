//! Looking through a queue that holds more than a browser asks for at once.

use futures_util::future::join_all;
use karbor_restore_worker::transport::{Delivery, Transport};
use rstest::rstest;

use super::*;

/// Far more than a browser asks for, or a channel sends back, at once, and not a multiple of it.
const MESSAGES: usize = 3000;

/// What the queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Memory,
    Classic,
    /// As the worker declares it: what it gets back stays at its head.
    Quorum,
    /// As others may have: what it gets back goes to its end.
    QuorumWithoutLimit,
}

impl Of {
    fn topology(self, names: &Names) -> Topology {
        let mut topology = topology(names);
        if matches!(self, Self::Quorum | Self::QuorumWithoutLimit) {
            topology.queues[0].queue_type = QueueType::Quorum;
            topology.queues[0].delivery_limit = (self == Self::Quorum).then_some(1_000_000);
        }
        topology
    }
}

/// A queue with messages `0`, `1`, ...
async fn filled(of: Of) -> (Box<dyn Transport>, Names) {
    let kind = if of == Of::Memory { Kind::Memory } else { Kind::Rabbit };
    let (transport, names) = (open(kind), names());
    let publisher = transport.publisher("test", of.topology(&names));
    let mut confirms = Vec::new();
    for number in 0..MESSAGES {
        confirms.push(publisher.publish(message(&names, &number.to_string())).await);
    }
    join_all(confirms).await.into_iter().for_each(|confirm| confirm.expect("it is taken"));
    publisher.close().await;
    wait_for_depth(&*transport, &names.queue, MESSAGES as u64).await;
    (transport, names)
}

/// Looks through all of the queue, and takes out what `taken` says.
async fn look(
    transport: &dyn Transport,
    names: &Names,
    taken: impl Fn(usize) -> bool,
) -> Vec<Delivery> {
    let mut browser = transport
        .browse(&names.queue)
        .await
        .expect("the broker answers")
        .expect("the queue is there");
    let depth = browser.depth();
    let mut seen = Vec::new();
    for _ in 0..depth {
        let delivery = browser.next().await.expect("the broker answers").expect("it waited");
        if taken(body(&delivery).parse().expect("a number")) {
            browser.ack(delivery.tag).await.expect("it is written");
        }
        seen.push(delivery);
    }
    browser.close().await.expect("the broker answers");
    seen
}

fn numbers(seen: &[Delivery]) -> Vec<usize> {
    seen.iter().map(|delivery| body(delivery).parse().expect("a number")).collect()
}

#[rstest]
#[tokio::test]
async fn what_is_looked_through_again_and_again_keeps_its_order(
    #[values(Of::Memory, Of::Classic, Of::Quorum, Of::QuorumWithoutLimit)] of: Of,
) {
    let (transport, names) = filled(of).await;
    let mut left: Vec<_> = (0..MESSAGES).collect();
    for third in 0..3 {
        let taken = |number: usize| number % 3 == third;
        let seen = look(&*transport, &names, taken).await;
        assert_eq!(numbers(&seen), left, "{of:?}");
        assert!(seen.iter().all(|delivery| delivery.redelivered == (third > 0)), "{of:?}");
        left.retain(|number| !taken(*number));
        wait_for_depth(&*transport, &names.queue, left.len() as u64).await;
    }
}

#[rstest]
#[tokio::test]
async fn what_others_took_meanwhile_is_the_end(
    #[values(Of::Memory, Of::Classic, Of::Quorum)] of: Of,
) {
    let (transport, names) = filled(of).await;
    let mut browser = transport.browse(&names.queue).await.unwrap().expect("the queue is there");
    assert_eq!(browser.depth(), MESSAGES as u64);
    let others = ConsumerSpec { topology: of.topology(&names), ..spec(&names, 0) };
    let mut consumer = transport.consume(others);
    for _ in 0..MESSAGES {
        let delivery = next(&mut consumer).await;
        consumer.acker().ack(delivery.tag).await;
    }
    assert_eq!(browser.next().await.unwrap(), None);
    browser.close().await.unwrap();
}
