//! Servers of one test's own, for what must not be done to those that all tests share: stopping a
//! server, asking for TLS. The databases are in [`super::own_database`].
//!
//! Starts them by `scripts/lib/one-server`, in a temporary folder and on free loopback ports; they
//! are killed when dropped. It takes some seconds: share one within a test.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use lapin::{Connection, ConnectionProperties};
use tempfile::TempDir;

use super::broker::amqp_url;
use super::{Broker, eventually};

/// A process that became a server.
pub(super) struct Server {
    child: Child,
    /// What ends it with all its children.
    signal: &'static str,
}

impl Server {
    pub fn start(name: &str, folder: &Path, port: u16, arguments: &[&str]) -> Self {
        let log = File::create(folder.join(format!("{name}.log"))).expect("a log file");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/lib/one-server");
        let child = Command::new(script)
            .arg(name)
            .arg(folder)
            .arg(port.to_string())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("one more handle"))
            .stderr(log)
            .spawn()
            .expect("bash runs");
        // QUIT ends PostgreSQL at once with its processes; another server is one process.
        Self { child, signal: if name == "postgresql" { "QUIT" } else { "KILL" } }
    }

    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        // It may have ended.
        Command::new("sh").args(["-c", &command]).stderr(Stdio::null()).status().ok();
    }

    /// Waits until it has ended by a signal.
    pub fn ended(&mut self) {
        self.child.wait().expect("a child of ours");
    }

    /// Whether it has ended by itself.
    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_some()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its number may be another process's once it was waited for.
        if !self.is_over() {
            self.signal(self.signal);
            self.child.wait().ok();
        }
    }
}

/// A RabbitMQ node.
pub struct RabbitNode {
    server: Server,
    _epmd: Server,
    port: u16,
    folder: TempDir,
}

impl RabbitNode {
    /// Starts a node with nothing on it.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let port = free_ports(3);
        let epmd = Server::start("epmd", folder.path(), port + 1, &[]);
        let server = Server::start("rabbitmq", folder.path(), port, &[]);
        let node = Self { server, _epmd: epmd, port, folder };
        node.answers().await;
        node
    }

    /// For `messaging.transport_url`.
    pub fn url(&self) -> String {
        format!("rabbit://guest:guest@127.0.0.1:{}/", self.port)
    }

    /// A client's connection.
    pub async fn client(&self) -> Broker {
        Broker::connect(&self.url()).await
    }

    /// Stops the node in order and starts it again with what it kept.
    pub async fn restart(&mut self) {
        self.server.signal("TERM");
        self.server.child.wait().expect("a child of ours");
        self.server = Server::start("rabbitmq", self.folder.path(), self.port, &[]);
        self.answers().await;
    }

    async fn answers(&self) {
        let url = amqp_url(&self.url());
        eventually("the node answers", || async {
            let connection = Connection::connect(&url, ConnectionProperties::default()).await;
            let connection = connection.map_err(|error| {
                let log = std::fs::read_to_string(self.folder.path().join("rabbitmq.log"));
                format!("{error}; its log: {}", log.unwrap_or_default())
            })?;
            connection.close(200, "bye".into()).await.map_err(|error| error.to_string())
        })
        .await;
    }
}

/// The first of some neighbouring ports that are free, below those that the kernel gives to
/// outgoing connections; no two callers begin to look at the same place.
pub(super) fn free_ports(count: u16) -> u16 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id() + CALLS.fetch_add(1, Ordering::Relaxed);
    let start = u16::try_from(start % 2700).expect("below 2700");
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let blocks = (0..2700).map(|n| 10_000 + (start + n) % 2700 * 8);
    let mut blocks = blocks.filter(|base| (*base..*base + count).all(free));
    blocks.next().expect("free ports")
}
