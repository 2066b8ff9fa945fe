//! Tables for a reader at a terminal. What strangers wrote is shown without control characters, so
//! that it cannot steer the terminal.

use std::io::IsTerminal as _;

use comfy_table::{ContentArrangement, Table, presets};

/// Whether a table has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// For a terminal.
    On,
    /// For a file or a pipe.
    Off,
}

impl Colours {
    /// On where standard output is a terminal and `NO_COLOR` is not set.
    pub(super) fn of_stdout() -> Self {
        let is_on = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        if is_on { Self::On } else { Self::Off }
    }
}

/// An empty table.
pub(super) fn new_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    // Colours are asked for, cell by cell; comfy-table must not judge a second time.
    table.enforce_styling();
    table
}

/// The table's text, or `(none)`.
pub(super) fn print_table(table: &Table) -> String {
    if table.is_empty() {
        return "(none)\n".to_owned();
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The text on one line, without control characters.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
