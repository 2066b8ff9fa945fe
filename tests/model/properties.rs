//! What must hold: in every state, in every state with nothing left to do, and in the end.

use super::protocol::Protocol;
use super::state::{Event, Holder, Intake, Keeper, Life, Stage, State, Wrong};

/// A property. The first seven are what clients are promised; the others are what the protocol's
/// parts promise each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// Nothing is acknowledged without its effect committed.
    AcknowledgedIsCommitted,
    /// With nothing left to do the state is the merge of all that was sent.
    NothingLost,
    /// With nothing left to do every committed event was published.
    AllPublished,
    /// All copies of an event carry one id.
    OneId,
    /// No two events carry one number.
    OneEventANumber,
    /// The events chain from nothing to the state.
    EventsChain,
    /// From every state, steps without a fault lead to one with nothing left to do.
    Eventually,
    /// The position never passes an event that the broker has not confirmed.
    PositionIsConfirmed,
    /// A publisher that is closed commits nothing.
    ClosedWritesNothing,
    /// Another worker closes a publisher only while its lease is run out.
    ClosedWhenExpired,
    /// A take-over that is done with a publisher left nothing of it unpublished.
    TakeOverLeavesNothing,
}

impl Property {
    /// What clients are promised.
    pub const PROMISES: [Self; 7] = [
        Self::AcknowledgedIsCommitted,
        Self::NothingLost,
        Self::AllPublished,
        Self::OneId,
        Self::OneEventANumber,
        Self::EventsChain,
        Self::Eventually,
    ];

    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::AcknowledgedIsCommitted,
        Self::NothingLost,
        Self::AllPublished,
        Self::OneId,
        Self::OneEventANumber,
        Self::EventsChain,
        Self::Eventually,
        Self::PositionIsConfirmed,
        Self::ClosedWritesNothing,
        Self::ClosedWhenExpired,
        Self::TakeOverLeavesNothing,
    ];

    /// Whether this state breaks it. [`Property::Eventually`] is no matter of one state.
    pub fn is_broken(self, protocol: &Protocol, state: &State) -> bool {
        match self {
            Self::AcknowledgedIsCommitted
            | Self::ClosedWritesNothing
            | Self::ClosedWhenExpired
            | Self::TakeOverLeavesNothing => {
                state.wrong.is_some_and(|wrong| wrong.property() == self)
            }
            Self::NothingLost => state.is_calm() && state.known != protocol.truth(),
            Self::AllPublished => {
                state.is_calm() && events(state).any(|event| !event.is_published())
            }
            Self::OneId => events(state).any(|event| event.under_other_id),
            Self::OneEventANumber => events(state).enumerate().any(|(index, event)| {
                events(state)
                    .skip(index + 1)
                    .any(|other| (event.publisher, event.number) == (other.publisher, other.number))
            }),
            Self::EventsChain => !chains(state),
            Self::PositionIsConfirmed => events(state).any(|event| {
                let row = state.row(event.publisher).map(|row| row.position);
                let memory = state.generation(event.publisher).map(|own| own.position);
                !event.is_published() && row.max(memory).unwrap_or(0) >= event.number
            }),
            Self::Eventually => false,
        }
    }
}

impl Wrong {
    /// The property that fell.
    pub fn property(self) -> Property {
        match self {
            Self::Acknowledged => Property::AcknowledgedIsCommitted,
            Self::ClosedWrote => Property::ClosedWritesNothing,
            Self::ClosedEarly => Property::ClosedWhenExpired,
            Self::LeftBehind => Property::TakeOverLeavesNothing,
        }
    }
}

fn events(state: &State) -> impl Iterator<Item = &Event> {
    state.events.iter().flatten()
}

fn chains(state: &State) -> bool {
    let mut known = 0;
    let mut transition = 0;
    for event in events(state) {
        if event.old != known || event.transition != transition + 1 {
            return false;
        }
        (known, transition) = (event.new, event.transition);
    }
    (known, transition) == (state.known, state.transition)
}

impl State {
    /// Whether nothing is left to do: all acknowledged, no transaction open, nothing to publish, no
    /// row of a publisher that ended, somebody running.
    pub fn is_calm(&self) -> bool {
        self.messages.iter().all(|message| *message == Holder::Acknowledged)
            && self.transactions.iter().all(Option::is_none)
            && !self.nobody_runs()
            && self.workers.iter().all(|worker| {
                worker.intake == Intake::Idle
                    && worker.keeper == Keeper::Idle
                    && matches!(worker.life, Life::Running | Life::Down)
            })
            && self.publishers.iter().flatten().all(|publisher| {
                match (publisher.row, publisher.generation) {
                    (None, None) => true,
                    (Some(row), Some(own)) => {
                        own.stage == Stage::Running
                            && !row.closed
                            && !row.expired
                            && row.position == own.committed
                    }
                    _ => false,
                }
            })
    }
}
