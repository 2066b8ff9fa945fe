//! The bounds within which requests are accepted; each is a setting.

/// What a request may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message's body; up to 16 MiB.
    pub body_bytes: usize,
    /// Characters of a reason; what is longer is cut, and its end says how much is missing.
    pub reason_chars: usize,
    /// Resources of one restore.
    pub resources_per_restore: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes: 1024 * 1024, reason_chars: 4096, resources_per_restore: 20_000 }
    }
}

/// Items in the list of one `update_resources_status` or `expect_resources`.
pub(crate) const ITEMS_PER_REQUEST: usize = 1000;
