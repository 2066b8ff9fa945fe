//! What exists on the broker otherwise than it was declared, as the operator is told of it.
//!
//! Takes the broker's refusal (406), which names the first flag or argument that differs and both
//! values, for example ``inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received
//! 'quorum' but current is the value 'classic'``. Gives a log line with the setting that decides
//! that very argument, if one does.

use tracing::{error, warn};

use crate::transport::{ExchangeKind, Queue};

/// Something that exists otherwise than it was declared, and is used all the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Difference {
    /// ``exchange `x` `` or ``queue `q` ``.
    what: String,
    /// Which flag or argument differs, and both values, in the broker's words.
    broker_says: String,
    /// What decides it.
    setting: &'static str,
    gravity: Gravity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Gravity {
    /// It works all the same.
    Odd,
    /// The broker may drop messages that nothing is wrong with.
    Lossy,
    /// Clients cannot declare it, and messages may not be routed.
    Broken,
}

/// Where no setting decides.
const NONE: &str = "none; to change it, delete it while nobody uses it";
/// What names an exchange: nothing else decides whether one of that name is of another type.
const EXCHANGE_NAME: &str = "messaging.control_exchange (topic), messaging.topic (fanout)";

impl Difference {
    pub(super) fn of_exchange(what: String, kind: ExchangeKind, broker_says: String) -> Self {
        let (setting, gravity) = match argument(&broker_says) {
            Some("type") => (EXCHANGE_NAME, Gravity::Broken),
            Some("durable") | None => (durability_of(kind), Gravity::Odd),
            Some(_) => (NONE, Gravity::Odd),
        };
        Self { what, broker_says, setting, gravity }
    }

    pub(super) fn of_queue(what: String, queue: &Queue, broker_says: String) -> Self {
        let (setting, gravity) = match argument(&broker_says) {
            Some("x-queue-type") | None => (queue.setting, Gravity::Odd),
            Some("durable") => (queue.durable_setting.unwrap_or(NONE), Gravity::Odd),
            Some("x-delivery-limit") => (NONE, Gravity::Lossy),
            Some(_) => (NONE, Gravity::Odd),
        };
        Self { what, broker_says, setting, gravity }
    }

    /// Says it in the log.
    pub(super) fn tell(&self) {
        let Self { what, broker_says, setting, gravity } = self;
        match gravity {
            Gravity::Odd => warn!(
                what,
                broker_says,
                setting,
                "exists with other flags or arguments than declared, of which the broker names the \
                 first; used as it is"
            ),
            Gravity::Lossy => warn!(
                what,
                broker_says,
                setting,
                "this queue was made with another delivery limit (RabbitMQ 4's own is 20): the broker \
                 drops a message delivered more often than that in vain, and each death of a worker \
                 counts against all that it held; used as it is"
            ),
            Gravity::Broken => error!(
                what,
                broker_says,
                setting,
                "this exchange is of another type: oslo.messaging's clients fail to declare it (406), \
                 and messages may reach no queue; delete it, or use another name here and in the \
                 clients; used as it is"
            ),
        }
    }
}

/// The settings that decide an exchange's durability: the clients', which must be the same here.
fn durability_of(kind: ExchangeKind) -> &'static str {
    match kind {
        ExchangeKind::Topic => "messaging.amqp_durable_queues or messaging.rabbit_quorum_queue",
        ExchangeKind::Fanout => "messaging.rabbit_transient_quorum_queue",
    }
}

/// What differs, if the broker names it (`rabbit_misc:assert_field_equivalence`).
fn argument(broker_says: &str) -> Option<&str> {
    let (_, rest) = broker_says.split_once("inequivalent arg '")?;
    rest.split_once('\'').map(|(argument, _)| argument)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::QueueType;

    fn says(argument: &str) -> String {
        format!("PRECONDITION_FAILED - inequivalent arg '{argument}' for x 'q' in vhost '/': ...")
    }

    #[test]
    fn each_argument_is_told_with_the_setting_that_decides_it() {
        let request = Queue {
            name: "q".to_owned(),
            queue_type: QueueType::Quorum,
            durable: true,
            exclusive: false,
            expires_ms: None,
            delivery_limit: None,
            arguments: Vec::new(),
            setting: "messaging.queue_type",
            durable_setting: None,
        };
        let notification = Queue {
            setting: "messaging.rabbit_quorum_queue",
            durable_setting: Some("messaging.amqp_durable_queues"),
            ..request.clone()
        };
        for (queue, argument, setting) in [
            (&request, "x-queue-type", "messaging.queue_type"),
            (&request, "durable", NONE),
            (&request, "x-expires", NONE),
            (&request, "x-delivery-limit", NONE),
            (&notification, "x-queue-type", "messaging.rabbit_quorum_queue"),
            (&notification, "durable", "messaging.amqp_durable_queues"),
            (&notification, "x-message-ttl", NONE),
        ] {
            let difference = Difference::of_queue("queue `q`".to_owned(), queue, says(argument));
            assert_eq!(difference.setting, setting, "{argument}");
            let lossy = argument == "x-delivery-limit";
            assert_eq!(difference.gravity == Gravity::Lossy, lossy, "{argument}");
        }
        let exchange = |kind, argument| {
            let what = "exchange `x`".to_owned();
            Difference::of_exchange(what, kind, says(argument))
        };
        let durable = exchange(ExchangeKind::Fanout, "durable");
        assert_eq!(durable.setting, "messaging.rabbit_transient_quorum_queue");
        assert_eq!(exchange(ExchangeKind::Topic, "auto_delete").setting, NONE);
        assert_eq!(exchange(ExchangeKind::Topic, "type").gravity, Gravity::Broken);
    }
}
