//! Tells of messages that the broker delivers again and again.
//!
//! A quorum queue counts each delivery in vain: a worker died, or lost its connection, while it held
//! the message. Where an argument or a policy gives the queue a small delivery limit, the broker drops
//! what comes beyond it: the smaller of both holds, so no argument helps against a policy, and nothing
//! in AMQP says which policy holds. The count is the only sign, and what helps is the operator's.

use std::collections::HashSet;

use tracing::warn;

use crate::transport::{Delivery, HeaderValue};

/// What a quorum queue sets on what it delivers again.
const HEADER: &str = "x-delivery-count";

/// Deliveries in vain that are worth a word: one or two are a restart.
const WORTH_A_WORD: i64 = 3;

/// A limit that nobody reaches.
const HIGH: u32 = 1_000_000;

/// What was told of in this process's life.
pub(super) struct DeliveryCounts {
    virtual_host: String,
    told: HashSet<String>,
}

impl DeliveryCounts {
    pub(super) fn of(virtual_host: &str) -> Self {
        Self { virtual_host: virtual_host.to_owned(), told: HashSet::new() }
    }

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
        let vhost = &self.virtual_host;
        warn!(
            queue,
            count,
            look = %format_args!(
                "rabbitmqctl list_policies -p '{vhost}'; rabbitmqctl list_operator_policies -p '{vhost}'"
            ),
            remedy = %remedy(vhost, queue),
            "messages of this queue were delivered so often in vain: workers died or lost their \
             connection while they held them. If a policy gives the queue a `delivery-limit`, the \
             broker drops them beyond it, whatever limit the queue was made with: `look` shows it. \
             `remedy` takes its place (add what else it sets); an operator policy must be changed itself"
        );
    }
}

/// The command that gives `queue` a policy of the highest priority: RabbitMQ applies one alone.
fn remedy(virtual_host: &str, queue: &str) -> String {
    let pattern = queue.replace('.', "[.]");
    format!(
        "rabbitmqctl set_policy -p '{virtual_host}' --apply-to queues --priority 1000 '{queue}' \
         '^{pattern}$' '{{\"delivery-limit\":{HIGH}}}'"
    )
}
