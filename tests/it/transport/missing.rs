//! What somebody else deletes on the broker while connections stand.

use karbor_restore_worker::transport::{Message, PublishError, Publisher, TransportError};
use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use rstest::rstest;

use super::rabbit::channel;
use super::*;
use crate::harness::broker_control;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deleted {
    Exchange,
    Queue,
    /// The exchange stays for its other binding.
    Binding,
}

/// Two queues on one exchange, declared.
async fn declared(transport: &dyn Transport) -> (Names, Names, Topology) {
    let both = names_of_one_exchange();
    let wanted = spec_of(&both, 0).topology;
    let [first, second] = both;
    let publisher = transport.publisher("test", wanted.clone());
    publisher.declare(Topology::default()).await.expect("all is declared");
    (first, second, wanted)
}

async fn offer(publisher: &dyn Publisher, names: &Names) -> Result<(), PublishError> {
    publisher.publish(Message { mandatory: true, ..message(names, "1") }).await.await
}

#[rstest]
#[tokio::test]
async fn what_somebody_deleted_is_declared_and_bound_again(
    #[values(Deleted::Exchange, Deleted::Queue, Deleted::Binding)] deleted: Deleted,
) {
    let transport = rabbit_at(&rabbit_url());
    let (first, second, wanted) = declared(&transport).await;
    let (exchange, queue) = (first.exchange.as_str(), first.queue.as_str());
    let (_connection, channel) = channel().await;
    match deleted {
        Deleted::Exchange => {
            let options = ExchangeDeleteOptions::default();
            channel.exchange_delete(exchange.into(), options).await.unwrap();
        }
        Deleted::Queue => {
            let options = QueueDeleteOptions::default();
            channel.queue_delete(queue.into(), options).await.unwrap();
        }
        Deleted::Binding => {
            let table = FieldTable::default();
            channel.queue_unbind(queue.into(), exchange.into(), queue.into(), table).await.unwrap();
        }
    }
    let publisher = transport.publisher("test", Topology::default());
    offer(publisher.as_ref(), &first).await.unwrap_err();

    transport.declare_missing(&wanted).await.unwrap();
    assert_eq!(offer(publisher.as_ref(), &first).await, Ok(()));
    assert_eq!(offer(publisher.as_ref(), &second).await, Ok(()));
    transport.declare_missing(&wanted).await.unwrap();
    assert_eq!(transport.inspect(&first.queue).await.unwrap().unwrap().messages, 1);
}

/// A user who may publish, bind and consume, and declare nothing; gone when dropped.
struct MayNotDeclare(String);

impl MayNotDeclare {
    async fn make() -> Self {
        let user = format!("user-{}", Uuid::new_v4().simple());
        broker_control(&["add_user", &user, "secret"]).await;
        broker_control(&["set_permissions", &user, "^$", ".*", ".*"]).await;
        Self(user)
    }

    fn transport(&self) -> RabbitTransport {
        let url: TransportUrl = rabbit_url().parse().expect("a URL");
        let vhost = url.virtual_host.replace('/', "%2F");
        rabbit_at(&format!("rabbit://{}:secret@{}/{vhost}", self.0, url.hosts[0]))
    }

    async fn remove(self) {
        broker_control(&["delete_user", &self.0]).await;
    }
}

#[tokio::test]
async fn who_may_not_declare_binds_what_is_there_and_says_what_is_not() {
    let user = MayNotDeclare::make().await;
    let (transport, theirs) = (rabbit_at(&rabbit_url()), user.transport());
    let (first, second, wanted) = declared(&transport).await;
    theirs.declare_missing(&wanted).await.unwrap();

    let (_connection, channel) = channel().await;
    let options = QueueDeleteOptions::default();
    channel.queue_delete(first.queue.as_str().into(), options).await.unwrap();
    // The exchange went with its last binding.
    let (queue, exchange) = (second.queue.as_str(), second.exchange.as_str());
    let table = FieldTable::default();
    channel.queue_unbind(queue.into(), exchange.into(), queue.into(), table.clone()).await.unwrap();
    let options = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
    let kind = lapin::ExchangeKind::Topic;
    channel.exchange_declare(exchange.into(), kind, options, table).await.unwrap();

    let error = theirs.declare_missing(&wanted).await.unwrap_err();
    assert!(matches!(error, TransportError::Refused { .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains(&first.queue) && error.contains("ACCESS_REFUSED"), "{error}");
    let publisher = transport.publisher("test", Topology::default());
    assert_eq!(offer(publisher.as_ref(), &second).await, Ok(()));
    assert_eq!(transport.inspect(&first.queue).await.unwrap(), None);
    user.remove().await;
}
