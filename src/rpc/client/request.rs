//! A command as a request: the method's name and its keyword arguments.
//!
//! Takes validated commands, gives what the dispatcher reads the same command from.

use serde_json::{Map, Value};

use crate::domain::{Command, ExpectedResource, NewRestore, ResourceUpdate, RestoreId, Sender};
use crate::wire::{fresh_unique_id, loads};

type Args = Map<String, Value>;

const NEVER_SENT: &str = "the keeper's own commands are never sent";

/// The method that a command is sent by.
pub(crate) fn method_of(command: &Command) -> &'static str {
    match command {
        Command::RecordRestore(_) => "restore",
        Command::UpdateResources { updates, .. } if updates.len() == 1 => "update_resource_status",
        Command::UpdateResources { .. } => "update_resources_status",
        Command::ExpectResources { .. } => "expect_resources",
        Command::UpdateRestore { .. } => "update_restore_status",
        Command::TakeIn(_) | Command::NoteSilence { .. } => unreachable!("{NEVER_SENT}"),
    }
}

/// The arguments that a command is sent with.
pub(crate) fn args_of(command: &Command) -> Args {
    match command {
        Command::RecordRestore(restore) => keys([
            ("restore", Value::Object(restore_fields(restore))),
            ("restore_auth", Value::Null),
        ]),
        Command::UpdateResources { restore_id, updates } => match updates.as_slice() {
            [update] => {
                let mut args = update_fields(update);
                args.insert("restore_id".to_owned(), Value::from(restore_id.to_string()));
                args
            }
            many => list_args(*restore_id, many.iter().map(update_fields)),
        },
        Command::ExpectResources { restore_id, resources } => {
            list_args(*restore_id, resources.iter().map(expected_fields))
        }
        Command::UpdateRestore { restore_id, state } => keys([
            ("restore_id", Value::from(restore_id.to_string())),
            ("status", Value::from(state.status.as_str())),
            ("reason", Value::from(state.reason.clone())),
            ("sequence", Value::from(state.sequence)),
        ]),
        Command::TakeIn(_) | Command::NoteSilence { .. } => unreachable!("{NEVER_SENT}"),
    }
}

/// A request with an id of its own and its sender's context.
pub(crate) fn request_message(method: &str, args: Args, sender: &Sender) -> Map<String, Value> {
    keys([
        ("method", Value::from(method)),
        ("args", Value::Object(args)),
        ("version", Value::from("1.1")),
        ("_unique_id", Value::from(fresh_unique_id())),
        ("_context_user_id", Value::from(sender.user_id.clone())),
        ("_context_project_id", Value::from(sender.project_id.clone())),
        ("_context_is_admin", Value::from(sender.is_admin)),
        ("_context_request_id", Value::from(sender.request_id.clone())),
        ("_context_global_request_id", Value::from(sender.global_request_id.clone())),
    ])
}

fn keys<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn list_args(restore_id: RestoreId, items: impl Iterator<Item = Args>) -> Args {
    keys([
        ("restore_id", Value::from(restore_id.to_string())),
        ("resources", items.map(Value::Object).collect()),
    ])
}

fn update_fields(update: &ResourceUpdate) -> Args {
    let source_id = update.source_id.as_ref().map(|id| id.as_str().to_owned());
    keys([
        ("resource_type", Value::from(update.key.resource_type.as_str())),
        ("resource_id", Value::from(update.key.resource_id.as_str())),
        ("status", Value::from(update.state.status.as_str())),
        ("reason", Value::from(update.state.reason.clone())),
        ("sequence", Value::from(update.state.sequence)),
        ("source_id", Value::from(source_id)),
        ("name", Value::from(update.name.clone())),
    ])
}

fn expected_fields(resource: &ExpectedResource) -> Args {
    keys([
        ("resource_type", Value::from(resource.resource_type.as_str())),
        ("source_id", Value::from(resource.source_id.as_str())),
        ("name", Value::from(resource.name.clone())),
    ])
}

fn restore_fields(restore: &NewRestore) -> Args {
    let parameters = restore.parameters.as_deref().and_then(|text| loads(text).ok());
    let mut statuses = Map::new();
    let mut reasons = Map::new();
    for update in &restore.resources {
        let key = update.key.to_string();
        if let Some(reason) = &update.state.reason {
            reasons.insert(key.clone(), Value::from(reason.as_str()));
        }
        statuses.insert(key, Value::from(update.state.status.as_str()));
    }
    keys([
        ("id", Value::from(restore.id.to_string())),
        ("project_id", Value::from(restore.project_id.as_str())),
        ("provider_id", Value::from(restore.provider_id.as_str())),
        ("checkpoint_id", Value::from(restore.checkpoint_id.as_str())),
        ("restore_target", Value::from(restore.restore_target.clone())),
        ("parameters", parameters.unwrap_or_default()),
        ("status", Value::from(restore.status.as_str())),
        ("resources_status", Value::Object(statuses)),
        ("resources_reason", Value::Object(reasons)),
    ])
}
