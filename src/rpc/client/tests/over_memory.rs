//! The client and the endpoint's rooms over the embedded driver, without a store between them.

use super::*;
use crate::domain::Effect;
use crate::transport::memory::MemoryBroker;

fn target() -> Target {
    Target {
        exchange: "openstack".to_owned(),
        topic: "karbor-restore".to_owned(),
        server: "host-1".to_owned(),
        queue_type: QueueType::Classic,
        exchange_durable: false,
        fanout_durable: false,
        observe: Vec::new(),
    }
}

/// Applies whatever it is asked, beats once before each answer, and knows no restore. Gives each
/// command with the queue it came from.
fn serve(broker: &MemoryBroker) -> tokio::sync::mpsc::UnboundedReceiver<(String, Command)> {
    let mut consumer = broker.consume(ConsumerSpec {
        name: "worker".to_owned(),
        topology: target().topology(),
        queues: target().consumed_queues(),
        prefetch: 10,
    });
    let publisher = broker.publisher("worker", Topology::default());
    let (seen, commands) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let dispatcher = Dispatcher::new(Arc::new(AliasTable::default()), Limits::default());
        while let Some(delivery) = consumer.next().await {
            let request = dispatcher.dispatch(&delivery.body);
            let answer = |caller: &Caller| match &request.action {
                Action::Commit { command: Command::UpdateRestore { state, .. }, reply } => {
                    caller.outcome(&Outcome::Restore(Effect::Applied, state.status), *reply)
                }
                Action::Commit { reply, .. } => caller.outcome(&Outcome::Recorded, *reply),
                Action::GetRestore(id) => caller.failure(&RpcError::RestoreNotFound(*id)),
                Action::Ping => caller.pong(),
                Action::Refuse(error) => caller.failure(error),
            };
            if let Some(caller) = &request.caller {
                for message in [caller.heartbeat(), answer(caller)] {
                    publisher.publish(message).await.await.unwrap();
                }
            }
            if let Action::Commit { command, .. } = request.action {
                seen.send((delivery.queue, command)).unwrap();
            }
            consumer.acker().ack(delivery.tag).await;
        }
    });
    commands
}

#[tokio::test]
async fn calls_are_answered_and_casts_arrive_wherever_they_are_sent() {
    let broker = MemoryBroker::new();
    let mut seen = serve(&broker);
    let timeout = Duration::from_secs(10);
    let client = RpcClient::connect(&broker, target(), Sender::default(), timeout);
    client.ping(&To::Topic).await.unwrap();
    client.ping(&To::Server("host-1".to_owned())).await.unwrap();
    let unknown = client.get_restore(id()).await.unwrap_err();
    assert_eq!(unknown, CallError::Refused(RpcError::RestoreNotFound(id())));
    let [record, .., update] = commands();
    assert_eq!(client.call(&To::Topic, &record).await, Ok(Outcome::Recorded));
    let applied = Outcome::Restore(Effect::Applied, RestoreStatus::Success);
    assert_eq!(client.call(&To::Topic, &update).await, Ok(applied));
    client.cast(&To::Topic, &record).await.unwrap();
    client.cast(&To::Fanout, &update).await.unwrap();
    client.cast(&To::Server("host-1".to_owned()), &update).await.unwrap();
    for (queue, command) in [
        ("karbor-restore", &record),
        ("karbor-restore", &update),
        ("karbor-restore", &record),
        ("karbor-restore", &update),
        ("karbor-restore.host-1", &update),
    ] {
        assert_eq!(seen.recv().await, Some((queue.to_owned(), command.clone())));
    }
    client.close().await;
}

#[tokio::test]
async fn what_no_worker_takes_is_told() {
    let broker = MemoryBroker::new();
    let client =
        RpcClient::connect(&broker, target(), Sender::default(), Duration::from_millis(50));
    let lost = client.ping(&To::Topic).await;
    assert_eq!(lost, Err(CallError::NotPublished(PublishError::Returned)));
    let deaf = broker.publisher("queues", target().topology());
    assert_eq!(*deaf.link().borrow(), Link::Up);
    let silent = client.ping(&To::Topic).await;
    assert_eq!(silent, Err(CallError::TimedOut(Duration::from_millis(50))));
}
