mod over_memory;

use chrono::DateTime;
use serde_json::json;

use super::*;
use crate::domain::{
    AliasTable, Counts, Effect, ExpectedResource, Limits, NewRestore, Refusal, ResourceStatus,
    ResourceUpdate, RestoreStatus, State,
};
use crate::rpc::{Action, Caller, Dispatcher, ReplyShape};

fn id() -> RestoreId {
    "f30fe76e-4715-4cf8-aff3-13deea7170c3".parse().unwrap()
}

fn update(number: u64) -> ResourceUpdate {
    ResourceUpdate {
        key: format!("OS::Cinder::Volume#{number}").parse().unwrap(),
        state: State {
            sequence: Some(number),
            status: ResourceStatus::Error,
            reason: Some("é".to_owned()),
        },
        source_id: Some("s".parse().unwrap()),
        name: None,
    }
}

fn restore() -> NewRestore {
    let mut resource = update(0);
    resource.state.sequence = None;
    resource.source_id = None;
    NewRestore {
        id: id(),
        project_id: "p".to_owned(),
        provider_id: "pr".to_owned(),
        checkpoint_id: "c".to_owned(),
        restore_target: None,
        parameters: Some(r#"{"a": {"b": 1}}"#.to_owned()),
        status: RestoreStatus::Fail,
        resources: vec![resource],
    }
}

fn commands() -> [Command; 5] {
    let (restore_id, name) = (id(), Some("n".to_owned()));
    let expected = ExpectedResource {
        resource_type: "t".parse().unwrap(),
        source_id: "s".parse().unwrap(),
        name,
    };
    let state = State { sequence: None, status: RestoreStatus::Success, reason: None };
    [
        Command::RecordRestore(restore()),
        Command::UpdateResources { restore_id, updates: vec![update(1)] },
        Command::UpdateResources { restore_id, updates: vec![update(1), update(2)] },
        Command::ExpectResources { restore_id, resources: vec![expected] },
        Command::UpdateRestore { restore_id, state },
    ]
}

fn caller() -> Caller {
    Caller {
        msg_id: "m".to_owned(),
        reply_q: "reply_1".to_owned(),
        timeout: Some(Duration::from_secs(3)),
        body_limit: 2000,
    }
}

fn answered(message: &Message) -> Reply {
    let (msg_id, reply) = Reply::from_message(open(&message.body).unwrap()).unwrap();
    assert_eq!(msg_id, "m");
    reply
}

fn result(message: &Message) -> Value {
    match answered(message) {
        Reply::Result(result) => result,
        other => panic!("{other:?}"),
    }
}

fn error(message: &Message) -> RpcError {
    match answered(message) {
        Reply::Failure(failure) => RpcError::from_failure(&failure),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_worker_reads_the_command_and_the_sender_that_were_sent() {
    let dispatcher = Dispatcher::new(Arc::new(AliasTable::default()), Limits::default());
    let sender = Sender { project_id: Some("p".to_owned()), is_admin: true, ..Sender::default() };
    for command in commands() {
        let message = request_message(method_of(&command), args_of(&command), &sender);
        let read = dispatcher.dispatch(&seal(&message));
        assert!(read.sent_unique_id);
        assert_eq!(read.sender, sender);
        match read.action {
            Action::Commit { command: read, .. } => assert_eq!(read, command),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_client_reads_the_outcome_that_was_answered() {
    let resource = |effect| (effect, ResourceStatus::Error);
    let outcomes = [
        (Outcome::Recorded, ReplyShape::Null, json!(null)),
        (
            Outcome::Resources(vec![resource(Effect::Applied)]),
            ReplyShape::One,
            json!({"outcome": "applied", "status": "error"}),
        ),
        (
            Outcome::Resources(vec![resource(Effect::Unchanged), resource(Effect::Stale)]),
            ReplyShape::List,
            json!([{"outcome": "unchanged", "status": "error"},
                   {"outcome": "stale", "status": "error"}]),
        ),
        (Outcome::Expected(7), ReplyShape::Count, json!(7)),
        (
            Outcome::Restore(Effect::Applied, RestoreStatus::Success),
            ReplyShape::One,
            json!({"outcome": "applied", "status": "success"}),
        ),
    ];
    for (command, (outcome, shape, json)) in commands().iter().zip(outcomes) {
        let result = result(&caller().outcome(&outcome, shape));
        assert_eq!(result, json);
        assert_eq!(read_outcome(command, &result), Some(outcome));
    }
}

#[test]
fn a_refusal_is_raised() {
    let refused = |refusal| error(&caller().outcome(&Outcome::Refused(refusal), ReplyShape::One));
    assert_eq!(refused(Refusal::RestoreNotFound(id())), RpcError::RestoreNotFound(id()));
    let said = "the restore would have more than 9 resources (the worker\'s setting \
         `limits.resources_per_restore`)"
        .to_owned();
    assert_eq!(refused(Refusal::TooManyResources { limit: 9 }), RpcError::InvalidInput(said));
    let waiting = caller().outcome(&Outcome::Waiting, ReplyShape::One);
    assert_eq!(error(&waiting).class(), "InternalError");
}

#[test]
fn a_restore_is_shown_with_karbors_fields_and_ours() {
    let time = DateTime::from_timestamp_micros(1_700_000_000_000_001);
    let mut view = RestoreView {
        id: id(),
        project_id: "p".to_owned(),
        provider_id: "pr".to_owned(),
        checkpoint_id: "c".to_owned(),
        restore_target: Some("http://k".to_owned()),
        parameters: Some(r#"{"a": {"b": 1}}"#.to_owned()),
        status: "in_progress".to_owned(),
        reason: None,
        created_at: time,
        updated_at: None,
        resources: vec![
            ("t#1".parse().unwrap(), ResourceStatus::Available, None),
            ("t#2".parse().unwrap(), ResourceStatus::Error, Some("é".to_owned())),
        ],
        counts: Counts { available: 1, error: 1, expected: 2, ..Counts::default() },
    };
    let shown = result(&caller().restore(&view));
    assert_eq!(shown["resources_status"], json!({"t#1": "available", "t#2": "error"}));
    assert_eq!(shown["resources_reason"], json!({"t#2": "é"}));
    assert_eq!(shown["created_at"], "2023-11-14T22:13:20.000001+00:00");
    assert_eq!(shown["resources"]["expected"], 2);
    assert_eq!(shown.as_object().unwrap().len(), 13);
    assert_eq!(read_restore(&shown), Some(view.clone()));
    for unknown in [None, Some("null".to_owned()), Some("{broken".to_owned())] {
        view.parameters = unknown;
        assert_eq!(result(&caller().restore(&view))["parameters"], json!({}));
    }
    view.reason = Some("x".repeat(2000));
    let said = error(&caller().restore(&view)).to_string();
    assert!(said.starts_with("Invalid input received: the answer has "), "{said}");
    let pages = format!("GET /v1/PROJECT/restores/{}/resources", id());
    assert!(said.ends_with(&pages), "{said}");
}

#[test]
fn pongs_and_heartbeats_are_told_apart() {
    assert_eq!(answered(&caller().pong()), Reply::Result(json!("pong")));
    assert_eq!(answered(&caller().heartbeat()), Reply::Heartbeat);
    let every = |timeout| Caller { timeout, ..caller() }.heartbeat_every();
    assert_eq!(every(Some(Duration::from_secs(3))), Some(Duration::from_millis(1500)));
    assert_eq!(every(Some(Duration::from_secs(1))), None);
    assert_eq!(every(None), None);
}
