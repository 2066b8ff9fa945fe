//! Our own reads: a restore's resources line by line, and what happened to it, oldest first.
//!
//! Takes a judged request, gives pages in the shapes of [`super::shape`]. `limit` and `offset` are
//! Karbor's; a page of events ends with a marker, since events come in while one reads.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use super::HttpState;
use super::fault::Fault;
use super::request::Asked;
use super::shape::{EventShape, ResourceShape, event_id, read_event_id};
use crate::domain::{Counts, RestoreId};
use crate::store::{EventQuery, ResourceQuery};

#[derive(Serialize)]
struct ResourcesPage<'a> {
    resources: Vec<ResourceShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources_links: Option<Value>,
    counts: Counts,
}

#[derive(Serialize)]
struct EventsPage<'a> {
    events: Vec<EventShape<'a>>,
    /// Whether what happened before the first of all events is no longer known.
    earlier_events_deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    events_links: Option<Value>,
}

/// `GET /v1/PROJECT/restores/ID/resources`
pub(super) async fn list_resources(
    State(state): State<HttpState>,
    mut asked: Asked,
) -> Result<Response, Fault> {
    let (id, limit, offset) = asked.take_page()?;
    let (statuses, not_begun) = asked.parameters.take_statuses()?;
    let _turn = state.read_turn().await;
    check_reach(&state, &asked, id).await?;
    let query = ResourceQuery { statuses, not_begun, limit, offset };
    let lines = state.store.resource_lines(id, &query).await?;
    let counts = state.store.resource_counts(id).await?;
    let more = lines.len() >= limit as usize;
    let page = ResourcesPage {
        resources: lines.iter().map(ResourceShape::from).collect(),
        resources_links: more.then(|| asked.next_page_links(&state, offset + u64::from(limit))),
        counts,
    };
    Ok(Json(page).into_response())
}

/// `GET /v1/PROJECT/restores/ID/events`
pub(super) async fn list_events(
    State(state): State<HttpState>,
    mut asked: Asked,
) -> Result<Response, Fault> {
    let (id, limit, offset) = asked.take_page()?;
    let after =
        match asked.parameters.take("marker") {
            Some(text) => Some(read_event_id(&text).ok_or_else(|| {
                Fault::event_not_found(&text.chars().take(64).collect::<String>())
            })?),
            None => None,
        };
    let _turn = state.read_turn().await;
    check_reach(&state, &asked, id).await?;
    let events = state.store.restore_events(id, &EventQuery { after, limit, offset }).await?;
    let earlier_events_deleted = state.store.earlier_events_deleted(id).await?;
    let last = events.last().filter(|_| events.len() >= limit as usize);
    let page = EventsPage {
        events: events.iter().map(EventShape::from).collect(),
        earlier_events_deleted,
        events_links: last.map(|last| asked.next_links(&state, &event_id(last))),
    };
    Ok(Json(page).into_response())
}

async fn check_reach(state: &HttpState, asked: &Asked, id: RestoreId) -> Result<(), Fault> {
    match state.store.project_of(id).await? {
        Some(project_id) if asked.access.reaches(&project_id) => Ok(()),
        _ => Err(Fault::restore_not_found(id)),
    }
}
