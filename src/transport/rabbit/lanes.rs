//! Two ways to publish on one connection, each a channel of its own.
//!
//! Takes messages, answers each. [`Lane`] keeps any number in flight. [`MandatoryLane`] works in
//! rounds: lapin gives a returned message to whichever confirm comes next, so only when all of a
//! round are confirmed is it known which ones were returned. A round is what came while the one
//! before was on its way. Must never answer a returned message as published.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation, Connection};
use tokio::sync::oneshot;

use super::declare::lost;
use super::properties::{TooLong, short, to_amqp};
use crate::transport::{Message, PublishError, TransportError};

const MOST_IN_ROUND: usize = 2048;

/// A message and whoever waits for what becomes of it.
pub(super) struct Outgoing {
    pub message: Message,
    pub answer: oneshot::Sender<Result<(), PublishError>>,
}

/// A channel with confirms, for messages that may reach no queue.
pub(super) struct Lane {
    channel: Arc<Channel>,
    /// The broker refused a message on this channel.
    refused: Arc<AtomicBool>,
}

impl Lane {
    pub(super) async fn open(connection: &Connection) -> Result<Self, TransportError> {
        let channel = connection.create_channel().await.map_err(|error| lost(&error))?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default()).await;
        confirms.map_err(|error| lost(&error))?;
        Ok(Self { channel: Arc::new(channel), refused: Arc::default() })
    }

    /// Whether another channel may be taken better: RabbitMQ's goes on refusing all for a quorum
    /// queue whose leader was on a dead node when the channel first published to it
    /// (`rabbit_fifo_client`, `{badrpc, nodedown}`).
    pub(super) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Publishes, waits for the confirm and answers. An error is the session's end.
    pub(super) fn send(
        &self,
        outgoing: Outgoing,
    ) -> impl Future<Output = Result<(), TransportError>> + Send + 'static {
        let (channel, refused) = (Arc::clone(&self.channel), Arc::clone(&self.refused));
        async move {
            let result = publish(&channel, &outgoing.message).await;
            let (answer, end) = match result {
                Ok(Confirmation::Nack(_)) => {
                    refused.store(true, Ordering::Relaxed);
                    (Err(PublishError::Nacked), Ok(()))
                }
                Err(Failure::TooLong) => (Err(PublishError::Nacked), Ok(())),
                Ok(_) => (Ok(()), Ok(())),
                Err(Failure::Lost(error)) => (Err(PublishError::Lost), Err(lost(&error))),
            };
            // Nobody may be waiting any more.
            let _ = outgoing.answer.send(answer);
            end
        }
    }
}

enum Failure {
    /// AMQP has no place for a name this long.
    TooLong,
    Lost(lapin::Error),
}

async fn publish(channel: &Channel, message: &Message) -> Result<Confirmation, Failure> {
    let too_long = |TooLong| Failure::TooLong;
    let exchange = short(&message.exchange).map_err(too_long)?;
    let key = short(&message.routing_key).map_err(too_long)?;
    let properties = to_amqp(&message.properties).map_err(too_long)?;
    let options = BasicPublishOptions { mandatory: message.mandatory, immediate: false };
    let published = channel.basic_publish(exchange, key, options, &message.body, properties).await;
    published.map_err(Failure::Lost)?.await.map_err(Failure::Lost)
}

/// A channel with confirms, for messages that must reach a queue.
pub(super) struct MandatoryLane {
    lane: Lane,
    queued: VecDeque<Outgoing>,
    round: Option<BoxFuture<'static, Result<(), TransportError>>>,
    in_round: usize,
}

impl MandatoryLane {
    pub(super) async fn open(connection: &Connection) -> Result<Self, TransportError> {
        let lane = Lane::open(connection).await?;
        Ok(Self { lane, queued: VecDeque::new(), round: None, in_round: 0 })
    }

    /// As [`Lane::is_refused`].
    pub(super) fn is_refused(&self) -> bool {
        self.lane.is_refused()
    }

    /// Goes on over another channel; the round that is on its way ends on its own.
    pub(super) fn renew(&mut self, lane: Lane) {
        self.lane = lane;
    }

    /// Messages without an answer.
    pub(super) fn len(&self) -> usize {
        self.queued.len() + self.in_round
    }

    pub(super) fn push(&mut self, outgoing: Outgoing) {
        self.queued.push_back(outgoing);
    }

    /// Waits for the round's end, after starting one if there is none; for ever if there is
    /// nothing to send. An error is the session's end. Safe to drop and call again.
    pub(super) async fn advance(&mut self) -> Result<(), TransportError> {
        if self.round.is_none() {
            let round: Vec<_> = self.queued.drain(..self.queued.len().min(MOST_IN_ROUND)).collect();
            self.in_round = round.len();
            if round.is_empty() {
                return std::future::pending().await;
            }
            let (channel, refused) = (self.lane.channel.clone(), self.lane.refused.clone());
            self.round = Some(send_round(channel, refused, round).boxed());
        }
        let Some(round) = &mut self.round else { return Ok(()) };
        let end = round.await;
        self.round = None;
        self.in_round = 0;
        end
    }
}

async fn send_round(
    channel: Arc<Channel>,
    refused: Arc<AtomicBool>,
    round: Vec<Outgoing>,
) -> Result<(), TransportError> {
    // `join_all` polls in order for the first time, which is what keeps it on the wire.
    let confirms = join_all(round.iter().map(|o| publish(&channel, &o.message))).await;
    let mut end = Ok(());
    let mut returned = Vec::new();
    let mut answers = Vec::with_capacity(confirms.len());
    for confirm in confirms {
        answers.push(match confirm {
            Ok(confirmation) => {
                let nacked = confirmation.is_nack();
                if nacked {
                    refused.store(true, Ordering::Relaxed);
                }
                returned.extend(confirmation.take_message());
                if nacked { Err(PublishError::Nacked) } else { Ok(()) }
            }
            // No queue has a name this long.
            Err(Failure::TooLong) => Err(PublishError::Returned),
            Err(Failure::Lost(error)) => {
                end = Err(lost(&error));
                Err(PublishError::Lost)
            }
        });
    }
    for message in returned {
        let sent = round.iter().zip(&mut answers).find(|(outgoing, answer)| {
            answer.is_ok()
                && outgoing.message.routing_key == message.routing_key.as_str()
                && outgoing.message.exchange == message.exchange.as_str()
                && outgoing.message.body == message.data
        });
        if let Some((_, answer)) = sent {
            *answer = Err(PublishError::Returned);
        }
    }
    for (outgoing, answer) in round.into_iter().zip(answers) {
        // Nobody may be waiting any more.
        let _ = outgoing.answer.send(answer);
    }
    end
}
