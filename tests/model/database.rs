//! What the database does with a batch's transaction (`src/store/batch`).
//!
//! A transaction whose COMMIT was sent may land though nobody awaits it, late or never. One whose
//! COMMIT was not sent is rolled back with its connection; that this may take a while only keeps
//! others waiting.

use super::protocol::{Protocol, Step};
use super::state::{EVENTS, Event, Intake, ORPHAN, State, Transaction, WORKERS, Wrong};
use super::variant::Variant;

impl Protocol<'_> {
    pub(super) fn database_steps(&self, state: &State, steps: &mut Vec<(Step, State)>) {
        for (transaction, slot) in state.transactions.iter().enumerate() {
            let Some(open) = slot else { continue };
            if open.read.is_some() {
                let landed = self.land(state, transaction, *open);
                steps.extend(landed.map(|after| (Step::Land { transaction }, after)));
            } else if !is_restore_locked(state) || self.lacks(Variant::RestoreNotLocked) {
                let mut after = *state;
                let read = Some((state.known, state.transition));
                after.transactions[transaction] = Some(Transaction { read, ..*open });
                steps.push((Step::Apply { transaction }, after));
            }
            if transaction == ORPHAN {
                let mut after = *state;
                after.transactions[ORPHAN] = None;
                steps.push((Step::RollBack { transaction }, after));
            }
        }
    }

    /// State and events become visible, the row too, the locks are free.
    fn land(&self, state: &State, transaction: usize, open: Transaction) -> Option<State> {
        let mut after = *state;
        let id = open.publisher;
        if state.row(id).is_none_or(|row| row.closed) {
            self.note(&mut after, Wrong::ClosedWrote);
        }
        after.move_position(id, open.position);
        if let Some(row) = &mut after.publisher(id).row {
            row.expired = false;
        }
        let (mut known, mut transition) = open.read?;
        let mut number = open.number;
        for value in self.values_of(open.batch) {
            let Some(new) = self.rule().apply(known, value) else { continue };
            transition += 1;
            let free = state.events.iter().flatten().count() + usize::from(number - open.number);
            if free >= EVENTS {
                return None;
            }
            after.events[free] = Some(Event {
                publisher: id,
                number,
                transition,
                old: known,
                new,
                published: false,
                under_other_id: false,
            });
            number += 1;
            known = new;
        }
        (after.known, after.transition) = (known, transition);
        after.effects |= open.batch;
        after.transactions[transaction] = None;
        if transaction < WORKERS {
            after.workers[transaction].intake = Intake::Settling;
            if let Some(generation) = &mut after.publisher(id).generation {
                generation.committed = number - 1;
            }
        }
        Some(after)
    }

    /// Whether a batch holds the publisher's row. Others hold it within one step only.
    pub(super) fn is_row_locked(&self, state: &State, id: u8) -> bool {
        let batches_lock = !self.lacks(Variant::NoFence) && !self.lacks(Variant::FenceWithoutLock);
        let by_batch = state.transactions.iter().flatten().any(|open| open.publisher == id);
        batches_lock && by_batch
    }
}

fn is_restore_locked(state: &State) -> bool {
    state.transactions.iter().flatten().any(|open| open.read.is_some())
}
