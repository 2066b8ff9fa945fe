//! How the connections to the brokers stand, told to `/readyz` and `/metrics`.

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::http::{Connection, Health, Metrics, Part};
use crate::transport::Link;

/// Watches each of `links` for as long as it lasts.
pub(super) fn watch<const N: usize>(
    watchers: &TaskTracker,
    links: [(watch::Receiver<Link>, Part, Connection); N],
    health: &Health,
    metrics: &Metrics,
) {
    for (link, part, connection) in links {
        watchers.spawn(watch_link(link, part, health.clone(), connection, metrics.clone()));
    }
}

/// Keeps `/readyz` up to date with a connection, and counts how often it was made again.
async fn watch_link(
    mut link: watch::Receiver<Link>,
    part: Part,
    health: Health,
    connection: Connection,
    metrics: Metrics,
) {
    let mut lost = false;
    let mut was_up = false;
    loop {
        let state = match &*link.borrow_and_update() {
            Link::Up => Ok(()),
            Link::Without(queues) => Err(format!(
                "no answer from queue `{}`, which is not consumed; the log says what to do",
                queues.join("`, `")
            )),
            Link::Down(why) => Err(why.clone()),
            Link::Blocked(why) => Err(format!("the broker takes no messages: {why}")),
            Link::Silent(time) => Err(format!("no answer within {} s", time.as_secs())),
        };
        if state.is_ok() && std::mem::take(&mut lost) {
            metrics.count_reconnect(connection);
        }
        was_up |= state.is_ok();
        lost |= was_up && matches!(&*link.borrow(), Link::Down(_));
        health.set(part, state);
        if link.changed().await.is_err() {
            return;
        }
    }
}
