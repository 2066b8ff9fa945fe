//! Publishes with confirms over as many sessions as it takes.
//!
//! Takes messages through a gate that is open while there is a live session that the broker does
//! not block, gives a confirm for each. One task owns the connection. Every confirm that lapin
//! hands out is awaited here, whoever dropped theirs: lapin keeps dropped ones for ever. Must
//! never publish twice: a message whose session ended is `Lost`, and what to do about it is the
//! caller's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::Event;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connection::Session;
use super::declare::Declarer;
use super::lanes::{Lane, MandatoryLane, Outgoing};
use super::sign_of_life::SignOfLife;
use super::supervisor::{DECLARE_TIMEOUT, Supervisor, Target};
use crate::transport::{Confirm, Link, Message, PublishError, Publisher, Topology, TransportError};

// What callers may hand over before the connection has taken it.
const QUEUE: usize = 1024;
// Confirms that may be missing; beyond it callers wait.
const MOST_IN_FLIGHT: usize = 4096;
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
// How long a channel on which the broker refused a message is kept at least: a queue that is full
// refuses on every channel.
const RENEW_AFTER: Duration = Duration::from_secs(1);
const LIVENESS_CHECK: Duration = Duration::from_millis(250);

// Almost all are messages: a box for each would cost more than it saves.
#[allow(clippy::large_enum_variant)]
enum Command {
    Publish(Outgoing),
    Declare(Topology, oneshot::Sender<Result<(), TransportError>>),
}

/// Whether messages may be handed over, and to what.
#[derive(Clone)]
enum Gate {
    Waiting,
    Open(mpsc::Sender<Command>),
    Closed,
}

struct RabbitPublisher {
    gate: watch::Receiver<Gate>,
    link: watch::Receiver<Link>,
    topology: Arc<Mutex<Topology>>,
    closing: CancellationToken,
    closed: CancellationToken,
    // A publisher that is gone without `close` leaves no connection behind.
    _close_on_drop: DropGuard,
}

/// Starts the task that publishes.
pub(super) fn start(target: Arc<Target>, name: &str, topology: Topology) -> Arc<dyn Publisher> {
    let (link_sender, link) = watch::channel(Link::Down("connecting".to_owned()));
    let (gate_sender, gate) = watch::channel(Gate::Waiting);
    let topology = Arc::new(Mutex::new(topology));
    let closing = CancellationToken::new();
    let closed = CancellationToken::new();
    let task = Task {
        gate: gate_sender,
        topology: Arc::clone(&topology),
        closing: closing.clone(),
        closed: closed.clone(),
    };
    tokio::spawn(task.run(Supervisor::new(target, name.to_owned(), link_sender)));
    let guard = closing.clone().drop_guard();
    Arc::new(RabbitPublisher { gate, link, topology, closing, closed, _close_on_drop: guard })
}

/// A session and its channels.
struct Opened {
    session: Session,
    lane: Lane,
    mandatory: MandatoryLane,
    life: SignOfLife,
}

struct Task {
    gate: watch::Sender<Gate>,
    topology: Arc<Mutex<Topology>>,
    closing: CancellationToken,
    closed: CancellationToken,
}

impl Task {
    async fn run(self, mut supervisor: Supervisor) {
        while !self.closing.is_cancelled() {
            let opened = tokio::select! {
                opened = self.open(&mut supervisor) => opened,
                () = self.closing.cancelled() => break,
            };
            match opened {
                Ok(Opened { session, lane, mandatory, life }) => {
                    supervisor.connected(Link::Up);
                    let end = self.publish(&session, &supervisor, lane, mandatory, life).await;
                    self.gate.send_replace(Gate::Waiting);
                    if let Err(error) = &end {
                        supervisor.lost(error);
                    }
                    session.close().await;
                }
                Err(error) => supervisor.failed(&error),
            }
            tokio::select! {
                () = tokio::time::sleep(supervisor.pause()) => {}
                () = self.closing.cancelled() => {}
            }
        }
        self.gate.send_replace(Gate::Closed);
        supervisor.closed();
        self.closed.cancel();
    }

    async fn open(&self, supervisor: &mut Supervisor) -> Result<Opened, TransportError> {
        let topology = lock(&self.topology).clone();
        let declared = supervisor.connect(&topology).await?;
        supervisor.warn_of(declared.differences);
        let session = declared.session;
        let open = async {
            let lane = Lane::open(&session.connection).await?;
            let mandatory = MandatoryLane::open(&session.connection).await?;
            Ok((lane, mandatory, SignOfLife::open(&session.connection).await?))
        };
        match timeout(DECLARE_TIMEOUT, open).await {
            Ok(Ok((lane, mandatory, life))) => Ok(Opened { session, lane, mandatory, life }),
            Ok(Err(error)) => {
                session.close().await;
                Err(error)
            }
            Err(_) => Err(TransportError::Lost("no answer to a new channel".to_owned())),
        }
    }

    /// Publishes until the session ends (`Err`) or is to be closed (`Ok`).
    async fn publish(
        &self,
        session: &Session,
        supervisor: &Supervisor,
        mut lane: Lane,
        mut mandatory: MandatoryLane,
        mut life: SignOfLife,
    ) -> Result<(), TransportError> {
        let (sender, mut commands) = mpsc::channel(QUEUE);
        self.gate.send_replace(Gate::Open(sender.clone()));
        let mut in_flight = FuturesUnordered::new();
        let mut batch = Vec::new();
        let mut events = session.events();
        let mut liveness = tokio::time::interval(LIVENESS_CHECK);
        let mut renewed_at = Instant::now();
        let end = loop {
            let room = MOST_IN_FLIGHT.saturating_sub(in_flight.len() + mandatory.len());
            tokio::select! {
                () = self.closing.cancelled() => break Ok(()),
                Some(event) = events.next() => match event {
                    Event::ConnectionBlocked(reason) => {
                        self.gate.send_replace(Gate::Waiting);
                        supervisor.blocked(Some(reason));
                    }
                    Event::ConnectionUnblocked => {
                        supervisor.blocked(None);
                        self.gate.send_replace(Gate::Open(sender.clone()));
                    }
                    Event::Error(error) => break Err(super::declare::lost(&error)),
                    _ => {}
                },
                Some(done) = in_flight.next() => if let Err(error) = done { break Err(error) },
                sign = life.change() => match sign {
                    Ok(sign) => supervisor.silent(sign),
                    Err(error) => break Err(error),
                },
                done = mandatory.advance() => if let Err(error) = done { break Err(error) },
                // Never zero: the sender is held here.
                _ = commands.recv_many(&mut batch, room), if room > 0 => {
                    for command in batch.drain(..) {
                        match command {
                            Command::Publish(outgoing) if outgoing.message.mandatory => {
                                mandatory.push(outgoing);
                            }
                            Command::Publish(outgoing) => {
                                let mut sending = Box::pin(lane.send(outgoing));
                                // The first poll queues its frames: this keeps the order.
                                match (&mut sending).now_or_never() {
                                    Some(Ok(())) => {}
                                    Some(Err(error)) => in_flight.push(Box::pin(async { Err(error) }) as _),
                                    None => in_flight.push(sending as BoxFuture<'static, _>),
                                }
                            }
                            Command::Declare(topology, answer) => {
                                let _ = answer.send(declare(session, &topology).await);
                            }
                        }
                    }
                }
                _ = liveness.tick() => {
                    if !session.is_connected() {
                        break Err(TransportError::Lost("the connection ended".to_owned()));
                    }
                    if renewed_at.elapsed() >= RENEW_AFTER {
                        renewed_at = Instant::now();
                        if let Err(error) = renew(session, &mut lane, &mut mandatory).await {
                            break Err(error);
                        }
                    }
                }
            }
        };
        self.gate.send_replace(Gate::Waiting);
        // What was confirmed already is not lost; at a close, what is on its way is waited for.
        let rest = async {
            while in_flight.next().await.is_some() {}
            while mandatory.len() > 0 && mandatory.advance().await.is_ok() {}
        };
        match &end {
            Ok(()) => drop(timeout(FLUSH_TIMEOUT, rest).await),
            Err(_) => drop(rest.now_or_never()),
        }
        end
    }
}

/// Takes another channel in the place of one on which the broker refused a message. What is on its
/// way on the old one is answered there.
async fn renew(
    session: &Session,
    lane: &mut Lane,
    mandatory: &mut MandatoryLane,
) -> Result<(), TransportError> {
    let renewing = async {
        if lane.is_refused() {
            *lane = Lane::open(&session.connection).await?;
        }
        if mandatory.is_refused() {
            mandatory.renew(Lane::open(&session.connection).await?);
        }
        Ok(())
    };
    let result = timeout(DECLARE_TIMEOUT, renewing).await;
    result.unwrap_or_else(|_| Err(TransportError::Lost("no answer to a new channel".to_owned())))
}

async fn declare(session: &Session, topology: &Topology) -> Result<(), TransportError> {
    let mut declarer = Declarer::new(&session.connection);
    let result = timeout(DECLARE_TIMEOUT, declarer.declare(topology)).await;
    result.unwrap_or_else(|_| Err(TransportError::Lost("no answer".to_owned())))
}

fn lock(topology: &Mutex<Topology>) -> std::sync::MutexGuard<'_, Topology> {
    topology.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RabbitPublisher {
    /// Hands `command` over once the gate is open; gives it back when it never will be.
    async fn hand_over(&self, mut command: Command) -> Result<(), Command> {
        let mut gate = self.gate.clone();
        loop {
            let state = gate.borrow_and_update().clone();
            match state {
                Gate::Closed => return Err(command),
                Gate::Waiting => {}
                Gate::Open(sender) => match sender.send(command).await {
                    Ok(()) => return Ok(()),
                    // The session ended meanwhile: its successor opens the gate again.
                    Err(unsent) => command = unsent.0,
                },
            }
            if gate.changed().await.is_err() {
                return Err(command);
            }
        }
    }
}

impl Publisher for RabbitPublisher {
    fn publish(&self, message: Message) -> BoxFuture<'_, Confirm> {
        // Two waits by contract: for the connection, then for the confirm.
        #[allow(clippy::async_yields_async)]
        Box::pin(async move {
            let (answer, confirm) = oneshot::channel();
            // A closed publisher drops `answer` here, a lost session drops it there.
            drop(self.hand_over(Command::Publish(Outgoing { message, answer })).await);
            Box::pin(async move { confirm.await.unwrap_or(Err(PublishError::Lost)) }) as Confirm
        })
    }

    fn declare(&self, topology: Topology) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(async move {
            loop {
                let (answer, declared) = oneshot::channel();
                let command = Command::Declare(topology.clone(), answer);
                if self.hand_over(command).await.is_err() {
                    return Err(TransportError::Lost("closed".to_owned()));
                }
                match declared.await {
                    Ok(Ok(())) => {
                        // Only what the broker takes: a refused part would keep every later
                        // session from opening.
                        lock(&self.topology).merge(topology);
                        return Ok(());
                    }
                    Ok(Err(error @ TransportError::Refused { .. })) => return Err(error),
                    Ok(Err(_)) | Err(_) => {}
                }
            }
        })
    }

    fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.closing.cancel();
            // The task itself works under deadlines; this one is for a runtime that is going down.
            let _ = timeout(CLOSE_TIMEOUT, self.closed.cancelled()).await;
        })
    }
}
