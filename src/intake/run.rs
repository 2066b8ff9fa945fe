//! The loop: next batch, commit, settle.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::Answers;
use super::batch::{BatchBounds, next_batch};
use super::commit::{Committer, GivenUp, ItemResult};
use super::dead_letter::{DeadLetterOffice, LETTERS_WAITING, Reject, keep_all};
use super::disposition::{Disposition, dispose};
use super::early;
use super::note::database_refusal;
use super::receive::{Reception, Work};
use super::settle::Settler;
use super::{note, read};
use crate::bell::Bell;
use crate::crash_point::{self, CrashPoint};
use crate::domain::{Limits, RestoreId};
use crate::http::Metrics;
use crate::rpc::{Action, Caller, Dispatcher, ReplyShape, RpcError};
use crate::store::{BatchItem, IfUnknown, Store};
use crate::transport::{Acker, Consumer, DeliveryTag, Message, Publisher};

/// What intake works with.
pub struct Parts {
    /// Delivers requests.
    pub consumer: Box<dyn Consumer>,
    /// Carries answers and heartbeats.
    pub answers: Arc<dyn Publisher>,
    /// Understands requests.
    pub dispatcher: Arc<Dispatcher>,
    /// Commits batches.
    pub committer: Committer,
    /// Answers reads.
    pub store: Store,
    /// Keeps what cannot be applied.
    pub dead_letters: DeadLetterOffice,
    /// Rung when a restore was recorded: somebody may have waited for it.
    pub recorded: Bell,
    /// The queues whose messages are copies of requests to another service.
    pub observed_queues: BTreeSet<String>,
    /// How many deliveries of a queue the broker hands over unsettled.
    pub prefetch: u16,
    /// How large batches grow.
    pub bounds: BatchBounds,
    /// What is counted.
    pub metrics: Metrics,
    /// Cancelled when no new message is to be taken.
    pub draining: CancellationToken,
    /// Cancelled when the database is not to be waited for any more.
    pub given_up: CancellationToken,
}

/// Takes, commits and settles deliveries until `draining` is cancelled and all that was taken is
/// settled or given back; says how many were given back.
pub async fn run(parts: Parts) -> usize {
    let tasks = TaskTracker::new();
    let acker = parts.consumer.acker();
    // What is held back counts as unsettled: most of the prefetch is for new messages.
    let most_held = usize::from(parts.prefetch) / 4;
    let (settler, settling) = Settler::new(acker.clone(), most_held);
    tasks.spawn(settling);
    let (answers, answering) =
        Answers::new(parts.answers, settler.clone(), most_held, parts.metrics.clone());
    tasks.spawn(answering);
    let (rejects, reject_queue) = mpsc::channel(LETTERS_WAITING);
    tasks.spawn(keep_all(parts.dead_letters, settler.clone(), reject_queue));
    // As many as two batches wait decoded; the rest stays in the consumer's own buffer.
    let (works, mut batches) = mpsc::channel(2 * parts.bounds.max_items);
    let reception = Reception {
        dispatcher: parts.dispatcher.clone(),
        answers: answers.clone(),
        settler: settler.clone(),
        observed_queues: parts.observed_queues,
        metrics: parts.metrics.clone(),
    };
    tasks.spawn(reception.receive(parts.consumer, works));

    let mut intake = Intake {
        committer: parts.committer,
        store: parts.store,
        acker: acker.clone(),
        settler,
        answers,
        rejects,
        recorded: parts.recorded,
        limits: *parts.dispatcher.limits(),
        metrics: parts.metrics,
        draining: parts.draining.clone(),
        given_up: parts.given_up,
        reads: TaskTracker::new(),
        given_back: Arc::default(),
    };
    let cancel = tokio::spawn(async move {
        parts.draining.cancelled().await;
        acker.cancel().await;
    });
    while let Some(batch) = next_batch(&mut batches, parts.bounds).await {
        intake.process(batch).await;
    }
    cancel.abort();
    intake.reads.close();
    intake.reads.wait().await;
    let given_back = intake.given_back.load(Ordering::Acquire);
    // The last senders go with `intake`; each task ends when its queue is empty.
    drop(intake);
    tasks.close();
    tasks.wait().await;
    given_back
}

struct Intake {
    committer: Committer,
    store: Store,
    acker: Arc<dyn Acker>,
    settler: Settler,
    answers: Answers,
    rejects: mpsc::Sender<(Reject, Option<DeliveryTag>)>,
    recorded: Bell,
    limits: Limits,
    metrics: Metrics,
    draining: CancellationToken,
    given_up: CancellationToken,
    reads: TaskTracker,
    given_back: Arc<AtomicUsize>,
}

impl Intake {
    async fn process(&mut self, batch: Vec<Work>) {
        let mut items = Vec::with_capacity(batch.len());
        let mut committing = Vec::with_capacity(batch.len());
        let mut reading = Vec::new();
        for mut work in batch {
            self.metrics.count_message(work.dispatched.method.as_deref().unwrap_or_default());
            match std::mem::replace(&mut work.dispatched.action, Action::Ping) {
                Action::Commit { command, reply } => {
                    items.push(BatchItem {
                        command,
                        sender: work.dispatched.sender.clone(),
                        if_unknown: IfUnknown::Refuse,
                    });
                    committing.push((work, reply));
                }
                Action::GetRestore(id) => reading.push((work, id)),
                Action::Ping => match work.dispatched.caller.as_ref().map(Caller::pong) {
                    Some(pong) => self.answers.send(pong, work.tag, work.caller_waits()),
                    None => self.settler.acknowledge(vec![work.tag]),
                },
                Action::Refuse(error) => {
                    self.metrics.count_refused();
                    let disposition = dispose(work.dispatched.caller.as_ref(), Err(error));
                    let done = self.carry_out(work, disposition).await;
                    self.settler.acknowledge(done.into_iter().collect());
                }
            }
        }
        if !items.is_empty() && self.commit(items, &mut committing).await.is_err() {
            for (work, _) in committing {
                give_back(self.acker.as_ref(), &self.given_back, work.tag).await;
            }
        }
        // After the commit: who wrote before it asked sees what it wrote.
        for (work, id) in reading {
            self.read(work, id);
        }
    }

    /// Reads beside the next batches: a slow answer holds up nobody.
    fn read(&self, work: Work, id: RestoreId) {
        let store = self.store.clone();
        let (draining, given_up) = (self.draining.clone(), self.given_up.clone());
        let (answers, settler) = (self.answers.clone(), self.settler.clone());
        let (acker, rejects) = (self.acker.clone(), self.rejects.clone());
        let given_back = self.given_back.clone();
        self.reads.spawn(async move {
            match read::get_restore(&store, &work.dispatched, id, &draining, &given_up).await {
                Ok(Some(answer)) => answers.send(answer, work.tag, work.caller_waits()),
                Ok(None) => settler.acknowledge(vec![work.tag]),
                Err(read::Failed::Error(error)) => {
                    let tag = work.tag;
                    let _ = rejects.send((work.reject(error), Some(tag))).await;
                }
                Err(read::Failed::GivenUp) => {
                    give_back(acker.as_ref(), &given_back, work.tag).await;
                }
            }
        });
    }

    /// Commits, then settles each message by what became of it. On [`GivenUp`] the works are left
    /// where they are.
    async fn commit(
        &mut self,
        items: Vec<BatchItem>,
        works: &mut Vec<(Work, ReplyShape)>,
    ) -> Result<(), GivenUp> {
        let (mut items, mut results) = self.committer.commit(items).await?;
        self.keep_early(&mut items, &mut results, works).await?;
        let mut settled = Vec::with_capacity(works.len());
        for (((work, shape), item), result) in works.drain(..).zip(items).zip(results) {
            note::outcome(&self.metrics, &item.command, &result);
            if note::recorded(&item.command, &result) {
                self.recorded.ring();
            }
            let result = match result {
                Ok(outcome) => Ok((outcome, shape)),
                Err(fault) => {
                    note::refused_alone(&work.dispatched, &fault);
                    Err(database_refusal())
                }
            };
            let disposition = dispose(work.dispatched.caller.as_ref(), result);
            settled.extend(self.carry_out(work, disposition).await);
        }
        self.settler.acknowledge(settled);
        Ok(())
    }

    /// Commits again the casts of updates whose restore nobody knows, this time to wait for it.
    /// Only here is their resting form made, which the others are spared.
    async fn keep_early(
        &mut self,
        items: &mut [BatchItem],
        results: &mut [ItemResult],
        works: &[(Work, ReplyShape)],
    ) -> Result<(), GivenUp> {
        let unknown = early::unknown_casts(items, results, works);
        if unknown.is_empty() {
            return Ok(());
        }
        crash_point::pass(CrashPoint::EarlyFound);
        let mut waiting = Vec::with_capacity(unknown.len());
        for &index in &unknown {
            let mut item = items[index].clone();
            item.if_unknown = IfUnknown::Wait(early::message(&works[index].0, &self.limits));
            waiting.push(item);
        }
        let (_, outcomes) = self.committer.commit(waiting).await?;
        for (index, outcome) in unknown.into_iter().zip(outcomes) {
            results[index] = outcome;
        }
        Ok(())
    }

    /// Does what was decided, and gives the delivery back for acknowledgement if nothing else
    /// acknowledges it.
    async fn carry_out(&self, work: Work, disposition: Disposition) -> Option<DeliveryTag> {
        match disposition {
            Disposition::Acknowledge => return Some(work.tag),
            Disposition::Answer(answer) => {
                self.answers.send(answer, work.tag, work.caller_waits());
            }
            Disposition::DeadLetter(error) => {
                let tag = work.tag;
                self.send_reject(work.reject(error), Some(tag)).await;
            }
            Disposition::AnswerAndKeep(answer, error) => {
                self.answer_and_keep(work, answer, error).await;
            }
        }
        None
    }

    /// The answer acknowledges; the copy for us is kept before it leaves.
    async fn answer_and_keep(&self, work: Work, answer: Message, error: RpcError) {
        let (tag, caller_waits) = (work.tag, work.caller_waits());
        self.send_reject(work.reject(error), None).await;
        self.answers.send(answer, tag, caller_waits);
    }

    async fn send_reject(&self, reject: Reject, settles: Option<DeliveryTag>) {
        // The receiver lives as long as intake does.
        let _ = self.rejects.send((reject, settles)).await;
    }
}

async fn give_back(acker: &dyn Acker, given_back: &AtomicUsize, tag: DeliveryTag) {
    acker.requeue(tag).await;
    given_back.fetch_add(1, Ordering::AcqRel);
}
