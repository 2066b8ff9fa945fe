//! A database of a test's own, made on a real server and dropped at the end; for SQLite a file.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection};
use karbor_restore_worker::store::{Dialect, Store, StoreOptions};
use mysql_async::prelude::Queryable;
use tokio_postgres::{NoTls, SimpleQueryMessage};
use uuid::Uuid;

/// A fresh database.
pub struct Database {
    dialect: Dialect,
    name: String,
    /// Where a store finds it.
    pub url: String,
    directory: Option<tempfile::TempDir>,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    line: String,
}

fn postgresql_server() -> String {
    let default = || "postgres://postgres@127.0.0.1:5432/postgres".to_owned();
    std::env::var("TEST_POSTGRESQL_URL").unwrap_or_else(|_| default())
}

fn mysql_server() -> String {
    std::env::var("TEST_MYSQL_URL").unwrap_or_else(|_| "mysql://root@127.0.0.1:3306/".to_owned())
}

/// The server's URL with another database.
fn with_database(server: &str, name: &str) -> String {
    let (base, query) = server.split_once('?').map_or((server, None), |(b, q)| (b, Some(q)));
    let (scheme, rest) = base.split_once("://").unwrap();
    let authority = rest.split('/').next().unwrap();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{authority}/{name}{query}")
}

impl Database {
    /// Makes an empty database.
    pub async fn create(dialect: Dialect) -> Self {
        let name = format!("restore_{}", Uuid::new_v4().simple());
        let create = format!("CREATE DATABASE {name}");
        let (url, directory) = match dialect {
            Dialect::Postgresql => {
                on_postgresql(&postgresql_server(), &create).await;
                (with_database(&postgresql_server(), &name), None)
            }
            Dialect::Mysql => {
                on_mysql(&mysql_server(), &create).await;
                (with_database(&mysql_server(), &name), None)
            }
            Dialect::Sqlite => {
                let directory = tempfile::tempdir().unwrap();
                let file = directory.path().join("restores.db");
                (format!("sqlite://{}", file.display()), Some(directory))
            }
        };
        Self { dialect, name, url, directory }
    }

    /// Makes a database with this version's schema, and a store on it.
    pub async fn migrated(dialect: Dialect) -> (Self, Store) {
        let database = Self::create(dialect).await;
        let store = database.store();
        store.migrate().await.unwrap();
        (database, store)
    }

    /// Another store on it, as another worker has one.
    pub fn store(&self) -> Store {
        self.store_with(|_| ())
    }

    /// Another store, with other options.
    pub fn store_with(&self, change: impl FnOnce(&mut StoreOptions)) -> Store {
        let mut options = StoreOptions::new(self.url.as_str());
        options.pool_size = 3;
        options.statement_timeout = Duration::from_secs(20);
        change(&mut options);
        Store::new(options).unwrap()
    }

    /// Runs SQL beside the store.
    pub async fn execute(&self, sql: &str) {
        match self.dialect {
            Dialect::Postgresql => drop(on_postgresql(&self.url, sql).await),
            Dialect::Mysql => drop(on_mysql(&self.url, sql).await),
            Dialect::Sqlite => self.sqlite().batch_execute(sql).unwrap(),
        }
    }

    /// Reads lines beside the store: `sql` gives one text column named `line`.
    pub async fn lines(&self, sql: &str) -> Vec<String> {
        match self.dialect {
            Dialect::Postgresql => on_postgresql(&self.url, sql).await,
            Dialect::Mysql => on_mysql(&self.url, sql).await,
            Dialect::Sqlite => {
                let lines: Vec<Line> = diesel::sql_query(sql).load(&mut self.sqlite()).unwrap();
                lines.into_iter().map(|row| row.line).collect()
            }
        }
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &str) -> u64 {
        let text = if self.dialect == Dialect::Mysql { "CHAR" } else { "VARCHAR(20)" };
        let sql = format!("SELECT CAST(COUNT(*) AS {text}) AS line FROM {table}");
        self.lines(&sql).await[0].parse().unwrap()
    }

    fn sqlite(&self) -> SqliteConnection {
        let file = self.url.strip_prefix("sqlite://").unwrap();
        let mut connection = SqliteConnection::establish(file).unwrap();
        connection.batch_execute("PRAGMA busy_timeout = 20000").unwrap();
        connection
    }
}

async fn on_postgresql(url: &str, sql: &str) -> Vec<String> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    let messages = client.simple_query(sql).await.unwrap();
    drop(client);
    driver.await.unwrap().unwrap();
    let line = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    messages.into_iter().filter_map(line).collect()
}

async fn on_mysql(url: &str, sql: &str) -> Vec<String> {
    let opts = mysql_async::OptsBuilder::from_opts(mysql_async::Opts::from_url(url).unwrap());
    let mut connection = mysql_async::Conn::new(opts.prefer_socket(false)).await.unwrap();
    let lines = connection.query(sql).await.unwrap();
    connection.disconnect().await.unwrap();
    lines
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.directory.is_some() {
            return;
        }
        let (dialect, name) = (self.dialect, std::mem::take(&mut self.name));
        let drop_it = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                if dialect == Dialect::Postgresql {
                    let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                    on_postgresql(&postgresql_server(), &sql).await;
                } else {
                    on_mysql(&mysql_server(), &format!("DROP DATABASE IF EXISTS {name}")).await;
                }
            });
        };
        // A runtime of its own, since a drop cannot await; what is left behind harms no test.
        let _ = std::thread::spawn(drop_it).join();
    }
}
