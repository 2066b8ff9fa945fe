//! The statuses of resources and restores. Each has one spelling, for wire, column and log, and
//! their order is the order of the merge: the greater wins.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is no status; `Display` names the accepted ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("status must be one of {accepted}")]
pub struct UnknownStatus {
    /// The accepted spellings, ready to print.
    pub accepted: &'static str,
}

/// How far the restoration of one resource has come. `Error` is the greatest: a late step may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceStatus {
    /// Known, but nothing was said of it.
    Undefined,
    /// Its plugin took it up.
    Started,
    /// It is being restored.
    Restoring,
    /// It is there and usable.
    Available,
    /// It could not be restored.
    Error,
}

impl ResourceStatus {
    /// Every status, lowest first.
    pub const ALL: [Self; 5] =
        [Self::Undefined, Self::Started, Self::Restoring, Self::Available, Self::Error];

    /// Its one spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Started => "started",
            Self::Restoring => "restoring",
            Self::Available => "available",
            Self::Error => "error",
        }
    }

    /// Whether an outcome was reported: `available` or `error`.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Available | Self::Error)
    }
}

impl FromStr for ResourceStatus {
    type Err = UnknownStatus;

    /// Reads the word in any case. Aliases are [`crate::domain::AliasTable`]'s matter.
    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| text.eq_ignore_ascii_case(status.as_str())).ok_or(
            UnknownStatus { accepted: "`undefined`, `started`, `restoring`, `available`, `error`" },
        )
    }
}

impl fmt::Display for ResourceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a restore stands. `success` beats `fail`: karbor-api writes `fail` on its own time-out
/// while the protection service goes on to succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RestoreStatus {
    /// Under way.
    #[serde(rename = "in_progress")]
    InProgress,
    /// It failed.
    #[serde(rename = "fail")]
    Fail,
    /// It succeeded.
    #[serde(rename = "success")]
    Success,
}

impl RestoreStatus {
    /// Every status, lowest first.
    pub const ALL: [Self; 3] = [Self::InProgress, Self::Fail, Self::Success];

    /// Its one spelling: Karbor's (`karbor/common/constants.py`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Fail => "fail",
            Self::Success => "success",
        }
    }

    /// Whether an outcome was reported: `fail` or `success`.
    pub fn is_final(self) -> bool {
        self != Self::InProgress
    }
}

impl FromStr for RestoreStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| text == status.as_str())
            .ok_or(UnknownStatus { accepted: "`in_progress`, `success`, `fail`" })
    }
}

impl fmt::Display for RestoreStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_round_trip() {
        for status in ResourceStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(status.as_str().to_uppercase().parse(), Ok(status));
        }
        for status in RestoreStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
    }
}
