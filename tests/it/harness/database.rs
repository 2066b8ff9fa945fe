//! A fresh database for one test, on PostgreSQL, MariaDB or SQLite, removed when it is dropped.
//!
//! Takes a kind, gives the URL for a worker and a plain look at what is stored, without any code of
//! the worker's store.

use std::any::Any;
use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::sql_types::{Nullable, Text};
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use mysql_async::prelude::Queryable;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::{finish, new_id, server};

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// PostgreSQL
    Postgresql,
    /// MariaDB, through MySQL's protocol
    Mysql,
    /// An SQLite file
    Sqlite,
}

/// A database of one test's own.
pub struct Database {
    kind: Kind,
    name: String,
    url: String,
    /// The server's, for its administrator; of SQLite empty.
    server: String,
    folder: TempDir,
}

/// Keeps workers from committing until it is dropped.
pub struct Lock {
    _connection: Box<dyn Any + Send>,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Nullable<Text>)]
    text: Option<String>,
}

impl Database {
    /// Makes an empty database on the server that all tests share.
    pub async fn fresh(kind: Kind) -> Self {
        let server = match kind {
            Kind::Postgresql => server("TEST_POSTGRESQL_URL"),
            Kind::Mysql => server("TEST_MYSQL_URL"),
            Kind::Sqlite => String::new(),
        };
        Self::fresh_on(kind, server).await
    }

    /// The same on the server with that address.
    pub async fn fresh_on(kind: Kind, server: String) -> Self {
        let name = format!("e2e_{}", new_id().replace('-', ""));
        let folder = TempDir::new().expect("a temporary folder");
        let url = match kind {
            Kind::Postgresql | Kind::Mysql => format!("{}/{name}", base(&server)),
            Kind::Sqlite => format!("sqlite://{}", folder.path().join("restores.sqlite").display()),
        };
        run_as_admin(kind, &server, &format!("CREATE DATABASE {name}")).await;
        Self { kind, name, url, server, folder }
    }

    /// What kind of database it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its address, for `database.url`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file of an SQLite database.
    pub fn file(&self) -> &Path {
        Path::new(self.url.trim_start_matches("sqlite://"))
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first column, named `text`, of each row.
    pub async fn texts(&self, sql: &str) -> Vec<Option<String>> {
        match self.kind {
            Kind::Postgresql => {
                let messages = postgresql(&self.url).await.simple_query(sql).await.expect(sql);
                let text = |message: &SimpleQueryMessage| match message {
                    SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
                    _ => None,
                };
                messages.iter().filter_map(text).collect()
            }
            Kind::Mysql => mysql(&self.url).await.query(sql).await.expect(sql),
            Kind::Sqlite => {
                let lines: Vec<Line> = sql_query(sql).load(&mut self.sqlite()).expect(sql);
                lines.into_iter().map(|line| line.text).collect()
            }
        }
    }

    /// The first text of the first row.
    pub async fn text(&self, sql: &str) -> Option<String> {
        self.texts(sql).await.into_iter().next().flatten()
    }

    /// Runs SQL that gives nothing, as another program would.
    pub async fn execute(&self, sql: &str) {
        match self.kind {
            Kind::Postgresql => postgresql(&self.url).await.batch_execute(sql).await.expect(sql),
            Kind::Mysql => mysql(&self.url).await.query_drop(sql).await.expect(sql),
            Kind::Sqlite => self.sqlite().batch_execute(sql).expect(sql),
        }
    }

    /// How many rows there are: `from` is a table, with a condition if wanted.
    pub async fn count(&self, from: &str) -> usize {
        let sql = format!("SELECT CAST(COUNT(*) AS CHAR(9)) AS text FROM {from}");
        let count = self.text(&sql).await.expect("a count");
        count.trim().parse().expect("a number")
    }

    /// Makes the database refuse the resource `resource_id`, whatever is written of it.
    pub async fn refuse_resource(&self, resource_id: &str) {
        let sql = match self.kind {
            Kind::Postgresql | Kind::Mysql => format!(
                "ALTER TABLE restore_resources ADD CONSTRAINT refused \
                 CHECK (resource_id <> '{resource_id}')"
            ),
            Kind::Sqlite => format!(
                "CREATE TRIGGER refused BEFORE INSERT ON restore_resources \
                 WHEN NEW.resource_id = '{resource_id}' \
                 BEGIN SELECT RAISE(ABORT, 'CHECK constraint failed: refused'); END"
            ),
        };
        self.execute(&sql).await;
    }

    /// All that is stored, as text that can be searched.
    pub async fn dump(&self) -> String {
        if self.kind == Kind::Sqlite {
            let files = std::fs::read_dir(self.folder.path()).expect("the folder is there");
            let bytes = files
                .flat_map(|file| std::fs::read(file.expect("a file").path()).expect("its bytes"));
            return String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned();
        }
        let schema = if self.kind == Kind::Mysql { "DATABASE()" } else { "'public'" };
        let tables = format!(
            "SELECT table_name AS text FROM information_schema.tables WHERE table_schema = {schema}"
        );
        let mut dump = String::new();
        for table in self.texts(&tables).await.into_iter().flatten() {
            if self.kind == Kind::Postgresql {
                let rows = self
                    .texts(&format!("SELECT row_to_json(t)::text AS text FROM {table} t"))
                    .await;
                dump.extend(rows.into_iter().flatten().map(|row| row + "\n"));
            } else {
                let sql = format!("SELECT * FROM {table}");
                let rows: Vec<mysql_async::Row> =
                    mysql(&self.url).await.query(sql).await.expect("rows");
                let values = rows.into_iter().flat_map(mysql_async::Row::unwrap);
                dump.extend(values.map(|value| value.as_sql(true) + "\n"));
            }
        }
        dump
    }

    /// Takes the lock that each commit of a worker needs first: that of its publisher's row.
    pub async fn lock(&self) -> Lock {
        let connection: Box<dyn Any + Send> = match self.kind {
            Kind::Postgresql => {
                let client = postgresql(&self.url).await;
                let sql = "BEGIN; LOCK TABLE restore_publishers IN ACCESS EXCLUSIVE MODE";
                client.batch_execute(sql).await.expect("the table is locked");
                Box::new(client)
            }
            Kind::Mysql => {
                let mut conn = mysql(&self.url).await;
                conn.query_drop("LOCK TABLES restore_publishers WRITE")
                    .await
                    .expect("the table is locked");
                Box::new(conn)
            }
            Kind::Sqlite => {
                let mut conn = self.sqlite();
                conn.batch_execute("BEGIN IMMEDIATE").expect("the file is locked");
                Box::new(conn)
            }
        };
        Lock { _connection: connection }
    }

    fn sqlite(&self) -> SqliteConnection {
        let path = self.file().to_str().expect("a path of ours is text");
        let mut conn = SqliteConnection::establish(path).expect("the file opens");
        conn.batch_execute("PRAGMA busy_timeout = 20000").expect("a pragma is taken");
        conn
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A worker that a failed test left behind may still be connected.
        let force = if self.kind == Kind::Postgresql { " WITH (FORCE)" } else { "" };
        let sql = format!("DROP DATABASE {}{force}", self.name);
        let (kind, server) = (self.kind, std::mem::take(&mut self.server));
        finish(async move { run_as_admin(kind, &server, &sql).await });
    }
}

async fn run_as_admin(kind: Kind, server: &str, sql: &str) {
    match kind {
        Kind::Postgresql => {
            let client = postgresql(server).await;
            client.batch_execute(sql).await.expect("a database is made or dropped");
        }
        Kind::Mysql => {
            let mut conn = mysql(server).await;
            conn.query_drop(sql).await.expect("a database is made or dropped");
        }
        Kind::Sqlite => {}
    }
}

async fn postgresql(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("PostgreSQL is up");
    tokio::spawn(connection);
    client
}

async fn mysql(url: &str) -> mysql_async::Conn {
    mysql_async::Conn::from_url(url).await.expect("MariaDB is up")
}

/// A server's address without a database.
fn base(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL has a scheme");
    format!("{scheme}://{}", rest.split('/').next().unwrap_or(rest))
}
