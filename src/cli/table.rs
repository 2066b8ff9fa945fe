//! Tables for a reader at a terminal. What strangers wrote is shown without control characters, so
//! that it cannot steer the terminal.

use std::io::IsTerminal as _;

use comfy_table::{ContentArrangement, Table, presets};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::formatting::is_formatting;

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

/// How wide a line may be, in columns: as `COLUMNS` says, else as wide as the terminal; `None`
/// where nobody looks.
pub(super) fn line_width() -> Option<usize> {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    told.or_else(|| Table::new().width().map(usize::from)).filter(|width| *width > 0)
}

/// The text, cut to so many columns of a terminal, with `…` for what is missing.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| {
        let rest = left.checked_sub(c.width().unwrap_or(0));
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// The text on one line, without control characters and those that turn a text round.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_formatting(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_to_a_width() {
        assert_eq!(cut("für 3", 5), "für 3");
        assert_eq!(cut("für 3!", 5), "für …");
        assert_eq!(cut("", 0), "");
        // A wide one that has no room is left out whole.
        assert_eq!(cut("語語語", 6), "語語語");
        assert_eq!(cut("語語語", 5), "語語…");
        assert_eq!(cut("語語語", 4), "語…");
    }
}
