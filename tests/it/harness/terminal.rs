//! A command at a terminal: what an operator sees of it, and types.
//!
//! Takes a worker's settings and a command, gives all bytes that the terminal was sent and how the
//! command ended. The terminal is Python's `pty`.

use serde::Deserialize;

use super::{WorkerBuilder, run_python_command};

/// Ctrl-C, as a keyboard has it.
pub const CTRL_C: &str = "\u{3}";

/// A terminal that is not opened yet.
pub struct Terminal {
    columns: u16,
    steps: Vec<(String, &'static str)>,
}

/// What came of it.
#[derive(Debug, Deserialize)]
pub struct Shown {
    /// All that the terminal was sent, what was typed included.
    pub text: String,
    /// The exit code; of a signal, its number negative.
    pub code: i32,
    steps_left: usize,
}

impl Terminal {
    /// One so wide.
    pub fn of(columns: u16) -> Self {
        Self { columns, steps: Vec::new() }
    }

    /// Types `keys` once `pattern` is shown.
    pub fn once(mut self, pattern: impl Into<String>, keys: &'static str) -> Self {
        self.steps.push((pattern.into(), keys));
        self
    }

    /// Runs a command with a worker's settings to its end; all that was to be typed was.
    pub async fn run(self, worker: WorkerBuilder, arguments: &[&str]) -> Shown {
        let steps = serde_json::to_string(&self.steps).expect("texts");
        let before = [self.columns.to_string(), steps];
        let printed = run_python_command("terminal.py", |command| {
            command.args(before).env("TERM", "xterm-256color").env_remove("COLUMNS");
            worker.append_to(command, arguments);
        })
        .await;
        let shown: Shown = serde_json::from_str(&printed).expect("JSON");
        assert_eq!(shown.steps_left, 0, "not come to: {shown:?}");
        shown
    }
}

impl Shown {
    /// What is left without the sequences that our own bars and colours are made of.
    pub fn without_styles(&self) -> String {
        let mut text = String::new();
        for (index, piece) in self.text.split("\u{1b}[").enumerate() {
            let end = piece.find(|c: char| !matches!(c, '0'..='9' | ';')).unwrap_or(piece.len());
            // Colours; an erased line; the cursor to a line above or below.
            let is_ours = matches!(piece.get(end..=end), Some("m" | "K" | "A" | "B"));
            if index == 0 {
                text.push_str(piece);
            } else if is_ours {
                text.push_str(&piece[end + 1..]);
            } else {
                text.push_str("\u{1b}[");
                text.push_str(piece);
            }
        }
        text
    }
}
