//! The `next` link of a page, as Karbor builds it (`karbor/api/common.py`, `ViewBuilder`).
//!
//! Takes the request's host, path and parameters, gives the same with the next marker. Unlike in
//! Karbor's, `offset` is not repeated: it counts from the marker, and would skip rows on each page.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::query::Parameters;

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// `[{"rel": "next", "href": ...}]`: the same request, its place set by `name` to `place`.
pub(super) fn next_links(
    public_url: Option<&str>,
    headers: &HeaderMap,
    uri: &Uri,
    mut parameters: Parameters,
    (name, place): (&str, &str),
) -> Value {
    for replaced in ["marker", "offset"] {
        parameters.take(replaced);
    }
    parameters.0.push((name.to_owned(), place.to_owned()));
    let encode = |text| utf8_percent_encode(text, RESERVED);
    let query: Vec<String> = parameters
        .0
        .iter()
        .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
        .collect();
    let prefix = match public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{}", requested_host(headers, uri)),
    };
    json!([{ "rel": "next", "href": format!("{prefix}{}?{}", uri.path(), query.join("&")) }])
}

/// The last of `X-Forwarded-Host`, else `Host`, as Karbor; a host with other characters than a
/// host's is not repeated.
fn requested_host(headers: &HeaderMap, uri: &Uri) -> String {
    let read = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let forwarded = read("x-forwarded-host").and_then(|hosts| hosts.rsplit(',').next());
    let is_sound = |host: &&str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
        !host.is_empty() && host.bytes().all(allowed)
    };
    forwarded
        .map(str::trim)
        .filter(is_sound)
        .or_else(|| uri.authority().map(Authority::as_str).filter(is_sound))
        .or_else(|| read(header::HOST.as_str()).filter(is_sound))
        .unwrap_or("localhost")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn href(public_url: Option<&str>, headers: &[(&'static str, &str)]) -> String {
        let headers =
            headers.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect();
        let sent = [("limit", "2"), ("offset", "4"), ("marker", "a"), ("status", "a b&c")];
        let sent = sent.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
        let uri = "/v1/p/restores?x".parse().unwrap();
        let links = next_links(public_url, &headers, &uri, Parameters(sent), ("marker", "b"));
        links[0]["href"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_link_repeats_the_request_after_the_marker() {
        assert_eq!(
            href(None, &[("host", "api:8798")]),
            "http://api:8798/v1/p/restores?limit=2&status=a%20b%26c&marker=b"
        );
    }

    #[test]
    fn a_proxy_or_a_setting_names_the_host() {
        let query = "v1/p/restores?limit=2&status=a%20b%26c&marker=b";
        let forwarded = [("host", "inner"), ("x-forwarded-host", "first, outer:80")];
        assert_eq!(href(None, &forwarded), format!("http://outer:80/{query}"));
        assert_eq!(
            href(Some("https://cloud/restores/"), &forwarded),
            format!("https://cloud/restores/{query}")
        );
        assert_eq!(
            href(None, &[("host", "inner"), ("x-forwarded-host", "a/b?<c>")]),
            format!("http://inner/{query}")
        );
    }
}
