//! Opens a connection to MySQL or MariaDB and sets it up. `client_found_rows` makes an UPDATE
//! count the rows it found, as the other databases do.

use std::time::Duration;

use diesel_async::{AsyncMysqlConnection, SimpleAsyncConnection};
use mysql_async::{Conn, DriverError, IoError, Opts, OptsBuilder, UrlError};
use secrecy::{ExposeSecret, SecretString};

use super::tls_of_mysql::ssl_opts;
use super::{IDLE_IN_TRANSACTION, is_option, no_port};
use crate::store::fault::{Fault, FaultClass, by_mysql_number};
use crate::store::{SslMode, TlsOptions};

/// Opens a connection.
pub(in crate::store) async fn open(
    url: &SecretString,
    tls: &TlsOptions,
    statement_timeout: Duration,
) -> Result<AsyncMysqlConnection, Fault> {
    let opts = read_url(url.expose_secret())?;
    // The socket that the server advertises would go round TLS and, in a test, round the proxy.
    let builder = OptsBuilder::from_opts(opts)
        .prefer_socket(false)
        .stmt_cache_size(0)
        .client_found_rows(true)
        .tcp_nodelay(true);
    let conn = match Conn::new(builder.clone().ssl_opts(ssl_opts(tls)?)).await {
        Err(mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer))
            if tls.mode == SslMode::Prefer =>
        {
            Conn::new(builder.ssl_opts(None)).await
        }
        other => other,
    };
    let connection = AsyncMysqlConnection::try_from(conn.map_err(|error| refused(&error))?).await;
    let mut connection =
        connection.map_err(|error| Fault::new(FaultClass::Lost, error.to_string()))?;
    set_up(&mut connection, statement_timeout).await?;
    Ok(connection)
}

async fn set_up(
    connection: &mut AsyncMysqlConnection,
    statement_timeout: Duration,
) -> Result<(), Fault> {
    let seconds = statement_timeout.as_secs().max(1);
    let settings = format!(
        "SET NAMES utf8mb4 COLLATE utf8mb4_bin; SET SESSION time_zone = '+00:00'; \
         SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
         SET SESSION sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'; \
         SET SESSION innodb_lock_wait_timeout = {seconds}",
    );
    let lost = |error: diesel::result::Error| Fault::new(FaultClass::Lost, error.to_string());
    connection.batch_execute(&settings).await.map_err(lost)?;
    let idle = IDLE_IN_TRANSACTION.as_secs();
    let mariadb = format!(
        "SET SESSION idle_transaction_timeout = {idle}; SET SESSION max_statement_time = {seconds}",
    );
    // MySQL knows neither; it has one timeout for a connection that is idle in whatever state,
    // which is why an idle connection is tried before it is used.
    if connection.batch_execute(&mariadb).await.is_err() {
        let mysql = format!(
            "SET SESSION wait_timeout = {idle}; SET SESSION max_execution_time = {}",
            seconds.saturating_mul(1000)
        );
        connection.batch_execute(&mysql).await.map_err(lost)?;
    }
    Ok(())
}

/// The URL as the driver reads it; its own words could repeat a part of the password.
pub(in crate::store) fn read_url(url: &str) -> Result<Opts, Fault> {
    let opts = Opts::from_url(url).map_err(|error| {
        Fault::new(
            FaultClass::Fatal,
            match error {
                UrlError::UnknownParameter { param } if is_option(&param) => {
                    format!("MySQL's client knows no option `{param}` in a URL")
                }
                UrlError::InvalidParamValue { param, .. } if is_option(&param) => {
                    format!("the value of `{param}` is none that MySQL's client knows")
                }
                _ => "it is no `mysql://USER:PASSWORD@HOST:PORT/DATABASE` (a special character \
                      in a password is written as `%` and two digits)"
                    .to_owned(),
            },
        )
    })?;
    if opts.tcp_port() == 0 { Err(no_port()) } else { Ok(opts) }
}

fn refused(error: &mysql_async::Error) -> Fault {
    match error {
        mysql_async::Error::Server(answer) => by_mysql_number(answer.code.into(), &answer.message),
        // Its own words name the kind of error twice.
        mysql_async::Error::Io(IoError::Io(error)) => {
            Fault::new(FaultClass::Lost, super::tls::explain(error.to_string()))
        }
        other => Fault::new(FaultClass::Lost, super::tls::explain(other.to_string())),
    }
}
