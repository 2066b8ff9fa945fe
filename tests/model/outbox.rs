//! A publisher's life in its worker: publish, confirm, renew, close (`src/outbox/generation.rs`,
//! `src/outbox/lease.rs`).
//!
//! All that is committed counts as in flight. That the broker took an event is told with its
//! confirm, or when its sender ends and will not hear the confirm: then any first part of what was
//! in flight may have arrived. A lost connection is neither: all is sent again.

use super::protocol::{Protocol, Step};
use super::state::{Generation, Intake, Keeper, Life, PUBLISHERS, Stage, State, index};
use super::variant::Variant;

impl Protocol<'_> {
    pub(super) fn outbox_steps(&self, state: &State, steps: &mut Vec<(Step, State)>) {
        for id in (0..PUBLISHERS).map(index) {
            let Some(generation) = state.generation(id) else { continue };
            let next = generation.position + 1;
            if next <= generation.committed && generation.stage != Stage::Closing {
                let mut after = *state;
                let moved = Generation { position: next, ..generation };
                after.publisher(id).generation = Some(moved);
                if !self.lacks(Variant::PositionBeforeConfirm) {
                    after.publish(id, generation.position, next);
                }
                steps.push((Step::Confirm { publisher: id }, after));
            }
            if !self.is_row_locked(state, id) {
                row_steps(state, id, generation, steps);
            }
            let mut after = *state;
            if let Some(row) = &mut after.publisher(id).row
                && !row.closed
                && !std::mem::replace(&mut row.expired, true)
                && after.spend_fault()
            {
                steps.push((Step::ExpireWrongly { publisher: id }, after));
            }
        }
    }
}

/// What writes the publisher's row.
fn row_steps(state: &State, id: u8, generation: Generation, steps: &mut Vec<(Step, State)>) {
    let open = state.row(id).filter(|row| !row.closed);
    let mut after = *state;
    match generation.stage {
        Stage::Running if !is_finished(state, generation) => {
            match open {
                None => enter_stage(&mut after, id, generation, Stage::Abandoned),
                Some(row) if row.expired || row.position < generation.position => {
                    renew(&mut after, id, generation);
                }
                Some(_) => return,
            }
            steps.push((Step::Renew { publisher: id }, after));
        }
        Stage::Running | Stage::Abandoned => {
            for mut after in arrived(after, id, generation.position, generation.committed) {
                write_last(&mut after, id, generation);
                steps.push((Step::WriteLast { publisher: id }, after));
            }
        }
        Stage::Closing => {
            if let Some(row) = &mut after.publisher(id).row {
                row.closed = true;
            }
            after.publisher(id).generation = None;
            steps.push((Step::Close { publisher: id }, after));
        }
    }
}

/// The worker drains, has nothing more to commit, and all that this one committed is published.
fn is_finished(state: &State, generation: Generation) -> bool {
    let worker = state.workers[usize::from(generation.owner)];
    matches!(worker.life, Life::Draining | Life::GivenUp)
        && worker.intake == Intake::Idle
        && generation.position == generation.committed
}

fn enter_stage(after: &mut State, id: u8, generation: Generation, stage: Stage) {
    after.publisher(id).generation = Some(Generation { stage, ..generation });
}

fn renew(state: &mut State, id: u8, generation: Generation) {
    state.move_position(id, generation.position);
    if let Some(row) = &mut state.publisher(id).row {
        row.expired = false;
    }
}

/// Closed by another already: only the position is of use.
fn write_last(state: &mut State, id: u8, generation: Generation) {
    if state.row(id).is_some_and(|row| !row.closed) {
        renew(state, id, generation);
        enter_stage(state, id, generation, Stage::Closing);
    } else {
        state.move_position(id, generation.position);
        state.publisher(id).generation = None;
    }
}

/// The states in which the broker took none, one, ... or all of the events in flight.
fn arrived(state: State, id: u8, from: u8, through: u8) -> impl Iterator<Item = State> {
    (from..=through).map(move |last| {
        let mut after = state;
        after.publish(id, from, last);
        after
    })
}

/// The same for all that a worker had in flight, its keeper's too.
pub(super) fn all_arrived(state: &State, worker: usize) -> Vec<State> {
    let mut in_flight: Vec<(u8, u8, u8)> = Vec::new();
    for id in (0..PUBLISHERS).map(index) {
        if let Some(own) = state.generation(id).filter(|own| own.owner == index(worker)) {
            in_flight.push((id, own.position, own.committed));
        }
    }
    if let Keeper::Publishing { publisher, from, through } = state.workers[worker].keeper {
        in_flight.push((publisher, from, through));
    }
    in_flight.into_iter().fold(vec![*state], |states, (id, from, through)| {
        states.into_iter().flat_map(|state| arrived(state, id, from, through)).collect()
    })
}
