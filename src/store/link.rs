//! One open connection, whichever database it leads to. Runs a [`Query`] and says of an error
//! what it means; knows no pool, no deadline and no table.

use diesel::SqliteConnection;
use diesel::deserialize::QueryableByName;
use diesel::mysql::Mysql;
use diesel::pg::Pg;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{BigInt, Nullable};
use diesel::sqlite::Sqlite;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};

use super::Dialect;
use super::connect::postgresql::Opened;
use super::fault::{Fault, FaultClass, by_mysql_number, by_sqlite_words, by_sqlstate};
use super::statement::Query;

/// A row that each of the three databases can give: derive `QueryableByName` with a `sql_type`
/// a field.
pub(crate) trait Row:
    QueryableByName<Pg> + QueryableByName<Mysql> + QueryableByName<Sqlite> + Send + 'static
{
}

impl<R> Row for R where
    R: QueryableByName<Pg> + QueryableByName<Mysql> + QueryableByName<Sqlite> + Send + 'static
{
}

/// An open connection.
pub(crate) enum Link {
    Postgresql(Box<Opened>),
    Mysql(Box<AsyncMysqlConnection>),
    Sqlite(Box<SyncConnectionWrapper<SqliteConnection>>),
}

#[derive(diesel::QueryableByName)]
struct ErrorNumber {
    #[diesel(sql_type = Nullable<BigInt>)]
    number: Option<i64>,
}

impl Link {
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Postgresql(_) => Dialect::Postgresql,
            Self::Mysql(_) => Dialect::Mysql,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Runs a query that gives rows.
    pub async fn load<R: Row>(&mut self, query: Query<'_>) -> Result<Vec<R>, Fault> {
        let result = match self {
            Self::Postgresql(opened) => query.load(&mut opened.connection).await,
            Self::Mysql(connection) => query.load(connection.as_mut()).await,
            Self::Sqlite(connection) => query.load(connection.as_mut()).await,
        };
        match result {
            Ok(rows) => Ok(rows),
            Err(error) => Err(self.classify(error).await),
        }
    }

    /// Runs a query that changes rows; gives how many it found.
    pub async fn execute(&mut self, query: Query<'_>) -> Result<usize, Fault> {
        let result = match self {
            Self::Postgresql(opened) => query.execute(&mut opened.connection).await,
            Self::Mysql(connection) => query.execute(connection.as_mut()).await,
            Self::Sqlite(connection) => query.execute(connection.as_mut()).await,
        };
        match result {
            Ok(count) => Ok(count),
            Err(error) => Err(self.classify(error).await),
        }
    }

    /// Runs text without values, unprepared: BEGIN, COMMIT and their like.
    pub async fn command(&mut self, text: &str) -> Result<(), Fault> {
        let result = match self {
            Self::Postgresql(opened) => opened.connection.batch_execute(text).await,
            Self::Mysql(connection) => connection.batch_execute(text).await,
            Self::Sqlite(connection) => connection.batch_execute(text).await,
        };
        match result {
            Ok(()) => Ok(()),
            Err(error) => Err(self.classify(error).await),
        }
    }

    /// Lets go of a connection that does not answer, without a goodbye that would hang too.
    pub fn abandon(self) {
        if let Self::Postgresql(opened) = self {
            opened.driver.abort();
        }
    }

    async fn classify(&mut self, error: Error) -> Fault {
        let Error::DatabaseError(kind, information) = error else {
            return match error {
                // Our own: a value that cannot be bound, a column that does not fit its row.
                Error::SerializationError(_)
                | Error::DeserializationError(_)
                | Error::QueryBuilderError(_) => Fault::new(FaultClass::Refused, error.to_string()),
                other => Fault::new(FaultClass::Lost, other.to_string()),
            };
        };
        let message = information.message();
        match self {
            Self::Postgresql(opened) => match opened.last.take() {
                Some(code) if kind != DatabaseErrorKind::UnableToSendCommand => {
                    by_sqlstate(&code, message)
                }
                _ => Fault::new(FaultClass::Lost, message),
            },
            Self::Sqlite(_) => by_sqlite_words(message),
            Self::Mysql(_) if is_drivers_own(message) => Fault::new(FaultClass::Lost, message),
            Self::Mysql(connection) => match last_error_number(connection).await {
                Some(number) => by_mysql_number(number, message),
                None => Fault::new(FaultClass::Lost, message),
            },
        }
    }
}

/// mysql_async's words for what no server said (`mysql_async/src/error/mod.rs`).
fn is_drivers_own(message: &str) -> bool {
    ["Input/output error:", "Driver error:", "Other error:", "URL error:"]
        .iter()
        .any(|prefix| message.starts_with(prefix))
}

/// diesel drops the number of a server's error, and its words may be in any language; the server
/// keeps the number until the next statement.
pub(super) async fn last_error_number(connection: &mut AsyncMysqlConnection) -> Option<i64> {
    connection
        .batch_execute("GET DIAGNOSTICS CONDITION 1 @karbor_errno = MYSQL_ERRNO")
        .await
        .ok()?;
    let text = "SELECT CAST(@karbor_errno AS SIGNED) AS number";
    let rows: Vec<ErrorNumber> = Query { text, params: &[] }.load(connection).await.ok()?;
    rows.into_iter().next()?.number
}
