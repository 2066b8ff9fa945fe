//! Collects what has arrived into a batch, without waiting for more.

use tokio::sync::mpsc;

use super::receive::Work;
use crate::rpc::Action;

/// How large a batch may grow; the first message is always taken.
#[derive(Debug, Clone, Copy)]
pub struct BatchBounds {
    /// Updates and reads; a list counts as many as it holds, what is refused not at all: the
    /// database has no work with it.
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
        Action::GetRestore(_) | Action::Ping => 1,
        Action::Refuse(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::Parcel;
    use crate::rpc::{Dispatched, RpcError};
    use crate::transport::{DeliveryTag, Properties};

    fn work(action: Action) -> Work {
        let refused = RpcError::MalformedMessage(String::new());
        Work {
            tag: DeliveryTag { session: 1, tag: 1 },
            parcel: Parcel {
                queue: String::new(),
                properties: Properties::default(),
                body: vec![0; 10],
            },
            dispatched: Dispatched { action, ..Dispatched::unread(refused) },
            heartbeat: None,
        }
    }

    #[tokio::test]
    async fn bad_messages_take_no_good_ones_place() {
        let bad = || work(Action::Refuse(RpcError::MalformedMessage(String::new())));
        let (sender, mut works) = mpsc::channel(8);
        for work in [bad(), work(Action::Ping), bad(), work(Action::Ping), work(Action::Ping)] {
            sender.send(work).await.unwrap();
        }
        let bounds = BatchBounds { max_items: 2, max_bytes: 1000 };
        assert_eq!(next_batch(&mut works, bounds).await.map(|batch| batch.len()), Some(4));
        sender.send(bad()).await.unwrap();
        let narrow = BatchBounds { max_bytes: 10, ..bounds };
        assert_eq!(next_batch(&mut works, narrow).await.map(|batch| batch.len()), Some(1));
    }
}
