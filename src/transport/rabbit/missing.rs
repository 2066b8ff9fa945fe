//! Declares again what somebody else deleted while all connections stand: no broker says so.
//!
//! Takes a topology, looks for each exchange and queue, declares those that are gone, and binds all:
//! a binding cannot be asked for, and to bind again changes nothing. What is there is not declared:
//! the broker would log a refusal each time where flags or rights are others, and looking needs
//! neither. A part that is refused must not keep the rest from coming back.

use tracing::warn;

use super::declare::Declarer;
use crate::transport::{Topology, TransportError};

/// Looks for all of `topology`, and declares what is gone.
///
/// # Errors
/// The broker refuses a part, of which the first is told, or the connection is lost.
pub(super) async fn declare_missing(
    declarer: &mut Declarer<'_>,
    topology: &Topology,
) -> Result<(), TransportError> {
    let mut refusals = Refusals::default();
    for exchange in &topology.exchanges {
        let made_good = async {
            if !declarer.has_exchange(&exchange.name).await? {
                declarer.declare_exchange(exchange).await?;
                tell("exchange", &exchange.name);
            }
            Ok(())
        };
        refusals.pass_over(made_good.await)?;
    }
    for queue in &topology.queues {
        let made_good = async {
            if declarer.inspect(&queue.name).await?.is_none() {
                declarer.declare_queue(queue).await?;
                tell("queue", &queue.name);
            }
            Ok(())
        };
        refusals.pass_over(made_good.await)?;
    }
    for binding in &topology.bindings {
        refusals.pass_over(declarer.bind(binding).await)?;
    }
    refusals.0.map_or(Ok(()), Err)
}

/// The first of the refusals.
#[derive(Default)]
struct Refusals(Option<TransportError>);

impl Refusals {
    /// Keeps a refusal for the end; whatever else went wrong is the end.
    fn pass_over(&mut self, result: Result<(), TransportError>) -> Result<(), TransportError> {
        match result {
            Err(refusal @ TransportError::Refused { .. }) => {
                self.0.get_or_insert(refusal);
                Ok(())
            }
            other => other,
        }
    }
}

fn tell(what: &str, name: &str) {
    warn!(
        what,
        name,
        "this was gone, deleted by somebody else, and is declared and bound again; what was sent \
         there meanwhile may have reached no queue"
    );
}
