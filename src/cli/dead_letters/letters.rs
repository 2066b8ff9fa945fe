//! The dead-letter queue, letter by letter, with a bar on a terminal.

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use crate::rpc::KeptLetter;
use crate::settings::Settings;
use crate::transport::{Browser, Delivery, DeliveryTag};
use crate::worker::Brokers;

/// What waited when the command began. What comes later is left alone: a replay that fails again
/// would be met again and again.
pub(super) struct Letters {
    browser: Box<dyn Browser>,
    left: u64,
    bar: ProgressBar,
}

impl Letters {
    /// Opens the queue of dead letters.
    pub async fn open(settings: &Settings, brokers: &Brokers) -> anyhow::Result<Self> {
        let queue = settings.target().dead_letter_queue();
        let opened =
            brokers.requests.browse(&queue).await.context("cannot read the dead letters")?;
        let browser = opened.with_context(|| {
            format!("there is no queue `{queue}`: no worker with this topic has run here")
        })?;
        let style = ProgressStyle::with_template("  {bar:30.green/dim} {pos}/{len} looked at")
            .expect("the template is well-formed")
            .progress_chars("━━─");
        // On standard error, and nowhere but on a terminal.
        let bar = ProgressBar::new(browser.depth()).with_style(style);
        Ok(Self { left: browser.depth(), browser, bar })
    }

    /// The next letter; it stays in the queue.
    pub async fn next(&mut self) -> anyhow::Result<Option<(Delivery, KeptLetter)>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let got = self.browser.next().await.context("cannot read the dead letters")?;
        self.bar.inc(1);
        Ok(got.map(|delivery| {
            let letter = KeptLetter::read(&delivery);
            (delivery, letter)
        }))
    }

    /// Takes a letter out of the queue.
    pub async fn take(&mut self, tag: DeliveryTag) -> anyhow::Result<()> {
        self.browser.ack(tag).await.context("cannot take a letter out of the queue")
    }

    /// Runs `ask` with the bar out of the way.
    pub fn suspend<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.bar.suspend(ask)
    }

    /// Gives back all that was not taken.
    pub async fn close(self) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        self.browser.close().await.context("the broker did not confirm the end")
    }
}
