//! For how long an answer is offered again that was not taken.
//!
//! A connection that is lost before the confirm says nothing of the caller: the answer is offered over
//! the next ones until the caller has given up. An answer whose queue is not there is given up soon,
//! since its caller left; but not while our own connection is a new one: what ended the last one may
//! have ended the caller's too, and its queue is back once it has connected again. Answers that wait
//! for that hold deliveries, of which only so many may be held: the rest must flow.

use std::iter::Copied;
use std::slice::Iter;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::transport::{Properties, PublishError};

/// How long a caller waits that does not say so: `rpc_response_timeout`.
const CALLER_WAITS: Duration = Duration::from_secs(60);

/// After which pauses an answer is offered again whose queue is not there: a client that is just
/// connecting declares its queue within this time.
const SOON: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(600)];

/// The pause between all further offers.
const LATER: Duration = Duration::from_secs(1);

/// How long after our connection came back a caller's may still be on its way: oslo.messaging tries
/// after 1, 3, 5, ... up to 30 s.
const CALLERS_COME_BACK: Duration = Duration::from_secs(60);

/// For how long the caller of a call waits: oslo.messaging lets the request expire with it
/// (`impl_rabbit.py`, `_publish`).
pub(super) fn caller_waits(properties: &Properties) -> Duration {
    let milliseconds = properties.expiration.as_ref().and_then(|text| text.parse().ok());
    milliseconds.map_or(CALLER_WAITS, Duration::from_millis)
}

/// What the offers of all answers go by.
pub(super) struct Patience {
    back_since: Mutex<Option<Instant>>,
    places: Arc<Semaphore>,
    ending: CancellationToken,
}

impl Patience {
    /// At most so many answers may wait for their callers' queues to come back.
    pub(super) fn new(most_waiting: usize) -> Self {
        let places = Arc::new(Semaphore::new(most_waiting));
        Self { back_since: Mutex::default(), places, ending: CancellationToken::new() }
    }

    /// The connection that carries answers was lost, and is there again.
    pub(super) fn note_back(&self, now: Instant) {
        *self.back_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// The worker ends: no more is waited for queues.
    pub(super) fn end(&self) {
        self.ending.cancel();
    }

    /// The offers of one answer, to a caller that waits until then.
    pub(super) fn offers(&self, until: Instant) -> Offers<'_> {
        Offers { patience: self, until, soon: SOON.iter().copied(), place: None }
    }

    fn callers_come_back(&self, now: Instant) -> bool {
        let back_since = *self.back_since.lock().unwrap_or_else(PoisonError::into_inner);
        back_since.is_some_and(|since| now.duration_since(since) < CALLERS_COME_BACK)
    }
}

/// The offers of one answer.
pub(super) struct Offers<'p> {
    patience: &'p Patience,
    until: Instant,
    soon: Copied<Iter<'static, Duration>>,
    place: Option<OwnedSemaphorePermit>,
}

impl Offers<'_> {
    /// After which pause the answer is offered again; `None` when it is given up.
    pub(super) fn next_pause(&mut self, error: &PublishError, now: Instant) -> Option<Duration> {
        match error {
            // The next connection is waited for by whoever publishes.
            PublishError::Lost => (now < self.until).then_some(Duration::ZERO),
            PublishError::Returned | PublishError::Nacked => {
                self.soon.next().or_else(|| self.may_wait(now).then_some(LATER))
            }
        }
    }

    fn may_wait(&mut self, now: Instant) -> bool {
        let patience = self.patience;
        if patience.ending.is_cancelled() || now >= self.until || !patience.callers_come_back(now) {
            return false;
        }
        if self.place.is_none() {
            self.place = patience.places.clone().try_acquire_owned().ok();
        }
        self.place.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    /// Offers an answer again and again until it is given up; gives how long that took.
    fn given_up_after(offers: &mut Offers<'_>, error: &PublishError, start: Instant) -> Duration {
        let mut now = start;
        while let Some(pause) = offers.next_pause(error, now) {
            // A connection takes its time.
            now += pause.max(Duration::from_millis(100));
        }
        now - start
    }

    #[test]
    fn a_caller_says_how_long_it_waits_or_waits_for_a_minute() {
        let waits = |expiration: Option<&str>| {
            let expiration = expiration.map(str::to_owned);
            caller_waits(&Properties { expiration, ..Properties::oslo() })
        };
        assert_eq!(waits(Some("5000")), 5 * S);
        assert_eq!(waits(None), 60 * S);
        assert_eq!(waits(Some("soon")), 60 * S);
    }

    #[test]
    fn an_answer_that_was_lost_is_offered_until_its_caller_gives_up() {
        let (patience, start) = (Patience::new(1), Instant::now());
        let lost = given_up_after(&mut patience.offers(start + 5 * S), &PublishError::Lost, start);
        assert_eq!(lost, 5 * S);
    }

    #[test]
    fn a_queue_that_is_not_there_is_waited_for_only_after_a_loss_of_our_own() {
        let (patience, start) = (Patience::new(1), Instant::now());
        let after = |waits: Duration, now: Instant| {
            given_up_after(&mut patience.offers(now + waits), &PublishError::Returned, now)
        };
        assert_eq!(after(300 * S, start), S);
        patience.note_back(start);
        assert_eq!(after(20 * S, start), 20 * S);
        assert_eq!(after(300 * S, start), 60 * S);
        assert_eq!(after(300 * S, start + 50 * S), 10 * S);
        assert_eq!(after(300 * S, start + 60 * S), S);
        patience.end();
        assert_eq!(after(300 * S, start), S);
    }

    #[test]
    fn only_so_many_wait_for_queues() {
        let (patience, start) = (Patience::new(1), Instant::now());
        patience.note_back(start);
        let (until, nacked) = (start + 20 * S, PublishError::Nacked);
        let mut first = patience.offers(until);
        assert_eq!(given_up_after(&mut first, &nacked, start), 20 * S);
        assert_eq!(given_up_after(&mut patience.offers(until), &nacked, start), S);
        drop(first);
        assert_eq!(given_up_after(&mut patience.offers(until), &nacked, start), 20 * S);
    }
}
