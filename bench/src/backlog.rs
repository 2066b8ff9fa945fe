//! What is sent: a hundred restores that run side by side, three updates for each resource, as
//! oslo.messaging casts of some 2.9 KB with all that Karbor's context brings along.

use std::collections::HashSet;
use std::sync::LazyLock;

use anyhow::ensure;
use serde_json::{Value, json};
use uuid::Uuid;

/// Restores that run side by side.
pub const RESTORES: usize = 100;
const STATUSES: [&str; 3] = ["started", "restoring", "available"];
const PROJECT: &str = "39bb894794b741e982bd26144d2949f6";

/// The message of a real cast.
static SAMPLE: LazyLock<Value> = LazyLock::new(|| {
    let sample = include_str!("../../tests/fixtures/wire/cast-1.json");
    let mut sample: Value = serde_json::from_str(sample).expect("the fixture is JSON");
    sample["message"].take()
});

/// Restores that nobody has heard of, and the updates of their resources.
pub struct Backlog {
    pub restores: Vec<Uuid>,
    /// `restore`, one each.
    pub restore_casts: Vec<Vec<u8>>,
    /// `update_resource_status`: no resource twice within one status, so that a batch has to write
    /// a row for each (the dearest order there is).
    pub update_casts: Vec<Vec<u8>>,
    /// What must be published, as [`spell_transition`] spells it.
    pub transitions: HashSet<String>,
}

impl Backlog {
    /// `updates` of them, evenly over the restores.
    pub fn new(updates: usize) -> anyhow::Result<Self> {
        let step = RESTORES * STATUSES.len();
        ensure!(updates > 0 && updates.is_multiple_of(step), "`--updates` is a multiple of {step}");
        let restores: Vec<Uuid> = (0..RESTORES).map(|_| Uuid::new_v4()).collect();
        let resources: Vec<_> = (0..updates / STATUSES.len())
            .map(|n| (restores[n % RESTORES], Uuid::new_v4().to_string(), Uuid::new_v4()))
            .collect();
        let mut backlog = Self {
            restore_casts: restores.iter().map(cast_restore).collect(),
            restores,
            update_casts: Vec::with_capacity(updates),
            transitions: HashSet::with_capacity(updates),
        };
        for status in STATUSES {
            for (restore, resource, source) in &resources {
                let restore = restore.to_string();
                backlog.transitions.insert(spell_transition(&restore, resource, status));
                let arguments = json!({
                    "restore_id": restore,
                    "resource_type": "OS::Cinder::Volume",
                    "resource_id": resource,
                    "status": status,
                    "reason": null,
                    "sequence": null,
                    "source_id": source.to_string(),
                    "name": "data of the reporting database",
                });
                backlog.update_casts.push(encode_cast("update_resource_status", &arguments));
            }
        }
        Ok(backlog)
    }
}

/// One transition of one resource.
pub fn spell_transition(restore: &str, resource: &str, status: &str) -> String {
    format!("{restore} {resource} {status}")
}

pub fn cast_restore(id: &Uuid) -> Vec<u8> {
    let restore = json!({
        "id": id.to_string(),
        "project_id": PROJECT,
        "provider_id": "cf56bd3e-97a7-4078-b6d5-f36246333fd9",
        "checkpoint_id": "dcb20606-ad71-40a3-80e4-ef0fafdad0c3",
        "restore_target": "http://192.0.2.7:35357/v3",
        "parameters": {},
        "status": "in_progress",
        "resources_status": {},
        "resources_reason": {},
    });
    encode_cast("restore", &json!({"restore": restore, "restore_auth": null}))
}

/// A call whose answer goes to `reply_q`.
pub fn encode_call(method: &str, arguments: &Value, reply_q: &str) -> Vec<u8> {
    let mut message = message(method, arguments);
    message["_msg_id"] = Uuid::new_v4().as_simple().to_string().into();
    message["_reply_q"] = reply_q.into();
    seal(&message)
}

/// A cast as oslo.messaging puts it on the broker, with a context as large as Karbor's.
pub fn encode_cast(method: &str, arguments: &Value) -> Vec<u8> {
    seal(&message(method, arguments))
}

fn seal(message: &Value) -> Vec<u8> {
    json!({"oslo.version": "2.0", "oslo.message": message.to_string()}).to_string().into_bytes()
}

fn message(method: &str, arguments: &Value) -> Value {
    let endpoint = |name: &str, port: u16| {
        let url = format!("http://192.0.2.7:{port}/v3/{PROJECT}");
        json!({"type": name, "name": name, "endpoints": [
            {"region": "RegionOne", "publicURL": url, "internalURL": url, "adminURL": url},
        ]})
    };
    let mut message = SAMPLE.clone();
    message["method"] = method.into();
    message["args"] = arguments.clone();
    message["version"] = "1.1".into();
    message["_unique_id"] = Uuid::new_v4().as_simple().to_string().into();
    message["_context_request_id"] = format!("req-{}", Uuid::new_v4()).into();
    // As long as a Fernet token.
    message["_context_auth_token"] = "gAAAAA".repeat(32).into();
    let services = [("volumev3", 8776), ("sharev2", 8786), ("database", 8779), ("image", 9292)];
    message["_context_service_catalog"] =
        services.into_iter().map(|(name, port)| endpoint(name, port)).collect();
    message
}
