//! Requests as oslo.messaging writes them, made by hand: envelope, context and all.
//!
//! Takes a method and its arguments, gives the bytes that Karbor 1.6.0 would put on the broker; the
//! keys are those of a captured message. Each context holds the [`SECRETS`] that nothing may repeat.

use serde_json::{Map, Value, json};

use super::new_id;

/// The project that requests speak for unless told otherwise.
pub const PROJECT: &str = "39bb894794b741e982bd26144d2949f6";

/// What each request carries and no log, notification, error text or dead letter may repeat.
pub const SECRETS: [&str; 5] = [
    "SECRET-TOKEN",
    "SECRET-CATALOG",
    "SECRET-TOKEN-INFO",
    "SECRET-RESTORE-AUTH",
    "SECRET-PARAMETER",
];

/// One request to the worker, built up and then written as bytes.
#[derive(Debug, Clone)]
pub struct Request {
    message: Map<String, Value>,
}

impl Request {
    /// A request of an admin of [`PROJECT`] in API version 1.1.
    pub fn new(method: &str, args: Value) -> Self {
        let message = json!({
            "method": method,
            "version": "1.1",
            "_unique_id": new_id().replace('-', ""),
            "_context_user": "user-1",
            "_context_tenant": PROJECT,
            "_context_system_scope": null,
            "_context_project": PROJECT,
            "_context_is_admin": true,
            "_context_read_only": false,
            "_context_show_deleted": false,
            "_context_auth_token": "SECRET-TOKEN",
            "_context_request_id": "req-cf259485-bfc3-4e49-b1fa-3df701317832",
            "_context_global_request_id": null,
            "_context_roles": ["admin"],
            "_context_user_identity": "user-1 39bb894794b741e982bd26144d2949f6 - - -",
            "_context_is_admin_project": true,
            "_context_user_id": "user-1",
            "_context_project_id": PROJECT,
            "_context_read_deleted": "no",
            "_context_timestamp": "2026-11-24T01:59:11.584542",
            "_context_service_catalog": [{"endpoint": "SECRET-CATALOG"}],
            "_context_auth_token_info": {"token": "SECRET-TOKEN-INFO"},
        });
        let Value::Object(mut message) = message else { unreachable!("an object was written") };
        message.insert("args".into(), args);
        Self { message }
    }

    /// karbor-api's `restore` of [`restore_object`].
    pub fn restore(restore_id: &str) -> Self {
        let auth = json!({"type": "password", "username": "u", "password": "SECRET-RESTORE-AUTH"});
        Self::new("restore", json!({"restore": restore_object(restore_id), "restore_auth": auth}))
    }

    /// A plugin's `update_resource_status`.
    pub fn resource(
        restore_id: &str,
        resource_id: &str,
        status: &str,
        reason: Option<&str>,
    ) -> Self {
        Self::new(
            "update_resource_status",
            json!({
                "restore_id": restore_id,
                "resource_type": "OS::Cinder::Volume",
                "resource_id": resource_id,
                "status": status,
                "reason": reason,
            }),
        )
    }

    /// The protection service's `update_restore_status`.
    pub fn finish(restore_id: &str, status: &str, reason: Option<&str>) -> Self {
        Self::new(
            "update_restore_status",
            json!({"restore_id": restore_id, "status": status, "reason": reason}),
        )
    }

    /// Sets one key of the message, `_context_*` and the like.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.message.insert(key.into(), value.into());
        self
    }

    /// Adds one argument.
    pub fn with_arg(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.message["args"][key] = value.into();
        self
    }

    /// Sets one field of the object that [`Request::restore`] sends.
    pub fn with_field(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.message["args"]["restore"]["karbor_object.data"][field] = value.into();
        self
    }

    /// What makes a request a call.
    pub fn call(self, reply_q: &str, msg_id: &str, timeout: Option<u64>) -> Self {
        self.with("_msg_id", msg_id).with("_reply_q", reply_q).with("_timeout", timeout)
    }

    /// The `_unique_id` of the message.
    pub fn unique_id(&self) -> &str {
        self.message["_unique_id"].as_str().expect("a text was set")
    }

    /// The message without its envelope, as version 1 of the protocol sends it.
    pub fn bare(&self) -> Vec<u8> {
        Value::Object(self.message.clone()).to_string().into_bytes()
    }

    /// The message in its envelope.
    pub fn body(&self) -> Vec<u8> {
        let inner = Value::Object(self.message.clone()).to_string();
        json!({"oslo.version": "2.0", "oslo.message": inner}).to_string().into_bytes()
    }
}

/// A Karbor `Restore` 1.0 object that has just begun.
fn restore_object(restore_id: &str) -> Value {
    json!({
        "karbor_object.name": "Restore",
        "karbor_object.namespace": "karbor",
        "karbor_object.version": "1.0",
        "karbor_object.data": {
            "id": restore_id,
            "project_id": PROJECT,
            "provider_id": "cf56bd3e-97a7-4078-b6d5-f36246333fd9",
            "checkpoint_id": "dcb20606-ad71-40a3-80e4-ef0fafdad0c3",
            "restore_target": "http://keystone/v3",
            "parameters": {"OS::Cinder::Volume": {"restore_name": "SECRET-PARAMETER"}},
            "status": "in_progress",
            "resources_status": {},
            "resources_reason": {},
            "created_at": "2026-11-24T01:59:11Z",
            "updated_at": null,
            "deleted_at": null,
            "deleted": false,
        },
    })
}
