//! The driver without a broker: `memory://`, one value shared by cloning, inside one process.
//!
//! Takes and gives what the one for RabbitMQ does, as far as the trait can tell; exclusive queues
//! and expiry are left out. Nothing outlives the process, nothing is ever lost or blocked, and it
//! has no task of its own: each call does its work under one lock.

mod browser;
mod state;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, ready};
use tokio::sync::{mpsc, watch};

use super::{
    Acker, Browser, Confirm, Consumer, ConsumerSpec, Delivery, DeliveryTag, Link, Message,
    PublishError, Publisher, QueueDepth, Topology, Transport, TransportError,
};
use browser::MemoryBrowser;
use state::{SESSION, State};

/// A broker in memory; clones are the same broker.
#[derive(Clone, Default)]
pub struct MemoryBroker {
    state: Arc<Mutex<State>>,
}

impl MemoryBroker {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for MemoryBroker {
    fn consume(&self, spec: ConsumerSpec) -> Box<dyn Consumer> {
        let (sender, deliveries) = mpsc::unbounded_channel();
        let mut state = self.lock();
        state.declare(&spec.topology);
        let id = state.add_consumer(spec.queues, spec.prefetch, sender);
        drop(state);
        let acker = MemoryAcker {
            broker: self.clone(),
            id,
            link: watch::Sender::new(Link::Up),
            closed: AtomicBool::new(false),
        };
        Box::new(MemoryConsumer { deliveries, acker: Arc::new(acker) })
    }

    fn publisher(&self, _name: &str, topology: Topology) -> Arc<dyn Publisher> {
        self.lock().declare(&topology);
        Arc::new(MemoryPublisher { broker: self.clone(), link: watch::Sender::new(Link::Up) })
    }

    fn inspect<'a>(
        &'a self,
        queue: &'a str,
    ) -> BoxFuture<'a, Result<Option<QueueDepth>, TransportError>> {
        Box::pin(ready(Ok(self.lock().inspect(queue))))
    }

    fn declare_missing<'a>(
        &'a self,
        topology: &'a Topology,
    ) -> BoxFuture<'a, Result<(), TransportError>> {
        self.lock().declare(topology);
        Box::pin(ready(Ok(())))
    }

    fn browse<'a>(
        &'a self,
        queue: &'a str,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Browser>>, TransportError>> {
        Box::pin(ready(
            MemoryBrowser::open(self, queue)
                .map(|browser| browser.map(|browser| Box::new(browser) as Box<dyn Browser>)),
        ))
    }
}

struct MemoryConsumer {
    deliveries: mpsc::UnboundedReceiver<Delivery>,
    acker: Arc<MemoryAcker>,
}

impl Consumer for MemoryConsumer {
    fn next(&mut self) -> BoxFuture<'_, Option<Delivery>> {
        Box::pin(async {
            let delivery = self.deliveries.recv().await?;
            // What a closed consumer still holds is in its queue again.
            (!self.acker.is_closed()).then_some(delivery)
        })
    }

    fn try_next(&mut self) -> Option<Delivery> {
        self.deliveries.try_recv().ok().filter(|_| !self.acker.is_closed())
    }

    fn acker(&self) -> Arc<dyn Acker> {
        self.acker.clone()
    }
}

struct MemoryAcker {
    broker: MemoryBroker,
    id: u64,
    link: watch::Sender<Link>,
    closed: AtomicBool,
}

impl MemoryAcker {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn settle(&self, tag: DeliveryTag, settle: fn(&mut State, u64, u64)) -> BoxFuture<'_, ()> {
        if tag.session == SESSION {
            settle(&mut self.broker.lock(), self.id, tag.tag);
        }
        Box::pin(ready(()))
    }

    fn close_now(&self) {
        self.closed.store(true, Ordering::Release);
        self.broker.lock().remove_consumer(self.id);
        self.link.send_replace(Link::Down("closed".to_owned()));
    }
}

impl Drop for MemoryAcker {
    fn drop(&mut self) {
        self.close_now();
    }
}

impl Acker for MemoryAcker {
    fn ack(&self, tag: DeliveryTag) -> BoxFuture<'_, ()> {
        self.settle(tag, State::ack)
    }

    fn ack_through(&self, tag: DeliveryTag) -> BoxFuture<'_, ()> {
        self.settle(tag, State::ack_through)
    }

    fn requeue(&self, tag: DeliveryTag) -> BoxFuture<'_, ()> {
        self.settle(tag, State::requeue)
    }

    fn cancel(&self) -> BoxFuture<'_, ()> {
        self.broker.lock().cancel(self.id);
        Box::pin(ready(()))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.close_now();
        Box::pin(ready(()))
    }

    fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }
}

struct MemoryPublisher {
    broker: MemoryBroker,
    link: watch::Sender<Link>,
}

impl Publisher for MemoryPublisher {
    fn publish(&self, message: Message) -> BoxFuture<'_, Confirm> {
        let result = if *self.link.borrow() == Link::Up {
            self.broker.lock().publish(&message)
        } else {
            Err(PublishError::Lost)
        };
        Box::pin(ready(Box::pin(ready(result)) as Confirm))
    }

    fn declare(&self, topology: Topology) -> BoxFuture<'_, Result<(), TransportError>> {
        self.broker.lock().declare(&topology);
        Box::pin(ready(Ok(())))
    }

    fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.link.send_replace(Link::Down("closed".to_owned()));
        Box::pin(ready(()))
    }
}
