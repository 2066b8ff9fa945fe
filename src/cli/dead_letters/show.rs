//! `dead-letters show ID`: one letter, its properties and, where asked, its message.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Map, Value};

use super::arguments::Selection;
use super::counts::to_json;
use super::letters::Letters;
use super::list::LetterShape;
use crate::cli::print;
use crate::cli::show::Output;
use crate::cli::table::printable;
use crate::rpc::{KeptLetter, properties_to_json};
use crate::settings::Settings;
use crate::transport::Delivery;
use crate::wire::shown_body;
use crate::worker::Brokers;

/// Whether the message is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Shown,
    Hidden,
}

/// Prints the oldest letter of this id.
pub(super) async fn run(
    settings: &Settings,
    id: &str,
    body: Body,
    output: Output,
) -> anyhow::Result<()> {
    let brokers = Brokers::from_settings(settings)?;
    let mut letters = Letters::open(settings, &brokers).await?;
    let selection = Selection { ids: vec![id.to_owned()], ..Selection::default() };
    let now = chrono::Utc::now();
    let (mut found, mut copies, mut unmet) = (None, 0, selection.unmet());
    // To the end, also when it is found: a quorum queue puts what it gets back behind the rest.
    while let Some((delivery, letter)) = letters.next().await? {
        unmet.meet(&letter);
        if selection.takes(&letter, now) {
            copies += 1;
            found.get_or_insert((delivery, letter));
        }
    }
    letters.close().await?;
    unmet.refuse()?;
    let (delivery, letter) = found.context("the broker gave no letter")?;
    print(&match output {
        Output::Json => to_json(&Shown::new(&delivery, &letter, copies, body)),
        Output::Table => to_text(&Shown::new(&delivery, &letter, copies, body)),
    })
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    letter: LetterShape<'a>,
    /// How many letters have its id.
    copies: usize,
    properties: Value,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
}

impl<'a> Shown<'a> {
    fn new(delivery: &Delivery, letter: &'a KeptLetter, copies: usize, body: Body) -> Self {
        Self {
            letter: LetterShape::from(letter),
            copies,
            properties: properties_of(delivery),
            bytes: delivery.body.len(),
            body: (body == Body::Shown).then(|| shown_body(&delivery.body)),
        }
    }
}

/// The AMQP properties, cleaned; headers that the letter itself shows are among them.
fn properties_of(delivery: &Delivery) -> Value {
    shown_body(properties_to_json(&delivery.properties).as_bytes())
}

fn to_text(shown: &Shown<'_>) -> String {
    let mut text = String::new();
    let mut field = |name: &str, value: &str| {
        let value = if value.is_empty() { "-" } else { value };
        writeln!(text, "{name:<12}{}", printable(value)).expect("a String takes any text");
    };
    let letter = &shown.letter;
    field("Message id", letter.message_id.unwrap_or_default());
    field("Unique id", letter.message_unique_id);
    field("Time", letter.dead_lettered_at.as_deref().unwrap_or_default());
    field("Error", letter.error);
    field("Reason", letter.reason);
    field("Method", letter.method);
    field("Restore", letter.restore_id.as_deref().unwrap_or_default());
    field("Queue", letter.queue);
    field("Replay", if letter.has_message { "possible" } else { "not possible: only a digest" });
    field("Bytes", &shown.bytes.to_string());
    if shown.copies > 1 {
        field("Copies", &format!("{} letters have this id; this is the oldest", shown.copies));
    }
    text.push_str("\nProperties\n");
    for (name, value) in shown.properties.as_object().into_iter().flat_map(Map::iter) {
        writeln!(text, "{name:<18}{}", printable(&value.to_string())).expect("a String takes any");
    }
    if let Some(body) = &shown.body {
        text.push_str("\nMessage\n");
        text.push_str(&to_json(body));
    }
    text
}
