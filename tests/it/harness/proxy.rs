//! A TCP proxy between the code under test and a server, which makes the network fail on demand.
//!
//! Takes the server's address, gives its own. It forwards until told otherwise, and never drops or
//! changes a byte of a connection that it keeps, but for the one that meets a [`Trap`].

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use super::trap::{Armed, Trap, Watched};

#[derive(Clone, Copy, PartialEq)]
enum Weather {
    Fair,
    /// What is read at once goes on after so long.
    Slow(Duration),
    /// No answer comes through.
    Mute,
    Frozen,
    Refusing,
}

impl Weather {
    fn stops(self, direction: Direction) -> bool {
        self == Self::Frozen || self == Self::Mute && direction == Direction::Answers
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Requests,
    Answers,
}

/// How the network is, and how often it was cut.
#[derive(Clone, Copy)]
struct State {
    weather: Weather,
    cuts: u32,
    half_cuts: u32,
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
        let state =
            Arc::new(watch::Sender::new(State { weather: Weather::Fair, cuts: 0, half_cuts: 0 }));
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

    /// Leaves every connection half-open: the server's side ends, the client's stays open and silent
    /// for good. New ones are forwarded.
    pub fn half_cut(&self) {
        self.state.send_modify(|state| state.half_cuts += 1);
    }

    /// Forwards what is read at once, at most 64 KiB, only after `delay`.
    pub fn slow(&self, delay: Duration) {
        self.state.send_modify(|state| state.weather = Weather::Slow(delay));
    }

    /// Forwards what clients send, and keeps back what servers answer.
    pub fn mute(&self) {
        self.state.send_modify(|state| state.weather = Weather::Mute);
    }

    /// Keeps every connection open and forwards nothing.
    pub fn freeze(&self) {
        self.state.send_modify(|state| state.weather = Weather::Frozen);
    }

    /// Whether anybody is connected.
    pub fn has_connections(&self) -> bool {
        self.state.receiver_count() > 0
    }

    /// Sets a trap for the first connection whose client sends `mark`.
    pub fn trap(&self, trap: Trap, mark: &str) {
        self.armed.set(trap, mark);
    }

    /// Takes a trap away that has not sprung.
    pub fn disarm(&self) {
        self.armed.disarm();
    }

    /// How often a trap has sprung.
    pub fn sprung(&self) -> usize {
        self.armed.sprung()
    }

    /// Whether a trap waits that has not sprung.
    pub fn is_armed(&self) -> bool {
        self.armed.is_set()
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
            let (mut client_read, mut client_write) = client.into_split();
            let (mut server_read, mut server_write) = server.into_split();
            let (mut ended, mut half) = (state.clone(), state.clone());
            let State { cuts, half_cuts, .. } = *state.borrow();
            let sprung = Mutex::new(None);
            tokio::select! {
                () = ask(&mut client_read, &mut server_write, state.clone(), watched, &sprung) => {}
                () = answer(&mut server_read, &mut client_write, state, &sprung) => {}
                () = until(&mut ended, |state| state.cuts != cuts) => {}
                () = until(&mut half, |state| state.half_cuts != half_cuts) => {
                    drop((server_read, server_write));
                    until(&mut half, |state| state.cuts != cuts).await;
                }
            }
        });
    }
}

/// Waits until the network is so, or is no more.
async fn until(state: &mut watch::Receiver<State>, is_so: impl FnMut(&State) -> bool) {
    drop(state.wait_for(is_so).await);
}

/// Forwards what the client sends, and says in `sprung` that a trap is due: before the request whose
/// answer is to be lost, in the place of the one at which all stands still.
async fn ask(
    client: &mut OwnedReadHalf,
    server: &mut OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    mut watched: Watched,
    sprung: &Mutex<Option<Trap>>,
) {
    let mut buffer = vec![0; 64 * 1024];
    let direction = Direction::Requests;
    while let Some(bytes) = receive(client, direction, &mut buffer, &mut state).await {
        let trap = watched.look(bytes);
        if trap.is_some() {
            *sprung.lock().expect("no panic under the lock") = trap;
        }
        match trap {
            Some(Trap::Freeze) => std::future::pending().await,
            Some(Trap::Cut) => return,
            _ => {}
        }
        if server.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// Forwards what the server answers, as far as no trap sprang.
async fn answer(
    server: &mut OwnedReadHalf,
    client: &mut OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    sprung: &Mutex<Option<Trap>>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let bytes = receive(server, Direction::Answers, &mut buffer, &mut state).await;
        let sprung = *sprung.lock().expect("no panic under the lock");
        match (sprung, bytes) {
            // That the server has closed the connection does not reach the client either.
            (Some(Trap::Freeze | Trap::FreezeCommit), _) => std::future::pending().await,
            (Some(Trap::LoseCommit | Trap::LoseOpening | Trap::LoseConfirm | Trap::Cut), _)
            | (None, None) => {
                return;
            }
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
    direction: Direction,
    buffer: &'b mut [u8],
    state: &mut watch::Receiver<State>,
) -> Option<&'b [u8]> {
    let read = from.read(buffer).await.unwrap_or(0);
    let weather = state.wait_for(|state| !state.weather.stops(direction)).await.ok()?.weather;
    if let Weather::Slow(delay) = weather {
        sleep(delay).await;
    }
    (read > 0).then_some(&buffer[..read])
}
