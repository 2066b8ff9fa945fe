//! Copies of requests that another service is asked, such as karbor-api's to the protection
//! service.
//!
//! Takes what the dispatcher made of one, gives what of it is ours: a `restore`, which is recorded,
//! or kept where it is bad. All else is the other service's business, and so is the answer.

use super::{Action, Dispatched, RpcError};
use crate::domain::Command;

/// What is done of a copy, with nobody to answer; `None` where it is none of ours.
pub fn observe(dispatched: Dispatched) -> Option<Dispatched> {
    let is_ours = match &dispatched.action {
        Action::Commit { command, .. } => matches!(command, Command::RecordRestore(_)),
        // A fault of ours, with a message that may have been a restore.
        Action::Refuse(RpcError::InternalError(_)) => true,
        // What cannot be read has no method.
        Action::Refuse(_) => dispatched.method.as_deref() == Some("restore"),
        Action::GetRestore(_) | Action::Ping => false,
    };
    is_ours.then_some(Dispatched { caller: None, ..dispatched })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{AliasTable, Limits};
    use crate::rpc::Dispatcher;
    use crate::wire::samples;

    fn observed(body: &[u8]) -> Option<Dispatched> {
        let dispatcher = Dispatcher::new(Arc::new(AliasTable::default()), Limits::default());
        observe(dispatcher.dispatch(body))
    }

    #[test]
    fn karbors_own_restore_is_recorded_and_its_caller_is_not_ours_to_answer() {
        let sample = samples::named("call-restore-1");
        let dispatched = observed(sample.body.as_bytes()).unwrap();
        assert!(matches!(
            &dispatched.action,
            Action::Commit { command: Command::RecordRestore(_), .. }
        ));
        assert_eq!(dispatched.caller, None);
        assert_eq!(
            dispatched.sender.project_id.as_deref(),
            sample.message["_context_project_id"].as_str()
        );
    }

    #[test]
    fn a_bad_restore_is_kept_and_all_else_is_ignored() {
        let reply = json!({"_msg_id": "m", "_reply_q": "reply_q"});
        let call = |method: &str, args: Value| {
            let mut message = json!({"method": method, "version": "1.0", "args": args});
            message.as_object_mut().unwrap().extend(reply.as_object().unwrap().clone());
            message.to_string().into_bytes()
        };
        let id = "f30fe76e-4715-4cf8-aff3-13deea7170c3";
        let update = json!({"restore_id": id, "status": "fail"});
        for (body, class) in [
            (call("restore", json!({"restore": {"id": "no uuid"}})), Some("InvalidInput")),
            (call("restore", json!({})), Some("TypeError")),
            (br#"{"method": "restore", "version": "9.0"}"#.to_vec(), Some("UnsupportedVersion")),
            (br#"{"method": "restore", "_unique_id": 1}"#.to_vec(), Some("MalformedMessage")),
            (call("protect", json!({"plan": {}})), None),
            (call("update_restore_status", update), None),
            (call("update_restore_status", json!({})), None),
            (call("get_restore", json!({"restore_id": id})), None),
            (call("oslo_rpc_server_ping", json!({})), None),
            (br#"{"event_type": "x", "payload": {}}"#.to_vec(), None),
            (b"no json".to_vec(), None),
            (vec![b' '; 2 * 1024 * 1024], None),
        ] {
            let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
            let kept = observed(&body).map(|dispatched| match dispatched {
                Dispatched { action: Action::Refuse(error), caller: None, .. } => error.class(),
                other => panic!("{shown}: {other:?}"),
            });
            assert_eq!(kept, class, "{shown}");
        }
    }

    #[test]
    fn a_fault_of_ours_is_kept() {
        let fault = Dispatched::unread(RpcError::InternalError("decoding it failed".to_owned()));
        assert_eq!(observe(fault.clone()), Some(fault));
    }
}
