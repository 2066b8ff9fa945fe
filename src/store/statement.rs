//! SQL as this crate writes it: a text a database, `?` where a value goes. Takes texts and
//! values, gives what diesel runs. Unlike `diesel::sql_query`, which prepares its text anew each
//! time, a [`Query`] is cached by its text, so a statement must hold no values and, for row sets,
//! no varying shape: rows go in as one JSON parameter.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::mysql::Mysql;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp, Untyped};
use diesel::sqlite::Sqlite;
use diesel::{QueryResult, RunQueryDsl};

use super::Dialect;

/// One act in the words of each database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement {
    /// What it does, for errors.
    pub act: &'static str,
    pub postgresql: &'static str,
    pub mysql: &'static str,
    pub sqlite: &'static str,
}

impl Statement {
    /// One text that all three read alike.
    pub const fn portable(act: &'static str, text: &'static str) -> Self {
        Self { act, postgresql: text, mysql: text, sqlite: text }
    }

    /// The text for `dialect`.
    pub fn text(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Postgresql => self.postgresql,
            Dialect::Mysql => self.mysql,
            Dialect::Sqlite => self.sqlite,
        }
    }
}

/// A value bound to a `?`.
#[derive(Debug, Clone)]
pub(crate) enum Param {
    Text(String),
    OptionalText(Option<String>),
    Number(i64),
    Time(NaiveDateTime),
}

impl From<&str> for Param {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Param {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Option<String>> for Param {
    fn from(value: Option<String>) -> Self {
        Self::OptionalText(value)
    }
}

impl From<i64> for Param {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl From<u32> for Param {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<u64> for Param {
    fn from(value: u64) -> Self {
        Self::Number(as_number(value))
    }
}

impl From<DateTime<Utc>> for Param {
    fn from(value: DateTime<Utc>) -> Self {
        Self::Time(value.naive_utc())
    }
}

/// A count or sequence as the databases hold it.
pub(crate) fn as_number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count or sequence as the databases gave it.
pub(crate) fn as_count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A text with its values, as diesel runs it.
pub(crate) struct Query<'a> {
    pub text: &'a str,
    pub params: &'a [Param],
}

impl QueryId for Query<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl diesel::query_builder::Query for Query<'_> {
    type SqlType = Untyped;
}

impl<Conn> RunQueryDsl<Conn> for Query<'_> {}

macro_rules! run_on {
    ($($backend:ty),*) => {$(
        impl QueryFragment<$backend> for Query<'_> {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, $backend>) -> QueryResult<()> {
                let mut params = self.params.iter();
                for (index, piece) in self.text.split('?').enumerate() {
                    if index > 0 {
                        match params.next() {
                            Some(Param::Text(value)) => {
                                out.push_bind_param::<Text, String>(value)?;
                            }
                            Some(Param::OptionalText(value)) => {
                                out.push_bind_param::<Nullable<Text>, Option<String>>(value)?;
                            }
                            Some(Param::Number(value)) => {
                                out.push_bind_param::<BigInt, i64>(value)?;
                            }
                            Some(Param::Time(value)) => {
                                out.push_bind_param::<Timestamp, NaiveDateTime>(value)?;
                            }
                            None => return Err(mismatch()),
                        }
                    }
                    out.push_sql(piece);
                }
                if params.next().is_some() { Err(mismatch()) } else { Ok(()) }
            }
        }
    )*};
}

run_on!(Pg, Mysql, Sqlite);

fn mismatch() -> diesel::result::Error {
    diesel::result::Error::QueryBuilderError("a value for each `?`".into())
}
