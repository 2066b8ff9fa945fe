//! Answers `get_restore`: from the rows, under the tenant rule.

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::note::database_refusal;
use crate::backoff::Pauses;
use crate::cause::with_causes;
use crate::domain::RestoreId;
use crate::rpc::{Dispatched, RpcError};
use crate::store::{Store, StoreError};
use crate::transport::Message;

/// Why there is no answer to send.
pub(super) enum Failed {
    /// A cast that asks for what is not there: a dead letter.
    Error(RpcError),
    /// The worker is to end and the database is away.
    GivenUp,
}

/// The answer to send; `None` for a cast, which wants none.
pub(super) async fn get_restore(
    store: &Store,
    dispatched: &Dispatched,
    id: RestoreId,
    draining: &CancellationToken,
    given_up: &CancellationToken,
) -> Result<Option<Message>, Failed> {
    let mut pauses = Pauses::default();
    let found = loop {
        let read = tokio::select! {
            () = given_up.cancelled() => return Err(Failed::GivenUp),
            read = store.restore_view(id) => read,
        };
        match read {
            Ok(found) => break Ok(found),
            Err(StoreError::Refused { .. }) => break Err(database_refusal()),
            Err(error) => {
                if draining.is_cancelled() {
                    return Err(Failed::GivenUp);
                }
                warn!(cause = %with_causes(&error), "cannot read a restore; trying again");
                pauses.pause().await;
            }
        }
    };
    let view = found.and_then(|found| {
        found
            .filter(|view| dispatched.sender.reaches(&view.project_id))
            .ok_or(RpcError::RestoreNotFound(id))
    });
    match (&dispatched.caller, view) {
        (Some(caller), Ok(view)) => Ok(Some(caller.restore(&view))),
        (Some(caller), Err(error)) => Ok(Some(caller.failure(&error))),
        (None, Ok(_)) => Ok(None),
        (None, Err(error)) => Err(Failed::Error(error)),
    }
}
