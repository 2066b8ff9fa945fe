//! The events of a batch, in the order in which they happen. Numbers are given here, in memory:
//! the publisher's row is locked, and a publisher has one transaction at a time.

use chrono::{DateTime, Utc};

use super::working::{Identity, Resource};
use crate::domain::{
    Counts, Effect, Event, EventType, ResourceKey, ResourceStatus, RestoreState, RestoreStatus,
    Sender, Subject, merge, resource_event, restore_event,
};
use crate::store::Publisher;

/// What became of a restore as a whole.
pub(super) enum Change<'a> {
    /// Its state grew from this status to this state.
    Merged(Option<RestoreStatus>, &'a RestoreState),
    /// Nothing was heard of it for long; this is its state.
    Stalled(&'a RestoreState),
}

/// Collects a batch's events.
pub(super) struct Journal<'a> {
    publisher: &'a Publisher,
    pub now: DateTime<Utc>,
    pub events: Vec<Event>,
}

impl<'a> Journal<'a> {
    pub fn new(publisher: &'a Publisher, now: DateTime<Utc>) -> Self {
        Self { publisher, now, events: Vec::new() }
    }

    /// A change of a restore as a whole.
    pub fn note_restore(
        &mut self,
        identity: &Identity,
        change: &Change,
        (transition, counts): (u64, Counts),
        sender: Option<&Sender>,
    ) {
        let (event_type, old, new) = match *change {
            Change::Merged(old, new) => (restore_event(old, new.status), old, new),
            Change::Stalled(state) => (EventType::RestoreStalled, Some(state.status), state),
        };
        let mut event = self.event(identity, event_type, transition, sender);
        event.old_status = old.map(|status| status.as_str().to_owned());
        new.status.as_str().clone_into(&mut event.status);
        event.reason.clone_from(&new.reason);
        event.sequence = new.sequence;
        event.subject = Subject::Restore { counts };
        self.events.push(event);
    }

    /// A change of one resource.
    pub fn note_resource(
        &mut self,
        identity: &Identity,
        key: &ResourceKey,
        old: Option<ResourceStatus>,
        resource: &Resource,
        sender: Option<&Sender>,
    ) {
        let state = &resource.state;
        let event_type = resource_event(old, state.status);
        let mut event = self.event(identity, event_type, resource.transition, sender);
        event.old_status = old.map(|status| status.as_str().to_owned());
        state.status.as_str().clone_into(&mut event.status);
        event.reason.clone_from(&state.reason);
        event.sequence = state.sequence;
        event.subject = Subject::Resource {
            key: key.clone(),
            source_id: resource.source_id.clone(),
            name: resource.name.clone(),
        };
        self.events.push(event);
    }

    fn event(
        &self,
        identity: &Identity,
        event_type: EventType,
        transition: u64,
        sender: Option<&Sender>,
    ) -> Event {
        let own_project = || Some(identity.project_id.clone());
        Event {
            publisher: self.publisher.id,
            number: self.publisher.next_number + self.events.len() as u64,
            host: self.publisher.host.clone(),
            event_type,
            restore_id: identity.id,
            project_id: identity.project_id.clone(),
            provider_id: identity.provider_id.clone(),
            checkpoint_id: identity.checkpoint_id.clone(),
            restore_target: identity.restore_target.clone(),
            transition,
            occurred_at: self.now,
            old_status: None,
            status: String::new(),
            reason: None,
            sequence: None,
            context_project_id: match sender {
                Some(sender) => sender.project_id.clone().or_else(own_project),
                None => own_project(),
            },
            user_id: sender.and_then(|sender| sender.user_id.clone()),
            request_id: sender.and_then(|sender| sender.request_id.clone()),
            global_request_id: sender.and_then(|sender| sender.global_request_id.clone()),
            subject: Subject::Restore { counts: Counts::default() },
        }
    }
}

/// Merges into a state that may be unknown; says what it did, and the status before.
pub(super) fn merge_noting<S: Ord + Copy>(
    known: &mut Option<crate::domain::State<S>>,
    update: crate::domain::State<S>,
) -> (Effect, Option<S>) {
    let old = known.as_ref().map(|state| state.status);
    (merge(known, update), old)
}
