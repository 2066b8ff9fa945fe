//! Short words for commands, so that a test reads like what it tells.

use chrono::{DateTime, Utc};
use karbor_restore_worker::domain::{
    Command, ExpectedResource, NewRestore, PublisherId, ResourceKey, ResourceState, ResourceStatus,
    ResourceUpdate, RestoreId, RestoreState, RestoreStatus, Sender, State,
};
use karbor_restore_worker::store::{
    BatchItem, Committed, EarlyMessage, IfUnknown, Publisher, Store, StoreError,
};
use uuid::Uuid;

pub fn new_id() -> RestoreId {
    RestoreId::new(Uuid::new_v4())
}

pub fn admin() -> Sender {
    Sender {
        project_id: Some("admins".to_owned()),
        is_admin: true,
        user_id: Some("user".to_owned()),
        request_id: Some("req-1".to_owned()),
        global_request_id: None,
    }
}

pub fn member(project: &str) -> Sender {
    Sender { project_id: Some(project.to_owned()), ..Sender::default() }
}

pub fn item(command: Command) -> BatchItem {
    BatchItem { command, sender: admin(), if_unknown: IfUnknown::Refuse }
}

pub fn new_restore(id: RestoreId) -> NewRestore {
    NewRestore {
        id,
        project_id: "project".to_owned(),
        provider_id: "provider".to_owned(),
        checkpoint_id: "checkpoint".to_owned(),
        restore_target: Some("http://target/".to_owned()),
        parameters: Some("{\"a\": {\"b\": \"c\"}}".to_owned()),
        status: RestoreStatus::InProgress,
        resources: Vec::new(),
    }
}

pub fn record(id: RestoreId) -> BatchItem {
    item(Command::RecordRestore(new_restore(id)))
}

pub fn key(text: &str) -> ResourceKey {
    text.parse().unwrap()
}

pub fn state(sequence: Option<u64>, status: ResourceStatus, reason: Option<&str>) -> ResourceState {
    State { sequence, status, reason: reason.map(str::to_owned) }
}

/// An update of `TYPE#ID` without sequence or reason.
pub fn said(resource: &str, status: ResourceStatus) -> ResourceUpdate {
    let state = state(None, status, None);
    ResourceUpdate { key: key(resource), state, source_id: None, name: None }
}

pub fn update(id: RestoreId, updates: Vec<ResourceUpdate>) -> BatchItem {
    item(Command::UpdateResources { restore_id: id, updates })
}

pub fn expect(id: RestoreId, keys: &[&str]) -> BatchItem {
    let resources = keys.iter().map(|text| {
        let ResourceKey { resource_type, resource_id } = key(text);
        ExpectedResource { resource_type, source_id: resource_id, name: None }
    });
    item(Command::ExpectResources { restore_id: id, resources: resources.collect() })
}

pub fn finish(id: RestoreId, status: RestoreStatus, reason: Option<&str>) -> BatchItem {
    let state = RestoreState { sequence: None, status, reason: reason.map(str::to_owned) };
    item(Command::UpdateRestore { restore_id: id, state })
}

pub fn waiting(mut item: BatchItem, unique_id: &str) -> BatchItem {
    item.if_unknown = IfUnknown::Wait(EarlyMessage {
        unique_id: unique_id.to_owned(),
        queue: "karbor-restore".to_owned(),
        properties: "{\"priority\":0}".to_owned(),
        body: "{\"oslo.message\":\"{\\\"reason\\\": \\\"\\u00e4 \u{1f600}\\\"}\"}".to_owned(),
    });
    item
}

/// A moment that every database keeps as it is.
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// An id that no publisher has.
pub fn new_publisher() -> PublisherId {
    PublisherId(Uuid::now_v7())
}

/// A worker: a store and its publisher.
pub struct Worker {
    pub store: Store,
    pub publisher: Publisher,
}

impl Worker {
    pub async fn start(store: &Store, host: &str) -> Self {
        let publisher = store.open_publisher(new_publisher(), host).await.unwrap();
        Self { store: store.clone(), publisher }
    }

    pub async fn commit(&mut self, items: &[BatchItem]) -> Committed {
        self.try_commit(items).await.unwrap()
    }

    pub async fn try_commit(&mut self, items: &[BatchItem]) -> Result<Committed, StoreError> {
        self.store.commit_batch(&mut self.publisher, 0, items, now()).await
    }

    /// Commits as a worker does: a batch that met a deadlock is done again.
    pub async fn commit_at_last(&mut self, items: &[BatchItem]) -> Committed {
        for _ in 0..50 {
            match self.try_commit(items).await {
                Err(StoreError::Transient { .. }) => {}
                result => return result.unwrap(),
            }
        }
        panic!("the database took it in none of 50 attempts");
    }
}
