//! Whether the worker does its work: each part says how it stands, `/readyz` adds it up.
//!
//! Takes what the parts report, gives ready or the reasons why not. It never asks the broker or
//! the database itself: a probe must cost nothing and answer while they are away. A reason is
//! shown to anyone who can reach the probe, so it must not hold a secret.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What readiness is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The database answers and its schema is there.
    Database,
    /// The broker answers.
    Broker,
    /// The request queues are consumed.
    Consumer,
    /// Notifications can be published; counts only once it was reported.
    Notifications,
    /// The broker takes what is published; counts only once it was reported.
    Publications,
    /// Batches are committed; counts only once it was reported.
    Commits,
    /// What time brings is done: early updates, Karbor's table; counts only once it was reported.
    Keeper,
    /// The worker is to end; counts only once it was reported.
    Shutdown,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 8] = [
        Self::Database,
        Self::Broker,
        Self::Consumer,
        Self::Notifications,
        Self::Publications,
        Self::Commits,
        Self::Keeper,
        Self::Shutdown,
    ];

    /// Its name in reasons and in `/metrics`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Broker => "broker",
            Self::Consumer => "consumer",
            Self::Notifications => "notifications",
            Self::Publications => "publications",
            Self::Commits => "commits",
            Self::Keeper => "keeper",
            Self::Shutdown => "shutdown",
        }
    }
}

/// The worker's health; every clone is the same one.
#[derive(Debug, Clone)]
pub struct Health {
    parts: Arc<Mutex<BTreeMap<Part, Result<(), String>>>>,
}

impl Health {
    /// Not ready: database, broker and consumer have not reported yet.
    pub fn new() -> Self {
        let parts = [Part::Database, Part::Broker, Part::Consumer]
            .map(|part| (part, Err("not asked yet; the database comes first".to_owned())));
        Self { parts: Arc::new(Mutex::new(parts.into())) }
    }

    /// Says how a part stands; the error is the reason shown by `/readyz`.
    pub fn set(&self, part: Part, state: Result<(), String>) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).insert(part, state);
    }

    /// Whether all parts stand well.
    ///
    /// # Errors
    /// The reasons why not, one a part, each beginning with the part's name.
    pub fn ready(&self) -> Result<(), Vec<String>> {
        let reasons: Vec<String> = self
            .parts()
            .into_iter()
            .filter_map(|(part, state)| Some(format!("{}: {}", part.as_str(), state.err()?)))
            .collect();
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    /// Every part that counts, and how it stands.
    pub fn parts(&self) -> BTreeMap<Part, Result<(), String>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_once_all_parts_reported_well() {
        let health = Health::new();
        assert_eq!(health.ready().unwrap_err().len(), 3);
        for part in [Part::Database, Part::Broker, Part::Consumer] {
            health.clone().set(part, Ok(()));
        }
        assert_eq!(health.ready(), Ok(()));
    }

    #[test]
    fn a_part_that_fails_is_named_with_its_reason() {
        let health = Health::new();
        for part in Part::ALL {
            health.set(part, Ok(()));
        }
        health.set(Part::Broker, Err("no connection to mq1:5672".to_owned()));
        assert_eq!(health.ready(), Err(vec!["broker: no connection to mq1:5672".to_owned()]));
    }
}
