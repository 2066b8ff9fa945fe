//! A connection on loan, and a transaction on one. Every statement has a deadline; a connection
//! that broke, did not answer, or was dropped in the middle of a statement or a transaction never
//! goes back to its pool.
//!
//! ```text
//! Pools ─ lend ─▶ Connection ─ load, execute ─▶ rows
//!          └ begin ─▶ Transaction ─ load, execute ─▶ commit   (dropped: rolled back)
//! ```

use deadpool::managed::Object;
use tokio::time::timeout;

use super::fault::{Fault, FaultClass};
use super::link::{Link, Row};
use super::pool::{Loan, Pools, Use};
use super::statement::{Param, Query, Statement};
use super::{Dialect, StoreError};

/// A connection on loan.
pub(crate) struct Connection {
    loan: Option<Loan>,
    pools: Pools,
    /// A statement is under way, or a transaction is open: dropped now, the connection is of no
    /// further use.
    unsettled: bool,
}

impl Pools {
    /// A connection for statements that stand alone.
    pub async fn connect(&self, act: &'static str, purpose: Use) -> Result<Connection, StoreError> {
        match self.lend(purpose).await {
            Ok(loan) => Ok(Connection { loan: Some(loan), pools: self.clone(), unsettled: false }),
            Err(fault) => Err(fault.before_commit(act)),
        }
    }

    /// A transaction that writes. On SQLite it has the database's one write lock.
    pub async fn begin(&self, act: &'static str) -> Result<Transaction, StoreError> {
        let begin = if self.dialect == Dialect::Sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" };
        self.begin_with(act, Use::Write, begin).await
    }

    /// A transaction that reads, all of it one moment's state.
    pub async fn begin_read(&self, act: &'static str) -> Result<Transaction, StoreError> {
        let begin = match self.dialect {
            Dialect::Postgresql => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Dialect::Mysql => {
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
                 START TRANSACTION WITH CONSISTENT SNAPSHOT"
            }
            Dialect::Sqlite => "BEGIN",
        };
        self.begin_with(act, Use::Read, begin).await
    }

    async fn begin_with(
        &self,
        act: &'static str,
        purpose: Use,
        begin: &str,
    ) -> Result<Transaction, StoreError> {
        let mut connection = self.connect(act, purpose).await?;
        connection.command(begin).await.map_err(|fault| fault.before_commit(act))?;
        connection.unsettled = true;
        Ok(Transaction { connection, act })
    }
}

impl Connection {
    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        self.pools.dialect
    }

    /// Runs a statement that gives rows.
    pub async fn load<R: Row>(
        &mut self,
        statement: &Statement,
        params: &[Param],
    ) -> Result<Vec<R>, StoreError> {
        let text = statement.text(self.dialect());
        self.load_text(statement.act, text, params).await
    }

    /// Runs a statement that gives one row, or none.
    pub async fn load_one<R: Row>(
        &mut self,
        statement: &Statement,
        params: &[Param],
    ) -> Result<Option<R>, StoreError> {
        Ok(self.load(statement, params).await?.into_iter().next())
    }

    /// Runs a text put together at run time. It is kept prepared by its text, so it must hold no
    /// values and have few shapes.
    pub async fn load_text<R: Row>(
        &mut self,
        act: &'static str,
        text: &str,
        params: &[Param],
    ) -> Result<Vec<R>, StoreError> {
        let run = async |link: &mut Link| link.load(Query { text, params }).await;
        self.run(run).await.map_err(|fault| fault.before_commit(act))
    }

    /// Runs a statement that changes rows; gives how many it found.
    pub async fn execute(
        &mut self,
        statement: &Statement,
        params: &[Param],
    ) -> Result<usize, StoreError> {
        let text = statement.text(self.dialect());
        let run = async |link: &mut Link| link.execute(Query { text, params }).await;
        self.run(run).await.map_err(|fault| fault.before_commit(statement.act))
    }

    /// Runs text without values, unprepared.
    pub async fn command(&mut self, text: &str) -> Result<(), Fault> {
        self.run(async |link: &mut Link| link.command(text).await).await
    }

    async fn run<T>(
        &mut self,
        act: impl AsyncFnOnce(&mut Link) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let Some(loan) = self.loan.as_mut() else {
            return Err(Fault::new(FaultClass::Lost, "the connection was lost before"));
        };
        let was_unsettled = std::mem::replace(&mut self.unsettled, true);
        let result = match self.pools.deadline() {
            Some(deadline) => timeout(deadline, act(&mut *loan)).await.unwrap_or_else(|_| {
                Err(Fault::new(FaultClass::Silent, "no answer within the time limit"))
            }),
            None => act(&mut *loan).await,
        };
        self.unsettled = was_unsettled;
        if let Err(fault) = &result
            && fault.ends_connection()
        {
            self.discard(fault.class);
        }
        result
    }

    fn discard(&mut self, class: FaultClass) {
        if let Some(loan) = self.loan.take() {
            let link = Object::take(loan);
            if class == FaultClass::Silent {
                link.abandon();
            }
        }
        self.pools.forget_idle();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.unsettled
            && let Some(loan) = self.loan.take()
        {
            drop(Object::take(loan));
        }
    }
}

/// A transaction. Dropped, its connection is closed, and the server rolls it back.
pub(crate) struct Transaction {
    connection: Connection,
    act: &'static str,
}

impl Transaction {
    /// Commits. [`StoreError::Doubt`] where the answer was lost.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let act = self.act;
        if let Err(fault) = self.connection.pools.check_file() {
            self.roll_back().await;
            return Err(fault.before_commit(act));
        }
        match self.connection.command("COMMIT").await {
            Ok(()) => {
                self.connection.unsettled = false;
                // Whether it was committed to a file that had lost its name nobody knows.
                self.connection.pools.check_file().map_err(|fault| fault.at_commit(act))
            }
            Err(fault) => {
                let error = fault.at_commit(act);
                self.roll_back().await;
                Err(error)
            }
        }
    }

    /// Rolls back; the connection goes back to its pool if the server agrees.
    pub async fn roll_back(mut self) {
        if self.connection.command("ROLLBACK").await.is_ok() {
            self.connection.unsettled = false;
        }
    }
}

impl std::ops::Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl std::ops::DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
