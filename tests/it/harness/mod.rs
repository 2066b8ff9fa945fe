//! End-to-end tests' stage: the built binary, a real broker and a real database, and names that no
//! other test uses.
//!
//! Takes the servers that `scripts/test` started (`TEST_RABBITMQ_URL`, `TEST_POSTGRESQL_URL`,
//! `TEST_MYSQL_URL`), gives a [`Stage`] with a fresh database, workers and a hand-made client.
//! What a test made is removed when its stage is dropped. It must never wait by sleeping: what a
//! test waits for is a condition, see [`eventually`].

mod broker;
mod database;
mod http;
mod inbox;
mod notified;
mod own_broker;
mod own_database;
mod own_server;
pub mod proxied;
mod proxy;
mod python;
mod request;
mod session;
mod silent_queue;
mod stage;
mod terminal;
mod trap;
mod waiting;
mod worker;

pub use broker::{Broker, oslo_properties};
pub use database::{Database, Kind};
pub use http::{HttpResponse, get};
pub use inbox::{Inbox, Received};
pub use notified::{assert_one_message_id_each, transition};
pub use own_broker::{RabbitCluster, RabbitNode};
pub use own_database::{DatabaseServer, Stop};
pub use proxy::Proxy;
pub use python::{run_pytest, run_python, run_python_command};
pub use request::{PROJECT, Request, SECRETS};
pub use session::Session;
pub use silent_queue::SilentQueue;
pub use stage::{Stage, new_id};
pub use terminal::{CTRL_C, Shown, Terminal};
pub use trap::Trap;
pub use waiting::{PATIENCE, PATIENCE_WITH_SERVERS, eventually, eventually_within};
pub use worker::{Worker, WorkerBuilder, own_address};

/// The broker's address, for `messaging.transport_url` and for other clients.
pub fn broker_url() -> String {
    server("TEST_RABBITMQ_URL")
}

/// Asks the broker of `scripts/test` by its own command, `rabbitmqctl`; gives the rows it prints.
pub async fn broker_control(arguments: &[&str]) -> String {
    own_broker::control(server("TEST_RABBITMQ_CTL").as_ref(), arguments).await
}

/// The address of a server that `scripts/test` starts.
fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run scripts/test"))
}

/// Runs `work` to its end from a destructor, on a thread and a runtime of its own.
fn finish(work: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::spawn(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made")
            .block_on(async { tokio::time::timeout(PATIENCE, work).await.ok() });
    });
    thread.join().ok();
}
