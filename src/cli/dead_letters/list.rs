//! `dead-letters list`: one line a letter, and how many there are of what.

use chrono::Utc;
use comfy_table::Cell;
use serde::Serialize;

use super::arguments::Selection;
use super::counts::{Counts, to_json};
use super::letters::Letters;
use crate::cli::print;
use crate::cli::show::Output;
use crate::cli::table::{cut, line_width, new_table, print_table, printable};
use crate::http::shape::show_time;
use crate::rpc::KeptLetter;
use crate::settings::Settings;
use crate::worker::Brokers;

/// Characters of a reason that are shown in any case.
const LEAST_REASON: usize = 20;

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
        Output::Table => print(&to_table(&listed, &counts, line_width())),
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

/// As a table, its lines cut to `width` characters where the reason, the last column, is too long.
fn to_table(listed: &[KeptLetter], counts: &Counts, width: Option<usize>) -> String {
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
    let (mut table, counted) = (print_table(&table), counts.in_words());
    if let Some((width, reason)) = width.zip(table.find("REASON")) {
        // Ids are whole, to be copied.
        let width = width.max(reason + LEAST_REASON);
        table = table.lines().map(|line| cut(line, width) + "\n").collect();
    }
    if counts.selected > listed.len() as u64 {
        let listed = listed.len();
        return format!("{table}... the first {listed} are listed (--limit)\n\n{counted}\n");
    }
    format!("{table}\n{counted}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_to_the_line_and_ids_are_whole() {
        let letter = KeptLetter {
            kept_at: None,
            error: "InvalidInput".to_owned(),
            reason: "é".repeat(300),
            method: "restore".to_owned(),
            queue: String::new(),
            unique_id: String::new(),
            message_id: Some("f30fe76e-4715-4cf8-aff3-13deea7170c3".to_owned()),
            restore_id: None,
            has_message: true,
        };
        let row = |width| {
            let table = to_table(std::slice::from_ref(&letter), &Counts::default(), width);
            table.lines().nth(1).expect("a row").to_owned()
        };
        assert!(row(None).ends_with(&letter.reason));
        assert_eq!(row(Some(120)).chars().count(), 120);
        assert!(row(Some(120)).ends_with("é…"));
        let narrow = row(Some(40));
        assert!(narrow.contains("f30fe76e-4715-4cf8-aff3-13deea7170c3"), "{narrow}");
        assert!(narrow.ends_with(&("é".repeat(LEAST_REASON - 1) + "…")), "{narrow}");
    }
}
