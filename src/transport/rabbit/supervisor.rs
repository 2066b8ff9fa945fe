//! Keeps trying: which host next, how long to wait, what to say.
//!
//! Takes the ends of attempts and of sessions, gives the next session, the [`Link`] that others
//! watch, and log lines: one a loss, one a recovery, failed attempts at most every few seconds.
//! Never gives up by itself; what runs on a session is its caller's.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::RabbitOptions;
use super::connection::{Session, dial};
use super::declare::Declarer;
use super::difference::Difference;
use super::sign_of_life::{ANSWER, Sign};
use crate::transport::url::{Host, TransportUrl};
use crate::transport::{Link, Topology, TransportError};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const BETWEEN_WARNINGS: Duration = Duration::from_secs(5);
// A session that ends sooner is a failed attempt: its end may come again at once.
const SETTLED: Duration = Duration::from_secs(5);
// On a frozen link a declaration hangs.
pub(super) const DECLARE_TIMEOUT: Duration = Duration::from_secs(20);

/// What all connections of a transport share.
pub(super) struct Target {
    pub url: TransportUrl,
    pub options: RabbitOptions,
}

/// Makes one connection again and again.
pub(super) struct Supervisor {
    target: Arc<Target>,
    name: String,
    link: watch::Sender<Link>,
    next_host: usize,
    failures: u32,
    connected_at: Option<Instant>,
    lost_at: Option<Instant>,
    warned_at: Option<Instant>,
    known_differences: HashSet<Difference>,
}

impl Supervisor {
    pub(super) fn new(target: Arc<Target>, name: String, link: watch::Sender<Link>) -> Self {
        Self {
            target,
            name,
            link,
            next_host: 0,
            failures: 0,
            connected_at: None,
            lost_at: None,
            warned_at: None,
            known_differences: HashSet::new(),
        }
    }

    /// One attempt: the next host, dialled, and `topology` declared on it.
    pub(super) async fn connect(&self, topology: &Topology) -> Result<Declared, TransportError> {
        let session = dial(&self.target.url, self.host(), &self.target.options, &self.name).await?;
        let mut declarer = Declarer::new(&session.connection);
        let result = timeout(DECLARE_TIMEOUT, declarer.declare(topology)).await;
        let differences = std::mem::take(&mut declarer.differences);
        match result {
            Ok(Ok(())) => Ok(Declared { session, differences }),
            Ok(Err(error)) => {
                session.close().await;
                Err(error)
            }
            Err(_) => Err(TransportError::Lost("no answer to a declaration".to_owned())),
        }
    }

    /// Another connection to the host of the session that is up.
    pub(super) async fn dial_beside(&self) -> Result<Session, TransportError> {
        let name = format!("{}-beside", self.name);
        dial(&self.target.url, self.host(), &self.target.options, &name).await
    }

    /// A session is up and stands as `link` says: says so, once after a loss.
    pub(super) fn connected(&mut self, link: Link) {
        let lost_at = self.lost_at.take();
        let (host, port) = (&self.host().host, self.host().port);
        match lost_at {
            None => info!(connection = self.name, host, port, "connected to the broker"),
            Some(at) => info!(
                connection = self.name,
                host,
                port,
                away_ms = at.elapsed().as_millis(),
                "connected to the broker again"
            ),
        }
        self.connected_at = Some(Instant::now());
        self.warned_at = None;
        self.link.send_replace(link);
    }

    /// What exists otherwise than declared, each said once over all sessions of this connection.
    pub(super) fn warn_of(&mut self, differences: Vec<Difference>) {
        for difference in differences {
            if self.known_differences.insert(difference.clone()) {
                difference.tell();
            }
        }
    }

    /// An attempt failed: the next one goes to the next host.
    pub(super) fn failed(&mut self, error: &TransportError) {
        self.failures = self.failures.saturating_add(1);
        if self.warned_at.is_none_or(|at| at.elapsed() >= BETWEEN_WARNINGS) {
            self.warned_at = Some(Instant::now());
            let (host, port) = (&self.host().host, self.host().port);
            if matches!(error, TransportError::Denied { .. }) {
                error!(connection = self.name, host, port, %error, "cannot connect to the broker");
            } else {
                warn!(connection = self.name, host, port, %error, "cannot connect to the broker");
            }
        }
        self.link.send_replace(Link::Down(error.to_string()));
        self.next_host = (self.next_host + 1) % self.target.url.hosts.len();
    }

    /// A session that was up ended.
    pub(super) fn lost(&mut self, error: &TransportError) {
        let settled = self.connected_at.take().is_some_and(|at| at.elapsed() >= SETTLED);
        self.failures = if settled { 0 } else { self.failures.saturating_add(1) };
        let (host, port) = (&self.host().host, self.host().port);
        warn!(connection = self.name, host, port, %error, "the connection to the broker is lost");
        self.lost_at.get_or_insert_with(Instant::now);
        self.warned_at = Some(Instant::now());
        self.link.send_replace(Link::Down(error.to_string()));
    }

    /// Nothing more will be tried.
    pub(super) fn closed(&self) {
        self.link.send_replace(Link::Down("closed".to_owned()));
    }

    /// Says whether the broker takes messages on a session that is up.
    pub(super) fn blocked(&self, reason: Option<String>) {
        if let Some(reason) = reason {
            warn!(connection = self.name, reason, "the broker blocks publishers");
            self.link.send_replace(Link::Blocked(reason));
        } else {
            info!(connection = self.name, "the broker takes messages again");
            self.link.send_replace(Link::Up);
        }
    }

    /// Says that the broker does not answer on a session that is up, or does again. A broker that
    /// blocks publishers does not read either, and has said why.
    pub(super) fn silent(&self, sign: Sign) {
        match sign {
            Sign::Silent if *self.link.borrow() == Link::Up => {
                let within_s = ANSWER.as_secs();
                warn!(connection = self.name, within_s, "the broker does not answer");
                self.link.send_replace(Link::Silent(ANSWER));
            }
            Sign::Answers if matches!(*self.link.borrow(), Link::Silent(_)) => {
                info!(connection = self.name, "the broker answers again");
                self.link.send_replace(Link::Up);
            }
            Sign::Silent | Sign::Answers => {}
        }
    }

    /// How long to wait before the next attempt: exponential, capped, with jitter, so that many
    /// workers do not come back in one moment.
    pub(super) fn pause(&self) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10));
        doubled.min(LONGEST_PAUSE).mul_f64(rand::random_range(0.5..=1.0))
    }

    fn host(&self) -> &Host {
        &self.target.url.hosts[self.next_host]
    }
}

/// A connection on which its topology exists.
pub(super) struct Declared {
    pub session: Session,
    pub differences: Vec<Difference>,
}
