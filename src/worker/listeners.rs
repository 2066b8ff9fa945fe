//! The HTTP listeners: bound first, so that an address in use is said before anything is begun.

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use super::Telling;
use crate::http::{HttpState, Tokens, api_router, probe_router};
use crate::settings::{Settings, SettingsError, read_file};
use crate::store::Store;

/// What listens, until it is stopped.
pub(super) struct Listeners {
    ending: CancellationToken,
    tasks: TaskTracker,
}

/// Binds what the settings name, and serves it.
///
/// # Errors
/// An address that cannot be bound, or a token file that cannot be read; each named.
pub(super) async fn start(
    settings: &Settings,
    store: &Store,
    telling: &Telling,
) -> anyhow::Result<Listeners> {
    let http = &settings.http;
    let tokens = match &http.tokens_file {
        None => Tokens::none(),
        Some(path) => {
            let text = read_file(path, "`http.tokens_file`")?;
            let bad = |reason| SettingsError::Tokens { path: path.clone(), reason };
            Tokens::parse(&text).map_err(bad)?
        }
    };
    let state = HttpState::new(
        store.clone(),
        tokens,
        telling.health.clone(),
        telling.metrics.clone(),
        http.public_url.clone(),
    );
    let listeners = Listeners { ending: CancellationToken::new(), tasks: TaskTracker::new() };
    let routers = [
        ("http.listen", http.listen, api_router(state.clone())),
        ("http.probe_listen", http.probe_listen, probe_router(state)),
    ];
    for (setting, address, router) in routers {
        let Some(address) = address else { continue };
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address} (`{setting}`)"))?;
        info!(address = %listener.local_addr()?, setting, "listening");
        let ending = listeners.ending.clone();
        listeners.tasks.spawn(async move {
            if let Err(error) = crate::http::serve(listener, router, ending).await {
                error!(%error, setting, "the listener ended");
            }
        });
    }
    Ok(listeners)
}

impl Listeners {
    /// Lets requests under way end, and closes.
    pub(super) async fn stop(self) {
        self.ending.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
