//! A request's parts: its id, whom to answer, who asks, and what is called
//! (`oslo_messaging/_drivers/amqp.py`, `rpc/dispatcher.py`).
//!
//! Takes the keys of an opened message, gives each part by itself, so that a bad part does not
//! hide a good one: a caller can be answered although the rest is wrong. Of the context only
//! what is asked for is read; the token is not.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Map, Value};

use super::envelope::Malformed;
use super::json;
use super::redact::without_values;
use crate::domain::mask_passwords;
use crate::formatting::is_formatting;

/// AMQP's limit of a routing key, and what texts of a request are cut to before they are shown.
const SHORT_TEXT: usize = 255;

/// Whom a call is answered to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// `_msg_id`, which the reply repeats.
    pub(crate) msg_id: String,
    /// `_reply_q`, the routing key of the reply.
    pub(crate) reply_q: String,
    /// `_timeout`: within which the caller wants to hear a heartbeat.
    pub(crate) timeout: Option<Duration>,
}

/// Who asks: the keys of the context that the worker reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) project_id: Option<String>,
    pub(crate) is_admin: bool,
    pub(crate) user_id: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) global_request_id: Option<String>,
}

/// What is called, and how.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Invocation {
    pub(crate) method: String,
    /// As sent; `None` where absent or null.
    pub(crate) version: Option<Value>,
    /// As sent; `None` where absent or null.
    pub(crate) namespace: Option<Value>,
    pub(crate) args: Map<String, Value>,
}

/// The `_unique_id`, `None` where the message has none.
pub(crate) fn read_unique_id(message: &Map<String, Value>) -> Result<Option<String>, Malformed> {
    match message.get("_unique_id") {
        None => Ok(None),
        // A table takes no NUL, and a header shows badly what controls: hence as shown.
        Some(Value::String(id)) if (1..=255).contains(&id.chars().count()) => Ok(Some(shown(id))),
        Some(_) => Err(Malformed::new("`_unique_id` is not a text of 1 to 255 characters")),
    }
}

/// Whom to answer; `None` for a cast. A message with only one of `_msg_id` and `_reply_q` cannot
/// be answered and is a cast, as for oslo.messaging.
pub(crate) fn read_call(message: &Map<String, Value>) -> Result<Option<Call>, Malformed> {
    let reply_q = match message.get("_reply_q") {
        None | Some(Value::Null) => None,
        // It is a routing key: a longer one could not be published to.
        Some(Value::String(queue)) if queue.starts_with("reply_") && queue.len() <= SHORT_TEXT => {
            Some(queue.clone())
        }
        Some(_) => return Err(Malformed::new("`_reply_q` does not name a reply queue")),
    };
    let msg_id = match message.get("_msg_id") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) if id.len() <= SHORT_TEXT => Some(id.clone()),
        Some(_) => {
            return Err(Malformed::new("`_msg_id` is not a text of at most 255 bytes"));
        }
    };
    let timeout = message.get("_timeout").and_then(read_timeout);
    Ok(match (msg_id, reply_q) {
        (Some(msg_id), Some(reply_q)) if !msg_id.is_empty() => {
            Some(Call { msg_id, reply_q, timeout })
        }
        _ => None,
    })
}

/// Python's `int(...)` of it, in seconds; more than 136 years are as good as 136.
fn read_timeout(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse::<u32>().ok()?.into(),
        _ => return None,
    };
    let seconds = seconds.trunc();
    (seconds >= 1.0)
        .then(|| Duration::try_from_secs_f64(seconds.min(f64::from(u32::MAX))).ok())
        .flatten()
}

const PROJECT_KEY: &str = "_context_project_id";

/// What of a context is read.
pub(crate) const CONTEXT_KEYS: [&str; 6] = [
    PROJECT_KEY,
    "_context_is_admin",
    "_context_user_id",
    "_context_user",
    "_context_request_id",
    "_context_global_request_id",
];

/// Who asks, by [`CONTEXT_KEYS`]. A key that is missing or not a text reads as none; admin is exactly true.
pub(crate) fn read_context(message: &Map<String, Value>) -> Context {
    let sent = |key: &str| message.get(key).and_then(Value::as_str);
    let text = |key: &str| sent(key).and_then(told_text);
    let is_admin = is_admin(message);
    Context {
        // An admin's is only told of, another's is compared.
        project_id: match sent(PROJECT_KEY) {
            Some(id) if !is_admin => short_text(id),
            id => id.and_then(told_text),
        },
        is_admin,
        // Karbor's context has both; oslo.context's own has only the second.
        user_id: text("_context_user_id").or_else(|| text("_context_user")),
        request_id: text("_context_request_id"),
        global_request_id: text("_context_global_request_id"),
    }
}

/// The context as it may rest: what [`read_context`] tells of is cut where it gives a secret a
/// value, so that it reads the same.
pub(crate) fn cut_context(message: &mut Map<String, Value>) {
    let is_compared = !is_admin(message);
    for key in CONTEXT_KEYS {
        if key == PROJECT_KEY && is_compared {
            continue;
        }
        if let Some(Value::String(text)) = message.get_mut(key)
            && let Cow::Owned(cut) = without_values(&without_formatting(text).collect::<String>())
        {
            *text = cut;
        }
    }
}

fn is_admin(message: &Map<String, Value>) -> bool {
    message.get("_context_is_admin") == Some(&Value::Bool(true))
}

/// What is called; takes the arguments out of the message.
pub(crate) fn read_invocation(message: &mut Map<String, Value>) -> Result<Invocation, Malformed> {
    let method = read_method(message).ok_or_else(|| Malformed::new("`method` is not a text"))?;
    let present = |key: &str| message.get(key).filter(|value| !value.is_null()).cloned();
    let (version, namespace) = (present("version"), present("namespace"));
    let args = match message.get_mut("args").map(Value::take) {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(args)) => args,
        Some(_) => return Err(Malformed::new("`args` is not an object")),
    };
    Ok(Invocation { method, version, namespace, args })
}

/// The method's name, cleaned; `None` where there is none. One that needed cleaning is no method
/// of ours, so it cannot be taken for one: what was taken out stays visible as U+FFFD.
pub(crate) fn read_method(message: &Map<String, Value>) -> Option<String> {
    message.get("method").and_then(Value::as_str).map(shown)
}

/// A value of a request as an error may show it: at most 255 characters without control
/// characters and without a secret's value.
pub(crate) fn show_value(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text),
        other => shown(&json::dumps(other)),
    }
}

/// Text as an error may show it.
pub(crate) fn shown(text: &str) -> String {
    // Half a password is none that anybody could tell later.
    let is_cut = text.chars().nth(SHORT_TEXT).is_some();
    let whole = if is_cut { mask_passwords(text) } else { Cow::Borrowed(text) };
    without_values(&whole)
        .chars()
        .take(SHORT_TEXT)
        .map(|c| if is_formatting(c) { '\u{fffd}' } else { c })
        .collect()
}

/// An id of a context as a log, an event and a notification may tell it. Hidden first and then made
/// short: no half of a secret may remain, and a table takes no more characters.
pub(crate) fn told_text(text: &str) -> Option<String> {
    // As nearly all are: no sign in it that gives a name a value.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_plain && (1..=SHORT_TEXT).contains(&text.len()) {
        return Some(text.to_owned());
    }
    let printable: String = without_formatting(text).collect();
    short_text(&mask_passwords(&without_values(&printable)))
}

fn short_text(text: &str) -> Option<String> {
    let text: String = without_formatting(text).take(SHORT_TEXT).collect();
    (!text.is_empty()).then_some(text)
}

fn without_formatting(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|c| !is_formatting(*c))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::{open, samples};

    fn keys(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn no_text_of_a_context_turns_a_terminal_round() {
        assert_eq!(short_text("a\u{202e}b\u{1b}c\u{2066}").as_deref(), Some("abc"));
        assert_eq!(shown("a\u{202e}b"), "a\u{fffd}b");
    }

    #[test]
    fn no_password_is_cut_in_half() {
        for at in 230..255 {
            let text = format!("{}http://u:SECRET-PASSWORD@h", "x".repeat(at));
            assert!(!shown(&text).contains("SE"), "{at}");
        }
    }

    #[test]
    fn every_sampled_request_is_read() {
        let mut requests = 0;
        for sample in samples::all().iter().filter(|s| s.message.get("method").is_some()) {
            requests += 1;
            let mut message = open(sample.body.as_bytes()).unwrap();
            let sent = &sample.message;
            assert_eq!(read_unique_id(&message).unwrap().as_deref(), sent["_unique_id"].as_str());
            let call = read_call(&message).unwrap();
            assert_eq!(call.is_some(), sample.name.starts_with("call-"), "{}", sample.name);
            if let Some(call) = call {
                assert_eq!(call.msg_id, sent["_msg_id"].as_str().unwrap());
                assert_eq!(call.reply_q, sent["_reply_q"].as_str().unwrap());
                assert_eq!(call.timeout.map(|t| t.as_secs()), sent["_timeout"].as_u64());
            }
            let context = read_context(&message);
            assert!(context.is_admin);
            assert_eq!(context.project_id.as_deref(), sent["_context_project_id"].as_str());
            assert_eq!(context.user_id.as_deref(), Some("user-1"));
            assert_eq!(context.request_id.as_deref(), sent["_context_request_id"].as_str());
            assert_eq!(context.global_request_id, None);
            let invocation = read_invocation(&mut message).unwrap();
            assert_eq!(Some(invocation.method.as_str()), sent["method"].as_str());
            assert_eq!(invocation.version.as_ref(), sent.get("version"));
            assert_eq!(invocation.namespace.as_ref(), sent.get("namespace"));
            assert_eq!(Value::Object(invocation.args), sent["args"]);
        }
        assert_eq!(requests, 12);
    }

    #[test]
    fn a_reply_queue_of_another_name_is_malformed() {
        for bad in [json!("amq.gen-1"), json!(""), json!(1), json!(format!("reply_{:300}", 1))] {
            assert!(read_call(&keys(json!({"_msg_id": "m", "_reply_q": bad}))).is_err(), "{bad}");
        }
        assert!(read_call(&keys(json!({"_msg_id": {}, "_reply_q": "reply_1"}))).is_err());
    }

    #[test]
    fn half_a_call_is_a_cast() {
        for half in [
            json!({"_msg_id": "m"}),
            json!({"_msg_id": "m", "_reply_q": null}),
            json!({"_reply_q": "reply_1"}),
            json!({"_msg_id": "", "_reply_q": "reply_1"}),
        ] {
            assert_eq!(read_call(&keys(half.clone())), Ok(None), "{half}");
        }
    }

    #[test]
    fn a_timeout_is_read_as_python_reads_it() {
        let seconds = |value| read_timeout(&value).map(|t| t.as_secs());
        assert_eq!(seconds(json!(2)), Some(2));
        assert_eq!(seconds(json!(3.9)), Some(3));
        assert_eq!(seconds(json!("4")), Some(4));
        for none in [json!(null), json!(0), json!(-3), json!("x"), json!([2]), json!(true)] {
            assert_eq!(seconds(none.clone()), None, "{none}");
        }
        assert_eq!(seconds(json!(1e300)), Some(u64::from(u32::MAX)));
        assert_eq!(seconds(json::loads("NaN").unwrap()), None);
    }

    #[test]
    fn only_true_is_admin_and_only_text_is_a_project() {
        for other in [json!(1), json!("true"), json!("True"), json!(null), json!([true])] {
            assert!(!read_context(&keys(json!({"_context_is_admin": other}))).is_admin);
        }
        let context = read_context(&keys(json!({
            "_context_project_id": "a\u{0}b\n",
            "_context_tenant": "t",
            "_context_user_id": 7,
            "_context_request_id": "r".repeat(300),
            "_context_global_request_id": "",
        })));
        assert_eq!(context.project_id.as_deref(), Some("ab"));
        assert_eq!(context.user_id, None);
        assert_eq!(context.request_id.map(|id| id.len()), Some(255));
        assert_eq!(context.global_request_id, None);
        let context = read_context(&keys(json!({"_context_tenant": "t", "_context_user": "u"})));
        assert_eq!((context.project_id, context.user_id.as_deref()), (None, Some("u")));
    }

    #[test]
    fn an_id_is_a_text_of_1_to_255_characters() {
        assert_eq!(read_unique_id(&keys(json!({}))), Ok(None));
        let id = "é".repeat(255);
        assert_eq!(read_unique_id(&keys(json!({"_unique_id": id}))), Ok(Some(id)));
        for bad in [json!(""), json!(null), json!(5), json!("é".repeat(256))] {
            assert!(read_unique_id(&keys(json!({"_unique_id": bad}))).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_message_without_a_method_or_with_odd_arguments_is_malformed() {
        for bad in [json!({}), json!({"method": null}), json!({"method": "a", "args": []})] {
            assert!(read_invocation(&mut keys(bad.clone())).is_err(), "{bad}");
        }
        let read = read_invocation(&mut keys(json!({"method": "a", "args": null}))).unwrap();
        assert_eq!(
            read,
            Invocation { method: "a".to_owned(), version: None, namespace: None, args: Map::new() }
        );
    }
}
