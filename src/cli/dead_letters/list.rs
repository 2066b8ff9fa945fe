//! `dead-letters list`: one line a letter, and how many there are of what.

use chrono::Utc;
use comfy_table::Cell;
use serde::Serialize;

use super::arguments::Selection;
use super::counts::{Counts, to_json};
use super::letters::Letters;
use crate::cli::print;
use crate::cli::show::Output;
use crate::cli::table::{new_table, print_table, printable};
use crate::http::shape::show_time;
use crate::rpc::KeptLetter;
use crate::settings::Settings;
use crate::worker::Brokers;

/// Prints what the queue holds.
pub(super) async fn run(
    settings: &Settings,
    selection: &Selection,
    limit: usize,
    output: Output,
) -> anyhow::Result<()> {
    let brokers = Brokers::from_settings(settings)?;
    let mut letters = Letters::open(settings, &brokers).await?;
    let now = Utc::now();
    let mut counts = Counts::default();
    let mut listed = Vec::new();
    while let Some((_, letter)) = letters.next().await? {
        counts.looked_at += 1;
        if selection.takes(&letter, now) {
            counts.select(&letter);
            if listed.len() < limit {
                listed.push(letter);
            }
        }
    }
    letters.close().await?;
    // A quorum queue puts what it gets back behind what came meanwhile.
    listed.sort_by_key(|letter| letter.kept_at);
    match output {
        Output::Json => print(&to_json(&Listed {
            letters: listed.iter().map(LetterShape::from).collect(),
            counts,
        })),
        Output::Table => print(&to_table(&listed, &counts)),
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    letters: Vec<LetterShape<'a>>,
    counts: Counts,
}

/// A letter's headers.
#[derive(Serialize)]
pub(super) struct LetterShape<'a> {
    pub message_id: Option<&'a str>,
    pub message_unique_id: &'a str,
    pub dead_lettered_at: Option<String>,
    pub error: &'a str,
    pub reason: &'a str,
    pub method: &'a str,
    pub restore_id: Option<String>,
    pub queue: &'a str,
    pub has_message: bool,
}

impl<'a> From<&'a KeptLetter> for LetterShape<'a> {
    fn from(letter: &'a KeptLetter) -> Self {
        Self {
            message_id: letter.message_id.as_deref(),
            message_unique_id: &letter.unique_id,
            dead_lettered_at: letter.kept_at.map(show_time),
            error: &letter.error,
            reason: &letter.reason,
            method: &letter.method,
            restore_id: letter.restore_id.map(|id| id.to_string()),
            queue: &letter.queue,
            has_message: letter.has_message,
        }
    }
}

fn to_table(listed: &[KeptLetter], counts: &Counts) -> String {
    let mut table = new_table(&["TIME", "ERROR", "METHOD", "RESTORE", "MESSAGE ID", "REASON"]);
    for letter in listed {
        let shape = LetterShape::from(letter);
        let or_dash = |text: Option<&str>| {
            Cell::new(printable(text.filter(|text| !text.is_empty()).unwrap_or("-")))
        };
        table.add_row([
            or_dash(shape.dead_lettered_at.as_deref()),
            or_dash(Some(shape.error)),
            or_dash(Some(shape.method)),
            or_dash(shape.restore_id.as_deref()),
            or_dash(shape.message_id),
            or_dash(Some(shape.reason)),
        ]);
    }
    let (table, counted) = (print_table(&table), counts.in_words());
    if counts.selected > listed.len() as u64 {
        let listed = listed.len();
        return format!("{table}... the first {listed} are listed (--limit)\n\n{counted}\n");
    }
    format!("{table}\n{counted}\n")
}
