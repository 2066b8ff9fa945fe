//! Servers of one test's own, for what must not be done to those that all tests share: stopping a
//! server, asking for TLS. The databases are in [`super::own_database`], the brokers in
//! [`super::own_broker`].
//!
//! Starts them by `scripts/lib/one-server`, in a temporary folder and on free loopback ports; they
//! are killed when dropped. It takes some seconds: share one within a test.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

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

/// The first of up to seven neighbouring ports that are free, below those that the kernel gives to
/// outgoing connections. The eighth is held for as long as this process lives: whoever looks next,
/// here or in another test's process, finds the block taken before a server has bound its ports.
pub(super) fn free_ports(count: u16) -> u16 {
    let start = u16::try_from(std::process::id() % 2700).expect("below 2700");
    let bind = |port: u16| TcpListener::bind(("127.0.0.1", port)).ok();
    let blocks = (0..2700).map(|n| 10_000 + (start + n) % 2700 * 8);
    let mut free = blocks.filter_map(|base| {
        let claim = bind(base + 7)?;
        (base..base + count).all(|port| bind(port).is_some()).then_some((base, claim))
    });
    let (base, claim) = free.next().expect("free ports");
    std::mem::forget(claim);
    base
}
