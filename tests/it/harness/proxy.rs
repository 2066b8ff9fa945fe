//! A TCP proxy between the code under test and a server, which makes the network fail on demand.
//!
//! Takes the server's address, gives its own. It forwards until told otherwise, and never drops or
//! changes a byte of a connection that it keeps, but for the one that meets a [`Trap`].

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::trap::{Armed, Trap, Watched};

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
    armed: Armed,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and forwards to `server` (`host:port`).
    pub async fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(watch::Sender::new(State { weather: Weather::Fair, cuts: 0 }));
        let armed = Armed::default();
        let accepting = accept(listener, server.to_owned(), Arc::clone(&state), armed.clone());
        Self { address, state, armed, task: tokio::spawn(accepting) }
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

    /// Sets a trap for the first connection to a database whose client sends `mark`.
    pub fn trap(&self, trap: Trap, mark: &str) {
        self.armed.set(trap, mark);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    server: String,
    state: Arc<watch::Sender<State>>,
    armed: Armed,
) {
    while let Ok((client, _)) = listener.accept().await {
        if state.borrow().weather == Weather::Refusing {
            continue;
        }
        let state = state.subscribe();
        let server = server.clone();
        let watched = armed.watch();
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(server).await else { return };
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            let mut ended = state.clone();
            let cuts = state.borrow().cuts;
            let sprung = Mutex::new(None);
            tokio::select! {
                () = ask(client_read, server_write, state.clone(), watched, &sprung) => {}
                () = answer(server_read, client_write, state, &sprung) => {}
                _ = ended.wait_for(|state| state.cuts != cuts) => {}
            }
        });
    }
}

/// Forwards what the client sends, and says in `sprung` that a trap is due: before the request whose
/// answer is to be lost, in the place of the one at which all stands still.
async fn ask(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    mut watched: Watched,
    sprung: &Mutex<Option<Trap>>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Some(bytes) = receive(&mut client, &mut buffer, &mut state).await {
        let trap = watched.look(bytes);
        if trap.is_some() {
            *sprung.lock().expect("no panic under the lock") = trap;
        }
        if trap == Some(Trap::Freeze) {
            std::future::pending::<()>().await;
        }
        if server.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// Forwards what the server answers, as far as no trap sprang.
async fn answer(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    sprung: &Mutex<Option<Trap>>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let bytes = receive(&mut server, &mut buffer, &mut state).await;
        let sprung = *sprung.lock().expect("no panic under the lock");
        match (sprung, bytes) {
            // That the server has closed the connection does not reach the client either.
            (Some(Trap::Freeze | Trap::FreezeCommit), _) => std::future::pending().await,
            (Some(Trap::LoseCommit), _) | (None, None) => return,
            (None, Some(bytes)) => {
                if client.write_all(bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The next bytes, or `None` at the end, once the weather lets them through.
async fn receive<'b>(
    from: &mut OwnedReadHalf,
    buffer: &'b mut [u8],
    state: &mut watch::Receiver<State>,
) -> Option<&'b [u8]> {
    let read = from.read(buffer).await.unwrap_or(0);
    state.wait_for(|state| state.weather != Weather::Frozen).await.ok()?;
    (read > 0).then_some(&buffer[..read])
}
