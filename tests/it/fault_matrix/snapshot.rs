//! What the database holds, read as any other program would.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::truth::{End, Said};
use crate::harness::Database;

/// Stands for NULL.
const NOTHING: &str = "~";

/// Whose transition it is: the restore, and the resource as `TYPE#ID` if it is one's.
pub type Subject = (String, Option<String>);

/// A row of the events.
#[derive(Debug, Clone)]
pub struct EventRow {
    pub subject: Subject,
    pub transition: u64,
    pub old_status: Option<String>,
    pub status: String,
    pub reason: Option<String>,
}

/// A row of the publishers.
#[derive(Debug, Clone)]
pub struct PublisherRow {
    pub id: String,
    pub host: String,
    pub closed: bool,
    /// Events beyond its position.
    pub behind: u64,
}

/// All of it.
pub struct Snapshot {
    pub ends: BTreeMap<String, End>,
    pub events: Vec<EventRow>,
    pub publishers: Vec<PublisherRow>,
    /// Early updates that wait.
    pub waiting: usize,
    /// Karbor's columns: status and both dictionaries of each restore.
    pub karbor: BTreeMap<String, (String, Value, Value)>,
}

impl Snapshot {
    /// Reads the tables one after the other.
    pub async fn take(database: &Database) -> Self {
        Self {
            ends: ends(database).await,
            events: events(database).await,
            publishers: publishers(database).await,
            waiting: waiting(database).await,
            karbor: karbor(database).await,
        }
    }
}

/// Whether nothing is left to do: all published, what is `dead` closed, all known. What costs the
/// database little is asked first.
pub async fn is_done(
    database: &Database,
    wanted: &BTreeMap<String, End>,
    dead: impl Fn(&PublisherRow) -> bool,
) -> bool {
    let settled = |row: &PublisherRow| row.behind == 0 && (row.closed || !dead(row));
    publishers(database).await.iter().all(settled)
        && waiting(database).await == 0
        && ends(database).await == *wanted
}

async fn waiting(database: &Database) -> usize {
    database.count("restore_early_updates").await
}

async fn lines(database: &Database, columns: &str, from: &str) -> Vec<Vec<Option<String>>> {
    // Each database reads this alike, whatever the column's type.
    let shown = |column| {
        format!("CASE WHEN {column} IS NULL THEN '{NOTHING}' ELSE CONCAT({column}, '') END")
    };
    let columns: Vec<_> = columns.split(", ").map(shown).collect();
    let sql = format!("SELECT CONCAT_WS('|', {}) AS text FROM {from}", columns.join(", "));
    let lines = database.texts(&sql).await.into_iter().flatten();
    let field = |field: &str| (field != NOTHING).then(|| field.to_owned());
    lines.map(|line| line.split('|').map(field).collect()).collect()
}

fn text(field: Option<&String>) -> String {
    field.expect("not NULL").clone()
}

fn number(field: Option<&String>) -> Option<u64> {
    let number = field.map(|text| text.trim().parse::<i64>().expect("a number"));
    number.and_then(|number| u64::try_from(number).ok())
}

fn said(fields: &[Option<String>]) -> Said {
    (number(fields[0].as_ref()), text(fields[1].as_ref()), fields[2].clone())
}

/// What belongs to restores is read before them: a worker may be at work.
async fn ends(database: &Database) -> BTreeMap<String, End> {
    let of_resources = "restore_id, resource_type, resource_id, sequence, status, reason";
    let resources = lines(database, of_resources, "restore_resources").await;
    let of_expected = "restore_id, resource_type, source_id";
    let expected = lines(database, of_expected, "restore_expected_resources").await;
    let of_restores = "restore_id, sequence, status, reason";
    let restores = lines(database, of_restores, "restore_states").await;

    let mut ends = BTreeMap::new();
    for line in restores {
        let (resources, expected) = (BTreeMap::new(), BTreeSet::new());
        let end = End { restore: said(&line[1..]), resources, expected };
        ends.insert(text(line[0].as_ref()), end);
    }
    let key =
        |line: &[Option<String>]| format!("{}#{}", text(line[1].as_ref()), text(line[2].as_ref()));
    for line in resources {
        let end = ends.get_mut(&text(line[0].as_ref())).expect("a resource has a restore");
        end.resources.insert(key(&line), said(&line[3..]));
    }
    for line in expected {
        let end = ends.get_mut(&text(line[0].as_ref())).expect("what is expected has a restore");
        end.expected.insert(key(&line));
    }
    ends
}

async fn events(database: &Database) -> Vec<EventRow> {
    let columns = "restore_id, resource_type, resource_id, transition, old_status, status, reason";
    let row = |line: Vec<Option<String>>| EventRow {
        subject: (
            text(line[0].as_ref()),
            line[1].as_ref().map(|kind| format!("{kind}#{}", text(line[2].as_ref()))),
        ),
        transition: number(line[3].as_ref()).expect("a transition"),
        old_status: line[4].clone(),
        status: text(line[5].as_ref()),
        reason: line[6].clone(),
    };
    lines(database, columns, "restore_events").await.into_iter().map(row).collect()
}

/// Every publisher that is not forgotten.
pub async fn publishers(database: &Database) -> Vec<PublisherRow> {
    let behind = "(SELECT COUNT(*) FROM restore_events e \
                  WHERE e.publisher_id = p.id AND e.number > p.published_through)";
    let columns = format!("id, host, closed, {behind}");
    let row = |line: Vec<Option<String>>| PublisherRow {
        id: text(line[0].as_ref()),
        host: text(line[1].as_ref()),
        closed: number(line[2].as_ref()) == Some(1),
        behind: number(line[3].as_ref()).expect("a count"),
    };
    lines(database, &columns, "restore_publishers p").await.into_iter().map(row).collect()
}

async fn karbor(database: &Database) -> BTreeMap<String, (String, Value, Value)> {
    let mut columns = Vec::new();
    for column in ["id", "status", "resources_status", "resources_reason"] {
        let sql = format!("SELECT {column} AS text FROM restores ORDER BY id");
        columns.push(database.texts(&sql).await);
    }
    let json = |text: &Option<String>| {
        serde_json::from_str(text.as_deref().unwrap_or("null")).expect("a dictionary is JSON")
    };
    let row = |(index, id): (usize, &Option<String>)| {
        let status = text(columns[1][index].as_ref());
        (text(id.as_ref()), (status, json(&columns[2][index]), json(&columns[3][index])))
    };
    columns[0].iter().enumerate().map(row).collect()
}
