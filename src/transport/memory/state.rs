//! What the embedded broker holds: exchanges, queues and what each consumer has not settled.
//!
//! Takes topology, messages and settlements, puts deliveries into consumers' channels. Follows
//! RabbitMQ where a user of the trait could tell: round robin over a queue's consumers, a prefetch
//! for each queue, a requeued message back in its old place. Never waits; its owner holds the lock.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use tokio::sync::mpsc;

use crate::transport::{
    Delivery, DeliveryTag, ExchangeKind, Message, PublishError, QueueDepth, Topology,
};

/// A consumer has one session: nothing here is ever lost.
pub(super) const SESSION: u64 = 1;

#[derive(Default)]
pub(super) struct State {
    exchanges: HashMap<String, ExchangeState>,
    queues: HashMap<String, QueueState>,
    consumers: HashMap<u64, ConsumerState>,
    /// Queues that somebody looks through.
    browsed: HashSet<String>,
    published: u64,
    consumers_made: u64,
}

struct ExchangeState {
    kind: ExchangeKind,
    /// Key and queue.
    bindings: Vec<(String, String)>,
}

#[derive(Default)]
struct QueueState {
    /// By `number`.
    messages: VecDeque<Stored>,
    /// The next one's turn is at the front.
    consumers: VecDeque<u64>,
}

#[derive(Clone)]
struct Stored {
    /// Its place among all messages, which it keeps when it is requeued.
    number: u64,
    redelivered: bool,
    message: Message,
}

struct ConsumerState {
    /// `None` once cancelled.
    sender: Option<mpsc::UnboundedSender<Delivery>>,
    queues: Vec<String>,
    prefetch: usize,
    delivered: u64,
    /// By delivery tag, with the queue.
    unsettled: BTreeMap<u64, (String, Stored)>,
}

impl State {
    pub(super) fn declare(&mut self, topology: &Topology) {
        for exchange in &topology.exchanges {
            // One that exists is adopted as it is.
            self.exchanges
                .entry(exchange.name.clone())
                .or_insert_with(|| ExchangeState { kind: exchange.kind, bindings: Vec::new() });
        }
        for queue in &topology.queues {
            self.queues.entry(queue.name.clone()).or_default();
        }
        for binding in &topology.bindings {
            if let Some(exchange) = self.exchanges.get_mut(&binding.exchange) {
                let entry = (binding.routing_key.clone(), binding.queue.clone());
                if !exchange.bindings.contains(&entry) {
                    exchange.bindings.push(entry);
                }
            }
        }
    }

    pub(super) fn inspect(&self, queue: &str) -> Option<QueueDepth> {
        let queue = self.queues.get(queue)?;
        Some(QueueDepth {
            messages: queue.messages.len() as u64,
            consumers: queue.consumers.len() as u64,
        })
    }

    /// Puts `message` into each queue that it is routed to.
    pub(super) fn publish(&mut self, message: &Message) -> Result<(), PublishError> {
        let queues = self.route(message)?;
        if queues.is_empty() && message.mandatory {
            return Err(PublishError::Returned);
        }
        for name in queues {
            self.published += 1;
            let stored =
                Stored { number: self.published, redelivered: false, message: message.clone() };
            if let Some(queue) = self.queues.get_mut(&name) {
                queue.messages.push_back(stored);
            }
            self.deliver(&name);
        }
        Ok(())
    }

    fn route(&self, message: &Message) -> Result<Vec<String>, PublishError> {
        let key = &message.routing_key;
        if message.exchange.is_empty() {
            return Ok(self.queues.contains_key(key).then(|| key.clone()).into_iter().collect());
        }
        // RabbitMQ closes the channel of who publishes to an unknown exchange.
        let exchange = self.exchanges.get(&message.exchange).ok_or(PublishError::Lost)?;
        let mut queues = Vec::new();
        for (pattern, queue) in &exchange.bindings {
            let takes = match exchange.kind {
                ExchangeKind::Fanout => true,
                ExchangeKind::Topic => matches_topic(pattern, key),
            };
            if takes && !queues.contains(queue) && self.queues.contains_key(queue) {
                queues.push(queue.clone());
            }
        }
        Ok(queues)
    }

    pub(super) fn add_consumer(
        &mut self,
        queues: Vec<String>,
        prefetch: u16,
        sender: mpsc::UnboundedSender<Delivery>,
    ) -> u64 {
        self.consumers_made += 1;
        let id = self.consumers_made;
        let consumer = ConsumerState {
            sender: Some(sender),
            queues: queues.clone(),
            // AMQP's 0 is no limit.
            prefetch: if prefetch == 0 { usize::MAX } else { prefetch.into() },
            delivered: 0,
            unsettled: BTreeMap::new(),
        };
        self.consumers.insert(id, consumer);
        for name in queues {
            self.queues.entry(name.clone()).or_default().consumers.push_back(id);
            self.deliver(&name);
        }
        id
    }

    /// No new deliveries for `id`; what it has is still its own.
    pub(super) fn cancel(&mut self, id: u64) {
        let Some(consumer) = self.consumers.get_mut(&id) else { return };
        consumer.sender = None;
        for name in &consumer.queues {
            if let Some(queue) = self.queues.get_mut(name) {
                queue.consumers.retain(|other| *other != id);
            }
        }
    }

    /// A consumer that is given nothing but what it asks for by [`Self::get`].
    pub(super) fn add_browser(&mut self, queue: &str) -> Option<u64> {
        self.browsed.insert(queue.to_owned()).then(|| {
            let (sender, _) = mpsc::unbounded_channel();
            self.add_consumer(Vec::new(), 0, sender)
        })
    }

    /// Ends what [`Self::add_browser`] began.
    pub(super) fn remove_browser(&mut self, id: u64, queue: &str) {
        self.browsed.remove(queue);
        self.remove_consumer(id);
    }

    /// AMQP's `basic.get`: the first message of `queue`, held by `id` until it is settled.
    pub(super) fn get(&mut self, id: u64, queue: &str) -> Option<Delivery> {
        let consumer = self.consumers.get_mut(&id)?;
        let stored = self.queues.get_mut(queue)?.messages.pop_front()?;
        Some(consumer.hold(queue, stored))
    }

    /// Ends `id`; what it has not settled goes back to its queues.
    pub(super) fn remove_consumer(&mut self, id: u64) {
        self.cancel(id);
        if let Some(consumer) = self.consumers.remove(&id) {
            self.put_back(consumer.unsettled.into_values());
        }
    }

    pub(super) fn ack(&mut self, id: u64, tag: u64) {
        let settled = self.consumers.get_mut(&id).and_then(|c| c.unsettled.remove(&tag));
        if let Some((queue, _)) = settled {
            self.deliver(&queue);
        }
    }

    pub(super) fn ack_through(&mut self, id: u64, tag: u64) {
        let Some(consumer) = self.consumers.get_mut(&id) else { return };
        let later = consumer.unsettled.split_off(&(tag + 1));
        let settled = std::mem::replace(&mut consumer.unsettled, later);
        let mut queues: Vec<_> = settled.into_values().map(|(queue, _)| queue).collect();
        queues.sort_unstable();
        queues.dedup();
        for queue in queues {
            self.deliver(&queue);
        }
    }

    pub(super) fn requeue(&mut self, id: u64, tag: u64) {
        let back = self.consumers.get_mut(&id).and_then(|c| c.unsettled.remove(&tag));
        self.put_back(back.into_iter());
    }

    fn put_back(&mut self, messages: impl Iterator<Item = (String, Stored)>) {
        let mut queues = Vec::new();
        for (name, stored) in messages {
            if let Some(queue) = self.queues.get_mut(&name) {
                let place = queue.messages.partition_point(|other| other.number < stored.number);
                queue.messages.insert(place, Stored { redelivered: true, ..stored });
            }
            if !queues.contains(&name) {
                queues.push(name);
            }
        }
        for queue in queues {
            self.deliver(&queue);
        }
    }

    /// Hands out what `name` holds while one of its consumers has room.
    fn deliver(&mut self, name: &str) {
        let Some(queue) = self.queues.get_mut(name) else { return };
        while !queue.messages.is_empty() {
            let has_room = |id: &u64| self.consumers.get(id).is_some_and(|c| c.has_room(name));
            let Some(turn) = queue.consumers.iter().position(has_room) else { return };
            queue.consumers.rotate_left(turn);
            let Some(id) = queue.consumers.pop_front() else { return };
            queue.consumers.push_back(id);
            let Some(stored) = queue.messages.pop_front() else { return };
            if let Some(consumer) = self.consumers.get_mut(&id) {
                consumer.take(name, stored);
            }
        }
    }
}

impl ConsumerState {
    fn has_room(&self, queue: &str) -> bool {
        self.unsettled.len() < self.prefetch
            || self.unsettled.values().filter(|(name, _)| name == queue).count() < self.prefetch
    }

    fn take(&mut self, queue: &str, stored: Stored) {
        let delivery = self.hold(queue, stored);
        if let Some(sender) = &self.sender {
            // A consumer that is gone gives back what it has when its last acker goes.
            let _ = sender.send(delivery);
        }
    }

    fn hold(&mut self, queue: &str, stored: Stored) -> Delivery {
        self.delivered += 1;
        let Message { exchange, routing_key, properties, body, .. } = stored.message.clone();
        let delivery = Delivery {
            tag: DeliveryTag { session: SESSION, tag: self.delivered },
            queue: queue.to_owned(),
            redelivered: stored.redelivered,
            exchange,
            routing_key,
            properties,
            body,
        };
        self.unsettled.insert(self.delivered, (queue.to_owned(), stored));
        delivery
    }
}

/// AMQP's patterns: words between dots, `*` is one word, `#` any number of them.
fn matches_topic(pattern: &str, key: &str) -> bool {
    fn matches(pattern: &[&str], key: &[&str]) -> bool {
        match (pattern.split_first(), key.split_first()) {
            (None, None) => true,
            (Some((&"#", rest)), _) => {
                matches(rest, key) || (!key.is_empty() && matches(pattern, &key[1..]))
            }
            (Some((&word, rest)), Some((&first, others))) => {
                (word == "*" || word == first) && matches(rest, others)
            }
            _ => false,
        }
    }
    if pattern == key {
        return true;
    }
    if !pattern.contains(['*', '#']) {
        return false;
    }
    let pattern: Vec<_> = pattern.split('.').collect();
    let key: Vec<_> = key.split('.').collect();
    matches(&pattern, &key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("karbor-restore", "karbor-restore", true)]
    #[case("karbor-restore", "karbor-restore.host", false)]
    #[case("notifications.*", "notifications.info", true)]
    #[case("notifications.*", "notifications", false)]
    #[case("notifications.*", "notifications.a.b", false)]
    #[case("#", "a.b.c", true)]
    #[case("a.#", "a", true)]
    #[case("a.#.z", "a.b.c.z", true)]
    #[case("a.#.z", "a.b.c", false)]
    #[case("*.b", "a.b", true)]
    fn topics_match_as_in_amqp(#[case] pattern: &str, #[case] key: &str, #[case] expected: bool) {
        assert_eq!(matches_topic(pattern, key), expected);
    }
}
