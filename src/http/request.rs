//! What a request under `/v1` asks, and for whom: one extractor before every handler.
//!
//! Takes the path, the query and `X-Auth-Token`, gives them judged: no handler runs for a caller
//! who may not ask about PROJECT.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Uri};
use serde_json::Value;

use super::HttpState;
use super::fault::Fault;
use super::link::next_links;
use super::query::Parameters;
use super::token::Access;
use crate::domain::RestoreId;

/// A request that may be answered.
pub(super) struct Asked {
    /// What the caller may reach.
    pub(super) access: Access,
    /// PROJECT of the path.
    pub(super) project_id: String,
    /// The query; what a handler understands it takes out.
    pub(super) parameters: Parameters,
    restore_id: Option<String>,
    sent: Parameters,
    uri: Uri,
    headers: HeaderMap,
}

impl FromRequestParts<HttpState> for Asked {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Fault> {
        let malformed = || Fault::bad_request("Malformed request url");
        let token = parts.headers.get("x-auth-token").map(HeaderValue::as_bytes);
        let access = state.tokens.judge(token).ok_or_else(Fault::unauthorized)?;
        let Path(mut path) = Path::<HashMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|_| malformed())?;
        let project_id = path.remove("project_id").ok_or_else(malformed)?;
        if !access.reaches(&project_id) {
            return Err(malformed());
        }
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| malformed())?;
        let sent = Parameters(pairs);
        Ok(Self {
            access,
            project_id,
            parameters: sent.clone(),
            restore_id: path.remove("restore_id"),
            sent,
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
        })
    }
}

impl Asked {
    /// The restore of the path.
    pub(super) fn restore_id(&self) -> Result<RestoreId, Fault> {
        self.restore_id
            .as_deref()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Fault::bad_request("Invalid restore id provided."))
    }

    /// What a list of our own begins with: the restore of the path, `limit` and `offset`.
    pub(super) fn take_page(&mut self) -> Result<(RestoreId, u32, u64), Fault> {
        let id = self.restore_id()?;
        Ok((id, self.parameters.take_limit()?, self.parameters.take_offset()?))
    }

    /// Whether the caller sees everything.
    pub(super) fn is_admin(&self) -> bool {
        self.access == Access::Admin
    }

    /// The links of a page that ends with `marker`.
    pub(super) fn next_links(&self, state: &HttpState, marker: &str) -> Value {
        self.links_to(state, ("marker", marker))
    }

    /// The links of a page after which `offset` follows.
    pub(super) fn next_page_links(&self, state: &HttpState, offset: u64) -> Value {
        self.links_to(state, ("offset", &offset.to_string()))
    }

    fn links_to(&self, state: &HttpState, place: (&str, &str)) -> Value {
        let public_url = state.public_url.as_deref();
        next_links(public_url, &self.headers, &self.uri, self.sent.clone(), place)
    }
}
