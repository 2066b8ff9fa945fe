//! `events republish`: notifications of committed events again, from the table, in order, with
//! confirms. Each copy has a new `_unique_id` and the event's own `message_id`, so that who keeps
//! those takes it once. Positions stay where they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::Utc;
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::time::timeout;

use super::arguments::Selection;
use crate::cli::print;
use crate::cli::show::Output;
use crate::domain::Event;
use crate::outbox::{Refusals, Sink};
use crate::rpc::Notifier;
use crate::settings::Settings;
use crate::store::{EventSelection, Store};
use crate::worker::Brokers;

/// Events read and confirmed before the next are read.
const PAGE: u32 = 500;

/// How long the broker may take for a page's confirms, a new connection included.
const CONFIRM: Duration = Duration::from_secs(60);

/// Whether anything is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Real,
    DryRun,
}

#[derive(Default, Serialize)]
struct Report {
    events: u64,
    by_event_type: BTreeMap<&'static str, u64>,
    dry_run: bool,
}

/// Publishes the selected events.
pub(super) async fn run(
    settings: &Settings,
    selection: &Selection,
    mode: Mode,
    output: Output,
) -> anyhow::Result<()> {
    let selected = selection.at(Utc::now())?;
    let notifier = Arc::new(Notifier::new(settings.notifier()));
    if !notifier.is_sending() {
        bail!("`notifications.driver` is `noop`: nothing is published");
    }
    let brokers = Brokers::from_settings(settings)?;
    let store = Store::new(settings.store_options()?)?;
    store.check().await?;
    let sink = match mode {
        Mode::DryRun => None,
        Mode::Real => Some(Sink {
            publisher: brokers.notifications.publisher("republish", notifier.topology()),
            notifier,
            refusals: Refusals::default(),
        }),
    };
    let mut report = Report { dry_run: mode == Mode::DryRun, ..Report::default() };
    let done = republish(&store, &selected, sink.as_ref(), &mut report).await;
    if let Some(sink) = &sink {
        sink.publisher.close().await;
    }
    done.with_context(|| format!("{} events were published again", report.events))?;
    print(&match output {
        Output::Json => serde_json::to_string_pretty(&report).expect("the shape is JSON") + "\n",
        Output::Table => in_words(&report),
    })
}

async fn republish(
    store: &Store,
    selection: &EventSelection,
    sink: Option<&Sink>,
    report: &mut Report,
) -> anyhow::Result<()> {
    // On standard error, and nowhere but on a terminal.
    let bar = ProgressBar::no_length();
    let mut last: Option<Event> = None;
    loop {
        let page = store.select_events(selection, last.as_ref(), PAGE).await;
        let page = page.context("cannot read the events")?;
        if page.is_empty() {
            bar.finish_and_clear();
            return Ok(());
        }
        if let Some(sink) = sink {
            let confirmed = timeout(CONFIRM, sink.publish_all(&page)).await;
            confirmed.context("the broker does not confirm")?;
        }
        for event in &page {
            report.events += 1;
            *report.by_event_type.entry(event.event_type.as_str()).or_default() += 1;
        }
        bar.inc(page.len() as u64);
        last = page.into_iter().next_back();
    }
}

fn in_words(report: &Report) -> String {
    let Report { events, by_event_type, dry_run } = report;
    let done = if *dry_run { "would publish" } else { "published" };
    let head = format!("{done} {events} events again\n");
    let of_type = |(event_type, count)| format!("{count:>9} {event_type}\n");
    std::iter::once(head).chain(by_event_type.iter().map(of_type)).collect()
}
