//! The worker's answers as outcomes.
//!
//! Takes the `result` of a reply, gives what was asked for, or nothing where it is something else.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::domain::{Command, Counts, Effect, Outcome};
use crate::store::RestoreView;
use crate::wire::dumps;

/// What became of `command`.
pub(crate) fn read_outcome(command: &Command, result: &Value) -> Option<Outcome> {
    Some(match command {
        Command::RecordRestore(_) => result.is_null().then_some(Outcome::Recorded)?,
        Command::UpdateResources { updates, .. } => {
            let read = |value: &Value| {
                let (effect, status) = read_entry(value)?;
                Some((effect, status.parse().ok()?))
            };
            let entries = match result {
                Value::Array(entries) => entries.iter().map(read).collect::<Option<Vec<_>>>()?,
                entry => vec![read(entry)?],
            };
            (entries.len() == updates.len()).then_some(Outcome::Resources(entries))?
        }
        Command::ExpectResources { .. } => Outcome::Expected(result.as_u64()?),
        Command::UpdateRestore { .. } => {
            let (effect, status) = read_entry(result)?;
            Outcome::Restore(effect, status.parse().ok()?)
        }
        Command::TakeIn(_) | Command::NoteSilence { .. } => return None,
    })
}

fn read_entry(value: &Value) -> Option<(Effect, &str)> {
    let effect = match value.get("outcome")?.as_str()? {
        "applied" => Effect::Applied,
        "unchanged" => Effect::Unchanged,
        "stale" => Effect::Stale,
        _ => return None,
    };
    Some((effect, value.get("status")?.as_str()?))
}

/// What `get_restore` shows.
pub(crate) fn read_restore(result: &Value) -> Option<RestoreView> {
    let optional = |key: &str| result.get(key).and_then(Value::as_str).map(str::to_owned);
    let time = |key: &str| {
        let text = result.get(key)?.as_str()?;
        Some(DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc))
    };
    let object = |key: &str| result.get(key).and_then(Value::as_object);
    let reasons = object("resources_reason")?;
    let resources = object("resources_status")?
        .iter()
        .map(|(key, status)| {
            let reason = reasons.get(key).and_then(Value::as_str).map(str::to_owned);
            Some((key.parse().ok()?, status.as_str()?.parse().ok()?, reason))
        })
        .collect::<Option<Vec<_>>>()?;
    Some(RestoreView {
        id: optional("id")?.parse().ok()?,
        project_id: optional("project_id")?,
        provider_id: optional("provider_id")?,
        checkpoint_id: optional("checkpoint_id")?,
        restore_target: optional("restore_target"),
        parameters: object("parameters").map(dumps),
        status: optional("status")?,
        reason: optional("reason"),
        created_at: time("created_at"),
        updated_at: time("updated_at"),
        resources,
        counts: read_counts(object("resources")?)?,
    })
}

fn read_counts(counts: &Map<String, Value>) -> Option<Counts> {
    let count = |name: &str| counts.get(name)?.as_u64();
    Some(Counts {
        undefined: count("undefined")?,
        started: count("started")?,
        restoring: count("restoring")?,
        available: count("available")?,
        error: count("error")?,
        expected: count("expected")?,
    })
}
