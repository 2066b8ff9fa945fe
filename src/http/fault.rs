//! Errors as Karbor's API shows them: `{"itemNotFound": {"code": 404, "message": "..."}}`
//! (`karbor/api/openstack/wsgi.py`, `Fault`).
//!
//! Takes what went wrong, gives the response. A fault of the database is logged here, once, and
//! shown without its words; a message never holds a secret.

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::domain::RestoreId;
use crate::store::StoreError;

/// A refused or failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    status: StatusCode,
    message: String,
}

impl Fault {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// 400 with Karbor's words for it.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 as `karbor.exception.InvalidInput` prints.
    pub(super) fn invalid_input(reason: &str) -> Self {
        Self::bad_request(format!("Invalid input received: {reason}"))
    }

    /// 404 as `karbor.exception.RestoreNotFound` prints.
    pub(super) fn restore_not_found(id: impl Into<RestoreName>) -> Self {
        let RestoreName(name) = id.into();
        Self::new(StatusCode::NOT_FOUND, format!("Restore {name} could not be found."))
    }

    /// 404 of a path that is not served.
    pub(super) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "The resource could not be found.")
    }

    /// 404 of a timeline's marker.
    pub(super) fn event_not_found(marker: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("Event {marker} could not be found."))
    }

    /// 401: no token, or an unknown one.
    pub(super) fn unauthorized() -> Self {
        let message = "The request you have made requires authentication.";
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 403 of a request that names a host which is not this machine.
    pub(super) fn foreign_host() -> Self {
        let message = "Without tokens only requests to a loopback host are answered.";
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 405: all that is served is read.
    pub(super) fn bad_method(method: &Method) -> Self {
        let message = format!("The method {method} is not allowed for this resource.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, message)
    }
}

/// A restore's name in an error: its id, or a marker that is no id (cut, it is the caller's text).
pub(super) struct RestoreName(String);

impl From<RestoreId> for RestoreName {
    fn from(id: RestoreId) -> Self {
        Self(id.to_string())
    }
}

impl From<&str> for RestoreName {
    fn from(text: &str) -> Self {
        Self(text.chars().take(64).collect())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        match error {
            StoreError::Transient { .. } | StoreError::Doubt { .. } | StoreError::Denied { .. } => {
                tracing::warn!(%error, cause, "a REST request could not be answered");
                let message = "The database does not answer. Try again later.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
            }
            StoreError::Refused { .. } | StoreError::Fenced | StoreError::Fatal { .. } => {
                tracing::error!(%error, cause, "a REST request failed");
                let message = "The request failed for a reason that is in this service's log.";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
            }
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let name = match self.status {
            StatusCode::BAD_REQUEST => "badRequest",
            StatusCode::UNAUTHORIZED => "unauthorized",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::NOT_FOUND => "itemNotFound",
            StatusCode::METHOD_NOT_ALLOWED => "badMethod",
            StatusCode::SERVICE_UNAVAILABLE => "serviceUnavailable",
            _ => "computeFault",
        };
        let body = json!({ name: { "code": self.status.as_u16(), "message": self.message } });
        let mut response = (self.status, Json(body)).into_response();
        let extra = match self.status {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "X-Auth-Token")),
            StatusCode::METHOD_NOT_ALLOWED => Some((header::ALLOW, "GET, HEAD")),
            StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "2")),
            _ => None,
        };
        if let Some((name, value)) = extra {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
