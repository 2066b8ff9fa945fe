//! Consumes queues under a deadline, and remembers those that do not answer: a quorum queue without
//! a leader never does.
//!
//! Takes the attempts of a consumer, gives the queues that it goes without, and asks those again
//! now and then. Each time on a connection of its own: an unanswered request leaves its channel
//! stuck in the broker, which ends the whole connection with 541 after 65 s (RabbitMQ 3.10.8). Must
//! not hold up what is consumed meanwhile.

use std::collections::BTreeSet;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::join_all;
use lapin::Channel;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::connection::Session;
use super::declare::{lost, refused};
use super::properties::short;
use super::supervisor::{DECLARE_TIMEOUT, Supervisor};
use crate::transport::{Link, TransportError};

/// How long a queue may take to answer: a cluster needs a few seconds to elect a leader.
const ANSWER: Duration = Duration::from_secs(5);

/// The same once the broker has answered besides, should both have been on their way for long.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// Pause before silent queues are asked again.
const EVERY: Duration = Duration::from_secs(10);

/// Why a queue is not consumed.
pub(super) enum NotConsumed {
    /// It gave no answer, while the broker did; its name.
    Silent(String),
    Failed(TransportError),
}

impl From<TransportError> for NotConsumed {
    fn from(error: TransportError) -> Self {
        Self::Failed(error)
    }
}

/// A channel to consume on. The prefetch is each queue's own: quorum queues refuse a limit over a
/// whole channel.
pub(super) async fn open_channel(
    session: &Session,
    prefetch: u16,
) -> Result<Channel, TransportError> {
    let opening = async {
        let channel = session.connection.create_channel().await?;
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        Ok(channel)
    };
    match timeout(DECLARE_TIMEOUT, opening).await {
        Ok(opened) => opened.map_err(|error| lost(&error)),
        Err(_) => Err(TransportError::Lost("no answer to a new channel".to_owned())),
    }
}

/// Consumes one queue, or says that it does not answer.
pub(super) async fn consume(
    session: &Session,
    channel: &Channel,
    queue: &str,
    tag: &str,
) -> Result<lapin::Consumer, NotConsumed> {
    let what = format!("to consume queue `{queue}`");
    let Ok(name) = short(queue) else {
        let reason = "a queue's name ends at 255 bytes".to_owned();
        return Err(TransportError::Refused { what, reason }.into());
    };
    let (options, table) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut asked = pin!(channel.basic_consume(name, tag.into(), options, table));
    let mut answer = timeout(ANSWER, &mut asked).await;
    if answer.is_err() {
        // The broker may be silent as a whole, or the network.
        let broker = timeout(ANSWER, session.connection.create_channel()).await;
        if !matches!(broker, Ok(Ok(_))) {
            return Err(no_answer(&[queue.to_owned()]).into());
        }
        answer = timeout(LAST_ANSWER, asked).await;
    }
    match answer {
        Ok(answer) => answer.map_err(|error| refused(what, &error).into()),
        Err(_) => Err(NotConsumed::Silent(queue.to_owned())),
    }
}

/// The queues that a consumer goes without.
#[derive(Default)]
pub(super) struct SilentQueues {
    queues: BTreeSet<String>,
    /// Those that the log has named, until they are consumed.
    told: BTreeSet<String>,
}

impl SilentQueues {
    pub(super) fn contains(&self, queue: &str) -> bool {
        self.queues.contains(queue)
    }

    /// The next session goes without `queue`.
    ///
    /// # Errors
    /// None of `all` answers: each is tried again.
    pub(super) fn add(&mut self, queue: String, all: &[String]) -> Result<(), TransportError> {
        self.queues.insert(queue);
        if all.iter().all(|queue| self.contains(queue)) {
            self.queues.clear();
            return Err(no_answer(all));
        }
        Ok(())
    }

    /// They answered: the next session consumes them.
    pub(super) fn remove(&mut self, queues: &[String]) {
        self.queues.retain(|queue| !queues.contains(queue));
    }

    /// How a connection stands that consumes all others.
    pub(super) fn link(&self) -> Link {
        if self.queues.is_empty() { Link::Up } else { Link::Without(self.names()) }
    }

    /// Says which queues a session that is up goes without, and which no longer, each once.
    pub(super) fn tell(&mut self) {
        for queue in &self.queues {
            if self.told.insert(queue.clone()) {
                warn!(
                    queue,
                    "this queue does not answer and is not consumed; the others are. See \
                     `rabbitmq-queues quorum_status`: a queue that stays without a leader must be \
                     deleted, which the worker never does by itself; it makes a new one then"
                );
            }
        }
        for queue in self.told.difference(&self.queues) {
            info!(queue, "this queue answers now and is consumed");
        }
        self.told.clone_from(&self.queues);
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.queues.iter().cloned().collect()
    }
}

/// Waits until some of `queues` answer, and gives those; for ever where there are none. To be
/// dropped with the session that goes without them.
pub(super) async fn any_answers(supervisor: &Supervisor, queues: Vec<String>) -> Vec<String> {
    if queues.is_empty() {
        return pending().await;
    }
    loop {
        sleep(EVERY).await;
        let Ok(session) = supervisor.dial_beside().await else { continue };
        let asked =
            queues.iter().map(async |queue| answers(&session, queue).await.then_some(queue));
        let answered: Vec<_> = join_all(asked).await.into_iter().flatten().cloned().collect();
        if !answered.is_empty() {
            // What the questions were given goes back to its queue.
            session.close().await;
            return answered;
        }
    }
}

/// Whether `queue` answers a consumer that takes one message at most. A refusal is an answer: the
/// queue may be gone, and the next session declares it.
async fn answers(session: &Session, queue: &str) -> bool {
    let Ok(channel) = open_channel(session, 1).await else { return false };
    let asked = consume(session, &channel, queue, "").await;
    matches!(asked, Ok(_) | Err(NotConsumed::Failed(TransportError::Refused { .. })))
}

fn no_answer(queues: &[String]) -> TransportError {
    let queues: Vec<_> = queues.iter().map(|queue| format!("`{queue}`")).collect();
    TransportError::Lost(format!("no answer to a new consumer of queue {}", queues.join(", ")))
}
