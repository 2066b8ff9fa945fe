//! Duties that one worker at a time does for all, held by a lease of the database's clock. They
//! save work only: done by two workers at once, or by none for a while, nothing is wrong.

use std::time::Duration;

use uuid::Uuid;

use super::pool::Use;
use super::statement::{Param, Statement};
use super::{Store, StoreError};

/// What one worker does for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Looking for what Karbor wrote of the restores under way and of the last day.
    RecentRestores,
    /// Looking for it in the whole table.
    AllRestores,
    /// Deleting old events.
    OldEvents,
}

impl Duty {
    fn as_str(self) -> &'static str {
        match self {
            Self::RecentRestores => "recent_restores",
            Self::AllRestores => "all_restores",
            Self::OldEvents => "old_events",
        }
    }
}

/// The rows are there since their migrations.
const CLAIM: Statement = Statement {
    act: "claiming a duty",
    postgresql: "UPDATE restore_duties SET holder = ?, \
        held_until = (clock_timestamp() AT TIME ZONE 'UTC') + ? * interval '1 microsecond' \
        WHERE duty = ? AND (holder = ? OR held_until <= (clock_timestamp() AT TIME ZONE 'UTC')) \
        AND (done_at IS NULL OR \
             done_at <= (clock_timestamp() AT TIME ZONE 'UTC') - ? * interval '1 microsecond')",
    mysql: "UPDATE restore_duties SET holder = ?, \
        held_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND \
        WHERE duty = ? AND (holder = ? OR held_until <= UTC_TIMESTAMP(6)) \
        AND (done_at IS NULL OR done_at <= UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND)",
    sqlite: "UPDATE restore_duties SET holder = ?, \
        held_until = strftime('%Y-%m-%d %H:%M:%f', 'now', (? / 1000000.0) || ' seconds') \
        WHERE duty = ? AND (holder = ? OR held_until <= strftime('%Y-%m-%d %H:%M:%f', 'now')) \
        AND (done_at IS NULL OR \
             done_at <= strftime('%Y-%m-%d %H:%M:%f', 'now', (? / -1000000.0) || ' seconds'))",
};

/// Needs all that a write needs, and writes nothing.
const WRITE_NOTHING: Statement = Statement::portable(
    "asking whether it takes writes",
    "UPDATE restore_duties SET holder = holder WHERE duty = ?",
);

const DONE: Statement = Statement {
    act: "noting that a duty is done",
    postgresql: "UPDATE restore_duties SET done_at = clock_timestamp() AT TIME ZONE 'UTC' \
        WHERE duty = ? AND holder = ?",
    mysql: "UPDATE restore_duties SET done_at = UTC_TIMESTAMP(6) WHERE duty = ? AND holder = ?",
    sqlite: "UPDATE restore_duties SET done_at = strftime('%Y-%m-%d %H:%M:%f', 'now') \
        WHERE duty = ? AND holder = ?",
};

const RELEASE: Statement = Statement::portable(
    "releasing a duty",
    "UPDATE restore_duties SET holder = '', held_until = '2000-01-01 00:00:00.000' \
     WHERE duty = ? AND holder = ?",
);

impl Store {
    /// Whether the database takes writes: it may be read-only, a replica, full, or locked by another
    /// program.
    pub async fn check_writes(&self) -> Result<(), StoreError> {
        self.write(&WRITE_NOTHING, &["".into()]).await.map(drop)
    }

    /// Takes `duty` for `lease`, or holds it for as long again: `false` while another worker holds
    /// it, or for `pause` after it was done.
    pub async fn claim_duty(
        &self,
        duty: Duty,
        holder: Uuid,
        lease: Duration,
        pause: Duration,
    ) -> Result<bool, StoreError> {
        let holder = holder.to_string();
        let params: [Param; 5] = [
            holder.clone().into(),
            microseconds(lease),
            duty.as_str().into(),
            holder.into(),
            microseconds(pause),
        ];
        self.write(&CLAIM, &params).await
    }

    /// Notes that `duty` was done just now; `false` if another worker took it meanwhile.
    pub async fn finish_duty(&self, duty: Duty, holder: Uuid) -> Result<bool, StoreError> {
        self.write(&DONE, &[duty.as_str().into(), holder.to_string().into()]).await
    }

    /// Leaves `duty` to whoever wants it.
    pub async fn release_duty(&self, duty: Duty, holder: Uuid) -> Result<bool, StoreError> {
        self.write(&RELEASE, &[duty.as_str().into(), holder.to_string().into()]).await
    }

    async fn write(&self, statement: &Statement, params: &[Param]) -> Result<bool, StoreError> {
        let mut connection = self.pools.connect(statement.act, Use::Write).await?;
        Ok(connection.execute(statement, params).await? > 0)
    }
}

fn microseconds(time: Duration) -> Param {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).into()
}
