//! From a body to what to do with it.
//!
//! Takes a body as it was delivered, gives a [`Dispatched`]: whom to answer, who asks, and the
//! action. It never fails and never panics; what is wrong with a request is an action too. A bad
//! part does not hide a good one, so that a caller is answered whatever else is wrong.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::restores::{Rules, expect_resources, get_restore};
use super::{Caller, RpcError};
use crate::domain::{AliasTable, Command, Limits, RestoreId, Sender, mask_passwords};
use crate::wire::{
    Invocation, fresh_unique_id, open_request, read_call, read_context, read_invocation,
    read_method, read_unique_id, show_value, shown,
};

/// Reads requests by the rules in force.
#[derive(Debug, Clone)]
pub struct Dispatcher {
    aliases: Arc<AliasTable>,
    limits: Limits,
}

/// What a body asks for, and of whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatched {
    /// The message's `_unique_id`, or one of its own where it has none.
    pub unique_id: String,
    /// Whether the message itself carried it.
    pub sent_unique_id: bool,
    /// The method as an error may show it, at most 255 characters without control characters.
    pub method: Option<String>,
    /// Who asks.
    pub sender: Sender,
    /// Whom to answer; only of a body that parses, with a `_msg_id`, and a `_reply_q` that begins
    /// with `reply_`.
    pub caller: Option<Caller>,
    /// What to do.
    pub action: Action,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Commit a command and answer with its outcome.
    Commit {
        /// The command.
        command: Command,
        /// How its outcome becomes the answer.
        reply: ReplyShape,
    },
    /// Read a restore.
    GetRestore(RestoreId),
    /// Say `pong`.
    Ping,
    /// It is bad.
    Refuse(RpcError),
}

/// How an outcome becomes the `result` of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyShape {
    /// `null`
    Null,
    /// `{"outcome", "status"}`
    One,
    /// A list of such, in the order of the request.
    List,
    /// How many resources are expected.
    Count,
}

impl Dispatcher {
    /// A dispatcher that judges statuses by `aliases` and sizes by `limits`.
    pub fn new(aliases: Arc<AliasTable>, limits: Limits) -> Self {
        Self { aliases, limits }
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Reads a body. Never fails, never panics: what is wrong is an [`Action::Refuse`].
    pub fn dispatch(&self, body: &[u8]) -> Dispatched {
        let limit = self.limits.body_bytes;
        if body.len() > limit {
            return Dispatched::unread(RpcError::BodyTooLarge { bytes: body.len(), limit });
        }
        match open_request(body) {
            Ok(message) => self.dispatch_message(message),
            Err(malformed) => Dispatched::unread(malformed.into()),
        }
    }

    fn dispatch_message(&self, mut message: Map<String, Value>) -> Dispatched {
        let unique_id = read_unique_id(&message);
        let call = read_call(&message);
        let context = read_context(&message);
        let method = read_method(&message);
        let caller = call.clone().ok().flatten().map(|call| Caller {
            msg_id: call.msg_id,
            reply_q: call.reply_q,
            timeout: call.timeout,
            body_limit: self.limits.body_bytes,
        });
        let action = unique_id
            .clone()
            .and(call)
            .and_then(|_| read_invocation(&mut message))
            .map_err(RpcError::from)
            .and_then(|invocation| self.choose_action(invocation))
            .unwrap_or_else(|error| Action::Refuse(error.without_passwords()));
        let sent = unique_id.ok().flatten().map(hide);
        Dispatched {
            sent_unique_id: sent.is_some(),
            unique_id: sent.unwrap_or_else(fresh_unique_id),
            method: method.map(hide),
            sender: Sender {
                project_id: context.project_id,
                is_admin: context.is_admin,
                user_id: context.user_id,
                request_id: context.request_id,
                global_request_id: context.global_request_id,
            },
            caller,
            action,
        }
    }

    /// Namespace and version are judged before the method, as oslo.messaging's dispatcher does.
    fn choose_action(&self, invocation: Invocation) -> Result<Action, RpcError> {
        let Invocation { method, version, namespace, args } = invocation;
        let version = version.unwrap_or_else(|| Value::from("1.0"));
        let known = matches!(version.as_str(), Some("1.0" | "1.1"));
        if !known || namespace.is_some() {
            let mut shown = show_value(&version);
            if !version.is_string() {
                shown.push_str(" (a text is wanted)");
            }
            return Err(RpcError::UnsupportedVersion { version: shown, method });
        }
        let rules = Rules { aliases: &self.aliases, limits: self.limits };
        let (command, reply) = match method.as_str() {
            "restore" => (rules.restore(args)?, ReplyShape::Null),
            "update_resource_status" => (rules.update_resource_status(&args)?, ReplyShape::One),
            "update_resources_status" => (rules.update_resources_status(&args)?, ReplyShape::List),
            "expect_resources" => (expect_resources(&args)?, ReplyShape::Count),
            "update_restore_status" => (rules.update_restore_status(&args)?, ReplyShape::One),
            "get_restore" => return get_restore(&args).map(Action::GetRestore),
            "oslo_rpc_server_ping" => return Ok(Action::Ping),
            _ => return Err(RpcError::NoSuchMethod(method)),
        };
        Ok(Action::Commit { command, reply })
    }
}

/// What strangers wrote goes into logs and notifications.
fn hide(text: String) -> String {
    match mask_passwords(&text) {
        Cow::Borrowed(_) => text,
        // A mask may be longer than what it hides.
        Cow::Owned(masked) => shown(&masked),
    }
}

impl Dispatched {
    /// A body of which nothing could be read.
    pub fn unread(error: RpcError) -> Self {
        Self {
            unique_id: fresh_unique_id(),
            sent_unique_id: false,
            method: None,
            sender: Sender::default(),
            caller: None,
            action: Action::Refuse(error),
        }
    }
}

#[cfg(test)]
mod tests;
