//! Asks the broker now and then for a round trip on a connection that is up. A broker that is
//! stopped keeps its connections, and AMQP's heartbeats tell after minutes.
//!
//! Takes a channel of its own, says when there is no answer and when one came. One question is out
//! at a time and is never given up: when the broker goes on, it answers, and the session with all
//! it holds goes on too. Must not end a session that only waits.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lapin::options::BasicQosOptions;
use lapin::{Channel, Connection};
use tokio::time::{Instant, sleep_until};

use super::declare::lost;
use crate::transport::TransportError;

/// Pause between an answer and the next question.
const EVERY: Duration = Duration::from_secs(2);

/// How long an answer may take before the broker counts as silent.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// No answer came in time.
    Silent,
    /// The answer came after all.
    Answers,
}

type Answer = BoxFuture<'static, Result<(), TransportError>>;

/// Round trips on one session.
pub(super) struct SignOfLife {
    channel: Channel,
    asked: Option<Answer>,
    /// When to ask, or until when an answer is waited for before the broker is silent.
    at: Instant,
    silent: bool,
}

impl SignOfLife {
    pub(super) async fn open(connection: &Connection) -> Result<Self, TransportError> {
        let channel = connection.create_channel().await.map_err(|error| lost(&error))?;
        Ok(Self { channel, asked: None, at: Instant::now() + EVERY, silent: false })
    }

    /// Waits for a change. An error is the session's end. Safe to drop and call again.
    pub(super) async fn change(&mut self) -> Result<Sign, TransportError> {
        loop {
            let Some(asked) = &mut self.asked else {
                sleep_until(self.at).await;
                self.asked = Some(ask(self.channel.clone()));
                self.at = Instant::now() + ANSWER;
                continue;
            };
            tokio::select! {
                answer = asked => {
                    self.asked = None;
                    self.at = Instant::now() + EVERY;
                    answer?;
                    if std::mem::take(&mut self.silent) {
                        return Ok(Sign::Answers);
                    }
                }
                () = sleep_until(self.at), if !self.silent => {
                    self.silent = true;
                    return Ok(Sign::Silent);
                }
            }
        }
    }
}

/// The cheapest request that needs no permission: a prefetch, on a channel that consumes nothing.
fn ask(channel: Channel) -> Answer {
    async move {
        let answered = channel.basic_qos(1, BasicQosOptions::default()).await;
        answered.map_err(|error| lost(&error))
    }
    .boxed()
}
