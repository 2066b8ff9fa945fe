//! The keeper's one committer: its duties take turns with it, since a publisher has one
//! transaction at a time.

use std::sync::Arc;

use tokio::sync::Mutex;
use tracing::error;

use crate::domain::{Command, Sender};
use crate::intake::{Committer, GivenUp, ItemResult};
use crate::store::{BatchItem, IfUnknown};

/// How many of the keeper's own commands are committed together: each may bring a whole restore.
const AT_ONCE: usize = 20;

/// The committer; cheap to clone.
#[derive(Clone)]
pub(super) struct Turns(Arc<Mutex<Committer>>);

impl Turns {
    pub fn new(committer: Committer) -> Self {
        Self(Arc::new(Mutex::new(committer)))
    }

    /// Commits as [`Committer::commit`], when it is this duty's turn.
    pub async fn commit(
        &self,
        items: Vec<BatchItem>,
    ) -> Result<(Vec<BatchItem>, Vec<ItemResult>), GivenUp> {
        self.0.lock().await.commit(items).await
    }

    /// Does the keeper's own commands; what the database refuses is logged.
    pub async fn keep(&self, commands: Vec<Command>) -> Result<(), GivenUp> {
        for part in commands.chunks(AT_ONCE) {
            let item = |command: &Command| BatchItem {
                command: command.clone(),
                sender: Sender { is_admin: true, ..Sender::default() },
                if_unknown: IfUnknown::Refuse,
            };
            let (items, results) = self.commit(part.iter().map(item).collect()).await?;
            for (item, result) in items.iter().zip(results) {
                if let Err(fault) = result {
                    let restore_id = item.command.restore_id();
                    error!(%restore_id, %fault, "the database refuses what was found of a restore");
                }
            }
        }
        Ok(())
    }
}
