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
                | Outcome::Waiting
                | Outcome::Kept,
                _,
            )),
        ) => Disposition::Acknowledge,
        (None, Err(error)) => Disposition::DeadLetter(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Effect, Refusal, ResourceStatus, RestoreId};

    fn caller() -> Caller {
        Caller {
            msg_id: "m".to_owned(),
            reply_q: "reply_q".to_owned(),
            timeout: None,
            body_limit: 1024,
        }
    }

    fn refusal() -> Outcome {
        Outcome::Refused(Refusal::RestoreNotFound(RestoreId::new(uuid::Uuid::nil())))
    }

    #[test]
    fn a_cast_is_acknowledged_or_kept() {
        let applied = Outcome::Resources(vec![(Effect::Applied, ResourceStatus::Started)]);
        for done in [applied, Outcome::Recorded, Outcome::Expected(3), Outcome::Waiting] {
            let disposition = dispose(None, Ok((done, ReplyShape::Null)));
            assert!(matches!(disposition, Disposition::Acknowledge), "{disposition:?}");
        }
        let refused = dispose(None, Ok((refusal(), ReplyShape::One)));
        assert!(matches!(refused, Disposition::DeadLetter(RpcError::RestoreNotFound(_))));
        let bad = dispose(None, Err(RpcError::InvalidInput("no".to_owned())));
        assert!(matches!(bad, Disposition::DeadLetter(RpcError::InvalidInput(_))));
    }

    #[test]
    fn a_call_is_answered_and_kept_only_for_a_fault_of_ours() {
        for result in [
            Ok((Outcome::Recorded, ReplyShape::Null)),
            Ok((refusal(), ReplyShape::One)),
            Err(RpcError::InvalidInput("no".to_owned())),
        ] {
            let disposition = dispose(Some(&caller()), result);
            assert!(matches!(disposition, Disposition::Answer(_)), "{disposition:?}");
        }
        let ours = dispose(Some(&caller()), Err(RpcError::InternalError("ours".to_owned())));
        assert!(matches!(ours, Disposition::AnswerAndKeep(_, RpcError::InternalError(_))));
    }
}
