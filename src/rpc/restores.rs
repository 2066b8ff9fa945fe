//! The endpoint: what each method's arguments must be, and the command they make.
//!
//! Takes bound arguments, gives a [`Command`] or what is wrong with them. In a list all items are
//! validated before anything is done, and a bad one is named by its index, counted from 0.

use serde_json::{Map, Value};
use tracing::warn;

use super::RpcError;
use super::arguments::{Signature, optional_object, optional_text, printable, sequence, text};
use crate::domain::{
    AliasTable, Command, ExpectedResource, ITEMS_PER_REQUEST, InvalidId, Limits, NewRestore,
    Refusal, ResourceId, ResourceKey, ResourceStatus, ResourceType, ResourceUpdate, RestoreId,
    RestoreStatus, State, UnknownStatus, clean_name, clean_reason,
};
use crate::log_limit::LogLimit;
use crate::wire::{data_of_object, dumps, shown};

const RESTORE: Signature = Signature { required: &["restore"], optional: &["restore_auth"] };
const UPDATE_RESOURCE: Signature = Signature {
    required: &["restore_id", "resource_type", "resource_id", "status"],
    optional: &["reason", "sequence", "source_id", "name"],
};
const RESOURCE_ITEM: Signature = Signature {
    required: &["resource_type", "resource_id", "status"],
    optional: UPDATE_RESOURCE.optional,
};
const RESTORE_AND_RESOURCES: Signature =
    Signature { required: &["restore_id", "resources"], optional: &[] };
const EXPECTED_ITEM: Signature =
    Signature { required: &["resource_type", "source_id"], optional: &["name"] };
const UPDATE_RESTORE: Signature =
    Signature { required: &["restore_id", "status"], optional: &["reason", "sequence"] };
const GET_RESTORE: Signature = Signature { required: &["restore_id"], optional: &[] };

static ODD_KEYS: LogLimit = LogLimit::new("restores with odd keys");

/// Karbor's column holds this many bytes.
const PARAMETERS_BYTES: usize = 65_535;

/// What values are judged by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) aliases: &'a AliasTable,
    pub(crate) limits: Limits,
}

type Args = Map<String, Value>;

impl Rules<'_> {
    /// `restore`
    pub(crate) fn restore(&self, mut args: Args) -> Result<Command, RpcError> {
        RESTORE.check_call("restore", &args)?;
        let object = args.remove("restore").unwrap_or_default();
        data_of_object(object, "Restore")
            .map_err(|problem| format!("`restore` {problem}"))
            .and_then(|fields| self.read_restore(&fields))
            .map(Command::RecordRestore)
            .map_err(RpcError::InvalidInput)
    }

    /// `update_resource_status`
    pub(crate) fn update_resource_status(&self, args: &Args) -> Result<Command, RpcError> {
        UPDATE_RESOURCE.check_call("update_resource_status", args)?;
        read_restore_id(args, "restore_id")
            .and_then(|restore_id| {
                let updates = vec![self.read_update(args)?];
                Ok(Command::UpdateResources { restore_id, updates })
            })
            .map_err(RpcError::InvalidInput)
    }

    /// `update_resources_status`
    pub(crate) fn update_resources_status(&self, args: &Args) -> Result<Command, RpcError> {
        RESTORE_AND_RESOURCES.check_call("update_resources_status", args)?;
        read_restore_id(args, "restore_id")
            .and_then(|restore_id| {
                let updates = read_items(args, RESOURCE_ITEM, |item| self.read_update(item))?;
                Ok(Command::UpdateResources { restore_id, updates })
            })
            .map_err(RpcError::InvalidInput)
    }

    /// `update_restore_status`
    pub(crate) fn update_restore_status(&self, args: &Args) -> Result<Command, RpcError> {
        UPDATE_RESTORE.check_call("update_restore_status", args)?;
        read_restore_id(args, "restore_id")
            .and_then(|restore_id| {
                let status = read_restore_status(args)?;
                let state =
                    State { sequence: sequence(args)?, status, reason: self.read_reason(args)? };
                Ok(Command::UpdateRestore { restore_id, state })
            })
            .map_err(RpcError::InvalidInput)
    }

    fn read_restore(&self, fields: &Args) -> Result<NewRestore, String> {
        let id = read_restore_id(fields, "id")?;
        let status = read_restore_status(fields)?;
        let most = usize::try_from(self.limits.resources_per_restore).unwrap_or(usize::MAX);
        let resources = self.read_dictionaries(id, fields)?;
        if resources.len() > most {
            let limit = self.limits.resources_per_restore;
            return Err(match RpcError::from(Refusal::TooManyResources { limit }) {
                RpcError::InvalidInput(problem) => problem,
                other => other.to_string(),
            });
        }
        let short = |name: &str, most| printable(text(fields, name)?, name, 1, most);
        Ok(NewRestore {
            id,
            project_id: short("project_id", 255)?,
            provider_id: short("provider_id", 36)?,
            checkpoint_id: short("checkpoint_id", 36)?,
            restore_target: optional_text(fields, "restore_target")?
                .map(|target| printable(target, "restore_target", 0, 255))
                .transpose()?,
            parameters: optional_object(fields, "parameters")?.map(read_parameters).transpose()?,
            status,
            resources,
        })
    }

    /// The dictionaries of a restore, as updates without sequence. A reason without a status is
    /// of a resource of which nothing else was said. A key that is none is left out, as in
    /// Karbor's columns: the restore is worth more than one odd entry.
    fn read_dictionaries(
        &self,
        id: RestoreId,
        fields: &Args,
    ) -> Result<Vec<ResourceUpdate>, String> {
        let empty = Map::new();
        let statuses = optional_object(fields, "resources_status")?.unwrap_or(&empty);
        let reasons = optional_object(fields, "resources_reason")?.unwrap_or(&empty);
        let reasons_alone = reasons.keys().filter(|key| !statuses.contains_key(*key));
        let mut updates = Vec::with_capacity(statuses.len());
        let mut left_out = 0_usize;
        for key_text in statuses.keys().chain(reasons_alone) {
            let Ok(key) = key_text.parse::<ResourceKey>() else {
                left_out += 1;
                continue;
            };
            let reason = optional_text(reasons, key_text)
                .map_err(|_| format!("the reason of `{}` must be a text", shown(key_text)))?
                .and_then(|reason| clean_reason(reason, self.limits.reason_chars));
            let status = match statuses.get(key_text) {
                None => ResourceStatus::Undefined,
                Some(status) => {
                    let word = status.as_str().ok_or_else(|| {
                        format!("the status of `{}` must be a text", shown(key_text))
                    })?;
                    self.aliases
                        .resolve(word, reason.as_deref())
                        .map_err(|e| format!("the status of `{}`: {e}", shown(key_text)))?
                }
            };
            updates.push(ResourceUpdate {
                key,
                state: State { sequence: None, status, reason },
                source_id: None,
                name: None,
            });
        }
        if left_out > 0 && ODD_KEYS.admits() {
            // The keys are not repeated: they are anybody's text, and may be long.
            warn!(
                restore_id = %id,
                left_out,
                "entries of a restore's dictionaries are left out: their keys are not TYPE#ID"
            );
        }
        Ok(updates)
    }

    fn read_update(&self, given: &Args) -> Result<ResourceUpdate, String> {
        let key = ResourceKey {
            resource_type: read_type(given)?,
            resource_id: read_id(text(given, "resource_id")?, "resource_id")?,
        };
        let reason = self.read_reason(given)?;
        let status = self
            .aliases
            .resolve(text(given, "status")?, reason.as_deref())
            .map_err(|problem| problem.to_string())?;
        Ok(ResourceUpdate {
            key,
            state: State { sequence: sequence(given)?, status, reason },
            source_id: optional_text(given, "source_id")?
                .map(|id| read_id(id, "source_id"))
                .transpose()?,
            name: read_name(given)?,
        })
    }

    fn read_reason(&self, given: &Args) -> Result<Option<String>, String> {
        Ok(optional_text(given, "reason")?
            .and_then(|reason| clean_reason(reason, self.limits.reason_chars)))
    }
}

/// `expect_resources`
pub(crate) fn expect_resources(args: &Args) -> Result<Command, RpcError> {
    RESTORE_AND_RESOURCES.check_call("expect_resources", args)?;
    read_restore_id(args, "restore_id")
        .and_then(|restore_id| {
            let resources = read_items(args, EXPECTED_ITEM, |item| {
                Ok(ExpectedResource {
                    resource_type: read_type(item)?,
                    source_id: read_id(text(item, "source_id")?, "source_id")?,
                    name: read_name(item)?,
                })
            })?;
            Ok(Command::ExpectResources { restore_id, resources })
        })
        .map_err(RpcError::InvalidInput)
}

/// `get_restore`
pub(crate) fn get_restore(args: &Args) -> Result<RestoreId, RpcError> {
    GET_RESTORE.check_call("get_restore", args)?;
    read_restore_id(args, "restore_id").map_err(RpcError::InvalidInput)
}

/// The items of `resources`, each bound and read, or the first bad one by its index.
fn read_items<T>(
    args: &Args,
    signature: Signature,
    read: impl Fn(&Args) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let items = match args.get("resources") {
        Some(Value::Array(items)) if (1..=ITEMS_PER_REQUEST).contains(&items.len()) => items,
        _ => return Err(format!("`resources` must be a list of 1 to {ITEMS_PER_REQUEST}")),
    };
    let read_item = |item: &Value| {
        let item = item.as_object().ok_or_else(|| "not an object".to_owned())?;
        signature.check_item(item)?;
        read(item)
    };
    items
        .iter()
        .enumerate()
        .map(|(index, item)| read_item(item).map_err(|e| format!("`resources[{index}]`: {e}")))
        .collect()
}

fn read_restore_id(given: &Args, name: &str) -> Result<RestoreId, String> {
    text(given, name)?.parse().map_err(|_| format!("`{name}` must be a UUID"))
}

fn read_type(given: &Args) -> Result<ResourceType, String> {
    text(given, "resource_type")?
        .parse()
        .map_err(|problem: InvalidId| format!("`{}` must be {}", problem.what, problem.accepted))
}

fn read_id(id: &str, name: &str) -> Result<ResourceId, String> {
    id.parse().map_err(|problem: InvalidId| format!("`{name}` must be {}", problem.accepted))
}

/// A name, cleaned. Masking may lengthen it, so the bound is asked for before and after.
fn read_name(given: &Args) -> Result<Option<String>, String> {
    const MOST: usize = 255;
    let too_long = |name: &str| name.chars().count() > MOST;
    let name = optional_text(given, "name")?;
    let cleaned = name.and_then(clean_name);
    if name.is_some_and(too_long) || cleaned.as_deref().is_some_and(too_long) {
        return Err(format!("`name` must be null or a text of at most {MOST} characters"));
    }
    Ok(cleaned)
}

/// A restore's status; null is `in_progress`.
fn read_restore_status(given: &Args) -> Result<RestoreStatus, String> {
    match optional_text(given, "status")? {
        None => Ok(RestoreStatus::InProgress),
        Some(word) => word.parse().map_err(|e: UnknownStatus| e.to_string()),
    }
}

/// An object of objects, as Python writes it. A number that no float holds is not JSON once
/// Python has written it again.
fn read_parameters(parameters: &Args) -> Result<String, String> {
    fn finite(value: &Value) -> bool {
        match value {
            Value::Number(number) => {
                // Python writes a whole number of any size as it is.
                let digits = number.to_string();
                number.as_f64().is_some_and(f64::is_finite)
                    || digits.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit())
            }
            Value::Array(items) => items.iter().all(finite),
            Value::Object(map) => map.values().all(finite),
            Value::Null | Value::Bool(_) | Value::String(_) => true,
        }
    }
    if !parameters.values().all(Value::is_object) {
        return Err("`parameters` must be null or an object of objects".to_owned());
    }
    if !parameters.values().all(finite) {
        return Err("`parameters` must hold finite numbers only".to_owned());
    }
    let text = dumps(parameters);
    if text.len() > PARAMETERS_BYTES {
        return Err(format!("`parameters` must have at most {PARAMETERS_BYTES} bytes as JSON"));
    }
    Ok(text)
}
