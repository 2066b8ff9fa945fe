//! The addresses: exchange, request queues, fanout, observed keys, dead letters.
//!
//! Takes settings, gives names and what to declare. Clients declare only the exchanges, so those
//! must have the flags that oslo.messaging gives them; the queues are the worker's own choice.

use crate::transport::{Binding, Exchange, ExchangeKind, HeaderValue, Queue, QueueType, Topology};

/// Where requests come from, and where bad ones go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `control_exchange`
    pub exchange: String,
    /// The topic: the queue that all workers share.
    pub topic: String,
    /// This worker's own name: its queue is `TOPIC.SERVER`.
    pub server: String,
    /// The type of the request queues, of the dead-letter and of the observed ones.
    pub queue_type: QueueType,
    /// `amqp_durable_queues` or `rabbit_quorum_queue`.
    pub exchange_durable: bool,
    /// `rabbit_transient_quorum_queue`
    pub fanout_durable: bool,
    /// Keys of which every request is copied, such as `karbor-protection`.
    pub observe: Vec<String>,
}

const WEEK_MS: u32 = 7 * 24 * 60 * 60 * 1000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What the queue of late copies holds at most.
pub const LATE_BYTES: i64 = 64 * 1024 * 1024;

/// RabbitMQ 4 drops a message after 20 deliveries by default, and counts a worker's crash against
/// every message it held; what this worker cannot do it dead-letters itself.
const DELIVERY_LIMIT: i64 = 1_000_000;

const SETTING: &str = "messaging.queue_type";

impl Target {
    /// All that requests, dead letters and observed copies need.
    pub fn topology(&self) -> Topology {
        let fanout = self.fanout_exchange();
        let mut topology = Topology {
            exchanges: vec![
                Exchange {
                    name: self.exchange.clone(),
                    kind: ExchangeKind::Topic,
                    durable: self.exchange_durable,
                    auto_delete: false,
                },
                Exchange {
                    name: fanout.clone(),
                    kind: ExchangeKind::Fanout,
                    durable: self.fanout_durable,
                    auto_delete: true,
                },
            ],
            queues: vec![
                self.queue(self.topic.clone()),
                Queue { expires_ms: Some(WEEK_MS), ..self.queue(self.server_queue()) },
                self.queue(self.dead_letter_queue()),
            ],
            bindings: Vec::new(),
        };
        let mut bind = |exchange: &str, queue: &str, routing_key: &str| {
            topology.bindings.push(Binding {
                exchange: exchange.to_owned(),
                queue: queue.to_owned(),
                routing_key: routing_key.to_owned(),
            });
        };
        bind(&self.exchange, &self.topic, &self.topic);
        bind(&self.exchange, &self.server_queue(), &self.server_queue());
        bind(&fanout, &self.topic, &self.topic);
        for key in &self.observe {
            bind(&self.exchange, &self.observed_queue(key), key);
        }
        for key in &self.observe {
            topology.queues.push(self.queue_of_copies(key));
        }
        if !self.observe.is_empty() {
            topology.queues.push(self.queue_of_late_copies());
        }
        topology
    }

    /// All that a worker consumes, what matters most last (see `ConsumerSpec::queues`): requests to
    /// itself, observed copies, everyone's requests.
    pub fn consumed_queues(&self) -> Vec<String> {
        [vec![self.server_queue()], self.observed_queues(), vec![self.topic.clone()]].concat()
    }

    /// The queues of observed copies, those that came late included; empty without keys.
    pub fn observed_queues(&self) -> Vec<String> {
        let mut queues: Vec<_> = self.observe.iter().map(|key| self.observed_queue(key)).collect();
        if !queues.is_empty() {
            queues.push(self.late_queue());
        }
        queues
    }

    /// Where bad messages go.
    pub fn dead_letter_queue(&self) -> String {
        format!("{}.dead-letter", self.topic)
    }

    /// The exchange of fanout casts (`impl_rabbit.py`, `fanout_send`).
    pub fn fanout_exchange(&self) -> String {
        format!("{}_fanout", self.topic)
    }

    /// The queue of this worker alone (`Target(topic, server)`).
    pub fn server_queue(&self) -> String {
        format!("{}.{}", self.topic, self.server)
    }

    fn observed_queue(&self, key: &str) -> String {
        format!("{}.observed.{key}", self.topic)
    }

    fn late_queue(&self) -> String {
        format!("{}.observed.late", self.topic)
    }

    fn queue(&self, name: String) -> Queue {
        Queue {
            name,
            queue_type: self.queue_type,
            durable: true,
            exclusive: false,
            expires_ms: None,
            delivery_limit: (self.queue_type == QueueType::Quorum).then_some(DELIVERY_LIMIT),
            arguments: Vec::new(),
            setting: SETTING,
            durable_setting: None,
        }
    }

    /// Copies expire with their caller's time-out, and are wanted all the same.
    fn queue_of_copies(&self, key: &str) -> Queue {
        Queue {
            expires_ms: Some(WEEK_MS),
            arguments: vec![
                ("x-dead-letter-exchange".to_owned(), HeaderValue::from("")),
                ("x-dead-letter-routing-key".to_owned(), HeaderValue::from(self.late_queue())),
            ],
            ..self.queue(self.observed_queue(key))
        }
    }

    fn queue_of_late_copies(&self) -> Queue {
        Queue {
            arguments: vec![
                ("x-message-ttl".to_owned(), HeaderValue::Integer(DAY_MS)),
                ("x-max-length-bytes".to_owned(), HeaderValue::Integer(LATE_BYTES)),
            ],
            ..self.queue(self.late_queue())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target {
            exchange: "openstack".to_owned(),
            topic: "karbor-restore".to_owned(),
            server: "host-1".to_owned(),
            queue_type: QueueType::Quorum,
            exchange_durable: false,
            fanout_durable: false,
            observe: Vec::new(),
        }
    }

    fn lines(topology: &Topology) -> Vec<String> {
        let exchanges = topology.exchanges.iter().map(|e| {
            format!("{} {:?} durable={} auto_delete={}", e.name, e.kind, e.durable, e.auto_delete)
        });
        let queues = topology.queues.iter().map(|q| {
            format!(
                "{} {:?} durable={} expires={:?} delivery_limit={:?} {:?}",
                q.name, q.queue_type, q.durable, q.expires_ms, q.delivery_limit, q.arguments
            )
        });
        let bindings = topology
            .bindings
            .iter()
            .map(|b| format!("{} --{}-> {}", b.exchange, b.routing_key, b.queue));
        exchanges.chain(queues).chain(bindings).collect()
    }

    #[test]
    fn addresses_are_oslo_messagings_and_queues_are_durable() {
        assert_eq!(
            lines(&target().topology()),
            [
                "openstack Topic durable=false auto_delete=false",
                "karbor-restore_fanout Fanout durable=false auto_delete=true",
                "karbor-restore Quorum durable=true expires=None delivery_limit=Some(1000000) []",
                "karbor-restore.host-1 Quorum durable=true expires=Some(604800000) \
             delivery_limit=Some(1000000) []",
                "karbor-restore.dead-letter Quorum durable=true expires=None \
             delivery_limit=Some(1000000) []",
                "openstack --karbor-restore-> karbor-restore",
                "openstack --karbor-restore.host-1-> karbor-restore.host-1",
                "karbor-restore_fanout --karbor-restore-> karbor-restore",
            ]
        );
        assert_eq!(target().consumed_queues(), ["karbor-restore.host-1", "karbor-restore"]);
        assert!(target().observed_queues().is_empty());
    }

    #[test]
    fn expired_copies_of_an_observed_key_go_to_the_late_queue() {
        let target = Target {
            observe: vec!["karbor-protection".to_owned()],
            queue_type: QueueType::Classic,
            ..target()
        };
        let queues = ["karbor-restore.observed.karbor-protection", "karbor-restore.observed.late"];
        assert_eq!(target.observed_queues(), queues);
        assert_eq!(target.consumed_queues()[1..3], queues);
        let lines = lines(&target.topology());
        assert!(lines.contains(
            &"openstack --karbor-protection-> karbor-restore.observed.karbor-protection".to_owned()
        ));
        let copies = lines.iter().find(|line| line.starts_with(queues[0])).unwrap();
        assert!(copies.contains("expires=Some(604800000) delivery_limit=None"));
        assert!(
            copies.contains(
                "(\"x-dead-letter-routing-key\", Text(\"karbor-restore.observed.late\"))"
            )
        );
        let late = lines.iter().find(|line| line.starts_with(queues[1])).unwrap();
        assert!(late.contains("86400000") && late.contains("67108864"));
    }
}
