//! Casts that came before their restore: which they are, and the form in which they may rest.

use super::commit::ItemResult;
use super::receive::Work;
use crate::domain::{Command, Limits, Outcome, Refusal};
use crate::rpc::{ReplyShape, properties_to_json, resting_body};
use crate::store::{BatchItem, EarlyMessage};

/// The casts of updates that were refused because nobody knows their restore (or because it is
/// another project's: the second look tells).
pub(super) fn unknown_casts(
    items: &[BatchItem],
    results: &[ItemResult],
    works: &[(Work, ReplyShape)],
) -> Vec<usize> {
    (0..items.len())
        .filter(|&index| {
            works[index].0.dispatched.caller.is_none()
                && !matches!(items[index].command, Command::RecordRestore(_))
                && matches!(results[index], Ok(Outcome::Refused(Refusal::RestoreNotFound(_))))
        })
        .collect()
}

/// What is stored of a cast that waits.
pub(super) fn message(work: &Work, limits: &Limits) -> EarlyMessage {
    EarlyMessage {
        unique_id: work.dispatched.unique_id.clone(),
        queue: work.parcel.queue.clone(),
        properties: properties_to_json(&work.parcel.properties),
        body: resting_body(&work.parcel.body, limits),
    }
}
