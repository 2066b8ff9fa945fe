//! Keeps connections: opens them when they are asked for, tries one that was idle before it is
//! lent, forgets all idle ones once one was lost. SQLite has one writer and a pool of readers.

use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use super::connect::database_file::DatabaseFile;
use super::connect::{mysql, postgresql, sqlite};
use super::fault::{Fault, FaultClass};
use super::link::Link;
use super::options::{Address, place};
use super::statement::Query;
use super::{Dialect, StoreError, StoreOptions, TlsOptions};

/// A connection on loan.
pub(super) type Loan = Object<Opener>;

/// What a connection is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Read,
    Write,
}

/// A connection that was idle for this long is tried before it is lent: MySQL ends idle ones
/// after 5 s, and firewalls end them at will.
const TRUSTED_WHEN_IDLE: Duration = Duration::from_secs(1);

/// Opens and tries connections.
pub(super) struct Opener {
    dialect: Dialect,
    target: SecretString,
    /// Where that leads, for errors.
    place: String,
    /// The file of an SQLite database.
    file: Option<Arc<DatabaseFile>>,
    tls: TlsOptions,
    statement_timeout: Duration,
    purpose: Use,
}

impl Opener {
    /// A connection that no pool knows of.
    pub async fn open(&self) -> Result<Link, Fault> {
        self.try_open().await.map_err(|fault| fault.while_opening(&self.place))
    }

    async fn try_open(&self) -> Result<Link, Fault> {
        let Self { target, tls, statement_timeout, purpose, .. } = self;
        Ok(match self.dialect {
            Dialect::Postgresql => {
                Link::Postgresql(Box::new(postgresql::open(target, tls, *statement_timeout).await?))
            }
            Dialect::Mysql => {
                Link::Mysql(Box::new(mysql::open(target, tls, *statement_timeout).await?))
            }
            Dialect::Sqlite => {
                self.check_file()?;
                let opened = sqlite::open(target, *purpose, *statement_timeout).await?;
                self.note_file()?;
                Link::Sqlite(Box::new(opened))
            }
        })
    }

    /// A blocking connection to the file of an SQLite database.
    pub fn open_blocking_sqlite(&self) -> Result<diesel::SqliteConnection, Fault> {
        self.check_file()?;
        let opened = sqlite::open_blocking(&self.target, Use::Write, self.statement_timeout)?;
        self.note_file()?;
        Ok(opened)
    }

    /// Whether an SQLite database is still in the file that was opened first. Asked before another
    /// connection is opened: opening alone may write a log over it that is not its own.
    fn check_file(&self) -> Result<(), Fault> {
        self.file.as_ref().map_or(Ok(()), |file| file.check())
    }

    fn note_file(&self) -> Result<(), Fault> {
        if let Some(file) = &self.file {
            file.note();
        }
        self.check_file()
    }
}

impl Manager for Opener {
    type Type = Link;
    type Error = Fault;

    async fn create(&self) -> Result<Link, Fault> {
        self.open().await
    }

    async fn recycle(&self, link: &mut Link, metrics: &Metrics) -> RecycleResult<Fault> {
        if self.dialect != Dialect::Sqlite && metrics.last_used() > TRUSTED_WHEN_IDLE {
            link.execute(Query { text: "SELECT 1", params: &[] })
                .await
                .map_err(RecycleError::Backend)?;
        }
        Ok(())
    }
}

/// The pools of one store.
#[derive(Clone)]
pub(super) struct Pools {
    pub dialect: Dialect,
    write: Pool<Opener>,
    read: Pool<Opener>,
    statement_timeout: Duration,
    wait: Duration,
}

impl Pools {
    /// Makes the pools; connects nowhere.
    pub fn new(options: &StoreOptions) -> Result<Self, StoreError> {
        let Address { dialect, target, tls } = Address::read(options)?;
        let statement_timeout = options.statement_timeout;
        let place = place(dialect, target.expose_secret());
        let file = match dialect {
            Dialect::Postgresql | Dialect::Mysql => None,
            Dialect::Sqlite => DatabaseFile::of(target.expose_secret()).map(Arc::new),
        };
        let size = usize::try_from(options.pool_size.max(1)).unwrap_or(1);
        let pool = |purpose, size| {
            let (target, place, tls) = (target.clone(), place.clone(), tls.clone());
            let file = file.clone();
            let opener = Opener { dialect, target, place, file, tls, statement_timeout, purpose };
            Pool::builder(opener).max_size(size).build().expect("no timeout needs a runtime")
        };
        let (write, read) = if dialect == Dialect::Sqlite {
            (pool(Use::Write, 1), pool(Use::Read, size))
        } else {
            let shared = pool(Use::Write, size);
            (shared.clone(), shared)
        };
        let wait = statement_timeout;
        Ok(Self { dialect, write, read, statement_timeout, wait })
    }

    /// Lends a connection, opened anew if need be.
    pub async fn lend(&self, purpose: Use) -> Result<Loan, Fault> {
        self.check_file()?;
        let pool = if purpose == Use::Write { &self.write } else { &self.read };
        let lost = |text: &str| Fault::new(FaultClass::Lost, text);
        match timeout(self.wait, pool.get()).await {
            Ok(Ok(loan)) => Ok(loan),
            Ok(Err(PoolError::Backend(fault))) => Err(fault),
            Ok(Err(other)) => Err(lost(&other.to_string())),
            Err(_) => Err(lost("no connection within the time limit")),
        }
    }

    /// Whether an SQLite database is still in the file that was opened first.
    pub fn check_file(&self) -> Result<(), Fault> {
        self.opener().check_file()
    }

    /// Forgets every idle connection: what broke one has likely broken all.
    pub fn forget_idle(&self) {
        for pool in [&self.write, &self.read] {
            drop(pool.retain(|_, _| false));
        }
    }

    /// The opener, for connections that no pool may keep.
    pub fn opener(&self) -> &Opener {
        self.write.manager()
    }

    /// How long a client waits for a statement before it takes the link for dead: longer than the
    /// server's own limit, whose answer is worth more. SQLite has no link.
    pub fn deadline(&self) -> Option<Duration> {
        let grace = Duration::from_secs(3);
        (self.dialect != Dialect::Sqlite).then_some(self.statement_timeout + grace)
    }
}
