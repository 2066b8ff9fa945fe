//! RabbitMQ nodes of one test's own, alone or as a cluster of three, which may be stopped, killed
//! and started again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lapin::{Connection, ConnectionProperties};
use tempfile::TempDir;
use tokio::time::timeout;

use super::broker::amqp_urls;
use super::own_server::{Server, free_ports};
use super::{Broker, PATIENCE_WITH_SERVERS, eventually_within};

/// How long one question to a node may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Puts on disk which quorum queues there are. RabbitMQ does so every half a second, and leaves a
/// queue without a leader for ever that a crash finds between: see Bounds in docs/PROTOCOL.md.
const KEEP_REGISTRATIONS: &str = "[ok = dets:sync(Table) || Table <- dets:all()].";

/// A RabbitMQ node. It keeps what it had while it is down.
pub struct RabbitNode {
    /// `None` while it is down.
    server: Option<Server>,
    epmd: Arc<Epmd>,
    port: u16,
    /// Lines for its `rabbitmq.conf`.
    lines: Vec<String>,
    folder: TempDir,
}

/// Erlang's name server, which the nodes of a cluster share.
struct Epmd {
    _server: Server,
    port: u16,
    _folder: TempDir,
}

impl Epmd {
    fn start() -> Arc<Self> {
        let folder = TempDir::new().expect("a temporary folder");
        let port = free_ports(1);
        let server = Server::start("epmd", folder.path(), port, &[]);
        Arc::new(Self { _server: server, port, _folder: folder })
    }
}

impl RabbitNode {
    /// Starts a node with nothing on it.
    pub async fn start() -> Self {
        let mut node = Self::new(Epmd::start(), free_ports(3), Vec::new());
        node.up().await;
        node
    }

    fn new(epmd: Arc<Epmd>, port: u16, lines: Vec<String>) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self { server: None, epmd, port, lines, folder }
    }

    /// For `messaging.transport_url`.
    pub fn url(&self) -> String {
        format!("rabbit://{}/", self.address())
    }

    fn address(&self) -> String {
        format!("guest:guest@127.0.0.1:{}", self.port)
    }

    /// A client's connection.
    pub async fn client(&self) -> Broker {
        Broker::connect(&self.url()).await
    }

    /// Stops the node in order and starts it again with what it kept.
    pub async fn restart(&mut self) {
        self.down("TERM").await;
        self.up().await;
    }

    /// Ends the node by a signal: `TERM` in order, `KILL` as a crash does.
    pub async fn down(&mut self, signal: &'static str) {
        if signal == "KILL" {
            self.control(&["eval", KEEP_REGISTRATIONS]).await;
        }
        let mut server = self.server.take().expect("it runs");
        server.signal(signal);
        let ended = tokio::task::spawn_blocking(move || server.ended());
        ended.await.expect("no panic");
    }

    /// Starts the node, and waits until it takes connections.
    pub async fn up(&mut self) {
        self.begin();
        self.answers().await;
    }

    fn begin(&mut self) {
        let epmd_port = self.epmd.port.to_string();
        let lines = self.lines.iter().map(String::as_str);
        let arguments: Vec<&str> = std::iter::once(epmd_port.as_str()).chain(lines).collect();
        self.server = Some(Server::start("rabbitmq", self.folder.path(), self.port, &arguments));
    }

    /// Asks it by its own command, `rabbitmqctl`; gives the rows it prints.
    pub async fn control(&self, arguments: &[&str]) -> String {
        control(&self.folder.path().join("rabbitmqctl"), arguments).await
    }

    async fn answers(&self) {
        let url = amqp_urls(&self.url()).remove(0);
        let answer = async || {
            let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
            connection.close(200, "bye".into()).await
        };
        eventually_within(PATIENCE_WITH_SERVERS, "the node answers", || async {
            // A node that is coming up may take a connection and leave it at that.
            let answered = timeout(ANSWER, answer()).await;
            let error = match answered {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            let log = std::fs::read_to_string(self.folder.path().join("rabbitmq.log"));
            Err(format!("{error}; its log: {}", log.unwrap_or_default()))
        })
        .await;
    }
}

/// Three nodes that know each other.
pub struct RabbitCluster {
    /// In the order in which [`RabbitCluster::url`] names them.
    pub nodes: Vec<RabbitNode>,
}

impl RabbitCluster {
    /// Starts the nodes, and waits until each takes connections and all have met.
    pub async fn start() -> Self {
        let epmd = Epmd::start();
        let ports: Vec<u16> = (0..3).map(|_| free_ports(3)).collect();
        let mut lines = vec![
            "cluster_formation.peer_discovery_backend = classic_config".to_owned(),
            // Small files: all of it is gone in a minute.
            "raft.wal_max_size_bytes = 16777216".to_owned(),
        ];
        for (index, port) in ports.iter().enumerate() {
            let peer = index + 1;
            lines.push(format!(
                "cluster_formation.classic_config.nodes.{peer} = {}",
                node_name(*port)
            ));
        }
        let cookie = uuid::Uuid::new_v4().simple().to_string();
        let mut nodes = Vec::new();
        for port in ports {
            let mut node = RabbitNode::new(epmd.clone(), port, lines.clone());
            write_cookie(node.folder.path(), &cookie);
            node.begin();
            nodes.push(node);
        }
        for node in &nodes {
            node.answers().await;
        }
        nodes[0].control(&["await_online_nodes", "3"]).await;
        Self { nodes }
    }

    /// All hosts, for `messaging.transport_url`.
    pub fn url(&self) -> String {
        let addresses: Vec<_> = self.nodes.iter().map(RabbitNode::address).collect();
        format!("rabbit://{}/", addresses.join(","))
    }

    /// Which node leads the quorum queue `queue`.
    pub async fn leader(&self, queue: &str) -> usize {
        let rows = self.nodes[0].control(&["list_queues", "name", "leader"]).await;
        let row = rows.lines().find_map(|row| row.strip_prefix(queue)?.strip_prefix('\t'));
        let leader = row.unwrap_or_else(|| panic!("no leader of `{queue}`: {rows}"));
        let is_leader = |node: &RabbitNode| node_name(node.port) == leader.trim();
        self.nodes.iter().position(is_leader).expect("one of ours")
    }
}

/// As `scripts/lib/servers.sh` names a node.
fn node_name(port: u16) -> String {
    format!("test-{port}@localhost")
}

/// What lets a node into the cluster; Erlang wants it to be its owner's alone.
fn write_cookie(folder: &Path, cookie: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("rabbitmq/.erlang.cookie");
    std::fs::create_dir(folder.join("rabbitmq")).expect("a folder in it");
    std::fs::write(&path, cookie).expect("a file in it");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
}

/// Runs a `rabbitmqctl`; gives the rows it prints.
pub(super) async fn control(command: &Path, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(command);
    command.arg("--quiet").args(arguments);
    if arguments[0].starts_with("list_") {
        command.arg("--no-table-headers");
    }
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
    let output = output.expect("the command runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}
