//! Merges the commands of a batch, one after the other, into what is known. Pure: the rows were
//! read before, and are written afterwards.

use std::collections::{BTreeMap, HashSet};

use super::counts::{Tally, hidden_among};
use super::journal::{Change, Journal, merge_noting};
use super::working::{Expected, Resource, Restore};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::{
    Command, Counts, Effect, ExpectedResource, NewRestore, Outcome, Refusal, ResourceKey,
    ResourceStatus, ResourceUpdate, RestoreId, RestoreState, RestoreStatus, Sender, State,
    keep_greater,
};
use crate::store::karbor::Said;
use crate::store::{BatchItem, EarlyMessage, IfUnknown};

/// A batch under way.
pub(super) struct Applying<'a> {
    pub restores: BTreeMap<RestoreId, Restore>,
    pub journal: Journal<'a>,
    pub limit: u64,
    /// Updates that begin to wait.
    pub early: Vec<(RestoreId, &'a EarlyMessage)>,
    /// Rows of updates that waited and are applied.
    pub waited: Vec<Uuid>,
}

impl<'a> Applying<'a> {
    /// Does what item number `index` asks for.
    pub fn apply(&mut self, index: usize, item: &'a BatchItem) -> Outcome {
        let id = item.command.restore_id();
        let not_found = Outcome::Refused(Refusal::RestoreNotFound(id));
        let known =
            self.restores.get_mut(&id).filter(|restore| restore.born.is_none_or(|at| at <= index));
        let Some(restore) = known else {
            return match (&item.command, &item.if_unknown) {
                (Command::RecordRestore(new), _) => {
                    if item.sender.reaches(&new.project_id) {
                        // Nothing but its size kept it from being inserted.
                        Outcome::Refused(Refusal::TooManyResources { limit: self.limit })
                    } else {
                        not_found
                    }
                }
                (_, IfUnknown::Refuse) => not_found,
                (_, IfUnknown::Wait(message)) => {
                    self.early.push((id, message));
                    Outcome::Waiting
                }
                (_, IfUnknown::Waited(_)) => Outcome::Waiting,
            };
        };
        let reaches = reaches(&item.sender, &restore.identity.project_id)
            && match &item.command {
                Command::RecordRestore(new) => item.sender.reaches(&new.project_id),
                _ => true,
            };
        if !reaches {
            return not_found;
        }
        let outcome = if restore.is_live() {
            let was_born = restore.born == Some(index);
            let coming = match &item.command {
                Command::UpdateRestore { state, .. } => Some(state),
                _ => None,
            };
            restore.take_in(&mut self.journal, was_born.then_some(&item.sender), coming);
            restore.apply(&item.command, &item.sender, &mut self.journal, self.limit)
        } else {
            restore.apply_deleted(&item.command)
        };
        // A refused one keeps its row until it is kept as a dead letter.
        if let (IfUnknown::Waited(row), false) =
            (&item.if_unknown, matches!(outcome, Outcome::Refused(_)))
        {
            self.waited.push(*row);
        }
        outcome
    }
}

/// The tenant rule; a restore of Karbor's without a project is an admin's matter.
pub(super) fn reaches(sender: &Sender, project_id: &str) -> bool {
    sender.is_admin || (!project_id.is_empty() && sender.reaches(project_id))
}

impl Restore {
    /// Writes the start event of a restore that is first met, and merges what was read of Karbor's
    /// locked row; once a batch. What `coming` says too is left to it: it may have a reason.
    pub fn take_in(
        &mut self,
        journal: &mut Journal,
        recorded_by: Option<&Sender>,
        coming: Option<&RestoreState>,
    ) {
        if std::mem::replace(&mut self.took_in, true) {
            return;
        }
        let first_met = self.is_first_met();
        if first_met {
            let begun = State { sequence: None, status: RestoreStatus::InProgress, reason: None };
            self.begin(begun, journal, recorded_by);
        }
        if let Some(said) = self.said.take() {
            for update in &said.updates {
                self.merge_resource(update, journal, None);
            }
            // What its last save dropped, or says in other words, is written anew.
            self.outdated |= !self.is_all_of(&said);
            self.digest = said.digest;
            if !first_met {
                self.hear(journal);
            }
        }
        let status = self.karbor_status.as_deref().and_then(|status| status.parse().ok());
        if let (true, Some(status)) = (self.karbor_locked, status) {
            let state = State { sequence: None, status, reason: None };
            if coming.is_none_or(|coming| *coming < state)
                && self.merge_state(state, journal, None) == Effect::Applied
            {
                self.hear(journal);
            }
            self.dirty |= self.status_to_write().is_some();
        }
    }

    /// Whether Karbor's dictionaries say just what is known.
    fn is_all_of(&self, said: &Said) -> bool {
        said.digest.is_some()
            && said.len() as u64 == self.resource_count
            && self.resources.iter().all(|(key, resource)| said.agrees(key, &resource.state))
    }

    fn begin(&mut self, state: RestoreState, journal: &mut Journal, sender: Option<&Sender>) {
        self.transition = 1;
        self.dirty = true;
        self.changed_at = journal.now;
        let change = Change::Merged(None, &state);
        journal.note_restore(&self.identity, &change, (1, self.counts()), sender);
        self.state = Some(state);
    }

    /// Does what `command` asks for.
    pub fn apply(
        &mut self,
        command: &Command,
        sender: &Sender,
        journal: &mut Journal,
        limit: u64,
    ) -> Outcome {
        let too_many = Outcome::Refused(Refusal::TooManyResources { limit });
        match command {
            Command::RecordRestore(NewRestore { status, resources, .. }) => {
                if self.exceeds(resources, limit) {
                    return too_many;
                }
                for update in resources {
                    self.merge_resource(update, journal, Some(sender));
                }
                let state = State { sequence: None, status: *status, reason: None };
                self.merge_state(state, journal, Some(sender));
                self.hear(journal);
                Outcome::Recorded
            }
            Command::UpdateResources { updates, .. } => {
                if self.exceeds(updates, limit) {
                    return too_many;
                }
                self.hear(journal);
                let merged =
                    updates.iter().map(|update| self.merge_resource(update, journal, Some(sender)));
                Outcome::Resources(merged.collect())
            }
            Command::ExpectResources { resources, .. } => {
                let new: HashSet<_> = resources
                    .iter()
                    .map(|expected| (&expected.resource_type, &expected.source_id))
                    .filter(|(kind, source)| {
                        !self.expected.contains_key(&((*kind).clone(), (*source).clone()))
                    })
                    .collect();
                if !new.is_empty() && self.expected_count + new.len() as u64 > limit {
                    return too_many;
                }
                self.hear(journal);
                for expected in resources {
                    self.expect(expected, journal);
                }
                Outcome::Expected(self.expected_count)
            }
            Command::UpdateRestore { state, .. } => {
                self.hear(journal);
                let effect = self.merge_state(state.clone(), journal, Some(sender));
                Outcome::Restore(effect, self.status())
            }
            Command::TakeIn(_) => Outcome::Kept,
            Command::NoteSilence { since, .. } => {
                self.note_silence(*since, journal);
                Outcome::Kept
            }
        }
    }

    /// What an update of a deleted restore does: nothing.
    pub fn apply_deleted(&self, command: &Command) -> Outcome {
        match command {
            Command::RecordRestore(_) => Outcome::Recorded,
            Command::UpdateResources { updates, .. } => {
                let known = updates.iter().map(|update| {
                    let resource = self.resources.get(&update.key);
                    let status = resource.map(|resource| resource.state.status);
                    (Effect::Stale, status.unwrap_or(ResourceStatus::Undefined))
                });
                Outcome::Resources(known.collect())
            }
            Command::ExpectResources { .. } => Outcome::Expected(self.expected_count),
            Command::UpdateRestore { .. } => Outcome::Restore(Effect::Stale, self.status()),
            Command::TakeIn(_) | Command::NoteSilence { .. } => Outcome::Kept,
        }
    }

    fn exceeds(&self, updates: &[ResourceUpdate], limit: u64) -> bool {
        let new: HashSet<&ResourceKey> = updates
            .iter()
            .map(|update| &update.key)
            .filter(|key| !self.resources.contains_key(key))
            .collect();
        !new.is_empty() && self.resource_count + new.len() as u64 > limit
    }

    fn hear(&mut self, journal: &Journal) {
        self.last_heard_at = self.last_heard_at.max(journal.now);
        self.stalled = false;
        self.dirty = true;
    }

    /// Says once that nothing was heard of it since `since`, while it is under way.
    fn note_silence(&mut self, since: DateTime<Utc>, journal: &mut Journal) {
        let state = self.state.as_ref().expect("it was taken in");
        if state.status.is_final() || self.stalled || self.last_heard_at > since {
            return;
        }
        self.stalled = true;
        self.dirty = true;
        self.transition += 1;
        let change = Change::Stalled(state);
        journal.note_restore(&self.identity, &change, (self.transition, self.counts()), None);
    }

    fn counts(&self) -> Counts {
        self.others.with(Tally::of(&self.resources), self.expected_count)
    }

    fn merge_state(
        &mut self,
        update: RestoreState,
        journal: &mut Journal,
        sender: Option<&Sender>,
    ) -> Effect {
        let (before, ended) = (self.state.clone(), self.ends_resources());
        let (effect, old) = merge_noting(&mut self.state, update);
        self.dirty |= self.state != before;
        if ended != self.ends_resources() {
            self.count_anew(journal, sender);
        }
        if effect == Effect::Applied {
            self.transition += 1;
            self.changed_at = journal.now;
            let state = self.state.as_ref().expect("something was merged into it");
            let change = Change::Merged(old, state);
            journal.note_restore(&self.identity, &change, (self.transition, self.counts()), sender);
        }
        effect
    }

    /// Lets each resource count as what was said of it now counts, in the order of their keys. One
    /// that another carries as its source is left as it is: nobody sees it.
    fn count_anew(&mut self, journal: &mut Journal, sender: Option<&Sender>) {
        let ends = self.ends_resources();
        let hidden = hidden_among(&self.resources);
        let mut keys: Vec<ResourceKey> = self
            .resources
            .keys()
            .filter(|key| !ends || !hidden.contains(&(&key.resource_type, &key.resource_id)))
            .cloned()
            .collect();
        keys.sort();
        for key in keys {
            let Some(resource) = self.resources.get_mut(&key) else { continue };
            let said = resource.said.take().unwrap_or_else(|| resource.state.clone());
            let counts_as = if ends { said.clone().ended() } else { said.clone() };
            resource.said = (said != counts_as).then_some(said);
            if counts_as != resource.state {
                let old = std::mem::replace(&mut resource.state, counts_as).status;
                resource.transition += 1;
                resource.changed_at = journal.now;
                resource.dirty = true;
                self.outdated = true;
                journal.note_resource(&self.identity, &key, Some(old), resource, sender);
            }
        }
    }

    fn merge_resource(
        &mut self,
        update: &ResourceUpdate,
        journal: &mut Journal,
        sender: Option<&Sender>,
    ) -> (Effect, ResourceStatus) {
        let ResourceUpdate { key, state: said, source_id, name } = update;
        let ends = self.ends_resources();
        let counts_as = if ends { said.clone().ended() } else { said.clone() };
        let (effect, old);
        let resource = if let Some(resource) = self.resources.get_mut(key) {
            let mut known = Some(resource.state.clone());
            (effect, old) = merge_noting(&mut known, counts_as);
            let merged = known.expect("something was known");
            if ends {
                let known = resource.said.as_ref().unwrap_or(&resource.state);
                let greatest = known.max(said);
                let differs = (*greatest != merged).then(|| greatest.clone());
                resource.dirty |= differs != resource.said;
                resource.said = differs;
            }
            resource.dirty |= merged != resource.state;
            resource.state = merged;
            resource
        } else {
            (effect, old) = (Effect::Applied, None);
            self.resource_count += 1;
            self.resources.entry(key.clone()).or_insert(Resource {
                source_id: None,
                name: None,
                said: (*said != counts_as).then(|| said.clone()),
                state: counts_as,
                transition: 0,
                changed_at: journal.now,
                dirty: true,
            })
        };
        let had_source = resource.source_id.is_some();
        let other_source = keep_greater(&mut resource.source_id, source_id.clone());
        if other_source {
            resource.dirty = true;
            self.outdated = true;
        }
        resource.dirty |= keep_greater(&mut resource.name, name.clone());
        if effect == Effect::Applied {
            resource.transition += 1;
            resource.changed_at = journal.now;
            self.outdated = true;
            journal.note_resource(&self.identity, key, old, resource, sender);
        }
        if resource.dirty {
            self.dirty = true;
        }
        let status = resource.state.status;
        if ends && had_source && other_source {
            // What it was the source of is seen again.
            self.count_anew(journal, sender);
        }
        (effect, status)
    }

    fn expect(&mut self, expected: &ExpectedResource, journal: &Journal) {
        let ExpectedResource { resource_type, source_id, name } = expected;
        let key = (resource_type.clone(), source_id.clone());
        if let Some(known) = self.expected.get_mut(&key) {
            known.dirty |= keep_greater(&mut known.name, name.clone());
        } else {
            self.expected.insert(key, Expected { name: name.clone(), dirty: true });
            self.expected_count += 1;
            self.changed_at = journal.now;
        }
    }
}
