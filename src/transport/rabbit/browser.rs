//! Looks through a queue by `basic.get`, one message at a time, all on one channel.
//!
//! Takes a session and a queue, gives its messages. What is not acknowledged goes back when the
//! channel closes, in its old place, marked as redelivered, however this ends. An exclusive queue
//! of this connection is the sign that the queue is being looked through: the broker refuses a
//! second one (405, `RESOURCE_LOCKED`) and deletes it with the connection. Never reconnects.

use std::time::Duration;

use futures_util::future::BoxFuture;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use tokio::time::timeout;

use super::connection::Session;
use super::declare::{Declarer, lost, refused, soft_error};
use super::properties::{TooLong, short, to_delivery};
use crate::transport::{Browser, Delivery, DeliveryTag, TransportError};

/// How long the broker may take for an answer.
const ANSWER: Duration = Duration::from_secs(20);

/// A browser has one session.
const SESSION: u64 = 1;

pub(super) struct RabbitBrowser {
    session: Session,
    channel: Channel,
    queue: String,
    depth: u64,
}

impl RabbitBrowser {
    /// Takes the sign, then looks how much there is; `None` if there is no such queue.
    pub(super) async fn open(
        session: Session,
        queue: &str,
    ) -> Result<Option<Self>, TransportError> {
        let opened = timeout(ANSWER, open(&session, queue)).await.unwrap_or_else(|_| silent());
        match opened {
            Ok(Some((channel, depth))) => {
                Ok(Some(Self { session, channel, queue: queue.to_owned(), depth }))
            }
            Ok(None) => {
                session.close().await;
                Ok(None)
            }
            Err(error) => {
                session.close().await;
                Err(error)
            }
        }
    }
}

async fn open(session: &Session, queue: &str) -> Result<Option<(Channel, u64)>, TransportError> {
    let Some(depth) = Declarer::new(&session.connection).inspect(queue).await? else {
        return Ok(None);
    };
    let what = format!("to look through queue `{queue}`");
    let sign = short(&format!("{queue}.browser")).map_err(|TooLong| TransportError::Refused {
        what: what.clone(),
        reason: "AMQP's names end at 255 bytes".to_owned(),
    })?;
    let channel = session.connection.create_channel().await.map_err(|error| lost(&error))?;
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    match channel.queue_declare(sign, options, FieldTable::default()).await {
        Ok(_) => Ok(Some((channel, depth.messages))),
        Err(error) if soft_error(&error) == Some(AMQPSoftError::RESOURCELOCKED) => {
            let reason = "somebody else looks through it just now".to_owned();
            Err(TransportError::Refused { what, reason })
        }
        Err(error) => Err(refused(what, &error)),
    }
}

fn silent<T>() -> Result<T, TransportError> {
    Err(TransportError::Lost(format!("no answer within {} s", ANSWER.as_secs())))
}

impl Browser for RabbitBrowser {
    fn depth(&self) -> u64 {
        self.depth
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Option<Delivery>, TransportError>> {
        Box::pin(async {
            let queue = short(&self.queue).expect("its name was declared");
            let got = timeout(ANSWER, self.channel.basic_get(queue, BasicGetOptions::default()));
            let Ok(got) = got.await else { return silent() };
            let got = got.map_err(|error| refused(format!("to read `{}`", self.queue), &error))?;
            Ok(got.map(|message| to_delivery(SESSION, &self.queue, message.delivery)))
        })
    }

    fn ack(&mut self, tag: DeliveryTag) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(async move {
            let acked = self.channel.basic_ack(tag.tag, BasicAckOptions::default()).await;
            acked.map(drop).map_err(|error| lost(&error))
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), TransportError>> {
        Box::pin(async move {
            // Its answer comes behind all that was sent on the channel.
            let closed = timeout(ANSWER, self.channel.close(200, "OK".into())).await;
            self.session.close().await;
            match closed {
                Ok(closed) => closed.map_err(|error| lost(&error)),
                Err(_) => silent(),
            }
        })
    }
}
