//! Deliveries become batches, batches are committed and acknowledged (`src/intake`,
//! `src/outbox/lane.rs`).

use super::protocol::{Protocol, Step};
use super::state::{
    Generation, Holder, Intake, Life, MESSAGES, Publisher, Row, Set, Stage, State, Transaction,
    WORKERS, Wrong, index,
};
use super::variant::Variant;

impl Protocol<'_> {
    pub(super) fn intake_steps(&self, state: &State, steps: &mut Vec<(Step, State)>) {
        for worker in 0..WORKERS {
            let own = state.workers[worker];
            match own.intake {
                Intake::Idle if matches!(own.life, Life::Running | Life::Draining) => {
                    let queue = state.queue();
                    for batch in (1..=queue).filter(|batch| batch & !queue == 0) {
                        steps.push((
                            Step::Begin { worker, batch },
                            self.begin(state, worker, batch),
                        ));
                    }
                }
                Intake::Committing if state.transactions[worker].is_none() => {
                    match own.publisher.filter(|&id| state.is_running(id)) {
                        None => steps.extend(open(state, worker)),
                        Some(id) => steps.extend(self.fence(state, worker, id)),
                    }
                }
                Intake::Settling => {
                    let mut after = *state;
                    if !own.stale {
                        self.acknowledge(&mut after, own.batch);
                    }
                    after.end_batch(worker);
                    steps.push((Step::Acknowledge { worker }, after));
                }
                Intake::Idle | Intake::Committing => {}
            }
        }
    }

    fn begin(&self, state: &State, worker: usize, batch: Set) -> State {
        let mut after = *state;
        for message in (0..MESSAGES).filter(|message| batch & 1 << message != 0) {
            after.messages[message] = Holder::Worker(index(worker));
        }
        let own = &mut after.workers[worker];
        (own.intake, own.batch, own.stale) = (Intake::Committing, batch, false);
        if self.lacks(Variant::AcknowledgeBeforeCommit) {
            self.acknowledge(&mut after, batch);
        }
        after
    }

    fn acknowledge(&self, state: &mut State, batch: Set) {
        for message in (0..MESSAGES).filter(|message| batch & 1 << message != 0) {
            state.messages[message] = Holder::Acknowledged;
            if state.effects & 1 << message == 0 {
                self.note(state, Wrong::Acknowledged);
            }
        }
    }

    /// The first statement of a batch. Waits while another transaction holds the row.
    fn fence(&self, state: &State, worker: usize, id: u8) -> Option<(Step, State)> {
        let locks = !self.lacks(Variant::NoFence) && !self.lacks(Variant::FenceWithoutLock);
        if locks && self.is_row_locked(state, id) {
            return None;
        }
        let mut after = *state;
        let is_open = state.row(id).is_some_and(|row| !row.closed);
        if is_open || self.lacks(Variant::NoFence) {
            let generation = state.generation(id)?;
            after.transactions[worker] = Some(Transaction {
                publisher: id,
                batch: state.workers[worker].batch,
                position: generation.position,
                number: generation.committed + 1,
                read: None,
            });
        } else {
            after.abandon(worker);
        }
        Some((Step::Fence { worker }, after))
    }
}

fn open(state: &State, worker: usize) -> Option<(Step, State)> {
    let mut after = *state;
    after.abandon(worker);
    let free = state.publishers.iter().position(Option::is_none)?;
    after.publishers[free] = Some(Publisher {
        row: Some(Row { closed: false, expired: false, position: 0 }),
        generation: Some(Generation {
            owner: index(worker),
            stage: Stage::Running,
            committed: 0,
            position: 0,
        }),
    });
    after.workers[worker].publisher = Some(index(free));
    Some((Step::Open { worker }, after))
}

impl State {
    /// The lane ends its publisher: fenced, or in doubt.
    pub(super) fn abandon(&mut self, worker: usize) {
        if let Some(id) = self.workers[worker].publisher.take()
            && let Some(generation) = &mut self.publisher(id).generation
            && generation.stage == Stage::Running
        {
            generation.stage = Stage::Abandoned;
        }
    }

    /// Whether batches are committed as this publisher.
    pub(super) fn is_running(&self, id: u8) -> bool {
        self.generation(id).is_some_and(|generation| generation.stage == Stage::Running)
    }

    pub(super) fn end_batch(&mut self, worker: usize) {
        let own = &mut self.workers[worker];
        (own.intake, own.batch, own.stale) = (Intake::Idle, 0, false);
    }
}
