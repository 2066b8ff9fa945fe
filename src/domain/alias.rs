//! What the raw statuses of other services mean here.
//!
//! Karbor's snapshot, share and database plugins pass on the status of a Cinder volume, a Manila
//! share or a Trove instance as it is. Takes that text, gives one of the five statuses. The rule
//! of the default table: what those plugins wait for is `available`, what they give up on and
//! whatever is named an error is `error`, all between is `restoring`. Never guesses: a text that
//! is neither a status nor an alias is refused.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{ResourceStatus, mask_passwords};

/// Aliases longer than this are refused, in settings and, unlooked at, in a message.
const ALIAS_CHARS: usize = 255;

/// Each status with the raw statuses that mean it, lower-case. From `cinder/objects/fields.py`
/// (volume, snapshot, backup) with what Cinder's managers write besides,
/// `manila/common/constants.py` (share, share instance, replica, snapshot, snapshot instance) and
/// `trove/instance/models.py`, `trove/instance/service_status.py`, `trove/backup/state.py`; from
/// Karbor's plugins `not-found`, their word for a resource that is gone.
const DEFAULTS: [(ResourceStatus, &[&str]); 4] = [
    (ResourceStatus::Started, &["new"]),
    (
        ResourceStatus::Restoring,
        &[
            // Cinder
            "attaching",
            "awaiting-transfer",
            "backing-up",
            "creating",
            "detaching",
            "downloading",
            "extending",
            "maintenance",
            "managing",
            "reserved",
            "restoring-backup",
            "retyping",
            "reverting",
            "updating",
            "uploading",
            // Manila
            "awaiting_transfer",
            "backup_creating",
            "backup_restoring",
            "creating_from_snapshot",
            "ensuring",
            "inactive",
            "manage_starting",
            "migrating",
            "migrating_to",
            "network_change",
            "out_of_sync",
            "replication_change",
            "server_migrating",
            "server_migrating_to",
            "shrinking",
            // Trove
            "backup",
            "build",
            "building",
            "logging",
            "promote",
            "resize",
            "restarting",
            "saving",
            "upgrade",
            "upgrading",
        ],
    ),
    (
        ResourceStatus::Available,
        &[
            // Cinder
            "in-use",
            // Manila
            "in_sync",
            // Trove; `active` is Manila's too
            "active",
            "completed",
            "healthy",
            "restored",
        ],
    ),
    (
        ResourceStatus::Error,
        &[
            // Cinder; the first three are Manila's too
            "deleted",
            "deleting",
            "error_deleting",
            "error_attaching",
            "error_backing-up",
            "error_detaching",
            "error_extending",
            "error_managing",
            "error_managing_deleting",
            "error_restoring",
            "error_unmanaging",
            "managing_deleting",
            "unmanaging",
            // Manila
            "backup_restoring_error",
            "deferred_deleting",
            "error_deferred_deleting",
            "extending_error",
            "manage_error",
            "manage_error_unmanage_starting",
            "reverting_error",
            "shrinking_error",
            "shrinking_possible_data_loss_error",
            "unmanage_error",
            "unmanage_starting",
            "unmanaged",
            // Trove
            "blocked",
            "delete_failed",
            "detach",
            "eject",
            "failed",
            "reboot",
            "restart_required",
            "shutdown",
            // Karbor's plugins
            "not-found",
        ],
    ),
];

/// Raw statuses of other services and what they mean here. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AliasTable {
    aliases: Arc<HashMap<String, ResourceStatus>>,
}

/// An entry of the settings that is no alias; names the entry, cut if it is long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAlias {
    /// One of the five statuses, which cannot mean another.
    #[error("`{alias}` is itself a status and cannot be an alias")]
    IsAStatus {
        /// The entry's key.
        alias: String,
    },
    /// An empty or overlong key.
    #[error("an alias must be 1 to {ALIAS_CHARS} characters, without control characters")]
    BadText,
    /// It means nothing known.
    #[error("`{alias}` must mean one of `undefined`, `started`, `restoring`, `available`, `error`")]
    BadMeaning {
        /// The entry's key.
        alias: String,
    },
}

/// A text that is neither a status nor an alias. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "status must be one of `undefined`, `started`, `restoring`, `available`, `error`, \
     or an alias of one (the raw statuses of Cinder, Manila and Trove, and those of the \
     setting `statuses.aliases`)"
)]
pub struct UnknownStatusText;

impl Default for AliasTable {
    /// Every status that a volume, share, database instance, snapshot or backup of Cinder, Manila
    /// and Trove can have.
    fn default() -> Self {
        let aliases = DEFAULTS
            .iter()
            .flat_map(|(status, texts)| texts.iter().map(|text| ((*text).to_owned(), *status)))
            .collect();
        Self { aliases: Arc::new(aliases) }
    }
}

impl AliasTable {
    /// The default table with `pairs` (alias, status) added; a pair for a default's alias
    /// replaces it, and of two pairs that differ only in case the last counts.
    ///
    /// # Errors
    ///
    /// [`BadAlias`] for the operator, naming the entry.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, BadAlias> {
        let mut table = Self::default();
        let aliases = Arc::make_mut(&mut table.aliases);
        for (alias, meaning) in pairs {
            let characters = alias.chars().count();
            if !(1..=ALIAS_CHARS).contains(&characters) || alias.chars().any(char::is_control) {
                return Err(BadAlias::BadText);
            }
            if alias.parse::<ResourceStatus>().is_ok() {
                return Err(BadAlias::IsAStatus { alias });
            }
            let Ok(status) = meaning.parse() else {
                let alias = mask_passwords(&alias).into_owned();
                return Err(BadAlias::BadMeaning { alias });
            };
            aliases.insert(alias.to_lowercase(), status);
        }
        Ok(table)
    }

    /// Every alias in force, lower-case, in the order of their texts, and what it means.
    pub fn entries(&self) -> BTreeMap<&str, ResourceStatus> {
        self.aliases.iter().map(|(alias, status)| (alias.as_str(), *status)).collect()
    }

    /// What `text` means, the five words and the aliases alike in any case.
    ///
    /// An alias of `started` or `restoring` that comes with a reason is `error`: those plugins
    /// pass on the status of the moment they gave up, and say why. The words themselves mean what
    /// they say.
    ///
    /// # Errors
    ///
    /// [`UnknownStatusText`] for the sender.
    pub fn resolve(
        &self,
        text: &str,
        reason: Option<&str>,
    ) -> Result<ResourceStatus, UnknownStatusText> {
        if let Ok(status) = text.parse() {
            return Ok(status);
        }
        // A character has at most four bytes; this keeps a megabyte from being copied.
        if text.len() > ALIAS_CHARS * 4 {
            return Err(UnknownStatusText);
        }
        let status = *self.aliases.get(&text.to_lowercase()).ok_or(UnknownStatusText)?;
        let gave_up = reason.is_some_and(|reason| !reason.is_empty())
            && matches!(status, ResourceStatus::Started | ResourceStatus::Restoring);
        Ok(if gave_up { ResourceStatus::Error } else { status })
    }
}

#[cfg(test)]
mod tests {
    use super::ResourceStatus::{Available, Error, Restoring, Started, Undefined};
    use super::*;

    fn pair(alias: &str, meaning: &str) -> (String, String) {
        (alias.to_owned(), meaning.to_owned())
    }

    #[test]
    fn raw_statuses_resolve_in_any_case() {
        let table = AliasTable::default();
        for (text, status) in [
            ("undefined", Undefined),
            ("Started", Started),
            ("RESTORING", Restoring),
            ("available", Available),
            ("Error", Error),
            ("creating", Restoring),
            ("restoring-backup", Restoring),
            ("in-use", Available),
            ("error_restoring", Error),
            ("not-found", Error),
            ("creating_from_snapshot", Restoring),
            ("reverting_error", Error),
            ("ACTIVE", Available),
            ("Healthy", Available),
            ("BUILD", Restoring),
            ("build", Restoring),
            ("NEW", Started),
            ("SHUTDOWN", Error),
        ] {
            assert_eq!(table.resolve(text, None), Ok(status), "{text}");
        }
    }

    #[test]
    fn default_aliases_are_lower_case_and_unique() {
        let all: Vec<_> = DEFAULTS.iter().flat_map(|(_, texts)| texts.iter()).collect();
        assert!(all.iter().all(|text| **text == text.to_lowercase()));
        assert_eq!(AliasTable::default().aliases.len(), all.len());
        assert!(all.iter().all(|text| text.parse::<ResourceStatus>().is_err()));
    }

    #[test]
    fn alias_of_progress_with_a_reason_is_an_error() {
        let table = AliasTable::default();
        assert_eq!(table.resolve("creating", Some("Invalid status.")), Ok(Error));
        assert_eq!(table.resolve("NEW", Some("x")), Ok(Error));
        assert_eq!(table.resolve("creating", Some("")), Ok(Restoring));
        assert_eq!(table.resolve("in-use", Some("x")), Ok(Available));
        assert_eq!(table.resolve("restoring", Some("x")), Ok(Restoring));
        assert_eq!(table.resolve("started", Some("x")), Ok(Started));
    }

    #[test]
    fn unknown_text_is_refused_without_being_repeated() {
        let table = AliasTable::default();
        for text in ["", " available", "available ", "bogus", &"x".repeat(1 << 20)] {
            assert_eq!(table.resolve(text, None), Err(UnknownStatusText));
        }
        assert!(UnknownStatusText.to_string().contains("`available`"));
        assert!(!UnknownStatusText.to_string().contains("bogus"));
    }

    #[test]
    fn settings_extend_and_replace_the_default() {
        let table =
            AliasTable::new([pair("Baking", "restoring"), pair("IN-USE", "Error")]).unwrap();
        assert_eq!(table.resolve("baKING", None), Ok(Restoring));
        assert_eq!(table.resolve("in-use", None), Ok(Error));
        assert_eq!(table.resolve("creating", None), Ok(Restoring));
    }

    #[test]
    fn bad_entries_are_named() {
        assert_eq!(
            AliasTable::new([pair("ERROR", "available")]).unwrap_err(),
            BadAlias::IsAStatus { alias: "ERROR".to_owned() }
        );
        assert_eq!(
            AliasTable::new([pair("done", "creating")]).unwrap_err(),
            BadAlias::BadMeaning { alias: "done".to_owned() }
        );
        assert_eq!(AliasTable::new([pair("", "error")]).unwrap_err(), BadAlias::BadText);
    }
}
