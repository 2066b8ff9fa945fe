//! Karbor's own spelling of what a restore's resources are: two JSON dictionaries with keys
//! `TYPE#ID`, in columns of its `restores` table. Reads them by the rules of a message, writes
//! them as Python's `json.dumps` does. Pure.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::domain::{
    AliasTable, Limits, ResourceKey, ResourceState, ResourceStatus, ResourceUpdate, clean_reason,
};
use crate::wire::{dumps, loads};

/// The rules by which statuses and reasons in Karbor's columns are read.
#[derive(Debug, Clone)]
pub(super) struct KarborRules {
    pub aliases: AliasTable,
    pub reason_chars: usize,
}

impl Default for KarborRules {
    fn default() -> Self {
        let reason_chars = Limits::default().reason_chars;
        Self { aliases: AliasTable::default(), reason_chars }
    }
}

impl KarborRules {
    /// Reads both dictionaries.
    pub fn read(&self, statuses: Option<&str>, reasons: Option<&str>) -> Said {
        let digest = digest(statuses, reasons);
        let (statuses, reasons) = (read_entries(statuses), read_entries(reasons));
        let is_damaged = statuses.is_none() || reasons.is_none();
        let (statuses, other_statuses) = statuses.unwrap_or_default();
        let (reasons, other_reasons) = reasons.unwrap_or_default();
        let mut said = Said {
            digest,
            is_damaged,
            statuses,
            reasons,
            others: (other_statuses, other_reasons),
            updates: Vec::new(),
        };
        let only_reasons = said.reasons.keys().filter(|key| !said.statuses.contains_key(*key));
        let keys = said.statuses.keys().chain(only_reasons);
        said.updates = keys.filter_map(|key| self.read_entry(&said, key)).collect();
        said
    }

    /// An entry as an update without sequence. A status that is no status and no alias counts as
    /// `undefined`; what is no key is left out.
    fn read_entry(&self, said: &Said, text: &str) -> Option<ResourceUpdate> {
        let key: ResourceKey = text.parse().ok()?;
        let raw = |texts: &BTreeMap<String, String>| texts.get(text).cloned().unwrap_or_default();
        let reason = clean_reason(&raw(&said.reasons), self.reason_chars);
        let status = self
            .aliases
            .resolve(&raw(&said.statuses), reason.as_deref())
            .unwrap_or(ResourceStatus::Undefined);
        let state = ResourceState { sequence: None, status, reason };
        Some(ResourceUpdate { key, state, source_id: None, name: None })
    }
}

/// What Karbor's two dictionaries say.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    /// Tells that they were changed.
    pub digest: Option<String>,
    /// One is no JSON object (cut by a column that was too narrow, perhaps): they are left alone.
    pub is_damaged: bool,
    /// Their entries as updates without sequence, by key.
    pub updates: Vec<ResourceUpdate>,
    statuses: BTreeMap<String, String>,
    reasons: BTreeMap<String, String>,
    /// Entries that are none of a resource, as they are.
    others: (Map<String, Value>, Map<String, Value>),
}

impl Said {
    /// How many entries are none of a resource: they are left as they are.
    pub fn unread(&self) -> usize {
        self.others.0.len() + self.others.1.len()
    }

    /// How many resources have a status there.
    pub fn len(&self) -> usize {
        self.statuses.len()
    }

    /// Whether they say just this of a resource.
    pub fn agrees(&self, key: &ResourceKey, state: &ResourceState) -> bool {
        let key = key.to_string();
        self.statuses.get(&key).map(String::as_str) == Some(state.status.as_str())
            && self.reasons.get(&key) == state.reason.as_ref()
    }

    /// The status of a resource there, where it is none that this version knows.
    pub fn foreign_status(&self, rules: &KarborRules, key: &str) -> Option<&str> {
        let text = self.statuses.get(key)?;
        rules.aliases.resolve(text, None).is_err().then_some(text.as_str())
    }
}

/// The entries of a dictionary: those whose key and value can be read, and all others. `None` for a
/// column that holds something else: Karbor's code fails on it too.
fn read_entries(json: Option<&str>) -> Option<(BTreeMap<String, String>, Map<String, Value>)> {
    let (mut texts, mut others) = (BTreeMap::new(), Map::new());
    let Some(json) = json.filter(|json| !json.is_empty()) else { return Some((texts, others)) };
    // Karbor writes lone surrogates, for bytes of an exception's text that are no UTF-8.
    let Ok(Value::Object(entries)) = loads(json) else { return None };
    for (key, value) in entries {
        match value {
            Value::String(text) if key.parse::<ResourceKey>().is_ok() => {
                texts.insert(key, text);
            }
            value => drop(others.insert(key, value)),
        }
    }
    Some((texts, others))
}

/// One resource in the dictionaries.
pub(super) struct Entry<'a> {
    pub resource_type: &'a str,
    pub resource_id: &'a str,
    pub status: &'a str,
    pub reason: Option<&'a str>,
}

/// The two dictionaries as Karbor writes them: `resources_status`, and `resources_reason` of those
/// that have one; and what `said` has besides, as it is. `None` where a dictionary is empty: Karbor leaves such a column alone.
pub(super) fn write_dictionaries<'a>(
    resources: impl Iterator<Item = Entry<'a>>,
    said: &Said,
) -> (Option<String>, Option<String>) {
    let (mut statuses, mut reasons) = (String::new(), String::new());
    let mut written = HashSet::new();
    for Entry { resource_type, resource_id, status, reason } in resources {
        if said.unread() > 0 {
            written.insert(format!("{resource_type}#{resource_id}"));
        }
        write_entry(&mut statuses, resource_type, resource_id, status);
        if let Some(reason) = reason {
            write_entry(&mut reasons, resource_type, resource_id, reason);
        }
    }
    for (to, others) in [(&mut statuses, &said.others.0), (&mut reasons, &said.others.1)] {
        // What is known of a resource takes the place of what was no text.
        for (key, value) in others.iter().filter(|(key, _)| !written.contains(*key)) {
            to.push_str(if to.is_empty() { "{\"" } else { ", \"" });
            write_escaped(to, key);
            to.push_str("\": ");
            to.push_str(&dumps(value));
        }
    }
    let close = |mut text: String| {
        (!text.is_empty()).then(|| {
            text.push('}');
            text
        })
    };
    (close(statuses), close(reasons))
}

fn write_entry(to: &mut String, resource_type: &str, resource_id: &str, value: &str) {
    to.push_str(if to.is_empty() { "{\"" } else { ", \"" });
    write_escaped(to, resource_type);
    to.push('#');
    write_escaped(to, resource_id);
    to.push_str("\": \"");
    write_escaped(to, value);
    to.push('"');
}

/// `json.dumps` with its default `ensure_ascii`: Karbor's MySQL columns are utf8mb3.
fn write_escaped(to: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            '\u{8}' => to.push_str("\\b"),
            '\u{c}' => to.push_str("\\f"),
            ' '..='~' => to.push(letter),
            _ => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    write!(to, "\\u{unit:04x}").expect("a String takes all");
                }
            }
        }
    }
}

/// What tells that Karbor's columns were changed; `None` where both are empty. The databases make
/// the same of the same columns (`store::watch`).
pub(super) fn digest(statuses: Option<&str>, reasons: Option<&str>) -> Option<String> {
    if statuses.is_none() && reasons.is_none() {
        return None;
    }
    let mut hash = Sha256::new();
    hash.update(statuses.unwrap_or_default());
    hash.update("\n");
    hash.update(reasons.unwrap_or_default());
    let mut hex = String::with_capacity(64);
    for byte in hash.finalize() {
        write!(hex, "{byte:02x}").expect("a String takes all");
    }
    Some(hex)
}

#[cfg(test)]
mod tests {
    use super::ResourceStatus::{Available, Restoring, Undefined};
    use super::*;

    #[test]
    fn dictionaries_are_written_as_python_writes_them() {
        let reason = Some("kaputt: \"ä\u{7f}\u{1f600}\"\n\\");
        let fine = Entry {
            resource_type: "OS::Nova::Server",
            resource_id: "a",
            status: "available",
            reason: None,
        };
        let failed = Entry { resource_type: "T", resource_id: "b", status: "error", reason };
        let (statuses, reasons) = write_dictionaries([fine, failed].into_iter(), &Said::default());
        let expected = r#"{"OS::Nova::Server#a": "available", "T#b": "error"}"#;
        assert_eq!(statuses.as_deref(), Some(expected));
        let expected = r#"{"T#b": "kaputt: \"\u00e4\u007f\ud83d\ude00\"\n\\"}"#;
        assert_eq!(reasons.as_deref(), Some(expected));
    }

    #[test]
    fn what_is_known_takes_the_place_of_what_was_no_text() {
        let rules = KarborRules::default();
        let said = rules.read(Some(r#"{"T#a": 5, "odd": null}"#), Some(r#"{"T#a": null}"#));
        assert!(!said.is_damaged);
        let entry =
            Entry { resource_type: "T", resource_id: "a", status: "error", reason: Some("why") };
        let (statuses, reasons) = write_dictionaries([entry].into_iter(), &said);
        assert_eq!(statuses.as_deref(), Some(r#"{"T#a": "error", "odd": null}"#));
        assert_eq!(reasons.as_deref(), Some(r#"{"T#a": "why"}"#));
    }

    #[test]
    fn what_is_no_dictionary_is_known_as_damaged() {
        let rules = KarborRules::default();
        for (text, damaged) in
            [(r#"{"T#a": "err"#, true), (r#"["a"]"#, true), ("", false), ("{}", false)]
        {
            assert_eq!(rules.read(Some(text), None).is_damaged, damaged, "{text}");
        }
    }

    #[test]
    fn a_lone_surrogate_spoils_nothing_beside_it() {
        let rules = KarborRules::default();
        let reasons = r#"{"T#a": "disk a full", "T#b": "Datei \udcfc fehlt"}"#;
        let said = rules.read(Some(r#"{"T#a": "error", "T#b": "error"}"#), Some(reasons));
        let reasons: Vec<_> = said.updates.iter().map(|u| u.state.reason.as_deref()).collect();
        assert_eq!(reasons, [Some("disk a full"), Some("Datei \u{fffd} fehlt")]);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let rules = KarborRules::default();
        let statuses = r#"{"T#a": "restoring", "T#b": "ACTIVE", "T#c": "weird", "bad": "error"}"#;
        let reasons = r#"{"T#b": "why \u00e4", "T#d": "only a reason"}"#;
        let said = rules.read(Some(statuses), Some(reasons));
        let shown: Vec<_> = said
            .updates
            .iter()
            .map(|update| {
                (update.key.to_string(), update.state.status, update.state.reason.clone())
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("T#a".to_owned(), Restoring, None),
                ("T#b".to_owned(), Available, Some("why ä".to_owned())),
                ("T#c".to_owned(), Undefined, None),
                ("T#d".to_owned(), Undefined, Some("only a reason".to_owned())),
            ]
        );
        assert_eq!(said.unread(), 1);
        let (statuses, reasons) = write_dictionaries(std::iter::empty(), &said);
        assert_eq!((statuses.as_deref(), reasons), (Some(r#"{"bad": "error"}"#), None));
        assert_eq!(said.foreign_status(&rules, "T#c"), Some("weird"));
        assert_eq!(said.foreign_status(&rules, "T#b"), None);
        let [a, b, ..] = said.updates.as_slice() else { panic!() };
        assert!(said.agrees(&a.key, &a.state));
        assert!(!said.agrees(&b.key, &b.state), "an alias is no status of ours");
    }
}
