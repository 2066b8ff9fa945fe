//! Identifiers as newtypes: text that was checked once, at the edge, and is trusted afterwards.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is no identifier; `Display` says what would be accepted and never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {accepted}")]
pub struct InvalidId {
    /// Which identifier was meant, as the client names it, for example `resource_id`.
    pub what: &'static str,
    /// What would be accepted.
    pub accepted: &'static str,
}

/// A restore's id: a UUID, always spelt lower-case with hyphens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RestoreId(Uuid);

impl RestoreId {
    /// Wraps a UUID.
    pub fn new(id: Uuid) -> Self {
        Self(id)
    }
}

impl FromStr for RestoreId {
    type Err = InvalidId;

    /// Accepts any usual spelling of a UUID: with or without hyphens, in braces, as a URN, in any case.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|_| InvalidId { what: "restore id", accepted: "a UUID" })
    }
}

impl fmt::Display for RestoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for RestoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// A resource's type, such as `OS::Cinder::Volume`: 1 to 255 of `A-Z a-z 0-9 _ . : -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceType(String);

impl ResourceType {
    /// The type as clients spell it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ResourceType {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'-');
        if (1..=255).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId {
                what: "resource_type",
                accepted: "1 to 255 of the characters A-Z a-z 0-9 _ . : -",
            })
        }
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a resource, new or source: 1 to 255 printable ASCII characters without a space.
/// Compared byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceId(String);

impl ResourceId {
    /// The id as the plugin sent it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ResourceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId {
                what: "resource_id",
                accepted: "1 to 255 printable ASCII characters without a space",
            })
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What names a resource within a restore. Karbor's dictionaries spell it `TYPE#ID`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceKey {
    /// The resource's type.
    pub resource_type: ResourceType,
    /// The new resource's id; its source's id until the new one is known.
    pub resource_id: ResourceId,
}

impl fmt::Display for ResourceKey {
    /// `TYPE#ID`, the key of Karbor's dictionaries (`karbor/objects/restore.py`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.resource_type, self.resource_id)
    }
}

impl FromStr for ResourceKey {
    type Err = InvalidId;

    /// Reads `TYPE#ID`. A type holds no `#`, so the first one separates.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (resource_type, resource_id) =
            text.split_once('#').ok_or(InvalidId { what: "resource key", accepted: "TYPE#ID" })?;
        Ok(Self { resource_type: resource_type.parse()?, resource_id: resource_id.parse()? })
    }
}
