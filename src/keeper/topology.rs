//! Declares again what somebody else deleted on a broker: the control exchange, a binding, a queue
//! that no consumer misses. Without it clients' casts would reach no queue until the next reconnect.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::bell::Bell;
use crate::transport::{Topology, Transport, TransportError};

/// How often it is looked for, if no message is refused meanwhile. What is sent there until then is
/// lost, so seconds; and a look costs the broker a dozen questions.
const EVERY: Duration = Duration::from_secs(10);

/// Pause after a look: a flood of refused messages rings without end.
const PAUSE: Duration = Duration::from_secs(1);

/// What one broker must have.
pub struct Needed {
    /// The broker.
    pub broker: Arc<dyn Transport>,
    /// What is declared there.
    pub topology: Topology,
    /// Rung for a message that no queue takes.
    pub missing: Bell,
}

pub(super) async fn run(Needed { broker, topology, missing }: Needed, ending: CancellationToken) {
    let mut told = None;
    let looking = async {
        loop {
            missing.wait(EVERY).await;
            note(broker.declare_missing(&topology).await, &mut told);
            sleep(PAUSE).await;
        }
    };
    ending.run_until_cancelled(looking).await;
}

/// Says a refusal once for as long as it stays the same.
fn note(declared: Result<(), TransportError>, told: &mut Option<String>) {
    match declared {
        Ok(()) => {
            if told.take().is_some() {
                info!("the broker has all that was missing again");
            }
        }
        Err(error @ TransportError::Refused { .. }) => {
            let error = error.to_string();
            if told.as_ref() != Some(&error) {
                warn!(error, "what is missing at the broker cannot be made good; trying again");
                *told = Some(error);
            }
        }
        // Readiness tells of a broker that is away, and whoever comes back declares all.
        Err(error) => debug!(%error, "cannot look for what is missing at the broker"),
    }
}
