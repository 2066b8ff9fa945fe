//! What a bad request gets: the exception that its caller raises, the class of its dead letter.
//!
//! Takes refusals and what validation found, gives texts and [`Failure`]s. A text never holds a
//! secret, and of what was sent only names that were cut and cleaned.

use serde_json::{Map, Value};

use crate::domain::{Refusal, RestoreId, mask_passwords};
use crate::wire::{Failure, Malformed};

/// Why a request is not done; its `Display` is the exception's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The body is no request.
    #[error("Malformed message: {0}")]
    MalformedMessage(String),
    /// The body is larger than the limit; it is not read.
    #[error("Malformed message: the body has {bytes} bytes, more than the limit of {limit}")]
    BodyTooLarge {
        /// Its length.
        bytes: usize,
        /// The limit in force.
        limit: usize,
    },
    /// An argument has a value that is not accepted. `karbor.exception.InvalidInput`.
    #[error("Invalid input received: {0}")]
    InvalidInput(String),
    /// No such restore within the sender's reach. `karbor.exception.RestoreNotFound`.
    #[error("Restore {0} could not be found.")]
    RestoreNotFound(RestoreId),
    /// An update that came before its restore, which never came; of the same class.
    #[error("Restore {id} could not be found: the update waited for it longer than {waited_s} s.")]
    NeverRecorded {
        /// The restore.
        id: RestoreId,
        /// How long updates wait, in seconds.
        waited_s: u64,
    },
    /// An argument too many or too few.
    #[error("{0}")]
    TypeError(String),
    /// There is no such method.
    #[error("Endpoint does not support RPC method {0}")]
    NoSuchMethod(String),
    /// Another version, or a namespace.
    #[error("Endpoint does not support RPC version {version}. Attempted method: {method}")]
    UnsupportedVersion {
        /// As sent.
        version: String,
        /// As sent.
        method: String,
    },
    /// A fault of the worker or its database that this message alone meets.
    #[error("The worker could not do this: {0}")]
    InternalError(String),
}

impl RpcError {
    /// The same with passwords hidden in what it repeats of the request: names of methods and
    /// arguments are anybody's text.
    #[must_use]
    pub fn without_passwords(self) -> Self {
        let hide = |text: String| mask_passwords(&text).into_owned();
        match self {
            Self::MalformedMessage(text) => Self::MalformedMessage(hide(text)),
            Self::InvalidInput(text) => Self::InvalidInput(hide(text)),
            Self::TypeError(text) => Self::TypeError(hide(text)),
            Self::NoSuchMethod(method) => Self::NoSuchMethod(hide(method)),
            Self::UnsupportedVersion { version, method } => {
                Self::UnsupportedVersion { version: hide(version), method: hide(method) }
            }
            Self::InternalError(text) => Self::InternalError(hide(text)),
            Self::BodyTooLarge { .. } | Self::RestoreNotFound(_) | Self::NeverRecorded { .. } => {
                self
            }
        }
    }

    /// The exception's class: the `error` of a dead letter.
    pub fn class(&self) -> &'static str {
        match self {
            Self::MalformedMessage(_) | Self::BodyTooLarge { .. } => "MalformedMessage",
            Self::InvalidInput(_) => "InvalidInput",
            Self::RestoreNotFound(_) | Self::NeverRecorded { .. } => "RestoreNotFound",
            Self::TypeError(_) => "TypeError",
            Self::NoSuchMethod(_) => "NoSuchMethod",
            Self::UnsupportedVersion { .. } => "UnsupportedVersion",
            Self::InternalError(_) => "InternalError",
        }
    }

    /// The Python module of the class. A module of our own is in no client's list, so that it
    /// raises a `RemoteError` that names the class.
    fn module(&self) -> &'static str {
        match self {
            Self::InvalidInput(_) | Self::RestoreNotFound(_) | Self::NeverRecorded { .. } => {
                "karbor.exception"
            }
            Self::TypeError(_) => "builtins",
            Self::NoSuchMethod(_) | Self::UnsupportedVersion { .. } => {
                "oslo_messaging.rpc.dispatcher"
            }
            Self::MalformedMessage(_) | Self::BodyTooLarge { .. } | Self::InternalError(_) => {
                "karbor_restore_worker.exception"
            }
        }
    }

    /// As it crosses the wire. Karbor's exceptions carry what their text was made of, and `code`
    /// (`karbor/exception.py`); the clients call them with both, and the text wins.
    pub(crate) fn to_failure(&self) -> Failure {
        let mut kwargs = Map::new();
        match self {
            Self::InvalidInput(reason) => {
                kwargs.insert("reason".to_owned(), Value::from(reason.as_str()));
                kwargs.insert("code".to_owned(), Value::from(400));
            }
            Self::RestoreNotFound(id) | Self::NeverRecorded { id, .. } => {
                kwargs.insert("restore_id".to_owned(), Value::from(id.to_string()));
                kwargs.insert("code".to_owned(), Value::from(404));
            }
            Self::MalformedMessage(_)
            | Self::BodyTooLarge { .. }
            | Self::TypeError(_)
            | Self::NoSuchMethod(_)
            | Self::UnsupportedVersion { .. }
            | Self::InternalError(_) => {}
        }
        Failure {
            class: self.class().to_owned(),
            module: self.module().to_owned(),
            message: self.to_string(),
            kwargs,
        }
    }

    /// What a failure that a worker sent says; another server's classes read as `InternalError`.
    pub(crate) fn from_failure(failure: &Failure) -> Self {
        let message = failure.message.clone();
        let kwarg = |name: &str| failure.kwargs.get(name).and_then(Value::as_str);
        match failure.class.as_str() {
            "MalformedMessage" => Self::MalformedMessage(without(&message, "Malformed message: ")),
            "InvalidInput" => Self::InvalidInput(
                kwarg("reason")
                    .map_or_else(|| without(&message, "Invalid input received: "), str::to_owned),
            ),
            "RestoreNotFound" => match kwarg("restore_id").and_then(|id| id.parse().ok()) {
                Some(id) => Self::RestoreNotFound(id),
                None => Self::InternalError(message),
            },
            "TypeError" => Self::TypeError(message),
            "NoSuchMethod" => {
                Self::NoSuchMethod(without(&message, "Endpoint does not support RPC method "))
            }
            "UnsupportedVersion" => {
                let rest = without(&message, "Endpoint does not support RPC version ");
                let (version, method) =
                    rest.split_once(". Attempted method: ").unwrap_or((&rest, ""));
                Self::UnsupportedVersion { version: version.to_owned(), method: method.to_owned() }
            }
            "InternalError" => {
                Self::InternalError(without(&message, "The worker could not do this: "))
            }
            class => Self::InternalError(format!("{class}: {message}")),
        }
    }
}

fn without(text: &str, prefix: &str) -> String {
    text.strip_prefix(prefix).unwrap_or(text).to_owned()
}

impl From<Refusal> for RpcError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::RestoreNotFound(id) => Self::RestoreNotFound(id),
            Refusal::TooManyResources { limit } => Self::InvalidInput(format!(
                "the restore would have more than {limit} resources (the worker's setting \
                     `limits.resources_per_restore`)"
            )),
        }
    }
}

impl From<Malformed> for RpcError {
    fn from(malformed: Malformed) -> Self {
        Self::MalformedMessage(malformed.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::samples;

    fn sampled_failure(name: &str) -> Failure {
        let sample = samples::named(name);
        Failure::from_text(sample.message["failure"].as_str().unwrap()).unwrap()
    }

    #[test]
    fn our_failures_are_pythons() {
        let id = "377b6663-017e-48f5-9200-51d32922936d".parse().unwrap();
        let unsupported = |version: &str| RpcError::UnsupportedVersion {
            version: version.to_owned(),
            method: "value".to_owned(),
        };
        for (name, error) in [
            ("call-expected-exception-2", RpcError::RestoreNotFound(id)),
            ("call-no-such-method-2", RpcError::NoSuchMethod("nope".to_owned())),
            ("call-private-method-2", RpcError::NoSuchMethod("_private".to_owned())),
            ("call-unsupported-version-2", unsupported("9.1")),
            ("call-unknown-namespace-2", unsupported("1.0")),
        ] {
            assert_eq!(error.to_failure(), sampled_failure(name), "{name}");
        }
    }

    #[test]
    fn invalid_input_is_rebuilt_with_its_text_and_code() {
        let failure = RpcError::InvalidInput("`status` is wrong".to_owned()).to_failure();
        assert_eq!(
            failure.to_text(),
            r#"{"class": "InvalidInput", "module": "karbor.exception", "message": "#.to_owned()
                + r#""Invalid input received: `status` is wrong", "tb": [], "args": "#
                + r#"["Invalid input received: `status` is wrong"], "kwargs": "#
                + r#"{"reason": "`status` is wrong", "code": 400}}"#
        );
    }

    #[test]
    fn errors_round_trip_through_failures() {
        let text = || "x".to_owned();
        for error in [
            RpcError::MalformedMessage(text()),
            RpcError::InvalidInput(text()),
            RpcError::RestoreNotFound("377b6663-017e-48f5-9200-51d32922936d".parse().unwrap()),
            RpcError::TypeError(text()),
            RpcError::NoSuchMethod(text()),
            RpcError::UnsupportedVersion { version: text(), method: text() },
            RpcError::InternalError(text()),
        ] {
            assert_eq!(RpcError::from_failure(&error.to_failure()), error);
        }
        let boom = RpcError::from_failure(&sampled_failure("call-unexpected-exception-2"));
        assert_eq!(boom, RpcError::InternalError("ValueError: boom".to_owned()));
    }
}
