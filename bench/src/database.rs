//! A fresh database on the server that is measured, dropped at the end.

use mysql_async::prelude::Queryable;

/// Which database server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Postgresql,
    Mysql,
}

/// A database of the bench's own.
pub struct Database {
    kind: Kind,
    server: String,
    name: String,
    /// Where the worker finds it.
    pub url: String,
}

impl Database {
    /// Creates it on the server at `server`, a URL with or without another database's name.
    pub async fn create(kind: Kind, server: &str) -> anyhow::Result<Self> {
        let name = format!("restore_bench_{}", std::process::id());
        let end = server.match_indices('/').nth(2).map_or(server.len(), |(at, _)| at);
        let url = format!("{}/{name}", &server[..end]);
        let database = Self { kind, server: server.to_owned(), name, url };
        database.execute(&format!("CREATE DATABASE {}", database.name)).await?;
        Ok(database)
    }

    pub async fn drop(self) -> anyhow::Result<()> {
        let force = if self.kind == Kind::Postgresql { " WITH (FORCE)" } else { "" };
        self.execute(&format!("DROP DATABASE {}{force}", self.name)).await
    }

    async fn execute(&self, statement: &str) -> anyhow::Result<()> {
        match self.kind {
            Kind::Postgresql => {
                let tls = tokio_postgres::NoTls;
                let (client, connection) = tokio_postgres::connect(&self.server, tls).await?;
                tokio::spawn(connection);
                Ok(client.batch_execute(statement).await?)
            }
            Kind::Mysql => {
                let mut connection = mysql_async::Conn::from_url(&self.server).await?;
                connection.query_drop(statement).await?;
                Ok(connection.disconnect().await?)
            }
        }
    }
}
