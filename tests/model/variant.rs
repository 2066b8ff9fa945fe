//! What the protocol would be with one guard less. The model is right without any of these.

/// A guard that is left out, or turned into its opposite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// A batch is acknowledged when it is taken.
    AcknowledgeBeforeCommit,
    /// The position moves over what was sent, before the broker has confirmed it.
    PositionBeforeConfirm,
    /// A batch neither locks its publisher's row nor looks at the closed flag.
    NoFence,
    /// A batch looks at the closed flag, and does not lock the row.
    FenceWithoutLock,
    /// A take-over closes a row that a transaction holds.
    CloseWithoutLock,
    /// A take-over closes what it once saw expired, without looking at the lease again.
    LeaseNotLookedAtAgain,
    /// What is left behind is read in a snapshot from before the close.
    ReadBeforeClose,
    /// The same, and what that snapshot shows as done is forgotten.
    ReadBeforeCloseThenForget,
    /// Forgetting looks at the row as it is, and at the events of a snapshot that is older.
    ForgetWithoutLock,
    /// The state is read and written without the restore's lock.
    RestoreNotLocked,
    /// After a lost answer to COMMIT the worker goes on as the same publisher.
    SamePublisherAfterDoubt,
    /// A draining worker that is in doubt gives its batch back, and keeps its publisher.
    GiveUpInDoubt,
    /// A take-over publishes under ids of its own.
    TakeOverUnderOwnId,
    /// Of two updates the later one counts.
    LastWriterWins,
    /// Each update adds one.
    Counting,
}
