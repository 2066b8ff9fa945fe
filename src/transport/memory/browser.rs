//! Looks through a queue of the embedded broker.

use futures_util::future::{BoxFuture, ready};

use super::MemoryBroker;
use crate::transport::{Browser, Delivery, DeliveryTag, TransportError};

pub(super) struct MemoryBrowser {
    broker: MemoryBroker,
    id: u64,
    queue: String,
    depth: u64,
}

impl MemoryBrowser {
    pub(super) fn open(broker: &MemoryBroker, queue: &str) -> Result<Option<Self>, TransportError> {
        let mut state = broker.lock();
        let Some(depth) = state.inspect(queue) else { return Ok(None) };
        let id = state.add_browser(queue).ok_or_else(|| TransportError::Refused {
            what: format!("to look through queue `{queue}`"),
            reason: "somebody else looks through it just now".to_owned(),
        })?;
        drop(state);
        let (broker, queue) = (broker.clone(), queue.to_owned());
        Ok(Some(Self { broker, id, queue, depth: depth.messages }))
    }
}

impl Drop for MemoryBrowser {
    fn drop(&mut self) {
        self.broker.lock().remove_browser(self.id, &self.queue);
    }
}

impl Browser for MemoryBrowser {
    fn depth(&self) -> u64 {
        self.depth
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Option<Delivery>, TransportError>> {
        Box::pin(ready(Ok(self.broker.lock().get(self.id, &self.queue))))
    }

    fn ack(&mut self, tag: DeliveryTag) -> BoxFuture<'_, Result<(), TransportError>> {
        self.broker.lock().ack(self.id, tag.tag);
        Box::pin(ready(Ok(())))
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), TransportError>> {
        drop(self);
        Box::pin(ready(Ok(())))
    }
}
