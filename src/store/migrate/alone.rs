//! Changes a table of MySQL's that others use, in a moment in which nobody does. An ALTER that
//! waited for the table would cost others theirs: a transaction that has read it and is about to
//! write waits for the ALTER, which waits for the transaction, and MySQL ends the transaction.
//! Karbor's do just that, and a restore whose save fails is reverted.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::warn;

use super::step::is_there_already;
use crate::store::fault::{Fault, FaultClass};
use crate::store::link::Link;

/// How long to look for such a moment.
const PATIENCE: Duration = Duration::from_secs(60);
/// Odd, so that it does not keep step with who uses the table.
const PAUSE: Duration = Duration::from_millis(17);

/// Runs `texts` on the table `restores`; what one of them makes may be there already.
pub(super) async fn change_restores(link: &mut Link, texts: &[&str]) -> Result<(), Fault> {
    // MySQL's shortest wait is 1 s; MariaDB's is none.
    link.command("SET SESSION lock_wait_timeout = 0").await?;
    let until = Instant::now() + PATIENCE;
    while let Err(fault) = link.command("LOCK TABLES restores WRITE").await {
        match number(&fault) {
            Some("1205") if Instant::now() < until => sleep(PAUSE).await,
            Some("1205") => {
                let text =
                    "the table `restores` is never left alone: adopt while no restore is under way";
                return Err(Fault::new(FaultClass::Fatal, text));
            }
            Some("1044" | "1142") => {
                warn!(
                    "the database's user lacks the privilege LOCK TABLES: a transaction of \
                     Karbor's that is under way may fail"
                );
                link.command("SET SESSION lock_wait_timeout = 60").await?;
                break;
            }
            _ => return Err(fault),
        }
    }
    for text in texts {
        match link.command(text).await {
            Err(fault) if !is_there_already(&fault.text) => return Err(fault),
            _ => {}
        }
    }
    link.command("UNLOCK TABLES").await
}

fn number(fault: &Fault) -> Option<&str> {
    fault.text.strip_prefix("error ")?.split_once(':').map(|(number, _)| number)
}
