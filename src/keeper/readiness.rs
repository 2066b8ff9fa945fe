//! Asks the database now and then, for `/readyz`.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::cause::with_causes;
use crate::http::{Health, Part};
use crate::store::Store;

/// How often it is asked.
const EVERY: Duration = Duration::from_secs(2);

pub(super) async fn run(store: Store, health: Health, ending: CancellationToken) {
    while !ending.is_cancelled() {
        let answer = store.check().await.map_err(|error| with_causes(&error));
        health.set(Part::Database, answer);
        tokio::select! {
            () = ending.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
