//! The built binary as a process of its own: `serve` with a test's settings, its log in a file.
//!
//! Takes settings, gives a worker that is ready; it is killed when dropped, and its log is shown
//! when the test fails. Each worker listens on a loopback address of its own, made of this
//! process's id, so that no two tests can meet on a port.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use super::{HttpResponse, eventually, get};

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_karbor-restore-worker");

/// Settings of a worker that is not started yet.
pub struct WorkerBuilder {
    binary: PathBuf,
    settings: BTreeMap<String, String>,
    arguments: Vec<String>,
    log: PathBuf,
}

impl WorkerBuilder {
    /// A worker that logs to a file.
    pub fn new(log: PathBuf) -> Self {
        Self { binary: BINARY.into(), settings: BTreeMap::new(), arguments: Vec::new(), log }
    }

    /// Another binary than the one under test.
    pub fn binary(mut self, binary: impl Into<PathBuf>) -> Self {
        self.binary = binary.into();
        self
    }

    /// Takes a setting back, so that another way of setting it counts.
    pub fn unset(mut self, key: &str) -> Self {
        self.settings.remove(&format!("KARBOR_RESTORE__{key}"));
        self
    }

    /// Adds an argument of the command line.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets `KARBOR_RESTORE__` and `key`, for example `DATABASE__URL`.
    pub fn set(mut self, key: &str, value: impl Into<String>) -> Self {
        self.settings.insert(format!("KARBOR_RESTORE__{key}"), value.into());
        self
    }

    /// Sets a variable by its whole name, whether it is one of the worker's or not.
    pub fn set_variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.settings.insert(name.to_owned(), value.into());
        self
    }

    /// Starts `serve` and waits until it is ready.
    pub async fn start(self) -> Worker {
        let worker = self.spawn();
        worker.ready().await;
        worker
    }

    /// Starts `serve` without waiting.
    pub fn spawn(self) -> Worker {
        let address = own_address();
        let log = File::create(&self.log).expect("a log file");
        let mut command = Command::new(&self.binary);
        self.set_environment(&mut command);
        let child = command
            .arg("serve")
            .args(&self.arguments)
            .env("KARBOR_RESTORE__HTTP__LISTEN", address.to_string())
            // What the test itself set wins.
            .envs(&self.settings)
            .stdout(log.try_clone().expect("one more handle"))
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        Worker { child, address, log: self.log }
    }

    /// Runs a command with these settings to its end.
    pub async fn run(self, arguments: &[&str]) -> Output {
        let mut command = self.command_with(arguments);
        let output = tokio::task::spawn_blocking(move || command.output());
        output.await.expect("no panic").expect("the binary starts")
    }

    /// The same with nobody at the other end of its standard output.
    pub async fn run_unread(self, arguments: &[&str]) -> Output {
        let mut command = self.command_with(arguments);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        command.stdout(writer).stderr(Stdio::piped());
        let output = tokio::task::spawn_blocking(move || {
            let child = command.spawn();
            // It holds the other end of the pipe, too.
            drop(command);
            child.and_then(Child::wait_with_output)
        });
        output.await.expect("no panic").expect("the binary starts")
    }

    /// Starts a command with these settings, and leaves it to the test.
    pub fn spawn_command(self, arguments: &[&str]) -> Child {
        let mut command = self.command_with(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the binary starts")
    }

    /// Has another program run a command with these settings: the binary and `arguments` are its
    /// last arguments.
    pub fn append_to(&self, program: &mut Command, arguments: &[&str]) {
        program.arg(&self.binary);
        self.complete(program, arguments);
    }

    fn command_with(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        self.complete(&mut command, arguments);
        command
    }

    fn complete(&self, command: &mut Command, arguments: &[&str]) {
        self.set_environment(command);
        if arguments.contains(&"serve") {
            // The default address is every other test's too.
            let address = own_address().to_string();
            command.env("KARBOR_RESTORE__HTTP__LISTEN", address).envs(&self.settings);
        }
        command.args(arguments);
    }

    fn set_environment(&self, command: &mut Command) {
        for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("KARBOR_RESTORE__")) {
            command.env_remove(key);
        }
        command.envs(&self.settings).stdin(Stdio::null());
    }
}

/// A running `serve`.
pub struct Worker {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Worker {
    /// Where it serves HTTP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `/readyz` says 200.
    pub async fn ready(&self) {
        eventually("a worker is ready", || async {
            match get(self.address, "/readyz").await {
                Ok(HttpResponse { status: 200, .. }) => Ok(()),
                Ok(HttpResponse { status, body, .. }) => Err(format!("{status} {body}")),
                Err(error) => Err(format!("{error}; its log:\n{}", self.log())),
            }
        })
        .await;
    }

    /// Waits until `/readyz` says 503, and gives its body.
    pub async fn not_ready(&self) -> String {
        eventually("the worker says that it is not ready", || async {
            match get(self.address, "/readyz").await {
                Ok(HttpResponse { status: 503, body, .. }) => Ok(body),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    /// Waits until its log holds `words`.
    pub async fn says(&self, words: &str) {
        eventually("the log says it", || async {
            if self.log().contains(words) { Ok(()) } else { Err(format!("no `{words}`")) }
        })
        .await;
    }

    /// Asks it over HTTP.
    pub async fn get(&self, path: &str) -> HttpResponse {
        get(self.address, path).await.expect("the worker answers HTTP")
    }

    /// What it wrote to stdout and stderr.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Sends a signal by its name, for example `TERM`.
    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &command]).status().expect("sh runs");
        assert!(status.success(), "the worker is gone; its log:\n{}", self.log());
    }

    /// SIGTERM, and how it ended.
    pub async fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended().await
    }

    /// Waits until it ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = std::sync::Mutex::new(&mut self.child);
        eventually("a worker ends", || async {
            let status = child.lock().expect("one thread").try_wait().expect("a child of ours");
            status.ok_or_else(|| "it runs".to_owned())
        })
        .await
    }

    /// `kill -9`, at whatever point it is.
    pub fn kill(mut self) {
        self.end_now();
    }

    fn end_now(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end_now();
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "the test runner shows it with the failure")]
            {
                eprintln!("---- log of the worker at {}:\n{}", self.address, self.log());
            }
        }
    }
}

/// A loopback address that belongs to this process, with a port that no other worker of it has.
pub fn own_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(8798);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let ip = Ipv4Addr::new(127, 64 | (high & 63), middle, low);
    SocketAddr::from((ip, NEXT.fetch_add(1, Ordering::Relaxed)))
}
