//! What every request passes and every response gets, whatever its path.
//!
//! Without tokens every caller is admin, so a page on the internet must not reach this service
//! through a name that it lets point here (DNS rebinding): then a request is answered only if
//! the host that it names is this machine's loopback. Responses are never cached nor sniffed.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::fault::Fault;

/// Refuses a request for a foreign host where no tokens are configured.
pub(super) async fn refuse_foreign_hosts(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    if state.tokens.are_required() || names_loopback(&request) {
        next.run(request).await
    } else {
        Fault::foreign_host().into_response()
    }
}

/// Adds the headers that all responses carry.
pub(super) async fn add_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Both places where a request may name its host must name loopback, and one of them must.
fn names_loopback(request: &Request) -> bool {
    let of_uri = request.uri().authority().map(Authority::as_str);
    let mut of_headers = request.headers().get_all(header::HOST).iter().peekable();
    let any = of_uri.is_some() || of_headers.peek().is_some();
    any && of_uri.is_none_or(is_loopback)
        && of_headers.all(|host| host.to_str().is_ok_and(is_loopback))
}

fn is_loopback(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, "")) => (name, None),
        Some((name, rest)) => match rest.strip_prefix(':') {
            Some(port) => (name, Some(port)),
            None => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let port_is_sound =
        port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    port_is_sound
        && (name.eq_ignore_ascii_case("localhost")
            || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn loopback_is_told_from_the_rest() {
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1:8798", "127.8.9.1", "[::1]", "[::1]:1"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.org",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "evil@127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:x",
            "10.0.0.1",
            "[::2]",
            "[::1]x",
            "[::1]:80@example.org",
            "0.0.0.0",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
