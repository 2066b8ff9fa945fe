mod hostile;

use serde_json::json;

use super::*;
use crate::domain::{
    ExpectedResource, NewRestore, ResourceStatus, ResourceUpdate, RestoreStatus, State,
};
use crate::transport::Properties;
use crate::wire::open;
use crate::wire::{dumps, samples};

const ID: &str = "f30fe76e-4715-4cf8-aff3-13deea7170c3";

fn dispatcher() -> Dispatcher {
    Dispatcher::new(Arc::new(AliasTable::default()), Limits::default())
}

fn dispatch(message: &Value) -> Dispatched {
    dispatcher().dispatch(dumps(message).as_bytes())
}

fn command(method: &str, args: impl Into<Value>) -> (Command, ReplyShape) {
    match dispatch(&json!({"method": method, "version": "1.1", "args": args.into()})).action {
        Action::Commit { command, reply } => (command, reply),
        other => panic!("{other:?}"),
    }
}

fn refused(method: &str, args: impl Into<Value>) -> RpcError {
    match dispatch(&json!({"method": method, "args": args.into()})).action {
        Action::Refuse(error) => error,
        other => panic!("{other:?}"),
    }
}

fn invalid(method: &str, args: impl Into<Value>) -> String {
    match refused(method, args) {
        RpcError::InvalidInput(reason) => reason,
        other => panic!("{other:?}"),
    }
}

fn update() -> Value {
    json!({"restore_id": ID, "resource_type": "OS::Cinder::Volume", "resource_id": "v-1",
           "status": "available"})
}

fn with(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}

fn restore() -> Value {
    json!({"id": ID, "project_id": "p", "provider_id": "pr", "checkpoint_id": "c",
           "restore_target": null, "parameters": null, "status": null,
           "resources_status": null, "resources_reason": null})
}

fn properties(sent: &Properties) -> Value {
    assert_eq!(sent, &Properties::oslo());
    json!({
        "content_encoding": sent.content_encoding,
        "content_type": sent.content_type,
        "delivery_mode": sent.delivery_mode,
        "headers": {},
        "priority": sent.priority,
    })
}

fn resource(key: &str, status: ResourceStatus, reason: Option<&str>) -> ResourceUpdate {
    ResourceUpdate {
        key: key.parse().unwrap(),
        state: State { sequence: None, status, reason: reason.map(str::to_owned) },
        source_id: None,
        name: None,
    }
}

#[test]
fn karbors_own_call_records_its_restore() {
    let sample = samples::named("call-restore-1");
    let dispatched = dispatcher().dispatch(sample.body.as_bytes());
    assert_eq!(dispatched.unique_id, "1e3f521e1c0b410dbaca507e5558f31f");
    assert!(dispatched.sent_unique_id);
    assert_eq!(dispatched.method.as_deref(), Some("restore"));
    assert_eq!(
        dispatched.sender,
        Sender {
            project_id: Some("39bb894794b741e982bd26144d2949f6".to_owned()),
            is_admin: true,
            user_id: Some("user-1".to_owned()),
            request_id: Some("req-cf259485-bfc3-4e49-b1fa-3df701317832".to_owned()),
            global_request_id: None,
        }
    );
    let caller = dispatched.caller.unwrap();
    assert_eq!(caller.reply_q, "reply_541b92e60fe64139aec8ffc307ceea7a");
    assert_eq!(caller.heartbeat_every(), None);
    let expected = NewRestore {
        id: ID.parse().unwrap(),
        project_id: "39bb894794b741e982bd26144d2949f6".to_owned(),
        provider_id: "cf56bd3e-97a7-4078-b6d5-f36246333fd9".to_owned(),
        checkpoint_id: "dcb20606-ad71-40a3-80e4-ef0fafdad0c3".to_owned(),
        restore_target: Some("http://keystone/v3".to_owned()),
        parameters: Some("{}".to_owned()),
        status: RestoreStatus::InProgress,
        resources: Vec::new(),
    };
    let command = Command::RecordRestore(expected);
    assert_eq!(dispatched.action, Action::Commit { command, reply: ReplyShape::Null });
}

#[test]
fn other_samples_are_refused_as_python_refused_them() {
    for (name, error) in [
        ("call-no-such-method-1", "NoSuchMethod"),
        ("call-private-method-1", "NoSuchMethod"),
        ("call-unsupported-version-1", "UnsupportedVersion"),
        ("call-unknown-namespace-1", "UnsupportedVersion"),
    ] {
        let dispatched = dispatcher().dispatch(samples::named(name).body.as_bytes());
        let Action::Refuse(refused) = &dispatched.action else { panic!("{dispatched:?}") };
        assert_eq!(refused.class(), error);
        let answer = dispatched.caller.unwrap().failure(refused);
        let ours = open(&answer.body).unwrap();
        let theirs = samples::named(&name.replace("-1", "-2"));
        assert_eq!(answer.exchange, theirs.exchange);
        assert_eq!(vec![answer.routing_key], theirs.routing_keys);
        assert!(answer.mandatory);
        assert_eq!(properties(&answer.properties), theirs.properties);
        assert_eq!(ours["_msg_id"], theirs.message["_msg_id"]);
        let text = |failure: &Value| {
            let mut failure: Value = serde_json::from_str(failure.as_str().unwrap()).unwrap();
            failure["tb"].take();
            failure
        };
        assert_eq!(text(&ours["failure"]), text(&theirs.message["failure"]));
    }
}

#[test]
fn a_restore_takes_its_dictionaries_as_updates_without_sequence() {
    let mut object = restore();
    object["id"] = json!("F30FE76E47154CF8AFF313DEEA7170C3");
    object["status"] = json!("success");
    object["parameters"] = json!({"OS::Nova::Server#1": {"é": 1, "b": null}});
    object["resources_status"] = json!({"t#1": "ACTIVE", "t#2": "creating", "t#3#x": "ERROR"});
    object["resources_reason"] = json!({"t#2": "gave up", "t#3#x": null, "t#4": "early"});
    let (command, reply) = command("restore", json!({"restore": object, "restore_auth": 1}));
    assert_eq!(reply, ReplyShape::Null);
    let Command::RecordRestore(restore) = command else { panic!() };
    assert_eq!(restore.id.to_string(), ID);
    assert_eq!(restore.status, RestoreStatus::Success);
    let parameters = r#"{"OS::Nova::Server#1": {"\u00e9": 1, "b": null}}"#;
    assert_eq!(restore.parameters.as_deref(), Some(parameters));
    assert_eq!(
        restore.resources,
        [
            resource("t#1", ResourceStatus::Available, None),
            resource("t#2", ResourceStatus::Error, Some("gave up")),
            resource("t#3#x", ResourceStatus::Error, None),
            resource("t#4", ResourceStatus::Undefined, Some("early")),
        ]
    );
}

#[test]
fn an_entry_whose_key_is_none_is_left_out_of_a_restore() {
    let mut object = restore();
    object["resources_status"] = json!({"t": "error", "t#": "error", "t t#1": 7, "t#1": "error"});
    object["resources_reason"] = json!({"": "why", "t#1": "full", "no key": []});
    let (command, _) = command("restore", json!({"restore": object}));
    let Command::RecordRestore(restore) = command else { panic!() };
    let keys: Vec<_> = restore.resources.iter().map(|update| update.key.to_string()).collect();
    assert_eq!(keys, ["t#1"]);
    assert_eq!(restore.resources[0].state.reason.as_deref(), Some("full"));
}

#[test]
fn a_bad_restore_is_told_which_field_is_bad() {
    for (field, value, said) in [
        ("id", json!("x"), "`id` must be a UUID"),
        ("id", json!(null), "`id` must be a text"),
        ("project_id", json!("é"), "`project_id` must be 1 to 255 printable ASCII characters"),
        ("project_id", json!(""), "`project_id` must be 1 to 255 printable ASCII characters"),
        (
            "provider_id",
            json!("x".repeat(37)),
            "`provider_id` must be 1 to 36 printable ASCII characters",
        ),
        ("checkpoint_id", json!(1), "`checkpoint_id` must be a text"),
        (
            "restore_target",
            json!("x\ny"),
            "`restore_target` must be 0 to 255 printable ASCII characters",
        ),
        ("parameters", json!([]), "`parameters` must be null or an object"),
        ("parameters", json!({"a": "b"}), "`parameters` must be null or an object of objects"),
        (
            "parameters",
            json!({"a": {"b": "é".repeat(11_000)}}),
            "`parameters` must have at most 65535 bytes as JSON",
        ),
        ("status", json!("done"), "status must be one of `in_progress`, `success`, `fail`"),
        ("status", json!(7), "`status` must be a text"),
        ("resources_status", json!([]), "`resources_status` must be null or an object"),
        ("resources_status", json!({"t#1": 1}), "the status of `t#1` must be a text"),
        ("resources_reason", json!({"t#1": 1}), "the reason of `t#1` must be a text"),
    ] {
        let args = json!({"restore": with(restore(), field, value), "restore_auth": null});
        assert_eq!(invalid("restore", args), said);
    }
    let unknown = with(restore(), "resources_status", json!({"t#1": "flying"}));
    let said = invalid("restore", json!({"restore": unknown}));
    assert!(said.starts_with("the status of `t#1`: ") && said.contains("`available`"), "{said}");
    let many: Map<_, _> = (0..20_001).map(|n| (format!("t#{n}"), json!("error"))).collect();
    let many = with(restore(), "resources_status", Value::Object(many));
    let said = invalid("restore", json!({"restore": many}));
    assert_eq!(
        said,
        "the restore would have more than 20000 resources (the worker\'s setting \
         `limits.resources_per_restore`)"
    );
    let said = invalid("restore", json!({"restore": [1]}));
    assert_eq!(
        said,
        "`restore` must be a Karbor `Restore` object of version 1.0, or its plain fields"
    );
}

#[test]
fn one_update_may_carry_everything() {
    let mut args = update();
    args["reason"] = json!("why\u{0}");
    args["sequence"] = json!(9_223_372_036_854_775_807_u64);
    args["source_id"] = json!("v-0");
    args["name"] = json!("data");
    let (command, reply) = command("update_resource_status", args);
    assert_eq!(reply, ReplyShape::One);
    let mut expected = resource("OS::Cinder::Volume#v-1", ResourceStatus::Available, Some("why"));
    expected.state.sequence = Some(9_223_372_036_854_775_807);
    expected.source_id = Some("v-0".parse().unwrap());
    expected.name = Some("data".to_owned());
    let restore_id = ID.parse().unwrap();
    assert_eq!(command, Command::UpdateResources { restore_id, updates: vec![expected] });
}

#[test]
fn a_bad_update_is_told_which_argument_is_bad() {
    for (name, value, said) in [
        ("restore_id", json!("7"), "`restore_id` must be a UUID"),
        (
            "resource_type",
            json!("a b"),
            "`resource_type` must be 1 to 255 of the characters A-Z a-z 0-9 _ . : -",
        ),
        (
            "resource_id",
            json!("a b"),
            "`resource_id` must be 1 to 255 printable ASCII characters without a space",
        ),
        (
            "source_id",
            json!(""),
            "`source_id` must be 1 to 255 printable ASCII characters without a space",
        ),
        ("reason", json!({}), "`reason` must be a text"),
        ("name", json!("é".repeat(256)), "`name` must be null or a text of at most 255 characters"),
        (
            "sequence",
            json!(-1),
            "`sequence` must be null or a whole number from 0 to 9223372036854775807",
        ),
    ] {
        assert_eq!(invalid("update_resource_status", with(update(), name, value)), said);
    }
    assert!(
        invalid("update_resource_status", with(update(), "status", json!("x"))).contains("`error`")
    );
    let nothing = refused("update_resource_status", with(update(), "x", json!(1)));
    let said = "update_resource_status() got an unexpected keyword argument 'x'";
    assert_eq!(nothing, RpcError::TypeError(said.to_owned()));
}

#[test]
fn a_list_is_taken_whole_or_its_first_bad_item_named() {
    let mut item = update();
    item.as_object_mut().unwrap().shift_remove("restore_id");
    let list = |items: Vec<Value>| json!({"restore_id": ID, "resources": items});
    let (command, reply) = command("update_resources_status", list(vec![item.clone(); 1000]));
    assert_eq!((command.weight(), reply), (1000, ReplyShape::List));
    for (items, said) in [
        (vec![], "`resources` must be a list of 1 to 1000"),
        (vec![item.clone(); 1001], "`resources` must be a list of 1 to 1000"),
        (vec![item.clone(), json!(1)], "`resources[1]`: not an object"),
        (vec![item.clone(), update()], "`resources[1]`: unknown key `restore_id`"),
        (vec![json!({})], "`resources[0]`: `resource_type` is missing"),
        (
            vec![item.clone(), item.clone(), with(item.clone(), "reason", json!(1)), json!({})],
            "`resources[2]`: `reason` must be a text",
        ),
    ] {
        assert_eq!(invalid("update_resources_status", list(items)), said);
    }
}

#[test]
fn expected_resources_are_known_by_their_source() {
    let args = json!({"restore_id": ID, "resources": [
        {"resource_type": "t", "source_id": "s"},
        {"resource_type": "t", "source_id": "s2", "name": "n"},
    ]});
    let expected = |source_id: &str, name: Option<&str>| ExpectedResource {
        resource_type: "t".parse().unwrap(),
        source_id: source_id.parse().unwrap(),
        name: name.map(str::to_owned),
    };
    let resources = vec![expected("s", None), expected("s2", Some("n"))];
    let restore_id = ID.parse().unwrap();
    let command = command("expect_resources", args);
    assert_eq!(command, (Command::ExpectResources { restore_id, resources }, ReplyShape::Count));
    let bad = json!({"restore_id": ID, "resources": [{"resource_type": "t", "resource_id": "x"}]});
    assert_eq!(invalid("expect_resources", bad), "`resources[0]`: unknown key `resource_id`");
}

#[test]
fn the_status_of_a_restore_is_updated_with_null_as_in_progress() {
    let args = json!({"restore_id": ID, "status": null, "reason": "", "sequence": 0});
    let state = State { sequence: Some(0), status: RestoreStatus::InProgress, reason: None };
    let restore_id = ID.parse().unwrap();
    let command = command("update_restore_status", args);
    assert_eq!(command, (Command::UpdateRestore { restore_id, state }, ReplyShape::One));
}

#[test]
fn a_ping_ignores_its_arguments() {
    let ping = dispatch(&json!({"method": "oslo_rpc_server_ping", "args": {"a": 1}}));
    assert_eq!(ping.action, Action::Ping);
}

#[test]
fn reads_and_pings_are_actions_of_their_own() {
    let read = dispatch(&json!({"method": "get_restore", "args": {"restore_id": ID}}));
    assert_eq!(read.action, Action::GetRestore(ID.parse().unwrap()));
    let ping =
        dispatch(&json!({"method": "oslo_rpc_server_ping", "version": null, "namespace": null}));
    assert_eq!(ping.action, Action::Ping);
    assert!(!ping.sent_unique_id && ping.unique_id.len() == 32);
}

#[test]
fn version_and_namespace_are_judged_before_the_method() {
    for (key, value, version) in [
        ("version", json!("1.2"), "1.2"),
        ("version", json!("1"), "1"),
        ("version", json!(1.0), "1.0 (a text is wanted)"),
        ("version", json!({"a": 1}), "{\"a\": 1} (a text is wanted)"),
        ("namespace", json!(""), "1.0"),
        ("namespace", json!(0), "1.0"),
    ] {
        let dispatched = dispatch(&with(json!({"method": "nope"}), key, value));
        let version = version.to_owned();
        let error = RpcError::UnsupportedVersion { version, method: "nope".to_owned() };
        assert_eq!(dispatched.action, Action::Refuse(error));
    }
}

#[test]
fn a_bad_call_can_still_be_answered() {
    let call = json!({"_msg_id": "m", "_reply_q": "reply_1", "_unique_id": "", "method": 1});
    let dispatched = dispatch(&call);
    assert!(matches!(dispatched.action, Action::Refuse(RpcError::MalformedMessage(_))));
    assert_eq!(dispatched.caller.unwrap().reply_q, "reply_1");
    let call = with(call, "_reply_q", json!("amq.topic"));
    let dispatched = dispatch(&with(call, "method", json!("a\u{7}b")));
    assert!(matches!(dispatched.action, Action::Refuse(RpcError::MalformedMessage(_))));
    assert_eq!(dispatched.caller, None);
    assert_eq!(dispatched.method.as_deref(), Some("a\u{fffd}b"));
}

#[test]
fn a_body_beyond_the_limit_is_not_read() {
    let limits = Limits { body_bytes: 20, ..Limits::default() };
    let dispatcher = Dispatcher::new(Arc::new(AliasTable::default()), limits);
    let fits = dispatcher.dispatch(br#"{"method": "nope1"} "#);
    assert_eq!(fits.action, Action::Refuse(RpcError::NoSuchMethod("nope1".to_owned())));
    let beyond = dispatcher.dispatch(br#"{"method": "nope12"} "#);
    let error = RpcError::BodyTooLarge { bytes: 21, limit: 20 };
    assert_eq!(beyond.action, Action::Refuse(error));
}
