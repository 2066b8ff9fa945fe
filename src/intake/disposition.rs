//! The one table that decides a message's fate, from what became of it.

use crate::domain::Outcome;
use crate::rpc::{Caller, ReplyShape, RpcError};
use crate::transport::Message;

/// What happens to a delivery before it is acknowledged.
#[derive(Debug)]
pub(super) enum Disposition {
    /// Nothing more: its effect is committed.
    Acknowledge,
    /// Its caller gets this answer.
    Answer(Message),
    /// It is kept in the dead-letter queue, and an error notification says so.
    DeadLetter(RpcError),
    /// A fault of ours: the caller is told, and the message is kept for us to see.
    AnswerAndKeep(Message, RpcError),
}

/// What becomes of a message that was given to the database, or refused before.
pub(super) fn dispose(
    caller: Option<&Caller>,
    result: Result<(Outcome, ReplyShape), RpcError>,
) -> Disposition {
    match (caller, result) {
        (Some(caller), Ok((outcome, shape))) => {
            Disposition::Answer(caller.outcome(&outcome, shape))
        }
        (Some(caller), Err(error @ RpcError::InternalError(_))) => {
            Disposition::AnswerAndKeep(caller.failure(&error), error)
        }
        (Some(caller), Err(error)) => Disposition::Answer(caller.failure(&error)),
        (None, Ok((Outcome::Refused(refusal), _))) => Disposition::DeadLetter(refusal.into()),
        (
            None,
            Ok((
                Outcome::Recorded
                | Outcome::Resources(_)
                | Outcome::Expected(_)
                | Outcome::Restore(..)
                | Outcome::Waiting,
                _,
            )),
        ) => Disposition::Acknowledge,
        (None, Err(error)) => Disposition::DeadLetter(error),
    }
}
