//! What is counted and logged of outcomes.

use tracing::{error, warn};

use super::commit::ItemResult;
use crate::domain::{
    Command, Effect, Outcome, ResourceStatus, ResourceUpdate, RestoreId, mask_passwords,
};
use crate::http::Metrics;
use crate::log_limit::LogLimit;
use crate::rpc::{Dispatched, RpcError};
use crate::store::DatabaseFault;

static STALE_FINALS: LogLimit = LogLimit::new("outcomes that came too late");
static REFUSED_ALONE: LogLimit = LogLimit::new("messages that the database refuses");

/// Counts effects; a stale `available` or `error` is logged too: somebody forgot to send a
/// sequence.
pub fn outcome(metrics: &Metrics, command: &Command, result: &ItemResult) {
    match (command, result) {
        (Command::UpdateResources { restore_id, updates }, Ok(Outcome::Resources(effects))) => {
            for (update, (effect, known)) in updates.iter().zip(effects) {
                metrics.count_update(*effect);
                if *effect == Effect::Stale && update.state.status.is_final() {
                    metrics.stale_finals.inc();
                    warn_stale_final(restore_id, update, *known);
                }
            }
        }
        (_, Ok(Outcome::Restore(effect, _))) => metrics.count_update(*effect),
        (_, Ok(Outcome::Refused(_)) | Err(_)) => metrics.count_refused(),
        _ => {}
    }
}

fn warn_stale_final(restore_id: &RestoreId, update: &ResourceUpdate, known: ResourceStatus) {
    if STALE_FINALS.admits() {
        // Somebody may have put a URL there.
        let resource = update.key.to_string();
        let (said, sequence) = (update.state.status, update.state.sequence);
        let resource = mask_passwords(&resource);
        warn!(
            %restore_id, %resource, %said, sequence, %known,
            "an outcome came too late to count: what is known is greater (a retry needs a higher \
             sequence), or the restore was deleted"
        );
    }
}

/// Whether a restore is known now for which others may have waited.
pub(super) fn recorded(command: &Command, result: &ItemResult) -> bool {
    matches!((command, result), (Command::RecordRestore(_), Ok(Outcome::Recorded)))
}

/// The database refuses one message alone: a fault of ours, kept for us to see.
pub(super) fn refused_alone(dispatched: &Dispatched, fault: &DatabaseFault) {
    if REFUSED_ALONE.admits() {
        error!(
            %fault,
            method = dispatched.method,
            unique_id = dispatched.unique_id,
            "the database refuses this message alone; it is kept as a dead letter"
        );
    }
}

/// What the sender of such a message is told: the database's own words may hold values.
pub fn database_refusal() -> RpcError {
    RpcError::InternalError("the database refuses it".to_owned())
}
