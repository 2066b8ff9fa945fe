//! The labels of what `/metrics` shows.
//!
//! Every value comes from a closed set (texts from outside become `other`), so that no sender can
//! make the number of series grow.

use prometheus_client::encoding::EncodeLabelSet;

/// The methods that are counted by name.
pub(super) const METHODS: [&str; 7] = [
    "restore",
    "update_resource_status",
    "update_resources_status",
    "expect_resources",
    "update_restore_status",
    "get_restore",
    "oslo_rpc_server_ping",
];

/// The error classes that are counted by name.
pub(super) const CLASSES: [&str; 7] = [
    "MalformedMessage",
    "InvalidInput",
    "RestoreNotFound",
    "UnsupportedVersion",
    "NoSuchMethod",
    "TypeError",
    "InternalError",
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct MethodLabel {
    pub method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct EffectLabel {
    pub effect: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ClassLabel {
    pub class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PartLabel {
    pub part: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct QueueLabel {
    pub queue: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ObservedLabel {
    pub kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ConnectionLabel {
    pub connection: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct VersionLabel {
    pub version: &'static str,
}

/// A connection whose loss is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// To the broker, for requests.
    Broker,
    /// To the broker of the notifications.
    Notifications,
}

impl Connection {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Notifications => "notifications",
        }
    }
}

/// What became of a copy of another service's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// A restore to record.
    Restore,
    /// A restore that is bad.
    Refused,
    /// Anything else.
    Ignored,
}

impl Observed {
    pub(super) const ALL: [Self; 3] = [Self::Restore, Self::Refused, Self::Ignored];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Refused => "refused",
            Self::Ignored => "ignored",
        }
    }
}

/// `name` where it is one of `names`, `other` otherwise.
pub(super) fn known(names: &[&'static str], name: &str) -> &'static str {
    names.iter().find(|known| **known == name).copied().unwrap_or("other")
}
