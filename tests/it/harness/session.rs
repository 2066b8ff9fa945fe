//! Another program's connection to a database, with what it holds there until it is dropped.

use mysql_async::prelude::Queryable;
use mysql_async::{Opts, OptsBuilder};
use tokio_postgres::{Client, NoTls};

use super::Kind;

/// An open connection.
pub enum Session {
    /// To PostgreSQL.
    Postgresql(Client),
    /// To MariaDB.
    Mysql(mysql_async::Conn),
}

impl Session {
    /// Connects to a server, not to an SQLite file.
    ///
    /// # Errors
    /// What the driver or the server says.
    pub async fn open(kind: Kind, url: &str) -> Result<Self, String> {
        match kind {
            Kind::Postgresql => {
                let connected = tokio_postgres::connect(url, NoTls).await;
                let (client, connection) = connected.map_err(|error| error.to_string())?;
                tokio::spawn(connection);
                Ok(Self::Postgresql(client))
            }
            Kind::Mysql => {
                let opts = Opts::from_url(url).map_err(|error| error.to_string())?;
                // The socket that the server advertises would go round a proxy.
                let opts = OptsBuilder::from_opts(opts).prefer_socket(false);
                let connected = mysql_async::Conn::new(opts).await;
                connected.map(Self::Mysql).map_err(|error| error.to_string())
            }
            Kind::Sqlite => panic!("SQLite has no server"),
        }
    }

    /// Runs SQL whose rows do not matter.
    ///
    /// # Errors
    /// What the server says, or that the connection is lost.
    pub async fn run(&mut self, sql: &str) -> Result<(), String> {
        match self {
            Self::Postgresql(client) => {
                client.batch_execute(sql).await.map_err(|error| error.to_string())
            }
            Self::Mysql(conn) => conn.query_drop(sql).await.map_err(|error| error.to_string()),
        }
    }
}
