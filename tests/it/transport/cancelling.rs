//! A consumer that is cancelled gives nothing back that the broker delivered: it is all handed out.
//! Links are slow here, so that much is on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::options::BasicGetOptions;

use super::rabbit::{behind_proxy, channel};
use super::*;

const PREFETCH: u16 = 100;

/// Acknowledges all that is handed out until the end, and gives how much that was.
async fn finish(mut consumer: Box<dyn Consumer>) -> usize {
    let acker = consumer.acker();
    let mut handed_out = 0;
    while let Some(delivery) = end(&mut consumer).await {
        acker.ack(delivery.tag).await;
        handed_out += 1;
    }
    acker.close().await;
    handed_out
}

/// Takes what is left until all of `sent` are accounted for. None of it was delivered before.
async fn assert_rest_was_never_delivered(all: &[Names], handed_out: usize, sent: usize) {
    let (_connection, channel) = channel().await;
    let options = BasicGetOptions { no_ack: true };
    let mut left = 0;
    let taking = async {
        while handed_out + left < sent {
            for names in all {
                let get = || channel.basic_get(names.queue.as_str().into(), options);
                while let Some(message) = get().await.expect("an answer") {
                    assert!(!message.redelivered, "it was delivered, and not handed out");
                    left += 1;
                }
            }
        }
    };
    timeout(PATIENCE, taking).await.expect("all that was sent is somewhere");
    assert_eq!(handed_out + left, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_attaches() {
    let direct = rabbit_at(&rabbit_url());
    let all = names_of_one_exchange::<3>();
    let _exchange_stays = direct.publisher("test", spec_of(&all, PREFETCH).topology);
    for names in &all {
        publish_all(&direct, names, &["1", "2", "3", "4", "5"]).await;
    }
    let (proxy, url) = behind_proxy().await;
    proxy.slow(Duration::from_millis(200));
    let consumer = rabbit_at(&url).consume(spec_of(&all, PREFETCH));
    let attached =
        async { while direct.inspect(&all[0].queue).await.unwrap().unwrap().consumers == 0 {} };
    timeout(PATIENCE, attached).await.expect("it consumes the first queue");
    consumer.acker().cancel().await;
    let handed_out = finish(consumer).await;
    assert_rest_was_never_delivered(&all, handed_out, 15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_much_comes() {
    let direct = rabbit_at(&rabbit_url());
    let all = names_of_one_exchange::<4>();
    let (proxy, url) = behind_proxy().await;
    let consumer = rabbit_at(&url).consume(spec_of(&all, PREFETCH));
    wait_for_link(&mut consumer.acker().link(), |link| *link == Link::Up).await;
    proxy.slow(Duration::from_millis(400));
    consumer.acker().cancel().await;

    let publisher = direct.publisher("test", spec_of(&all, PREFETCH).topology);
    let [.., last] = &all;
    let last = message(last, "x");
    let ended = Arc::new(AtomicBool::new(false));
    let publishing = {
        let ended = Arc::clone(&ended);
        tokio::spawn(async move {
            let mut sent = 0;
            while !ended.load(Ordering::Relaxed) {
                publisher.publish(last.clone()).await.await.unwrap();
                sent += 1;
            }
            sent
        })
    };
    let handed_out = finish(consumer).await;
    ended.store(true, Ordering::Relaxed);
    let sent = publishing.await.unwrap();
    assert_rest_was_never_delivered(&all, handed_out, sent).await;
}
