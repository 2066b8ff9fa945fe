//! One connection to one node: dialled, and ended for certain.
//!
//! Takes a host and the options, gives a lapin connection under a deadline. lapin runs a thread a
//! connection that waits on its socket, whatever the peer does; so the socket is kept beside it
//! and shut down when a [`Session`] goes, which ends that thread. Never retries: that is the
//! supervisor's.

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::Stream;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::AsyncTcpStream;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Connection, ConnectionProperties, ErrorKind, Event};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use super::RabbitOptions;
use super::tls::build_connector;
use crate::transport::TransportError;
use crate::transport::url::{Host, TransportUrl};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A live connection. Dropped without [`Session::close`] it is cut.
pub(super) struct Session {
    pub connection: Connection,
    // Dropped after the connection, so that lapin's own good-bye is on its way first.
    _socket: Socket,
}

/// A second handle on a connection's socket, which cuts it when dropped.
#[derive(Default)]
struct Socket(Arc<OnceLock<TcpStream>>);

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(socket) = self.0.get() {
            // An error means that it is closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Connects to `host`, all within 5 s: address, TCP, TLS and AMQP's handshake.
pub(super) async fn dial(
    url: &TransportUrl,
    host: &Host,
    options: &RabbitOptions,
    name: &str,
) -> Result<Session, TransportError> {
    let unreachable =
        |reason: String| TransportError::Unreachable { address: host.to_string(), reason };
    let tls = match url.options.ssl {
        Some(true) => Some(build_connector(&url.options, options.tls).map_err(unreachable)?),
        _ => None,
    };
    let heartbeat = url.options.heartbeat_timeout_threshold.unwrap_or(options.heartbeat);
    let uri = AMQPUri {
        scheme: if tls.is_some() { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo {
                username: host.username.clone(),
                password: host.password.expose_secret().to_owned(),
            },
            host: host.host.clone(),
            port: host.port,
        },
        vhost: url.virtual_host.clone(),
        query: AMQPQueryString { heartbeat: Some(heartbeat), ..AMQPQueryString::default() },
    };
    let properties = ConnectionProperties::default()
        .with_connection_name(format!("{}:{name}", options.connection_name).into());
    let runtime =
        lapin::runtime::default_runtime().map_err(|error| unreachable(describe(&error)))?;
    let socket = Socket::default();
    let kept = Arc::downgrade(&socket.0);
    let address = (host.host.clone(), host.port);
    let connecting = Connection::connector(
        uri,
        runtime,
        async move |_, runtime| {
            // On lapin's own thread, which nothing outside can interrupt.
            let connect = async {
                let addresses: Vec<_> =
                    tokio::net::lookup_host((address.0.as_str(), address.1)).await?.collect();
                let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    let second = plain.get_ref().as_fd().try_clone_to_owned()?;
                    let kept = kept.upgrade().ok_or(std::io::ErrorKind::ConnectionAborted)?;
                    let _ = kept.set(TcpStream::from(second));
                }
                match &tls {
                    None => Ok(stream),
                    Some(connector) => stream.into_rustls(connector, &address.0).await,
                }
            };
            let connected = timeout(CONNECT_TIMEOUT, connect).await;
            Ok(connected.map_err(std::io::Error::from).and_then(|result| result)?)
        },
        properties,
    );
    match timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => Ok(Session { connection, _socket: socket }),
        Ok(Err(error)) if is_denial(&error) => {
            Err(TransportError::Denied { address: host.to_string(), reason: describe(&error) })
        }
        Ok(Err(error)) => Err(unreachable(explain(describe(&error)))),
        Err(_) => Err(unreachable(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))),
    }
}

impl Session {
    /// What the broker says of the connection as a whole.
    pub(super) fn events(&self) -> impl Stream<Item = Event> + Send + Unpin {
        Box::pin(self.connection.events_listener())
    }

    /// Whether lapin still holds it for good.
    pub(super) fn is_connected(&self) -> bool {
        self.connection.status().connected()
    }

    /// Says good-bye by the protocol, under a deadline.
    pub(super) async fn close(self) {
        // Both outcomes end in the cut of the socket.
        let _ = timeout(CLOSE_TIMEOUT, self.connection.close(200, "OK".into())).await;
    }
}

/// What a TLS handshake says of an answer in the clear, in an operator's words.
fn explain(reason: String) -> String {
    if reason.contains("InvalidContentType") {
        format!("{reason}: what listens there speaks no TLS on this port (RabbitMQ's own is 5671)")
    } else {
        reason
    }
}

/// Whether the broker answered, and said no: to the user and password (403) or to the virtual host
/// (530).
fn is_denial(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(error) = error.kind() else { return false };
    matches!(
        error.kind(),
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
            | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
    )
}

/// What went wrong, in the broker's words where there are any. lapin's errors hold no password.
pub(super) fn describe(error: &lapin::Error) -> String {
    match error.kind() {
        lapin::ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        lapin::ErrorKind::IOError(error) => error.to_string(),
        _ => error.to_string(),
    }
}
