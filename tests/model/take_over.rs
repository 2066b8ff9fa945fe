//! What ended publishers left: close, read, publish, move the position, forget
//! (`src/outbox/take_over.rs`, `src/store/publishers.rs`).
//!
//! Looking and acting are one step where the act looks again under the row's lock: a look that
//! leads to nothing changes nothing. The wrong variants look first and act later.

use super::protocol::{Protocol, Step};
use super::state::{Keeper, Life, PUBLISHERS, State, WORKERS, Wrong, index};
use super::variant::Variant;

impl Protocol<'_> {
    pub(super) fn take_over_steps(&self, state: &State, steps: &mut Vec<(Step, State)>) {
        for worker in (0..WORKERS).filter(|&worker| state.workers[worker].life != Life::Down) {
            match state.workers[worker].keeper {
                Keeper::Idle => {
                    for publisher in (0..PUBLISHERS).map(index) {
                        self.look_for_expired(state, worker, publisher, steps);
                        self.look_for_closed(state, worker, publisher, steps);
                    }
                }
                Keeper::SawExpired { publisher, seen } => {
                    let mut after = *state;
                    after.workers[worker].keeper = Keeper::Idle;
                    if !self.is_row_locked(state, publisher) {
                        self.close_expired(&mut after, worker, publisher, seen);
                        steps.push((Step::CloseExpired { worker, publisher }, after));
                    }
                }
                Keeper::Publishing { publisher, from: _, through } => {
                    steps.extend(self.move_left(state, worker, publisher, through));
                }
                Keeper::SawToForget { publisher, seen } => {
                    let mut after = *state;
                    after.workers[worker].keeper = Keeper::Idle;
                    forget(&mut after, publisher, seen);
                    steps.push((Step::Forget { worker, publisher }, after));
                }
            }
        }
    }

    fn look_for_expired(
        &self,
        state: &State,
        worker: usize,
        publisher: u8,
        steps: &mut Vec<(Step, State)>,
    ) {
        if !state.has_expired(publisher) {
            return;
        }
        let mut after = *state;
        let seen = state.count(publisher);
        let looks_first = [
            Variant::LeaseNotLookedAtAgain,
            Variant::ReadBeforeClose,
            Variant::ReadBeforeCloseThenForget,
        ];
        if looks_first.into_iter().any(|variant| self.lacks(variant)) {
            after.workers[worker].keeper = Keeper::SawExpired { publisher, seen };
            steps.push((Step::SeeExpired { worker, publisher }, after));
        } else if self.lacks(Variant::CloseWithoutLock) || !self.is_row_locked(state, publisher) {
            self.close_expired(&mut after, worker, publisher, seen);
            steps.push((Step::CloseExpired { worker, publisher }, after));
        }
    }

    /// Is the lease still run out? Then the publisher is closed.
    fn close_expired(&self, state: &mut State, worker: usize, publisher: u8, seen: u8) {
        let Some(row) = state.row(publisher).filter(|row| !row.closed) else { return };
        if !state.has_expired(publisher) {
            if !self.lacks(Variant::LeaseNotLookedAtAgain) {
                return;
            }
            self.note(state, Wrong::ClosedEarly);
        }
        if let Some(row) = &mut state.publisher(publisher).row {
            row.closed = true;
        }
        if self.lacks(Variant::ReadBeforeClose) || self.lacks(Variant::ReadBeforeCloseThenForget) {
            self.go_on(state, worker, publisher, (row.position, seen));
        }
    }

    fn look_for_closed(
        &self,
        state: &State,
        worker: usize,
        publisher: u8,
        steps: &mut Vec<(Step, State)>,
    ) {
        let Some(row) = state.row(publisher) else { return };
        let mut after = *state;
        let seen = state.count(publisher);
        if row.closed && seen > row.position {
            let left = Keeper::Publishing { publisher, from: row.position, through: seen };
            after.workers[worker].keeper = left;
            steps.push((Step::Read { worker, publisher }, after));
        } else if self.lacks(Variant::ForgetWithoutLock) {
            after.workers[worker].keeper = Keeper::SawToForget { publisher, seen };
            steps.push((Step::SeeToForget { worker, publisher }, after));
        } else if row.closed && !self.is_row_locked(state, publisher) {
            forget(&mut after, publisher, seen);
            steps.push((Step::Forget { worker, publisher }, after));
        }
    }

    /// All that was read is confirmed, and the position moved over it.
    fn move_left(
        &self,
        state: &State,
        worker: usize,
        publisher: u8,
        through: u8,
    ) -> Option<(Step, State)> {
        if self.is_row_locked(state, publisher) {
            return None;
        }
        let mut after = *state;
        if self.lacks(Variant::TakeOverUnderOwnId) {
            after.publish_under_other_id(publisher, through);
        } else {
            after.publish(publisher, 0, through);
        }
        if state.row(publisher).is_some_and(|row| row.closed) {
            after.move_position(publisher, through);
        }
        // The next page.
        let committed = state.count(publisher);
        self.go_on(&mut after, worker, publisher, (through, committed));
        Some((Step::MoveLeft { worker }, after))
    }

    /// Goes on with what lies after `from`, or is done with this publisher.
    fn go_on(&self, state: &mut State, worker: usize, publisher: u8, (from, through): (u8, u8)) {
        if from < through {
            state.workers[worker].keeper = Keeper::Publishing { publisher, from, through };
            return;
        }
        state.workers[worker].keeper = Keeper::Idle;
        if self.lacks(Variant::ReadBeforeCloseThenForget) {
            state.publisher(publisher).row = None;
        }
        if state.events_of(publisher).any(|event| !event.is_published()) {
            self.note(state, Wrong::LeftBehind);
        }
    }
}

/// The row as it is now, and as many events as were seen.
fn forget(state: &mut State, publisher: u8, seen: u8) {
    if state.row(publisher).is_some_and(|row| row.closed && row.position >= seen) {
        state.publisher(publisher).row = None;
    }
}

impl State {
    /// Whether its lease is over. A worker that is gone renews none: time will do it.
    fn has_expired(&self, id: u8) -> bool {
        self.row(id)
            .is_some_and(|row| !row.closed && (row.expired || self.generation(id).is_none()))
    }
}
