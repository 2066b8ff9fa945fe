//! Karbor's own spelling of what a restore's resources are: two JSON dictionaries with keys
//! `TYPE#ID`, in columns of its `restores` table. Reads them by the rules of a message, writes
//! them as Python's `json.dumps` does. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::domain::{
    AliasTable, Limits, ResourceKey, ResourceState, ResourceStatus, ResourceUpdate, State,
    clean_reason,
};

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
    /// Both dictionaries as updates without sequence, by key. A status that is no status and no
    /// alias counts as `undefined`; what is no key or no text is left out.
    pub fn read_dictionaries(
        &self,
        statuses: Option<&str>,
        reasons: Option<&str>,
    ) -> Vec<ResourceUpdate> {
        let reasons = read_texts(reasons);
        let mut keys = read_texts(statuses);
        for key in reasons.keys() {
            keys.entry(key.clone()).or_default();
        }
        let read = |(key, status): (String, String)| {
            let key: ResourceKey = key.parse().ok()?;
            let raw = reasons.get(&key.to_string()).map(String::as_str).unwrap_or_default();
            let reason = clean_reason(raw, self.reason_chars);
            let status = self
                .aliases
                .resolve(&status, reason.as_deref())
                .unwrap_or(ResourceStatus::Undefined);
            let state = ResourceState { sequence: None, status, reason };
            Some(ResourceUpdate { key, state, source_id: None, name: None })
        };
        keys.into_iter().filter_map(read).collect()
    }
}

fn read_texts(json: Option<&str>) -> BTreeMap<String, String> {
    let Some(Ok(Value::Object(entries))) = json.map(serde_json::from_str::<Value>) else {
        return BTreeMap::new();
    };
    let texts = entries.into_iter().filter_map(|(key, value)| match value {
        Value::String(text) => Some((key, text)),
        _ => None,
    });
    texts.collect()
}

/// The two dictionaries as Karbor writes them: `resources_status`, and `resources_reason` of those
/// that have one. `None` where a dictionary is empty: Karbor leaves such a column alone.
pub(super) fn write_dictionaries<'a>(
    resources: impl Iterator<Item = (&'a str, &'a str, &'a State<ResourceStatus>)>,
) -> (Option<String>, Option<String>) {
    let (mut statuses, mut reasons) = (String::new(), String::new());
    for (resource_type, resource_id, state) in resources {
        write_entry(&mut statuses, resource_type, resource_id, state.status.as_str());
        if let Some(reason) = &state.reason {
            write_entry(&mut reasons, resource_type, resource_id, reason);
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

/// What tells that Karbor's columns were changed; `None` where both are empty.
pub(super) fn digest(statuses: Option<&str>, reasons: Option<&str>) -> Option<String> {
    if statuses.is_none() && reasons.is_none() {
        return None;
    }
    let mut hash = Sha256::new();
    for text in [statuses, reasons] {
        let text = text.unwrap_or_default();
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
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
        let state = ResourceState {
            sequence: None,
            status: ResourceStatus::Error,
            reason: Some("kaputt: \"ä\u{7f}\u{1f600}\"\n\\".to_owned()),
        };
        let fine =
            ResourceState { sequence: None, status: ResourceStatus::Available, reason: None };
        let resources = [("OS::Nova::Server", "a", &fine), ("T", "b", &state)];
        let (statuses, reasons) = write_dictionaries(resources.into_iter());
        let expected = r#"{"OS::Nova::Server#a": "available", "T#b": "error"}"#;
        assert_eq!(statuses.as_deref(), Some(expected));
        let expected = r#"{"T#b": "kaputt: \"\u00e4\u007f\ud83d\ude00\"\n\\"}"#;
        assert_eq!(reasons.as_deref(), Some(expected));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let rules = KarborRules::default();
        let statuses = r#"{"T#a": "restoring", "T#b": "ACTIVE", "T#c": "weird", "bad": "error"}"#;
        let reasons = r#"{"T#b": "why \u00e4", "T#d": "only a reason"}"#;
        let read = rules.read_dictionaries(Some(statuses), Some(reasons));
        let shown: Vec<_> = read
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
    }
}
