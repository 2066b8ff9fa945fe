//! `dead-letters replay`: sends letters to the queue they came from, each published and confirmed
//! before it is taken out of the queue of dead letters. Ended in the middle it has lost nothing: at
//! worst a letter is there although it was sent, and sending it once more changes nothing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;
use tokio::time::timeout;

use super::Mode;
use super::arguments::Selection;
use super::counts::{Counts, to_json};
use super::letters::Letters;
use crate::cli::print;
use crate::cli::show::Output;
use crate::rpc::replayed;
use crate::settings::Settings;
use crate::transport::{Delivery, Message, PublishError, Publisher, Topology};
use crate::worker::Brokers;

/// Sent and not yet confirmed at most, in letters and in bytes.
const LETTERS_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: usize = 8 * 1024 * 1024;

/// How long the broker may take for a confirm, a new connection included.
const CONFIRM: Duration = Duration::from_secs(30);

#[derive(Serialize, Default)]
struct Report {
    #[serde(flatten)]
    counts: Counts,
    /// Sent, or to be sent.
    replayed: u64,
    /// Kept as a digest only: nobody can send them.
    without_message: u64,
    /// No queue takes them.
    not_taken: u64,
    dry_run: bool,
}

/// Sends the selected letters.
pub(super) async fn run(
    settings: &Settings,
    selection: &Selection,
    mode: Mode,
    output: Output,
) -> anyhow::Result<()> {
    let brokers = Brokers::from_settings(settings)?;
    let mut letters = Letters::open(settings, &brokers).await?;
    let sender = Sender {
        publisher: brokers.requests.publisher("replay", Topology::default()),
        topic: settings.target().topic,
    };
    let mut report = Report { dry_run: mode == Mode::DryRun, ..Report::default() };
    let done = replay(&mut letters, &sender, selection, &mut report).await;
    // What was taken is told to the broker also when the rest failed.
    let closed = letters.close().await;
    sender.publisher.close().await;
    done.with_context(|| {
        format!("{} letters were sent; the others are where they were", report.replayed)
    })?;
    closed?;
    print(&match output {
        Output::Json => to_json(&report),
        Output::Table => in_words(&report),
    })
}

async fn replay(
    letters: &mut Letters,
    sender: &Sender,
    selection: &Selection,
    report: &mut Report,
) -> anyhow::Result<()> {
    let now = chrono::Utc::now();
    let (mut page, mut bytes) = (Vec::new(), 0);
    let mut unmet = selection.unmet();
    loop {
        let next = letters.next().await?;
        let is_last = next.is_none();
        if let Some((delivery, letter)) = next {
            report.counts.looked_at += 1;
            unmet.meet(&letter);
            if selection.takes(&letter, now) {
                report.counts.select(&letter);
                if !letter.has_message {
                    report.without_message += 1;
                } else if report.dry_run {
                    report.replayed += 1;
                } else {
                    bytes += delivery.body.len();
                    page.push(delivery);
                }
            }
        }
        if is_last || page.len() >= LETTERS_AT_ONCE || bytes >= BYTES_AT_ONCE {
            bytes = 0;
            sender.send(letters, std::mem::take(&mut page), report).await?;
        }
        if is_last {
            return unmet.refuse();
        }
    }
}

struct Sender {
    publisher: Arc<dyn Publisher>,
    topic: String,
}

impl Sender {
    /// Publishes all of `page`, then takes each as it is confirmed.
    async fn send(
        &self,
        letters: &mut Letters,
        page: Vec<Delivery>,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let mut confirms = Vec::with_capacity(page.len());
        for delivery in page {
            let message = replayed(&delivery, &self.topic);
            let sent = timeout(CONFIRM, self.publisher.publish(message)).await;
            confirms.push((delivery, sent.context("the broker takes no messages")?));
        }
        for (delivery, confirm) in confirms {
            let answer = timeout(CONFIRM, confirm).await.context("the broker does not confirm")?;
            let answer = match answer {
                Err(PublishError::Returned) => self.send_to_topic(&delivery).await?,
                answer => answer,
            };
            match answer {
                Ok(()) => {
                    letters.take(delivery.tag).await?;
                    report.replayed += 1;
                }
                Err(PublishError::Returned) => report.not_taken += 1,
                Err(error @ (PublishError::Nacked | PublishError::Lost)) => bail!(error),
            }
        }
        Ok(())
    }

    /// The queue of a server that is gone for good: any worker will do.
    async fn send_to_topic(&self, delivery: &Delivery) -> anyhow::Result<Result<(), PublishError>> {
        let message =
            Message { routing_key: self.topic.clone(), ..replayed(delivery, &self.topic) };
        let confirmed = async { self.publisher.publish(message).await.await };
        timeout(CONFIRM, confirmed).await.context("the broker does not confirm")
    }
}

fn in_words(report: &Report) -> String {
    let Report { counts, replayed, without_message, not_taken, dry_run } = report;
    let done = if *dry_run { "would send" } else { "sent" };
    let mut lines = vec![format!("{done} {replayed} of those selected; {}", counts.in_words())];
    if *without_message > 0 {
        lines.push(format!(
            "{without_message} cannot be sent: only a digest was kept of what did not parse or was \
             too large"
        ));
    }
    if *not_taken > 0 {
        lines.push(format!("{not_taken} are where they were: no request queue is there"));
    }
    lines.join("\n") + "\n"
}
