//! `dead-letters purge`: deletes letters, those that were counted before it asked and no others.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::arguments::Selection;
use super::counts::{Counts, to_json};
use super::letters::Letters;
use crate::cli::print;
use crate::cli::show::Output;
use crate::settings::Settings;
use crate::worker::Brokers;

/// Whether the operator agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    /// `--yes`
    Given,
    /// To be asked for at the terminal.
    Asked,
    /// A dry run.
    Never,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    counts: Counts,
    deleted: u64,
    dry_run: bool,
}

/// Deletes the selected letters.
pub(super) async fn run(
    settings: &Settings,
    selection: &Selection,
    consent: Consent,
    output: Output,
) -> anyhow::Result<()> {
    if consent == Consent::Asked && !std::io::stdin().is_terminal() {
        bail!("nobody is there to be asked: give `--yes` to delete, `--dry-run` to count");
    }
    let brokers = Brokers::from_settings(settings)?;
    let mut letters = Letters::open(settings, &brokers).await?;
    let now = chrono::Utc::now();
    let mut counts = Counts::default();
    let (mut selected, mut unmet) = (Vec::new(), selection.unmet());
    while let Some((delivery, letter)) = letters.next().await? {
        counts.looked_at += 1;
        unmet.meet(&letter);
        if selection.takes(&letter, now) {
            counts.select(&letter);
            selected.push(delivery.tag);
        }
    }
    if let Err(unknown) = unmet.refuse() {
        letters.close().await?;
        return Err(unknown.context("nothing was deleted"));
    }
    let agreed = match consent {
        Consent::Given => true,
        Consent::Never => false,
        Consent::Asked => !selected.is_empty() && letters.suspend(|| ask(&counts))?,
    };
    if !agreed {
        selected.clear();
    }
    for tag in &selected {
        letters.take(*tag).await?;
    }
    letters.close().await?;
    let deleted = selected.len() as u64;
    let report = Report { counts, deleted, dry_run: consent == Consent::Never };
    print(&match output {
        Output::Json => to_json(&report),
        Output::Table if report.dry_run => format!("would delete {}\n", report.counts.in_words()),
        Output::Table if agreed => format!("deleted {}\n", report.counts.in_words()),
        Output::Table => format!("deleted nothing: {}\n", report.counts.in_words()),
    })
}

/// Asks at the terminal. The letters wait meanwhile, and are back when the answer is no.
fn ask(counts: &Counts) -> anyhow::Result<bool> {
    let mut terminal = std::io::stderr();
    write!(terminal, "delete {}? [y/N] ", counts.in_words()).context("cannot ask")?;
    terminal.flush().context("cannot ask")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
