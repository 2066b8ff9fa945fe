//! AMQP as the rest of the crate sees it: deliveries in, messages out with confirms, one trait
//! for two drivers. The only room that names lapin.
//!
//! Takes topology and messages, gives deliveries and confirms. Connections are made anew by the
//! driver itself for as long as it takes; a caller sees a delivery's `session` change, never a
//! broken connection. Acknowledgements of an old session are dropped: the broker delivers those
//! messages again.

mod error;
mod message;
mod topology;
pub mod url;
pub mod memory;
pub mod rabbit;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

pub use error::{PublishError, TransportError};
pub use message::{Delivery, DeliveryTag, HeaderValue, Message, Properties};
pub use topology::{Binding, ConsumerSpec, Exchange, ExchangeKind, Queue, QueueType, Topology};

/// A broker, or what stands in for one inside a process.
pub trait Transport: Send + Sync + 'static {
    /// Starts consuming `spec.queues`. Returns at once; the first connection is made in the
    /// background and made anew whenever it is lost, with backoff capped at 2 s. On every
    /// (re)connect `spec.topology` is declared before anything is consumed.
    fn consume(&self, spec: ConsumerSpec) -> Box<dyn Consumer>;

    /// Opens a publisher with a connection of its own, made anew like a consumer's; `topology` is
    /// declared on every (re)connect before the first message.
    fn publisher(&self, name: &str, topology: Topology) -> Arc<dyn Publisher>;

    /// How full `queue` is now; `None` if there is no such queue. On RabbitMQ a message that was
    /// delivered and is not settled is not counted.
    fn inspect<'a>(
        &'a self,
        queue: &'a str,
    ) -> BoxFuture<'a, Result<Option<QueueDepth>, TransportError>>;

    /// Declares what of `topology` somebody else deleted, and binds all of it, on a connection of its
    /// own; for now, not after a reconnect. What is there is left as it is.
    ///
    /// # Errors
    /// [`TransportError::Refused`] names a part that the broker refuses; the others are done.
    fn declare_missing<'a>(
        &'a self,
        topology: &'a Topology,
    ) -> BoxFuture<'a, Result<(), TransportError>>;

    /// Opens `queue` for looking through it message by message, on a connection of its own; `None`
    /// if there is no such queue. One at a time: while another looks through the same queue it is
    /// [`TransportError::Refused`], since each would see what the other does not hold.
    fn browse<'a>(
        &'a self,
        queue: &'a str,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Browser>>, TransportError>>;
}

/// Looks through a queue. What nobody acknowledged is back once this is closed, dropped or cut off,
/// in its order if it was closed. Does not connect again: what was taken is back already.
pub trait Browser: Send {
    /// How many messages waited when it was opened.
    fn depth(&self) -> u64;

    /// The next message; `None` once nothing waits.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Delivery>, TransportError>>;

    /// Takes a message out of the queue for good.
    fn ack(&mut self, tag: DeliveryTag) -> BoxFuture<'_, Result<(), TransportError>>;

    /// Gives back what was not acknowledged; `Ok` once the broker has done that and taken every
    /// acknowledgement.
    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), TransportError>>;
}

/// What a queue holds, for metrics and warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages that wait to be delivered.
    pub messages: u64,
    /// Consumers of the queue.
    pub consumers: u64,
}

/// An endless stream of deliveries.
pub trait Consumer: Send {
    /// The next delivery, across reconnects. `None` once [`Acker::cancel`] was called and what
    /// had been delivered before it was handed out. Safe to drop and call again.
    fn next(&mut self) -> BoxFuture<'_, Option<Delivery>>;

    /// A delivery that is here already, without waiting.
    fn try_next(&mut self) -> Option<Delivery>;

    /// The handle that settles this consumer's deliveries.
    fn acker(&self) -> Arc<dyn Acker>;
}

/// Settles deliveries of one consumer. All calls are safe for deliveries of an old session: they
/// do nothing, since the broker has requeued those.
pub trait Acker: Send + Sync {
    /// Acknowledges one delivery.
    fn ack(&self, tag: DeliveryTag) -> BoxFuture<'_, ()>;

    /// Acknowledges this and every earlier unsettled delivery of its session
    /// (AMQP's `multiple`).
    fn ack_through(&self, tag: DeliveryTag) -> BoxFuture<'_, ()>;

    /// Gives one delivery back to its queue, to be delivered again.
    fn requeue(&self, tag: DeliveryTag) -> BoxFuture<'_, ()>;

    /// Takes no new message from now on (`basic.cancel`); what was delivered can still be settled.
    fn cancel(&self) -> BoxFuture<'_, ()>;

    /// Closes the connection, by the protocol, under a deadline of a few seconds.
    fn close(&self) -> BoxFuture<'_, ()>;

    /// How this consumer's connection stands.
    fn link(&self) -> watch::Receiver<Link>;
}

/// What becomes of a published message, resolved when the broker has answered.
pub type Confirm = BoxFuture<'static, Result<(), PublishError>>;

/// Publishes with confirms. Messages leave in the order of the calls.
pub trait Publisher: Send + Sync {
    /// Hands `message` to the connection and returns what waits for its confirm: `Ok` once the
    /// broker has taken responsibility for it, and, if it is mandatory, routed it to a queue.
    /// Waits while there is no connection or the broker blocks publishers; the returned future
    /// fails when the connection is lost before the confirm. Never publishes twice by itself.
    fn publish(&self, message: Message) -> BoxFuture<'_, Confirm>;

    /// Declares what is missing before messages go there, now and after every reconnect.
    fn declare(&self, topology: Topology) -> BoxFuture<'_, Result<(), TransportError>>;

    /// How this publisher's connection stands.
    fn link(&self) -> watch::Receiver<Link>;

    /// Closes the connection, by the protocol, under a deadline of a few seconds.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// How a connection stands, for `/readyz` and the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Connected, everything declared, and, for a consumer, consuming.
    Up,
    /// The same, but for these queues, which do not answer and are not consumed.
    Without(Vec<String>),
    /// Not connected; why, without any password. `connecting` before the first attempt ended.
    Down(String),
    /// Connected, but the broker takes no messages (an alarm); its reason.
    Blocked(String),
    /// Connected, but the broker does not answer; for how long it was waited for. What was sent may
    /// yet be taken.
    Silent(Duration),
}
