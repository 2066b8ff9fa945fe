//! What is served over HTTP: health, metrics, and restores as Karbor's API shows them.
//!
//! Takes requests to read, gives what the store and the other rooms say. It changes nothing,
//! reads no request body, and shows no secret but a restore's `parameters`, to whoever may see
//! that restore. Everything fits python-karborclient 2.1 as it is.
//!
//! | path | what |
//! | --- | --- |
//! | `/` | one line: what is served |
//! | `/healthz` | 200 while the process lives |
//! | `/readyz` | `{"ready": true}`, or 503 `{"ready": false, "reasons": [...]}` |
//! | `/metrics` | Prometheus text, or OpenMetrics for those that ask for it |
//! | `/v1/PROJECT/restores` | Karbor's list: `{"restores": [...], "restores_links": [...]}` |
//! | `/v1/PROJECT/restores/ID` | Karbor's `{"restore": {...}}` |
//! | `/v1/PROJECT/restores/ID/resources` | ours: see [`shape`] |
//! | `/v1/PROJECT/restores/ID/events` | ours: see [`shape`] |
//!
//! Tokens guard `/v1` only. A token that is tied to another project than the path's gets 400
//! `Malformed request url`, as Karbor answers (`karbor/api/openstack/wsgi.py`); another project's
//! restore gets 404. An admin's list is PROJECT's unless `all_tenants` is sent.

mod exposition;
mod fault;
mod guard;
mod health;
mod label;
mod link;
mod metrics;
mod query;
mod request;
mod restores;
pub mod shape;
mod timeline;
mod token;
#[cfg(test)]
mod fuzz;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::store::Store;
use exposition::Exposition;
use fault::Fault;

pub use health::{Health, Part};
pub use label::{Connection, Observed};
pub use metrics::Metrics;
pub use token::{Access, BadTokens, Tokens};

/// How many requests may read the database at once: the rest of the pool is the worker's.
const CONCURRENT_READS: usize = 4;

/// How long requests under way may take at shutdown.
const DRAIN: Duration = Duration::from_secs(5);

/// What the handlers share; clones are the same.
#[derive(Clone)]
pub struct HttpState {
    store: Store,
    tokens: Arc<Tokens>,
    health: Health,
    metrics: Metrics,
    public_url: Option<Arc<str>>,
    reads: Arc<Semaphore>,
}

impl HttpState {
    /// `public_url` is what clients reach `/` by, for links; `None` takes it from each request.
    pub fn new(
        store: Store,
        tokens: Tokens,
        health: Health,
        metrics: Metrics,
        public_url: Option<String>,
    ) -> Self {
        Self {
            store,
            tokens: Arc::new(tokens),
            health,
            metrics,
            public_url: public_url.map(Arc::from),
            reads: Arc::new(Semaphore::new(CONCURRENT_READS)),
        }
    }

    /// Waits for a turn to read the database.
    async fn read_turn(&self) -> SemaphorePermit<'_> {
        self.reads.acquire().await.expect("the semaphore is never closed")
    }
}

/// Everything, for `http.listen`.
pub fn api_router(state: HttpState) -> Router {
    probe_routes()
        .route("/", get(describe))
        .route("/v1/{project_id}/restores", get(restores::list))
        .route("/v1/{project_id}/restores/{restore_id}", get(restores::show))
        .route("/v1/{project_id}/restores/{restore_id}/resources", get(timeline::list_resources))
        .route("/v1/{project_id}/restores/{restore_id}/events", get(timeline::list_events))
        .method_not_allowed_fallback(refuse_method)
        .fallback(refuse_path)
        .layer(middleware::from_fn_with_state(state.clone(), guard::refuse_foreign_hosts))
        .layer(middleware::from_fn(guard::add_headers))
        .with_state(state)
}

/// Only `/healthz`, `/readyz` and `/metrics`, for `http.probe_listen`.
pub fn probe_router(state: HttpState) -> Router {
    probe_routes()
        .method_not_allowed_fallback(refuse_method)
        .fallback(refuse_path)
        .layer(middleware::from_fn(guard::add_headers))
        .with_state(state)
}

/// Serves until `shutdown`, then lets requests under way end, for 5 s at most.
///
/// # Errors
/// The listener's.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let draining = shutdown.clone().cancelled_owned();
    let deadline = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = axum::serve(listener, router).with_graceful_shutdown(draining) => served,
        () = deadline => Ok(()),
    }
}

fn probe_routes() -> Router<HttpState> {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(show_readiness))
        .route("/metrics", get(show_metrics))
}

async fn show_readiness(State(state): State<HttpState>) -> Response {
    match state.health.ready() {
        Ok(()) => Json(json!({ "ready": true })).into_response(),
        Err(reasons) => {
            let body = Json(json!({ "ready": false, "reasons": reasons }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

async fn show_metrics(State(state): State<HttpState>, headers: HeaderMap) -> Response {
    let exposition = Exposition::asked_by(&headers);
    let page = exposition.write(state.metrics.encode(&state.health));
    ([(header::CONTENT_TYPE, exposition.content_type())], page).into_response()
}

async fn describe() -> &'static str {
    concat!(
        "karbor-restore-worker ",
        env!("CARGO_PKG_VERSION"),
        ": /v1/PROJECT/restores (and /ID, /ID/resources, /ID/events), /healthz, /readyz, /metrics\n"
    )
}

async fn refuse_method(method: Method) -> Fault {
    Fault::bad_method(&method)
}

async fn refuse_path() -> Fault {
    Fault::no_such_path()
}
