//! Tells of messages that the broker delivers again and again.
//!
//! A quorum queue counts each delivery in vain: a worker died, or lost its connection, while it held
//! the message. Where an argument or a policy gives the queue a small delivery limit, the broker drops
//! what comes beyond it, and nothing in AMQP says which policy holds: the count is the only sign.

use std::collections::HashSet;

use tracing::warn;

use crate::transport::{Delivery, HeaderValue};

/// What a quorum queue sets on what it delivers again.
const HEADER: &str = "x-delivery-count";

/// Deliveries in vain that are worth a word: one or two are a restart.
const WORTH_A_WORD: i64 = 3;

/// What was told of in one session.
#[derive(Default)]
pub(super) struct DeliveryCounts {
    told: HashSet<String>,
}

impl DeliveryCounts {
    /// Looks at a delivery, and warns of its queue once.
    pub(super) fn look(&mut self, delivery: &Delivery) {
        let Some(HeaderValue::Integer(count)) = delivery.properties.headers.get(HEADER) else {
            return;
        };
        let queue = &delivery.queue;
        if *count < WORTH_A_WORD || self.told.contains(queue) {
            return;
        }
        self.told.insert(queue.clone());
        warn!(
            queue,
            count,
            "messages of this queue were delivered so often in vain: workers died or lost their \
             connection while they held them. If a policy gives the queue a `delivery-limit`, the \
             broker drops them beyond it: `rabbitmqctl list_policies` shows it; let none match"
        );
    }
}
