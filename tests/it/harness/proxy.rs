//! A TCP proxy between the code under test and a server, which makes the network fail on demand.
//!
//! Takes the server's address, gives its own. It forwards until told otherwise, and never drops or
//! changes a byte of a connection that it keeps.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq)]
enum Weather {
    Fair,
    Frozen,
    Refusing,
}

/// How the network is, and how often it was cut.
#[derive(Clone, Copy)]
struct State {
    weather: Weather,
    cuts: u32,
}

/// A proxy; it and its connections end when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and forwards to `server` (`host:port`).
    pub async fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(watch::Sender::new(State { weather: Weather::Fair, cuts: 0 }));
        let task = tokio::spawn(accept(listener, server.to_owned(), Arc::clone(&state)));
        Self { address, state, task }
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forwards again: what is frozen thaws, new connections are taken.
    pub fn restore(&self) {
        self.state.send_modify(|state| state.weather = Weather::Fair);
    }

    /// Ends every connection; new ones are forwarded unless refused.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Ends every connection, and each new one at once.
    pub fn refuse(&self) {
        self.state.send_modify(|state| {
            state.weather = Weather::Refusing;
            state.cuts += 1;
        });
    }

    /// Keeps every connection open and forwards nothing.
    pub fn freeze(&self) {
        self.state.send_modify(|state| state.weather = Weather::Frozen);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: String, state: Arc<watch::Sender<State>>) {
    while let Ok((client, _)) = listener.accept().await {
        if state.borrow().weather == Weather::Refusing {
            continue;
        }
        let state = state.subscribe();
        let server = server.clone();
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(server).await else { return };
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            let mut ended = state.clone();
            let cuts = state.borrow().cuts;
            tokio::select! {
                () = copy(client_read, server_write, state.clone()) => {}
                () = copy(server_read, client_write, state) => {}
                _ = ended.wait_for(|state| state.cuts != cuts) => {}
            }
        });
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<State>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        if state.wait_for(|state| state.weather != Weather::Frozen).await.is_err()
            || to.write_all(&buffer[..read]).await.is_err()
        {
            return;
        }
    }
}
