//! An exception on the wire (`oslo_messaging/_drivers/common.py`, `serialize_remote_exception`).
//!
//! Takes class, module and text, gives the JSON text that a Python client makes the exception of:
//! `klass(*args, **kwargs)` where it allows the module, a `RemoteError` otherwise.

use serde_json::{Map, Value};

use super::json;

/// What a call raised.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    /// The exception's class.
    pub(crate) class: String,
    /// The Python module it is looked up in.
    pub(crate) module: String,
    /// Its text, also its only positional argument.
    pub(crate) message: String,
    /// Its keyword arguments.
    pub(crate) kwargs: Map<String, Value>,
}

impl Failure {
    /// The `failure` of a reply. There is no traceback to show.
    pub(crate) fn to_text(&self) -> String {
        let mut keys = Map::new();
        keys.insert("class".to_owned(), Value::from(self.class.as_str()));
        keys.insert("module".to_owned(), Value::from(self.module.as_str()));
        keys.insert("message".to_owned(), Value::from(self.message.as_str()));
        keys.insert("tb".to_owned(), Value::Array(Vec::new()));
        keys.insert("args".to_owned(), Value::Array(vec![Value::from(self.message.as_str())]));
        keys.insert("kwargs".to_owned(), Value::Object(self.kwargs.clone()));
        json::dumps(&keys)
    }

    /// Reads the `failure` of a reply; what is missing is empty.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let Ok(Value::Object(mut keys)) = json::loads(text) else {
            return None;
        };
        let kwargs = match keys.get_mut("kwargs").map(Value::take) {
            Some(Value::Object(kwargs)) => kwargs,
            _ => Map::new(),
        };
        let text = |key: &str| keys.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(Self {
            class: text("class"),
            module: text("module"),
            message: text("message"),
            kwargs,
        })
    }
}
