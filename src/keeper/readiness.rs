//! Asks the database now and then, for `/readyz`, whether it answers and takes writes, and says in
//! the log when its answer changes. Nothing else would tell while no message comes.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::cause::with_causes;
use crate::http::{Health, Part};
use crate::store::{DatabaseFault, Store, StoreError};

/// How often it is asked.
const EVERY: Duration = Duration::from_secs(2);

/// How long it may take to answer: a server that is stopped keeps its connections and says nothing.
const ANSWER: Duration = Duration::from_secs(5);

pub(super) async fn run(store: Store, health: Health, ending: CancellationToken) {
    let mut answered = true;
    while !ending.is_cancelled() {
        let answer = tokio::select! {
            () = ending.cancelled() => return,
            answer = ask(&store) => answer,
        };
        match &answer {
            Ok(()) if !answered => info!("the database answers again"),
            Err(error) if answered => tell(error),
            Ok(()) | Err(_) => {}
        }
        answered = answer.is_ok();
        health.set(Part::Database, answer.map_err(|error| with_causes(&error)));
        ending.run_until_cancelled(sleep(EVERY)).await;
    }
}

async fn ask(store: &Store) -> Result<(), StoreError> {
    in_time("asking for a sign of life", store.check()).await?;
    in_time("asking whether it takes writes", store.check_writes()).await
}

async fn in_time(
    act: &'static str,
    asking: impl Future<Output = Result<(), StoreError>>,
) -> Result<(), StoreError> {
    timeout(ANSWER, asking).await.unwrap_or_else(|_| {
        let source = DatabaseFault(format!("no answer within {} s", ANSWER.as_secs()));
        Err(StoreError::Transient { act, source })
    })
}

fn tell(error: &StoreError) {
    let cause = with_causes(error);
    match error {
        StoreError::Denied { .. } | StoreError::Fatal { .. } => {
            error!(cause, "the database cannot be used");
        }
        StoreError::Transient { .. }
        | StoreError::Doubt { .. }
        | StoreError::Refused { .. }
        | StoreError::Fenced => warn!(cause, "the database does not answer, or takes no writes"),
    }
}
