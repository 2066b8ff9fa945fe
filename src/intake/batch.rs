//! Collects what has arrived into a batch, without waiting for more.

use tokio::sync::mpsc;

use super::receive::Work;
use crate::rpc::Action;

/// How large a batch may grow; the first message is always taken.
#[derive(Debug, Clone, Copy)]
pub struct BatchBounds {
    /// Updates, a list counting as many as it holds.
    pub max_items: usize,
    /// Bytes of message bodies.
    pub max_bytes: usize,
}

/// Waits for one message and takes those that are here already. `None` when the receiver ended.
pub(super) async fn next_batch(
    works: &mut mpsc::Receiver<Work>,
    bounds: BatchBounds,
) -> Option<Vec<Work>> {
    let first = works.recv().await?;
    let (mut items, mut bytes) = (weight(&first), first.parcel.body.len());
    let mut batch = vec![first];
    while items < bounds.max_items && bytes < bounds.max_bytes {
        let Ok(work) = works.try_recv() else { break };
        items += weight(&work);
        bytes += work.parcel.body.len();
        batch.push(work);
    }
    Some(batch)
}

fn weight(work: &Work) -> usize {
    match &work.dispatched.action {
        Action::Commit { command, .. } => command.weight(),
        Action::GetRestore(_) | Action::Ping | Action::Refuse(_) => 1,
    }
}
