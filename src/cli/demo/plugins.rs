//! The demonstration's senders: the protection service that announces and ends the restore, and
//! its plugins, side by side, each telling of its resources in turn.

use std::sync::{Arc, Mutex};

use anyhow::Context;
use serde::Serialize;
use tokio::task::JoinSet;

use super::ledger::Ledger;
use super::scenario::{Course, PLUGINS, Plugin, Resource, Step};
use crate::domain::{
    AliasTable, Command, ExpectedResource, NewRestore, ResourceKey, ResourceState, RestoreId,
    RestoreState, RestoreStatus, State,
};
use crate::rpc::client::{CallError, RpcClient, To};

/// The arguments of `update_resource_status`, as a plugin gives them.
#[derive(Serialize)]
struct UpdateArgs<'a> {
    restore_id: String,
    resource_type: &'a str,
    resource_id: &'a str,
    status: &'a str,
    reason: Option<&'a str>,
    sequence: Option<u64>,
    source_id: &'a str,
    name: &'a str,
}

/// Who sends, and what is kept of it.
#[derive(Clone)]
pub(super) struct Senders {
    /// The project's own client.
    pub client: Arc<RpcClient>,
    /// A client of another project, which must reach nothing.
    pub stranger: Arc<RpcClient>,
    /// The truth of what was sent.
    pub ledger: Arc<Mutex<Ledger>>,
    /// The restore.
    pub restore_id: RestoreId,
}

impl Senders {
    /// What comes before the restore is recorded: one message of each early resource.
    pub(super) async fn send_early(&self) -> anyhow::Result<()> {
        for plugin in &PLUGINS {
            for resource in plugin.resources() {
                if resource.course == Course::Early {
                    self.send(&resource, &resource.course.steps()[0]).await?;
                }
            }
        }
        Ok(())
    }

    /// Records the restore and announces what it will bring.
    pub(super) async fn begin(&self, project_id: &str) -> anyhow::Result<()> {
        let restore = NewRestore {
            id: self.restore_id,
            project_id: project_id.to_owned(),
            provider_id: "cf56bd3e-97a7-4078-b6d5-f36246333fd9".to_owned(),
            checkpoint_id: "dcb20606-ad71-40a3-80e4-ef0fafdad0c3".to_owned(),
            restore_target: Some("https://keystone.example/v3".to_owned()),
            parameters: None,
            status: RestoreStatus::InProgress,
            resources: Vec::new(),
        };
        self.client.call(&To::Topic, &Command::RecordRestore(restore)).await?;
        let resources = PLUGINS.iter().flat_map(Plugin::resources).map(|resource| {
            Ok(ExpectedResource {
                resource_type: resource.kind.parse()?,
                source_id: resource.source_id.parse()?,
                name: Some(resource.name),
            })
        });
        let resources = resources.collect::<anyhow::Result<Vec<_>>>()?;
        let expect = Command::ExpectResources { restore_id: self.restore_id, resources };
        self.client.call(&To::Topic, &expect).await?;
        Ok(())
    }

    /// Runs every plugin to its end.
    pub(super) async fn run_plugins(&self) -> anyhow::Result<()> {
        let mut running = JoinSet::new();
        for plugin in &PLUGINS {
            let senders = self.clone();
            running.spawn(async move { senders.run_plugin(plugin).await });
        }
        while let Some(ended) = running.join_next().await {
            ended.context("a plugin panicked")??;
        }
        Ok(())
    }

    /// Two resources at a time take turns, so that a type's bar shows several states.
    async fn run_plugin(&self, plugin: &Plugin) -> anyhow::Result<()> {
        let resources = plugin.resources();
        for pair in resources.chunks(2) {
            let steps: Vec<_> = pair.iter().map(|resource| resource.course.steps()).collect();
            let longest = steps.iter().map(Vec::len).max().unwrap_or_default();
            for turn in 0..longest {
                for (resource, steps) in pair.iter().zip(&steps) {
                    let sent_before = turn == 0 && resource.course == Course::Early;
                    if let Some(step) = steps.get(turn).filter(|_| !sent_before) {
                        self.send(resource, step).await?;
                        tokio::time::sleep(plugin.pace).await;
                    }
                }
            }
        }
        Ok(())
    }

    async fn send(&self, resource: &Resource, step: &Step) -> anyhow::Result<()> {
        let key = ResourceKey {
            resource_type: resource.kind.parse()?,
            resource_id: resource.id.parse()?,
        };
        let status = AliasTable::default().resolve(step.status, step.reason)?;
        let state: ResourceState =
            State { sequence: step.sequence, status, reason: step.reason.map(str::to_owned) };
        let args = UpdateArgs {
            restore_id: self.restore_id.to_string(),
            resource_type: resource.kind,
            resource_id: &resource.id,
            status: step.status,
            reason: step.reason,
            sequence: step.sequence,
            source_id: &resource.source_id,
            name: &resource.name,
        };
        for _ in 0..step.copies {
            self.client.cast_args(&To::Topic, "update_resource_status", &args).await?;
            self.ledger.lock().expect("no sender panics").sent(&key, state.clone());
        }
        Ok(())
    }

    /// Four requests that must be refused: one is answered, three are kept as dead letters.
    pub(super) async fn send_bad_ones(&self) -> anyhow::Result<()> {
        let good = UpdateArgs {
            restore_id: self.restore_id.to_string(),
            resource_type: "OS::Nova::Server",
            resource_id: "new-server-01",
            status: "available",
            reason: None,
            sequence: Some(99),
            source_id: "server-01",
            name: "server 1",
        };
        let unknown_status = UpdateArgs { status: "rebooting", ..good };
        let answer =
            self.client.call_args(&To::Topic, "update_resource_status", &unknown_status).await;
        anyhow::ensure!(
            matches!(answer, Err(CallError::Refused(_))),
            "a call with an unknown status was not refused"
        );
        let malformed_id = UpdateArgs { restore_id: "no-uuid".to_owned(), ..unknown_status };
        self.client.cast_args(&To::Topic, "update_resource_status", &malformed_id).await?;
        let of_another_project = UpdateArgs {
            restore_id: self.restore_id.to_string(),
            status: "available",
            ..malformed_id
        };
        self.stranger.cast_args(&To::Topic, "update_resource_status", &of_another_project).await?;
        self.client.cast_args(&To::Topic, "restart_resource", &of_another_project).await?;
        self.ledger.lock().expect("no sender panics").tally.refused += BAD_ONES;
        Ok(())
    }

    /// The restore has ended well.
    pub(super) async fn finish(&self) -> anyhow::Result<()> {
        let state: RestoreState =
            State { sequence: None, status: RestoreStatus::Success, reason: None };
        let finish = Command::UpdateRestore { restore_id: self.restore_id, state };
        self.client.call(&To::Topic, &finish).await?;
        self.ledger.lock().expect("no sender panics").tally.applied += 1;
        Ok(())
    }
}

/// How many bad requests are sent.
const BAD_ONES: u64 = 4;

/// How many of them become dead letters.
pub(super) const DEAD_LETTERS: u64 = 3;
