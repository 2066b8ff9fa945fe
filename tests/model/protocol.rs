//! The protocol: from a state, every step that any part may take next. The steps themselves are
//! in a file a part.

use super::properties::Property;
use super::rule::Rule;
use super::state::{Set, State, Wrong};
use super::variant::Variant;

/// What is explored, and how far.
pub struct Protocol<'a> {
    /// What each message says of the one resource.
    pub values: &'a [u8],
    /// Faults, of any kind, at most.
    pub faults: u8,
    /// The guards that are left out.
    pub without: &'a [Variant],
    /// What is looked at.
    pub watched: &'a [Property],
}

/// A step; workers, messages and publishers by their index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The broker delivers messages, which become a batch. What waits in a worker before is as
    /// good as in the queue; a draining worker may have had it waiting.
    Begin { worker: usize, batch: Set },
    /// The lane becomes another publisher.
    Open { worker: usize },
    /// The batch's transaction writes its publisher's row, or finds it closed.
    Fence { worker: usize },
    /// Locks the restore, reads, merges, writes; COMMIT is sent.
    Apply { transaction: usize },
    /// COMMIT is done, and answered where the worker still waits for it.
    Land { transaction: usize },
    /// A transaction that nobody awaits is rolled back.
    RollBack { transaction: usize },
    /// What is committed is acknowledged.
    Acknowledge { worker: usize },
    /// The broker takes the oldest event in flight, and its confirm arrives.
    Confirm { publisher: u8 },
    /// The lease is renewed and the position written, or the publisher found closed.
    Renew { publisher: u8 },
    /// An ending generation writes its last position.
    WriteLast { publisher: u8 },
    /// And closes its row.
    Close { publisher: u8 },
    /// A keeper sees that a lease ran out. Only where what it saw is used later; else the next
    /// step says all.
    SeeExpired { worker: usize, publisher: u8 },
    /// A keeper closes a publisher whose lease ran out.
    CloseExpired { worker: usize, publisher: u8 },
    /// It reads what a closed publisher left.
    Read { worker: usize, publisher: u8 },
    /// All of it is taken and confirmed: the position is moved, and read on.
    MoveLeft { worker: usize },
    /// A snapshot of the events is made to forget by. Only in the wrong variant.
    SeeToForget { worker: usize, publisher: u8 },
    /// A closed row with nothing beyond its position is deleted.
    Forget { worker: usize, publisher: u8 },
    /// A worker starts.
    Start { worker: usize },
    /// A drained worker ends.
    Exit { worker: usize },
    /// Fault: `kill -9`.
    Crash { worker: usize },
    /// Fault: the consuming connection is lost; what was delivered is delivered again.
    Disconnect { worker: usize },
    /// Fault: a transaction fails, and that is known.
    Fail { worker: usize },
    /// Fault: the answer to COMMIT is lost.
    Doubt { worker: usize },
    /// Fault: a lease runs out though its worker lives.
    ExpireWrongly { publisher: u8 },
    /// SIGTERM; counted as a fault.
    Terminate { worker: usize },
    /// A draining worker whose database fails gives its batch back, and may begin another.
    GiveBack { worker: usize },
    /// Fault: a draining worker waits no more for its transaction, gives back what it holds, and
    /// commits nothing any more.
    GiveUp { worker: usize },
}

impl Step {
    /// Whether it may be counted on: no fault, and no start while another worker runs.
    pub fn helps(&self, before: &State) -> bool {
        match self {
            Self::Start { .. } => before.nobody_runs(),
            Self::Crash { .. }
            | Self::Disconnect { .. }
            | Self::Fail { .. }
            | Self::Doubt { .. }
            | Self::ExpireWrongly { .. }
            | Self::Terminate { .. }
            | Self::GiveBack { .. }
            | Self::GiveUp { .. } => false,
            _ => true,
        }
    }
}

impl<'a> Protocol<'a> {
    /// The right protocol.
    pub fn right(values: &'a [u8], faults: u8) -> Self {
        Self { values, faults, without: &[], watched: &Property::ALL }
    }

    /// The state it begins in.
    pub fn initial(&self) -> State {
        State::initial(self.values.len(), self.faults)
    }

    /// Whether this guard is left out.
    pub fn lacks(&self, variant: Variant) -> bool {
        self.without.contains(&variant)
    }

    /// Notes what went wrong in this step, if that is looked at.
    pub(super) fn note(&self, state: &mut State, wrong: Wrong) {
        if self.watched.contains(&wrong.property()) {
            state.wrong = Some(wrong);
        }
    }

    /// How an update changes what is known.
    pub fn rule(&self) -> Rule {
        if self.lacks(Variant::LastWriterWins) {
            Rule::LastWriter
        } else if self.lacks(Variant::Counting) {
            Rule::Count
        } else {
            Rule::Merge
        }
    }

    /// What must be known once all messages had their effect.
    pub fn truth(&self) -> u8 {
        match self.rule() {
            Rule::Merge | Rule::LastWriter => self.apply_all(Rule::Merge),
            Rule::Count => self.apply_all(Rule::Count),
        }
    }

    fn apply_all(&self, rule: Rule) -> u8 {
        self.values.iter().fold(0, |known, &value| rule.apply(known, value).unwrap_or(known))
    }

    /// The values of a batch, in order.
    pub fn values_of(&self, batch: Set) -> impl Iterator<Item = u8> + '_ {
        self.values
            .iter()
            .enumerate()
            .filter(move |(message, _)| batch & 1 << message != 0)
            .map(|(_, &value)| value)
    }

    /// Every step that is possible, and the state after it.
    pub fn steps(&self, state: &State) -> Vec<(Step, State)> {
        let mut steps = Vec::new();
        // What went wrong is told; nothing follows.
        if state.wrong.is_none() {
            self.intake_steps(state, &mut steps);
            self.database_steps(state, &mut steps);
            self.outbox_steps(state, &mut steps);
            self.take_over_steps(state, &mut steps);
            self.life_steps(state, &mut steps);
        }
        steps
    }
}
