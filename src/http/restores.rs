//! Karbor's two reads of restores, with its JSON, paging, sorting and errors
//! (`karbor/api/v1/restores.py`).
//!
//! Takes a judged request, gives Karbor's nine fields a restore. Deleted restores are not shown.
//! Different from Karbor on purpose: a marker must be a restore that the caller may see, and
//! filter values are taken as text, never read as Python literals.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use super::HttpState;
use super::fault::Fault;
use super::request::Asked;
use super::shape::RestoreShape;
use crate::domain::RestoreId;
use crate::store::ListQuery;

#[derive(Serialize)]
struct One<'a> {
    restore: RestoreShape<'a>,
}

#[derive(Serialize, Default)]
struct Page<'a> {
    restores: Vec<RestoreShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restores_links: Option<Value>,
}

/// `GET /v1/PROJECT/restores/ID`
pub(super) async fn show(State(state): State<HttpState>, asked: Asked) -> Result<Response, Fault> {
    let id = asked.restore_id()?;
    let _turn = state.read_turn().await;
    let view = state
        .store
        .restore_view(id)
        .await?
        .filter(|view| asked.access.reaches(&view.project_id))
        .ok_or_else(|| Fault::restore_not_found(id))?;
    Ok(Json(One { restore: RestoreShape::from(&view) }).into_response())
}

/// `GET /v1/PROJECT/restores`
pub(super) async fn list(
    State(state): State<HttpState>,
    mut asked: Asked,
) -> Result<Response, Fault> {
    let is_admin = asked.is_admin();
    let limit = asked.parameters.take_limit()?;
    let marker = asked.parameters.take("marker");
    let offset = asked.parameters.take_offset()?;
    let sort = asked.parameters.take_sort()?;
    let everyones = if is_admin { asked.parameters.take_all_tenants()? } else { false };
    let Some(filters) = asked.parameters.clone().into_filters(is_admin) else {
        return Ok(Json(Page::default()).into_response());
    };
    let _turn = state.read_turn().await;
    let marker = match marker {
        Some(text) => Some(find_marker(&state, &asked, &text).await?),
        None => None,
    };
    let project_id = (!everyones).then(|| asked.project_id.clone());
    let query = ListQuery { project_id, filters, sort, marker, limit, offset };
    let views = state.store.list_restores(&query).await?;
    let last = views.last().filter(|_| views.len() >= limit as usize);
    let page = Page {
        restores: views.iter().map(RestoreShape::from).collect(),
        restores_links: last.map(|last| asked.next_links(&state, &last.id.to_string())),
    };
    Ok(Json(page).into_response())
}

/// Gives the marker's id if the caller may see it: a list must not tell whether others' exist.
async fn find_marker(state: &HttpState, asked: &Asked, text: &str) -> Result<RestoreId, Fault> {
    let not_found = || Fault::restore_not_found(text);
    let id: RestoreId = text.parse().map_err(|_| not_found())?;
    let project_id = state.store.project_of(id).await?.ok_or_else(not_found)?;
    if asked.access.reaches(&project_id) { Ok(id) } else { Err(not_found()) }
}
