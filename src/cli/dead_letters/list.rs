//! `dead-letters list`: one line a letter, and how many there are of what.

use std::fmt::Write as _;

use chrono::Utc;
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

/// Columns of a reason without which a table is not worth its width.
const LEAST_REASON: usize = 20;

/// Why writing to a text does not fail.
const TAKES_ANY: &str = "a String takes any text";

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
        Output::Table => print(&to_text(&listed, &counts, line_width())),
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

/// As a table, its lines cut to `width` columns where the reason, the last of them, is too long; where
/// not even its beginning has room beside the ids, one letter below the other.
fn to_text(listed: &[KeptLetter], counts: &Counts, width: Option<usize>) -> String {
    let (table, counted) = (to_table(listed), counts.in_words());
    let reason_at = table.lines().next().and_then(|header| header.find("REASON"));
    let listed_letters = match width.zip(reason_at) {
        Some((width, reason_at)) if width >= reason_at + LEAST_REASON => cut_lines(&table, width),
        Some((width, _)) => cut_lines(&to_blocks(listed), width),
        None => table,
    };
    if counts.selected > listed.len() as u64 {
        let listed = listed.len();
        return format!(
            "{listed_letters}... the first {listed} are listed (--limit)\n\n{counted}\n"
        );
    }
    format!("{listed_letters}\n{counted}\n")
}

fn to_table(listed: &[KeptLetter]) -> String {
    let mut table = new_table(&["TIME", "ERROR", "METHOD", "RESTORE", "MESSAGE ID", "REASON"]);
    for letter in listed {
        let shape = LetterShape::from(letter);
        table.add_row([
            or_dash(shape.dead_lettered_at.as_deref()),
            or_dash(Some(shape.error)),
            or_dash(Some(shape.method)),
            or_dash(shape.restore_id.as_deref()),
            or_dash(shape.message_id),
            or_dash(Some(shape.reason)),
        ]);
    }
    print_table(&table)
}

/// Four lines a letter, so that ids are whole, to be copied, on a line of their own.
fn to_blocks(listed: &[KeptLetter]) -> String {
    let mut text = String::new();
    for letter in listed {
        let shape = LetterShape::from(letter);
        let time = or_dash(shape.dead_lettered_at.as_deref());
        let (error, method) = (or_dash(Some(shape.error)), or_dash(Some(shape.method)));
        writeln!(text, "{time}  {error}  {method}").expect(TAKES_ANY);
        for (name, value) in [
            ("restore", shape.restore_id.as_deref()),
            ("message id", shape.message_id),
            ("reason", Some(shape.reason)),
        ] {
            writeln!(text, "  {name:<12}{}", or_dash(value)).expect(TAKES_ANY);
        }
    }
    text
}

fn or_dash(text: Option<&str>) -> String {
    printable(text.filter(|text| !text.is_empty()).unwrap_or("-"))
}

fn cut_lines(text: &str, width: usize) -> String {
    text.lines().map(|line| cut(line, width) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(reason: &str) -> KeptLetter {
        KeptLetter {
            kept_at: None,
            error: "InvalidInput".to_owned(),
            reason: reason.to_owned(),
            method: "restore".to_owned(),
            queue: String::new(),
            unique_id: String::new(),
            message_id: Some("f30fe76e-4715-4cf8-aff3-13deea7170c3".to_owned()),
            restore_id: None,
            has_message: true,
        }
    }

    fn lines(letter: &KeptLetter, width: Option<usize>) -> Vec<String> {
        let text = to_text(std::slice::from_ref(letter), &Counts::default(), width);
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_reason_is_cut_to_the_line_and_ids_are_whole() {
        let letter = letter(&"é".repeat(300));
        assert!(lines(&letter, None)[1].ends_with(&letter.reason));
        let row = &lines(&letter, Some(120))[1];
        assert_eq!(row.chars().count(), 120);
        assert!(row.ends_with("é…") && row.contains("f30fe76e-4715-4cf8-aff3-13deea7170c3"));
    }

    #[test]
    fn where_a_table_has_no_room_each_letter_is_lines_of_its_own() {
        let narrow = lines(&letter(&"語".repeat(300)), Some(80));
        let reason = format!("  reason      {}…", "語".repeat(32));
        assert_eq!(
            narrow[..4],
            [
                "-  InvalidInput  restore",
                "  restore     -",
                "  message id  f30fe76e-4715-4cf8-aff3-13deea7170c3",
                // Each of these characters is two columns wide.
                &reason,
            ]
        );
        let strange = KeptLetter { method: "m".repeat(255), ..letter("é") };
        let all = lines(&strange, Some(80));
        assert!(all.iter().all(|line| line.chars().count() <= 80), "{all:?}");
        assert!(all[0].ends_with("mmm…"), "{all:?}");
    }
}
