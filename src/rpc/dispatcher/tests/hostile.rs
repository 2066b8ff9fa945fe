//! What no sender of ours sends: Python's extras, secrets in odd places, any bytes.

use proptest::prelude::*;

use super::*;

#[test]
fn pythons_extras_are_the_senders_fault() {
    let args = r#"{"restore_id": "f30fe76e-4715-4cf8-aff3-13deea7170c3", "resource_type": "t",
        "resource_id": "r", "status": "error", "sequence": EXTRA, "reason": "\ud800!"}"#;
    for extra in ["NaN", "Infinity", "-Infinity", "1180591620717411303424", "1e400"] {
        let body = format!(
            r#"{{"method": "update_resource_status", "args": {}}}"#,
            args.replace("EXTRA", extra)
        );
        let action = dispatcher().dispatch(body.as_bytes()).action;
        assert!(matches!(action, Action::Refuse(RpcError::InvalidInput(_))), "{extra}");
    }
    let body = format!(
        r#"{{"method": "update_resource_status", "args": {}}}"#,
        args.replace("EXTRA", "1")
    );
    let Action::Commit { command: Command::UpdateResources { updates, .. }, .. } =
        dispatcher().dispatch(body.as_bytes()).action
    else {
        panic!()
    };
    assert_eq!(updates[0].state.reason.as_deref(), Some("\u{fffd}!"));
    let mut object = restore();
    object["parameters"] = json!({"a": {"b": [1]}});
    let body = dumps(&json!({"method": "restore", "args": {"restore": object}}));
    let action = dispatcher().dispatch(body.replace("[1]", "[NaN]").as_bytes()).action;
    assert!(matches!(action, Action::Refuse(RpcError::InvalidInput(_))));
}

#[test]
fn no_error_repeats_a_secret() {
    let mut object = restore();
    object["parameters"] = json!({"SECRET": "SECRET"});
    object["restore_target"] = json!("http://u:SECRET@h/\u{0}");
    for field in ["parameters", "restore_target"] {
        let restore = with(restore(), field, object[field].clone());
        let args = json!({"restore": restore, "restore_auth": {"password": "SECRET"}});
        assert!(!refused("restore", args).to_string().contains("SECRET"));
    }
}

#[test]
fn no_id_of_a_context_repeats_a_secret() {
    let text = json!("r\u{202e}\u{0}estore_auth=TOK");
    let of = |is_admin: bool| {
        dispatch(&json!({
            "method": "x", "_context_user_id": {"restore_auth": "TOK"}, "_context_user": text,
            "_context_request_id": format!("{{'{}', restore_auth: TOK", "é".repeat(200)),
            "_context_global_request_id": format!("{}restore_auth=TOK", "é".repeat(250)),
            "_context_project_id": text, "_context_is_admin": is_admin,
        }))
        .sender
    };
    let admin = of(true);
    assert!(!format!("{admin:?}").contains("TOK"), "{admin:?}");
    assert_eq!(admin.user_id.as_deref(), Some("***"));
    // The tenant rule compares the whole of it; an admin's is only told of.
    assert_eq!(
        of(false),
        Sender { project_id: Some("restore_auth=TOK".to_owned()), is_admin: false, ..admin }
    );
}

#[test]
fn an_id_of_a_context_is_short_and_holds_no_half_of_a_password() {
    for text in [format!("{}http://u:TOKEN@h", "é".repeat(241)), "http://u:@h ".repeat(30)] {
        let message = json!({"method": "x", "_context_user_id": text, "_context_request_id": text});
        let sender = dispatch(&message).sender;
        let id = sender.user_id.unwrap();
        assert!(!id.contains("TOK") && id.chars().count() == 255, "{id}");
        assert_eq!(sender.request_id, Some(id));
    }
}

proptest! {
    #[test]
    fn dispatching_never_panics(body in any::<Vec<u8>>()) {
        let _ = dispatcher().dispatch(&body);
    }

    #[test]
    fn dispatching_a_damaged_sample_never_panics(
        sample in proptest::sample::select(samples::all()),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut body = sample.body.into_bytes();
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let dispatched = dispatcher().dispatch(&body);
        if let Action::Refuse(error) = &dispatched.action {
            prop_assert!(!error.to_string().contains("SECRET-TOKEN"));
        }
    }

    #[test]
    fn any_value_in_place_of_an_argument_never_panics(
        method in proptest::sample::select(vec![
            "restore", "update_resource_status", "update_resources_status", "expect_resources",
            "update_restore_status", "get_restore", "oslo_rpc_server_ping",
        ]),
        name in proptest::sample::select(vec![
            "restore", "restore_id", "resources", "status", "sequence", "reason", "name",
            "source_id", "resource_type", "resource_id",
        ]),
        value in r#"(null|true|-?[0-9]{1,30}|"[a-f]{0,3}"|\[[0-9]?\]|\{\}|\{"a": 1\}|NaN)"#,
    ) {
        let args = dumps(&update()).replace('}', &format!(", \"{name}\": {value}}}"));
        let body = format!(r#"{{"method": "{method}", "args": {args}}}"#);
        let _ = dispatcher().dispatch(body.as_bytes());
        let body = format!(r#"{{"method": "{method}", "args": {{"{name}": {value}}}}}"#);
        let _ = dispatcher().dispatch(body.as_bytes());
    }
}
