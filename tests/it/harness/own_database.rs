//! A database server of one test's own, which it may stop, kill and fill.

use tempfile::TempDir;

use super::own_server::{Server, free_ports};
use super::{Kind, Session, eventually};

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// In order, its clients' connections ended: PostgreSQL's "fast" shutdown.
    Fast,
    /// At once, for a start that recovers: PostgreSQL's "immediate" shutdown; MariaDB has none, and
    /// is killed.
    Immediate,
    /// `kill -9`.
    Kill,
}

/// A PostgreSQL or MariaDB that offers TLS with the certificates of `tests/fixtures/tls`.
pub struct DatabaseServer {
    kind: Kind,
    port: u16,
    arguments: Vec<String>,
    server: Server,
    folder: TempDir,
}

impl DatabaseServer {
    /// Starts one. `{folder}` in an argument is where its files are: `authority.pem`, `server.pem`,
    /// `server.key`, and each of `files` (name and text).
    pub async fn start(kind: Kind, files: &[(&str, &str)], arguments: &[&str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let own = folder.path().join(name(kind));
        std::fs::create_dir(&own).expect("a folder in it");
        for (file, text) in files {
            std::fs::write(own.join(file), text).expect("a file in it");
        }
        let port = free_ports(1);
        let place = |argument: &&str| argument.replace("{folder}", &own.display().to_string());
        let arguments: Vec<String> = arguments.iter().map(place).collect();
        let server = run(kind, &folder, port, &arguments);
        let mut server = Self { kind, port, arguments, server, folder };
        server.answers().await;
        server
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address for its administrator, in the clear.
    pub fn url(&self) -> String {
        let port = self.port;
        match self.kind {
            Kind::Postgresql => format!("postgres://postgres@127.0.0.1:{port}/postgres"),
            Kind::Mysql | Kind::Sqlite => format!("mysql://root@127.0.0.1:{port}/"),
        }
    }

    /// Runs SQL as its administrator, in the clear.
    pub async fn execute(&self, sql: &str) {
        let mut session = Session::open(self.kind, &self.url()).await.expect("it answers");
        session.run(sql).await.expect(sql);
    }

    /// Stops it, and starts it again with what it kept; it answers then.
    pub async fn restart(&mut self, stop: Stop) {
        self.server.signal(match (self.kind, stop) {
            (Kind::Postgresql, Stop::Fast) => "INT",
            (Kind::Postgresql, Stop::Immediate) => "QUIT",
            (_, Stop::Fast) => "TERM",
            (_, Stop::Immediate | Stop::Kill) => "KILL",
        });
        self.server.ended();
        self.server = run(self.kind, &self.folder, self.port, &self.arguments);
        self.answers().await;
    }

    /// Processes of a PostgreSQL that was killed may outlive it for a moment, and its successor does
    /// not start beside them: then it is started again.
    async fn answers(&mut self) {
        let (kind, port, url) = (self.kind, self.port, self.url());
        let (folder, arguments) = (&self.folder, &self.arguments);
        let server = std::sync::Mutex::new(&mut self.server);
        eventually("the database answers", || async {
            {
                let mut server = server.lock().expect("no panic under the lock");
                if server.is_over() {
                    **server = run(kind, folder, port, arguments);
                }
            }
            Session::open(kind, &url).await?.run("SELECT 1").await
        })
        .await;
    }
}

fn run(kind: Kind, folder: &TempDir, port: u16, arguments: &[String]) -> Server {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Server::start(name(kind), folder.path(), port, &arguments)
}

/// As `scripts/lib/one-server` calls it.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgresql => "postgresql",
        Kind::Mysql => "mariadb",
        Kind::Sqlite => panic!("SQLite has no server"),
    }
}
