//! What can go wrong on the way to a broker. Texts never hold a password.

/// A fault of a connection or of what was declared on it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransportError {
    /// No connection could be made; the driver tries again by itself.
    #[error("cannot reach the broker at {address}: {reason}")]
    Unreachable {
        /// `host:port`.
        address: String,
        /// What the last attempt met.
        reason: String,
    },
    /// The broker does not let this user in, or not into this virtual host; the driver tries again
    /// by itself.
    #[error("the broker at {address} refuses the login: {reason}")]
    Denied {
        /// `host:port`.
        address: String,
        /// The broker's own words.
        reason: String,
    },
    /// The broker refused a declaration, a consumer or a permission.
    #[error("the broker refuses {what}: {reason}")]
    Refused {
        /// What was asked for, naming queue or exchange and the setting that decides it.
        what: String,
        /// The broker's own words.
        reason: String,
    },
    /// The connection was lost; the driver makes a new one.
    #[error("the connection was lost: {0}")]
    Lost(String),
}

/// Why a message is not known to be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// A mandatory message that no queue takes.
    #[error("no queue takes it")]
    Returned,
    /// The broker refused it (`basic.nack`).
    #[error("the broker refused it")]
    Nacked,
    /// The connection ended before the confirm: it may or may not have arrived.
    #[error("the connection was lost before the confirm")]
    Lost,
}
