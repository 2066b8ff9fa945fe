//! Opens a connection to PostgreSQL: TCP or a Unix socket, TLS as the mode asks, SQLSTATEs read
//! along. The hosts of a URL are tried in turn.

use std::fmt::Write as _;
use std::time::Duration;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode as PgSslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::either::Either;

use super::sqlstate::{LastSqlState, Observed, ObservedTls};
use super::{IDLE_IN_TRANSACTION, is_option, milliseconds, no_port};
use crate::store::fault::{Fault, FaultClass, by_sqlstate};
use crate::store::{SslMode, TlsOptions};

/// A connection, the code of its last error, and the task that drives it.
pub(in crate::store) struct Opened {
    pub connection: AsyncPgConnection,
    pub last: LastSqlState,
    pub driver: AbortHandle,
}

type Socket = Either<TcpStream, UnixStream>;

/// The URL as the driver reads it; its own words could repeat a part of the password.
pub(in crate::store) fn read_url(url: &str) -> Result<Config, Fault> {
    let config: Config = url.parse().map_err(|_| {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let keys: Vec<&str> = query
            .split('&')
            .filter_map(|pair| Some(pair.split_once('=')?.0))
            .filter(|key| is_option(key))
            .collect();
        let mut text =
            "it is no `postgres://USER:PASSWORD@HOST:PORT/DATABASE` (a special character \
                        in a password is written as `%` and two digits)"
                .to_owned();
        if !keys.is_empty() {
            let _ = write!(
                text,
                ", or an option of it, or that option's value, is not known: `{}`",
                keys.join("`, `")
            );
        }
        Fault::new(FaultClass::Fatal, text)
    })?;
    if config.get_ports().contains(&0) { Err(no_port()) } else { Ok(config) }
}

/// Opens a connection to the first host that answers.
pub(in crate::store) async fn open(
    url: &SecretString,
    tls: &TlsOptions,
    statement_timeout: Duration,
) -> Result<Opened, Fault> {
    let mut config = read_url(url.expose_secret())?;
    config.application_name("karbor-restore-worker");
    config.ssl_mode(match tls.mode {
        SslMode::Disable => PgSslMode::Disable,
        SslMode::Prefer => PgSslMode::Prefer,
        SslMode::Require | SslMode::VerifyFull => PgSslMode::Require,
    });
    let mut fault = Fault::new(FaultClass::Fatal, "the URL names no host");
    for (index, host) in config.get_hosts().iter().enumerate() {
        let ports = config.get_ports();
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        match open_host(&config, host, port, tls).await {
            Ok(mut opened) => {
                set_up(&mut opened, statement_timeout).await?;
                return Ok(opened);
            }
            Err(met) => fault = met,
        }
    }
    Err(fault)
}

async fn open_host(
    config: &Config,
    host: &Host,
    port: u16,
    tls: &TlsOptions,
) -> Result<Opened, Fault> {
    let mut config = config.clone();
    let (name, socket) = match host {
        Host::Tcp(name) => {
            let stream = TcpStream::connect((name.as_str(), port))
                .await
                .map_err(|error| unreachable(&error))?;
            stream.set_nodelay(true).map_err(|error| unreachable(&error))?;
            (name.as_str(), Either::Left(stream))
        }
        Host::Unix(directory) => {
            config.ssl_mode(PgSslMode::Disable);
            let path = directory.join(format!(".s.PGSQL.{port}"));
            let stream = UnixStream::connect(path).await.map_err(|error| unreachable(&error))?;
            ("localhost", Either::Right(stream))
        }
    };
    let last = LastSqlState::default();
    let mut maker = MakeRustlsConnect::new(super::tls::client_config(tls)?);
    let connect = MakeTlsConnect::<Socket>::make_tls_connect(&mut maker, name)
        .map_err(|_| Fault::new(FaultClass::Fatal, "TLS does not know such a host"))?;
    let connect = ObservedTls { connect, last: last.clone() };
    let (client, connection) = config
        .connect_raw(Observed::new(socket, last.clone()), connect)
        .await
        .map_err(|error| refused(&error))?;
    let driver = tokio::spawn(connection).abort_handle();
    let connection = AsyncPgConnection::try_from(client)
        .await
        .map_err(|error| Fault::new(FaultClass::Lost, error.to_string()))?;
    Ok(Opened { connection, last, driver })
}

async fn set_up(opened: &mut Opened, statement_timeout: Duration) -> Result<(), Fault> {
    let statement_ms = milliseconds(statement_timeout);
    let idle_ms = milliseconds(IDLE_IN_TRANSACTION);
    let settings = format!(
        "SET default_transaction_isolation TO 'read committed'; SET statement_timeout TO {statement_ms}; \
         SET lock_timeout TO {statement_ms}; SET idle_in_transaction_session_timeout TO {idle_ms}; \
         SET standard_conforming_strings TO on; SET client_min_messages TO warning",
    );
    opened.connection.batch_execute(&settings).await.map_err(|error| match opened.last.take() {
        Some(code) => by_sqlstate(&code, &error.to_string()),
        None => Fault::new(FaultClass::Lost, error.to_string()),
    })
}

fn unreachable(error: &std::io::Error) -> Fault {
    Fault::new(FaultClass::Lost, error.to_string())
}

fn refused(error: &tokio_postgres::Error) -> Fault {
    if let Some(answer) = error.as_db_error() {
        return by_sqlstate(answer.code().code(), answer.message());
    }
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let text = format!("{error}{}", cause.unwrap_or_default());
    Fault::new(FaultClass::Lost, super::tls::explain(text))
}
