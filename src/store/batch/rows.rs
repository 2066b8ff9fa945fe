//! Rows as a batch reads them, and as it writes them into the JSON parameter of a statement.
//! A field that is `None` is left out of the JSON: a list gives NULL for what is missing.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamp};
use serde::Serialize;

#[derive(QueryableByName)]
pub(super) struct FoundRow {
    #[diesel(sql_type = Text)]
    pub id: String,
    #[diesel(sql_type = Text)]
    pub project_id: String,
    #[diesel(sql_type = Integer)]
    pub deleted: i32,
}

#[derive(QueryableByName)]
pub(super) struct RestoreRow {
    #[diesel(sql_type = Text)]
    pub id: String,
    #[diesel(sql_type = Text)]
    pub project_id: String,
    #[diesel(sql_type = Text)]
    pub provider_id: String,
    #[diesel(sql_type = Text)]
    pub checkpoint_id: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub restore_target: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub karbor_status: Option<String>,
    #[diesel(sql_type = Integer)]
    pub deleted: i32,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub sequence: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    pub status: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub reason: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub transition: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub version: Option<i64>,
    #[diesel(sql_type = Nullable<Timestamp>)]
    pub last_heard_at: Option<NaiveDateTime>,
    #[diesel(sql_type = Nullable<Timestamp>)]
    pub changed_at: Option<NaiveDateTime>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub resources: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub expected: Option<i64>,
    #[diesel(sql_type = Integer)]
    pub stalled: i32,
    #[diesel(sql_type = Nullable<Timestamp>)]
    pub final_since: Option<NaiveDateTime>,
    #[diesel(sql_type = Nullable<Text>)]
    pub digest: Option<String>,
}

#[derive(QueryableByName)]
pub(super) struct IdRow {
    #[diesel(sql_type = Text)]
    #[expect(dead_code, reason = "the row is read for its lock")]
    pub id: String,
}

#[derive(QueryableByName)]
pub(super) struct KarborRow {
    #[diesel(sql_type = Text)]
    pub id: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub status: Option<String>,
    #[diesel(sql_type = Integer)]
    pub deleted: i32,
}

/// A row of Karbor's that we have no row of.
#[derive(QueryableByName)]
pub(super) struct AdoptedRow {
    #[diesel(sql_type = Text)]
    pub id: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub status: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub resources_status: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub resources_reason: Option<String>,
    #[diesel(sql_type = Nullable<Timestamp>)]
    pub changed_at: Option<NaiveDateTime>,
}

#[derive(QueryableByName)]
pub(super) struct DictionariesRow {
    #[diesel(sql_type = Text)]
    pub id: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub resources_status: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub resources_reason: Option<String>,
}

#[derive(QueryableByName)]
pub(super) struct ResourceRow {
    #[diesel(sql_type = Text)]
    pub restore_id: String,
    #[diesel(sql_type = Text)]
    pub resource_type: String,
    #[diesel(sql_type = Text)]
    pub resource_id: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub source_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub name: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub sequence: Option<i64>,
    #[diesel(sql_type = Text)]
    pub status: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub reason: Option<String>,
    #[diesel(sql_type = BigInt)]
    pub transition: i64,
    #[diesel(sql_type = Timestamp)]
    pub changed_at: NaiveDateTime,
    #[diesel(sql_type = Nullable<Text>)]
    pub said_status: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub said_reason: Option<String>,
}

#[derive(QueryableByName)]
pub(super) struct CountRow {
    #[diesel(sql_type = Text)]
    pub restore_id: String,
    #[diesel(sql_type = Text)]
    pub status: String,
    #[diesel(sql_type = BigInt)]
    pub number: i64,
}

#[derive(QueryableByName)]
pub(super) struct ExpectedRow {
    #[diesel(sql_type = Text)]
    pub restore_id: String,
    #[diesel(sql_type = Text)]
    pub resource_type: String,
    #[diesel(sql_type = Text)]
    pub source_id: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub name: Option<String>,
}

/// A key in the list of a statement.
#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyJson<'a> {
    pub r: &'a str,
    pub t: &'a str,
    pub i: &'a str,
}

/// A restore for Karbor's table.
#[derive(Serialize)]
pub(super) struct RecordJson<'a> {
    pub c: String,
    pub i: String,
    pub p: &'a str,
    pub v: &'a str,
    pub k: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub g: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub m: Option<&'a str>,
}

/// Our row of a restore.
#[derive(Serialize)]
pub(super) struct StateJson<'a> {
    pub i: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<u64>,
    pub s: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub w: Option<&'a str>,
    pub n: u64,
    pub v: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d: Option<&'a str>,
    pub h: String,
    pub c: String,
    pub r: u64,
    pub e: u64,
    /// 1 where its silence was told.
    pub x: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub f: Option<String>,
}

/// Karbor's status of a restore.
#[derive(Serialize)]
pub(super) struct StatusJson<'a> {
    pub i: &'a str,
    pub s: &'static str,
    pub u: String,
}

/// A resource.
#[derive(Serialize)]
pub(super) struct ResourceJson<'a> {
    pub r: &'a str,
    pub t: &'a str,
    pub i: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub o: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<u64>,
    pub s: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub w: Option<&'a str>,
    pub n: u64,
    pub c: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l: Option<&'a str>,
}

/// An expected resource.
#[derive(Serialize)]
pub(super) struct ExpectedJson<'a> {
    pub r: &'a str,
    pub t: &'a str,
    pub i: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<&'a str>,
}

/// Rows as the JSON parameter of a statement.
pub(in crate::store) fn to_json<T: Serialize + ?Sized>(rows: &T) -> String {
    serde_json::to_string(rows).expect("these rows have text keys and no failing values")
}

/// A moment as all three databases read it.
pub(in crate::store) fn time_text(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// A moment in Karbor's columns, which hold whole seconds on MySQL; MySQL itself would round up.
pub(super) fn whole_seconds(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}
