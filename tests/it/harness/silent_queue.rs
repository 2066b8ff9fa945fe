//! A quorum queue of the broker of `scripts/test` that gives no answer, as one without a leader.
//!
//! Takes a queue that is there, and stops its Raft server; it goes on when this is dropped.

use super::{broker_control, finish};

/// A queue that is silent for as long as this lives.
pub struct SilentQueue(String);

impl SilentQueue {
    pub async fn make(queue: &str) -> Self {
        tell("suspend", queue).await;
        Self(queue.to_owned())
    }
}

impl Drop for SilentQueue {
    fn drop(&mut self) {
        let queue = std::mem::take(&mut self.0);
        finish(async move { tell("resume", &queue).await });
    }
}

/// The server is a process by the names of virtual host and queue.
async fn tell(what: &str, queue: &str) {
    let question = format!("sys:{what}(list_to_atom(\"%2F_{queue}\")).");
    assert_eq!(broker_control(&["eval", &question]).await.trim(), "ok", "{what} `{queue}`");
}
