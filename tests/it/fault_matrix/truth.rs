//! What must be there at the end: the merge of all that was sent, by the crate's own rule and by a
//! model of a few lines that shares nothing with it.

use std::collections::{BTreeMap, BTreeSet};

use karbor_restore_worker::domain::{ResourceStatus, RestoreStatus, State, merge};

/// One thing that was said: sequence, status, reason.
pub type Said = (Option<u64>, String, Option<String>);

/// Statuses, lowest first.
pub const RESOURCE_WORDS: [&str; 5] = ["undefined", "started", "restoring", "available", "error"];
pub const RESTORE_WORDS: [&str; 3] = ["in_progress", "fail", "success"];

/// All that was said of one restore.
#[derive(Debug, Clone, Default)]
pub struct OfRestore {
    pub restore: Vec<Said>,
    pub resources: BTreeMap<String, Vec<Said>>,
    pub expected: BTreeSet<String>,
}

/// How one restore must end: its resources by `TYPE#ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub restore: Said,
    pub resources: BTreeMap<String, Said>,
    pub expected: BTreeSet<String>,
}

/// All that was sent.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    pub restores: BTreeMap<String, OfRestore>,
    /// What can be found in each bad message, and in nothing else.
    pub poison: BTreeSet<String>,
    /// `_msg_id`s of calls, each of which is to be answered.
    pub calls: BTreeSet<String>,
    /// Messages published, repeated ones included.
    pub messages: usize,
}

impl Truth {
    /// How every restore must end.
    pub fn ends(&self) -> BTreeMap<String, End> {
        let end = |(id, said): (&String, &OfRestore)| {
            let end = said.end();
            assert_eq!(end, said.end_by_the_crate(), "the two models differ on {id}");
            (id.clone(), end)
        };
        self.restores.iter().map(end).collect()
    }
}

impl OfRestore {
    fn end(&self) -> End {
        let restore = greatest(&self.restore, &RESTORE_WORDS);
        let over = restore.0.is_none() && restore.1 == "success";
        let resource = |(key, said): (&String, &Vec<Said>)| {
            let mut end = greatest(said, &RESOURCE_WORDS);
            if over && (end.1 == "started" || end.1 == "restoring") {
                end = (end.0, "available".to_owned(), None);
            }
            (key.clone(), end)
        };
        let resources = self.resources.iter().map(resource).collect();
        End { restore, resources, expected: self.expected.clone() }
    }

    fn end_by_the_crate(&self) -> End {
        let restore = joined::<RestoreStatus>(&self.restore);
        let ends = restore.ends_resources();
        let resource = |(key, said): (&String, &Vec<Said>)| {
            let state = joined::<ResourceStatus>(said);
            let state = if ends { state.ended() } else { state };
            (key.clone(), (state.sequence, state.status.to_string(), state.reason))
        };
        End {
            resources: self.resources.iter().map(resource).collect(),
            restore: (restore.sequence, restore.status.to_string(), restore.reason),
            expected: self.expected.clone(),
        }
    }
}

fn greatest(said: &[Said], words: &[&str]) -> Said {
    let rank = |word: &str| words.iter().position(|known| *known == word);
    let greatest = said.iter().max_by_key(|(sequence, status, reason)| {
        (*sequence, rank(status), reason.clone().map(String::into_bytes))
    });
    greatest.expect("something was said").clone()
}

fn joined<S: Ord + std::str::FromStr>(said: &[Said]) -> State<S> {
    let mut known = None;
    for (sequence, status, reason) in said {
        let Ok(status) = status.parse() else { panic!("`{status}` is no status") };
        merge(&mut known, State { sequence: *sequence, status, reason: reason.clone() });
    }
    known.expect("something was said")
}
