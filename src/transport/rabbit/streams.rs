//! The consumers of one channel as one stream, in the order of their delivery tags.
//!
//! Takes lapin's consumers, each with a buffer of its own, gives what they hold in batches, sorted.
//! A channel's tags grow by one, so a gap means that another buffer holds what is missing: lapin
//! fills them in order. Streams are used rather than lapin's delegates, which spawn a task for
//! every delivery.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use lapin::message::Delivery as AmqpDelivery;

use super::connection::describe;
use crate::transport::TransportError;

/// What the consumers of one channel deliver.
pub(super) struct Streams {
    sources: Vec<Source>,
    /// Deliveries whose predecessors are not here yet, with their source.
    waiting: Vec<(usize, AmqpDelivery)>,
    next_tag: u64,
    draining: bool,
    end: Option<TransportError>,
}

struct Source {
    queue: String,
    tag: String,
    consumer: lapin::Consumer,
    open: bool,
}

impl Default for Streams {
    fn default() -> Self {
        Self { sources: Vec::new(), waiting: Vec::new(), next_tag: 1, draining: false, end: None }
    }
}

impl Streams {
    pub(super) fn push(&mut self, queue: String, tag: String, consumer: lapin::Consumer) {
        self.sources.push(Source { queue, tag, consumer, open: true });
    }

    /// The consumers' tags.
    pub(super) fn tags(&self) -> Vec<String> {
        self.sources.iter().map(|source| source.tag.clone()).collect()
    }

    /// The queue of a source.
    pub(super) fn queue(&self, source: usize) -> &str {
        &self.sources[source].queue
    }

    /// From now on one consumer's end is expected; only the end of all ends the stream.
    pub(super) fn drain(&mut self) {
        self.draining = true;
    }

    /// Waits for at least one delivery and puts all that are here into `batch`, in order, with
    /// their sources. An error is the end. Safe to drop and call again.
    pub(super) async fn next_batch(
        &mut self,
        batch: &mut Vec<(usize, AmqpDelivery)>,
    ) -> Result<(), TransportError> {
        std::future::poll_fn(|context| self.poll_batch(context, batch)).await
    }

    fn poll_batch(
        &mut self,
        context: &mut Context<'_>,
        batch: &mut Vec<(usize, AmqpDelivery)>,
    ) -> Poll<Result<(), TransportError>> {
        loop {
            let found = self.gather(context);
            self.waiting.sort_unstable_by_key(|(_, delivery)| delivery.delivery_tag);
            let tags = self.waiting.iter().map(|(_, delivery)| delivery.delivery_tag);
            let mut ready = tags.zip(self.next_tag..).take_while(|(tag, next)| tag == next).count();
            if !found {
                // Nothing can fill the gap any more.
                ready = self.waiting.len();
            }
            if ready > 0 {
                batch.extend(self.waiting.drain(..ready));
                self.next_tag = batch.last().map_or(1, |(_, last)| last.delivery_tag + 1);
                return Poll::Ready(Ok(()));
            }
            if !found {
                return match &self.end {
                    Some(error) if !self.draining || self.sources.iter().all(|s| !s.open) => {
                        Poll::Ready(Err(error.clone()))
                    }
                    _ => Poll::Pending,
                };
            }
        }
    }

    /// Takes all that the sources hold; whether that was anything.
    fn gather(&mut self, context: &mut Context<'_>) -> bool {
        let before = self.waiting.len();
        for (index, source) in self.sources.iter_mut().enumerate().filter(|(_, s)| s.open) {
            while let Poll::Ready(item) = Pin::new(&mut source.consumer).poll_next(context) {
                match item {
                    Some(Ok(delivery)) => self.waiting.push((index, delivery)),
                    Some(Err(error)) => {
                        self.end = Some(TransportError::Lost(describe(&error)));
                        source.open = false;
                    }
                    None => {
                        let reason = format!("queue `{}` is no longer consumed", source.queue);
                        self.end.get_or_insert(TransportError::Lost(reason));
                        source.open = false;
                    }
                }
                if !source.open {
                    break;
                }
            }
        }
        self.waiting.len() > before
    }
}
