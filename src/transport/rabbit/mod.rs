//! The driver for RabbitMQ, over lapin.
//!
//! ```text
//! supervisor ─▶ connection (dial, tls) ─▶ declare ─┬─▶ consumer (streams)   one task and one
//!  which host,   one node, a deadline      topology └─▶ publisher (lanes)     connection each
//!  how long
//! ```
//!
//! lapin's own recovery is off: it knows one host, hides redelivery, and recovers neither a
//! channel that an error closed nor a queue that was deleted. Here whatever ends a part of a
//! session ends all of it, and the next session begins from nothing.

mod browser;
mod connection;
mod consumer;
mod declare;
mod delivery_count;
mod difference;
mod lanes;
mod missing;
mod properties;
mod publisher;
mod sign_of_life;
mod silent;
mod streams;
mod supervisor;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::url::TransportUrl;
use super::{
    Browser, Consumer, ConsumerSpec, Publisher, QueueDepth, Topology, Transport, TransportError,
};
use browser::RabbitBrowser;
use connection::{Session, dial};
use declare::Declarer;
use missing::declare_missing;
use supervisor::{DECLARE_TIMEOUT, Target};

pub use tls::{TlsOptions, Verification};

const INSPECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What a connection is made with, beyond the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RabbitOptions {
    /// The first part of each connection's name, as RabbitMQ's management shows it.
    pub connection_name: String,
    /// AMQP's heartbeat in seconds where the URL has none; 0 is none.
    pub heartbeat: u16,
    /// TLS.
    pub tls: TlsOptions,
}

impl Default for RabbitOptions {
    fn default() -> Self {
        Self {
            connection_name: "karbor-restore-worker".to_owned(),
            heartbeat: 60,
            tls: TlsOptions::default(),
        }
    }
}

/// A RabbitMQ broker or cluster. Each consumer and each publisher has a connection of its own.
pub struct RabbitTransport {
    target: Arc<Target>,
    inspector: Mutex<Option<Session>>,
}

impl RabbitTransport {
    /// Connects to nothing yet.
    pub fn new(url: TransportUrl, options: RabbitOptions) -> Self {
        Self { target: Arc::new(Target { url, options }), inspector: Mutex::new(None) }
    }

    async fn inspect_queue(&self, queue: &str) -> Result<Option<QueueDepth>, TransportError> {
        let mut kept = self.inspector.lock().await;
        let session = self.inspect_over(kept.take()).await?;
        // Not the dialling too: each host that does not answer has a deadline of its own.
        let mut declarer = Declarer::new(&session.connection);
        let inspected = timeout(INSPECT_TIMEOUT, declarer.inspect(queue)).await;
        let depth = inspected.map_err(|_| TransportError::Lost("no answer".to_owned()))??;
        *kept = Some(session);
        Ok(depth)
    }

    async fn declare_what_is_missing(&self, topology: &Topology) -> Result<(), TransportError> {
        let mut kept = self.inspector.lock().await;
        let session = self.inspect_over(kept.take()).await?;
        let mut declarer = Declarer::new(&session.connection);
        let made = timeout(DECLARE_TIMEOUT, declare_missing(&mut declarer, topology)).await;
        let made = made.unwrap_or_else(|_| Err(TransportError::Lost("no answer".to_owned())));
        if matches!(made, Ok(()) | Err(TransportError::Refused { .. })) {
            *kept = Some(session);
        }
        made
    }

    /// The connection that was kept, or another one.
    async fn inspect_over(&self, kept: Option<Session>) -> Result<Session, TransportError> {
        match kept.filter(Session::is_connected) {
            Some(session) => Ok(session),
            None => self.dial_any("inspect").await,
        }
    }

    async fn dial_any(&self, name: &str) -> Result<Session, TransportError> {
        let Target { url, options } = &*self.target;
        let mut failure = TransportError::Lost("no host".to_owned());
        for host in &url.hosts {
            match dial(url, host, options, name).await {
                Ok(session) => return Ok(session),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

impl Transport for RabbitTransport {
    fn consume(&self, spec: ConsumerSpec) -> Box<dyn Consumer> {
        consumer::start(Arc::clone(&self.target), spec)
    }

    fn publisher(&self, name: &str, topology: Topology) -> Arc<dyn Publisher> {
        publisher::start(Arc::clone(&self.target), name, topology)
    }

    fn inspect<'a>(
        &'a self,
        queue: &'a str,
    ) -> BoxFuture<'a, Result<Option<QueueDepth>, TransportError>> {
        Box::pin(self.inspect_queue(queue))
    }

    fn declare_missing<'a>(
        &'a self,
        topology: &'a Topology,
    ) -> BoxFuture<'a, Result<(), TransportError>> {
        Box::pin(self.declare_what_is_missing(topology))
    }

    fn browse<'a>(
        &'a self,
        queue: &'a str,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Browser>>, TransportError>> {
        Box::pin(async move {
            let session = self.dial_any("browse").await?;
            let browser = RabbitBrowser::open(session, queue).await?;
            Ok(browser.map(|browser| Box::new(browser) as Box<dyn Browser>))
        })
    }
}
