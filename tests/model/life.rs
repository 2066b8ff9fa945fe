//! Starts, ends and faults.

use super::outbox::all_arrived;
use super::protocol::{Protocol, Step};
use super::state::{Holder, Intake, Keeper, Life, ORPHAN, PUBLISHERS, State, WORKERS, index};
use super::variant::Variant;

impl Protocol<'_> {
    pub(super) fn life_steps(&self, state: &State, steps: &mut Vec<(Step, State)>) {
        for worker in 0..WORKERS {
            let own = state.workers[worker];
            if own.life == Life::Down {
                let mut after = *state;
                after.workers[worker].life = Life::Running;
                steps.push((Step::Start { worker }, after));
                continue;
            }
            if matches!(own.life, Life::Draining | Life::GivenUp) && is_done(state, worker) {
                // A take-over under way is dropped: what it did not finish stays for the next.
                for mut after in all_arrived(state, worker) {
                    after.stop(worker);
                    steps.push((Step::Exit { worker }, after));
                }
            }
            let is_between =
                own.intake == Intake::Committing && state.transactions[worker].is_none();
            if own.life == Life::Draining && is_between {
                let mut after = *state;
                after.requeue(worker);
                after.end_batch(worker);
                steps.push((Step::GiveBack { worker }, after));
            }
            let mut after = *state;
            if after.spend_fault() {
                self.fault_steps(&after, worker, steps);
            }
        }
    }

    /// `state` has one fault less already.
    fn fault_steps(&self, state: &State, worker: usize, steps: &mut Vec<(Step, State)>) {
        let own = state.workers[worker];
        if own.batch != 0 && !own.stale {
            let mut after = *state;
            after.requeue(worker);
            after.workers[worker].stale = true;
            steps.push((Step::Disconnect { worker }, after));
        }
        if own.life == Life::Running {
            let mut after = *state;
            after.workers[worker].life = Life::Draining;
            steps.push((Step::Terminate { worker }, after));
        }
        let sent = state.transactions[worker].filter(|open| open.read.is_some());
        if state.transactions[worker].is_some() {
            let mut after = *state;
            after.transactions[worker] = None;
            steps.push((Step::Fail { worker }, after));
        }
        // Only a wrong variant has two transactions that nobody awaits; one is enough to catch it.
        let has_room = state.transactions[ORPHAN].is_none();
        if sent.is_some() && has_room {
            let mut after = *state;
            after.leave_transaction(worker);
            if self.lacks(Variant::GiveUpInDoubt) && own.life == Life::Draining {
                after.requeue(worker);
                after.end_batch(worker);
            } else if !self.lacks(Variant::SamePublisherAfterDoubt) {
                after.abandon(worker);
            }
            steps.push((Step::Doubt { worker }, after));
        }
        if own.life == Life::Draining && state.transactions[worker].is_some() && has_room {
            let mut after = *state;
            // The transaction goes on by itself.
            after.leave_transaction(worker);
            after.requeue(worker);
            after.end_batch(worker);
            after.workers[worker].life = Life::GivenUp;
            steps.push((Step::GiveUp { worker }, after));
        }
        if sent.is_none() || has_room {
            for mut after in all_arrived(state, worker) {
                if sent.is_some() {
                    after.leave_transaction(worker);
                }
                after.requeue(worker);
                after.stop(worker);
                steps.push((Step::Crash { worker }, after));
            }
        }
    }
}

/// All it took is settled, and its publishers are closed.
fn is_done(state: &State, worker: usize) -> bool {
    state.workers[worker].intake == Intake::Idle
        && !(0..PUBLISHERS).any(|id| state.is_owned(id, worker))
}

impl State {
    /// Whether no worker takes messages.
    pub fn nobody_runs(&self) -> bool {
        self.workers.iter().all(|worker| worker.life != Life::Running)
    }

    /// Takes one from the faults that are left, if there is one.
    pub(super) fn spend_fault(&mut self) -> bool {
        let left = self.faults_left.checked_sub(1);
        self.faults_left = left.unwrap_or(0);
        left.is_some()
    }

    /// The broker has again what this worker had in hand.
    fn requeue(&mut self, worker: usize) {
        for message in &mut self.messages {
            if *message == Holder::Worker(index(worker)) {
                *message = Holder::Queue;
            }
        }
    }

    /// Nobody awaits this worker's transaction any more.
    fn leave_transaction(&mut self, worker: usize) {
        if let Some(open) = self.transactions[worker].take() {
            self.transactions[ORPHAN] = Some(open);
        }
    }

    /// The process is gone, with all its memory; its connections' locks with it.
    fn stop(&mut self, worker: usize) {
        self.end_batch(worker);
        self.transactions[worker] = None;
        let own = &mut self.workers[worker];
        (own.life, own.publisher, own.keeper) = (Life::Down, None, Keeper::Idle);
        for id in 0..PUBLISHERS {
            if self.is_owned(id, worker) {
                self.publisher(index(id)).generation = None;
            }
        }
    }

    fn is_owned(&self, id: usize, worker: usize) -> bool {
        self.generation(index(id)).is_some_and(|own| usize::from(own.owner) == worker)
    }
}
