//! `show ID`: one restore for a reader at a terminal, or as JSON.
//!
//! Takes the store's view of it, its resources and its timeline, gives the same in three parts:
//! how far it is, its resources (failed ones first, with their reasons), what happened when.
//! Changes nothing. What strangers wrote (reasons, names) is shown without control characters,
//! so that it cannot steer the terminal. `parameters` are not shown: they may hold secrets.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, bail};
use comfy_table::{Cell, Color};
use serde::Serialize;

use super::print;
pub use super::table::Colours;
use super::table::{new_table, print_table, printable};
use crate::domain::{Counts, Event, EventType, ResourceStatus, RestoreId, Subject, mask_passwords};
use crate::http::shape::{EventShape, NOT_BEGUN, ResourceShape, show_time};
use crate::store::{EventQuery, ResourceLine, ResourceQuery, RestoreView, Store};

/// How many rows are read at once.
const PAGE: u32 = 1000;

/// How `show` prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// Tables for a reader.
    #[default]
    Table,
    /// One JSON object.
    Json,
}

/// Prints the restore to standard output; in colours only where that is a terminal.
///
/// # Errors
/// There is no such restore, or the database does not answer.
pub async fn run(store: &Store, id: RestoreId, output: Output) -> anyhow::Result<()> {
    print(&describe(store, id, output, Colours::of_stdout()).await?)
}

/// The text that [`run`] prints.
///
/// # Errors
/// There is no such restore, or the database does not answer.
pub async fn describe(
    store: &Store,
    id: RestoreId,
    output: Output,
    colours: Colours,
) -> anyhow::Result<String> {
    let report = read_report(store, id).await?;
    Ok(match output {
        Output::Table => report.to_tables(colours),
        Output::Json => report.to_json(),
    })
}

/// Everything that is shown.
struct Report {
    view: RestoreView,
    lines: Vec<ResourceLine>,
    events: Vec<Event>,
    earlier_events_deleted: bool,
}

/// How many resources are finished, of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Progress {
    finished: u64,
    failed: u64,
    total: u64,
}

async fn read_report(store: &Store, id: RestoreId) -> anyhow::Result<Report> {
    store.check().await?;
    let view = store.restore_view(id).await.context("cannot read the restore")?;
    let Some(view) = view else {
        bail!("there is no restore `{id}`: none was recorded under this id, or it was deleted");
    };
    let mut lines = Vec::new();
    loop {
        let offset = lines.len() as u64;
        let statuses = ResourceStatus::ALL.to_vec();
        let query = ResourceQuery { statuses, not_begun: true, limit: PAGE, offset };
        let page = store.resource_lines(id, &query).await.context("cannot read its resources")?;
        let more = page.len() == PAGE as usize;
        lines.extend(page);
        if !more {
            break;
        }
    }
    lines.sort_by_key(urgency);
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map(|event| (event.publisher, event.number));
        let query = EventQuery { after, limit: PAGE, offset: 0 };
        let page = store.restore_events(id, &query).await.context("cannot read its events")?;
        let more = page.len() == PAGE as usize;
        events.extend(page);
        if !more {
            break;
        }
    }
    let deleted = store.earlier_events_deleted(id).await.context("cannot read its events")?;
    Ok(Report { view, lines, events, earlier_events_deleted: deleted })
}

/// What a reader looks for comes first: failures, then work under way, then what is done.
fn urgency(line: &ResourceLine) -> u8 {
    match line.status {
        Some(ResourceStatus::Error) => 0,
        Some(ResourceStatus::Restoring) => 1,
        Some(ResourceStatus::Started) => 2,
        Some(ResourceStatus::Undefined) => 3,
        None => 4,
        Some(ResourceStatus::Available) => 5,
    }
}

/// Counts by type, because where no update of a type names a source, an expected resource cannot be
/// told from the one that was reported: then the greater of both numbers is the total.
fn measure(lines: &[ResourceLine]) -> Progress {
    #[derive(Default)]
    struct OfType {
        begun: u64,
        sourced: u64,
        not_begun: u64,
    }
    let mut progress = Progress::default();
    let mut types: BTreeMap<&str, OfType> = BTreeMap::new();
    for line in lines {
        let of_type = types.entry(line.resource_type.as_str()).or_default();
        match line.status {
            None => of_type.not_begun += 1,
            Some(status) => {
                of_type.begun += 1;
                of_type.sourced += u64::from(line.source_id.is_some());
                progress.finished += u64::from(status.is_final());
                progress.failed += u64::from(status == ResourceStatus::Error);
            }
        }
    }
    progress.total = types
        .values()
        .map(|of_type| {
            let unsourced = of_type.begun - of_type.sourced;
            if of_type.sourced == 0 {
                unsourced.max(of_type.not_begun)
            } else {
                of_type.begun + of_type.not_begun
            }
        })
        .sum();
    progress
}

impl Report {
    fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Shape<'a> {
            id: String,
            project_id: &'a str,
            provider_id: &'a str,
            checkpoint_id: &'a str,
            restore_target: Option<Cow<'a, str>>,
            status: &'a str,
            reason: Option<&'a str>,
            created_at: Option<String>,
            updated_at: Option<String>,
            progress: Progress,
            counts: Counts,
            resources: Vec<ResourceShape<'a>>,
            events: Vec<EventShape<'a>>,
            earlier_events_deleted: bool,
        }
        let view = &self.view;
        let shape = Shape {
            id: view.id.to_string(),
            project_id: &view.project_id,
            provider_id: &view.provider_id,
            checkpoint_id: &view.checkpoint_id,
            restore_target: view.restore_target.as_deref().map(mask_passwords),
            status: &view.status,
            reason: view.reason.as_deref(),
            created_at: view.created_at.map(show_time),
            updated_at: view.updated_at.map(show_time),
            progress: measure(&self.lines),
            counts: view.counts,
            resources: self.lines.iter().map(ResourceShape::from).collect(),
            events: self.events.iter().map(EventShape::from).collect(),
            earlier_events_deleted: self.earlier_events_deleted,
        };
        let mut text = serde_json::to_string_pretty(&shape).expect("the shapes are JSON");
        text.push('\n');
        text
    }

    fn to_tables(&self, colours: Colours) -> String {
        let view = &self.view;
        let mut text = String::new();
        let mut field = |name: &str, value: &str| {
            writeln!(text, "{name:<12}{}", printable(value)).expect("a String takes any text");
        };
        field("Restore", &view.id.to_string());
        field("Project", &view.project_id);
        field("Provider", &view.provider_id);
        field("Checkpoint", &view.checkpoint_id);
        field("Target", &mask_passwords(view.restore_target.as_deref().unwrap_or("-")));
        field("Status", &view.status);
        if let Some(reason) = &view.reason {
            field("Reason", reason);
        }
        field("Created", &view.created_at.map_or("-".to_owned(), show_time));
        field("Updated", &view.updated_at.map_or("-".to_owned(), show_time));
        field("Progress", &in_words(measure(&self.lines)));
        field("Counts", &count_in_words(view.counts));
        text.push_str("\nResources\n");
        if self.lines.len() as u64 > measure(&self.lines).total {
            text.push_str(
                "(of a type of which no update names its source, those not begun may be among \
                 those reported: the progress counts by number)\n",
            );
        }
        text.push_str(&self.resource_table(colours));
        text.push_str("\nTimeline\n");
        if self.earlier_events_deleted {
            text.push_str("(what happened earlier was deleted: retention.events_days)\n");
        }
        text.push_str(&self.timeline(colours));
        text
    }

    fn resource_table(&self, colours: Colours) -> String {
        let mut table = new_table(&["STATUS", "TYPE", "ID", "SOURCE", "NAME", "SINCE", "REASON"]);
        for line in &self.lines {
            let shape = ResourceShape::from(line);
            let text = |value: Option<&str>| Cell::new(printable(value.unwrap_or("-")));
            table.add_row([
                status_cell(shape.status, colours),
                text(Some(shape.resource_type)),
                text(shape.resource_id),
                text(shape.source_id),
                text(shape.name),
                text(line.since.map(show_time).as_deref()),
                text(shape.reason),
            ]);
        }
        print_table(&table)
    }

    fn timeline(&self, colours: Colours) -> String {
        let mut table = new_table(&["TIME", "OF", "NO", "FROM", "TO", "REASON"]);
        for event in &self.events {
            let of = match &event.subject {
                Subject::Restore { .. } => "restore".to_owned(),
                Subject::Resource { key, .. } => key.to_string(),
            };
            table.add_row([
                Cell::new(show_time(event.occurred_at)),
                Cell::new(printable(&of)),
                Cell::new(event.transition),
                Cell::new(printable(event.old_status.as_deref().unwrap_or("-"))),
                status_cell(&event.status, colours),
                Cell::new(printable(event.reason.as_deref().unwrap_or(match event.event_type {
                    EventType::RestoreStalled => "(stalled: nothing was heard of it)",
                    _ => "-",
                }))),
            ]);
        }
        print_table(&table)
    }
}

fn in_words(progress: Progress) -> String {
    match progress {
        Progress { total: 0, .. } => "no resources are known yet".to_owned(),
        Progress { finished, failed: 0, total } => format!("{finished} of {total} finished"),
        Progress { finished, failed, total } => {
            format!("{finished} of {total} finished, {failed} of them failed")
        }
    }
}

fn count_in_words(counts: Counts) -> String {
    let Counts { undefined, started, restoring, available, error, expected } = counts;
    format!(
        "{error} error, {restoring} restoring, {started} started, {undefined} undefined, \
         {available} available; {expected} expected"
    )
}

fn status_cell(status: &str, colours: Colours) -> Cell {
    let cell = Cell::new(printable(status));
    let colour = match status {
        "error" | "fail" => Color::Red,
        "available" | "success" => Color::Green,
        NOT_BEGUN | "undefined" => Color::DarkGrey,
        _ => Color::Yellow,
    };
    match colours {
        Colours::On => cell.fg(colour),
        Colours::Off => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(key: &str, source: Option<&str>, status: Option<ResourceStatus>) -> ResourceLine {
        let (resource_type, id) = key.split_once('#').unwrap();
        ResourceLine {
            resource_type: resource_type.parse().unwrap(),
            resource_id: status.map(|_| id.parse().unwrap()),
            source_id: source.map(|source| source.parse().unwrap()),
            name: None,
            status,
            reason: status
                .filter(|s| *s == ResourceStatus::Error)
                .map(|_| "no\u{1b}[2J space".into()),
            sequence: None,
            since: None,
        }
    }

    fn report(lines: Vec<ResourceLine>) -> Report {
        let view = RestoreView {
            id: "0191d1c0-0000-7000-8000-000000000001".parse().unwrap(),
            project_id: "p".into(),
            provider_id: "pr".into(),
            checkpoint_id: "cp".into(),
            restore_target: Some("http://user:hidden@keystone".into()),
            parameters: Some("{\"a\": {\"password\": \"hidden\"}}".into()),
            status: "in_progress".into(),
            reason: None,
            created_at: None,
            updated_at: None,
            resources: Vec::new(),
            counts: Counts::default(),
        };
        Report { view, lines, events: Vec::new(), earlier_events_deleted: false }
    }

    #[test]
    fn progress_counts_expected_resources_once() {
        use ResourceStatus::{Available, Error, Started};
        let lines = [
            line("V#1", Some("s1"), Some(Available)),
            line("V#2", Some("s2"), Some(Error)),
            line("V#-", Some("s3"), None),
            line("N#1", None, Some(Started)),
            line("N#-", Some("s4"), None),
            line("N#-", Some("s5"), None),
        ];
        assert_eq!(measure(&lines), Progress { finished: 2, failed: 1, total: 5 });
        // Where one of a type names its source, what is not begun is not one of those that do not.
        let lines = [
            line("V#1", Some("s1"), Some(Available)),
            line("V#3", None, Some(Error)),
            line("V#-", Some("s2"), None),
        ];
        assert_eq!(measure(&lines), Progress { finished: 2, failed: 1, total: 3 });
        assert_eq!(in_words(Progress::default()), "no resources are known yet");
    }

    #[test]
    fn no_secret_and_no_control_character_is_printed() {
        let report = report(vec![line("V#1", None, Some(ResourceStatus::Error))]);
        for text in [report.to_tables(Colours::Off), report.to_json()] {
            assert!(!text.contains("hidden") && !text.contains('\u{1b}'), "{text}");
            assert!(text.contains("http://user:***@keystone"), "{text}");
        }
    }

    #[test]
    fn rows_that_the_progress_does_not_count_are_explained() {
        let by_number =
            [line("V#1", None, Some(ResourceStatus::Available)), line("V#-", Some("s"), None)];
        let shown = |lines: &[ResourceLine]| report(lines.to_vec()).to_tables(Colours::Off);
        assert!(shown(&by_number).contains("counts by number"));
        assert!(!shown(&by_number[..1]).contains("counts by number"));
    }

    #[test]
    fn colours_are_used_only_when_asked_for() {
        let report = report(vec![line("V#1", None, Some(ResourceStatus::Error))]);
        assert!(report.to_tables(Colours::On).contains("\u{1b}[38;5;9m"));
        assert!(!report.to_tables(Colours::Off).contains('\u{1b}'));
    }
}
