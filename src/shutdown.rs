//! The end of a process: turns signals into tokens that every task can wait for.
//!
//! The first SIGTERM or SIGINT asks for an orderly end: nothing new is taken, what was taken is
//! finished, and the process ends with exit code 0. A second one ends at once: what is under way is
//! dropped, the broker delivers it again, and the exit code is 1. The deadline of an orderly end is
//! `shutdown.timeout_s`; whoever drains keeps it.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// What the signals so far ask for.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// Cancelled by the first signal: finish what was taken.
    pub draining: CancellationToken,
    /// Cancelled by the second: end at once, exit code 1.
    pub abort: CancellationToken,
}

impl Signals {
    /// Signals that only the caller gives, for a worker inside another command.
    pub fn manual() -> Self {
        Self::default()
    }
}

/// Listens for SIGTERM and SIGINT from now on; neither ends the process by itself any more. Must
/// be called within a tokio runtime.
pub fn watch_signals() -> Signals {
    let signals = Signals::default();
    let listen = |kind| signal(kind).expect("the runtime handles signals, and these may be caught");
    let listening = (listen(SignalKind::terminate()), listen(SignalKind::interrupt()));
    tokio::spawn(turn_into_tokens(listening, signals.clone()));
    signals
}

async fn turn_into_tokens((mut terminate, mut interrupt): (Signal, Signal), signals: Signals) {
    loop {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        if signals.draining.is_cancelled() {
            warn!(signal = name, "a second signal: ending at once");
            signals.abort.cancel();
            return;
        }
        info!(signal = name, "finishing what was taken; a second signal ends at once");
        signals.draining.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn send(signal: &str) {
        let process = std::process::id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
    }

    #[tokio::test]
    async fn first_signal_drains_and_second_aborts() {
        let signals = watch_signals();
        assert!(!signals.draining.is_cancelled());
        send("-TERM");
        signals.draining.cancelled().await;
        assert!(!signals.abort.is_cancelled());
        send("-INT");
        signals.abort.cancelled().await;
    }
}
