//! Addresses of servers, and the same addresses through a proxy.

use super::Proxy;

/// `host:port` of a URL that names a port.
pub fn server(url: &str) -> String {
    url[host(url)].to_owned()
}

/// The URL with the proxy in the server's place.
pub fn url(url: &str, proxy: &Proxy) -> String {
    let mut through = url.to_owned();
    through.replace_range(host(url), &proxy.address().to_string());
    through
}

/// Where in a URL its `host:port` stands.
fn host(url: &str) -> std::ops::Range<usize> {
    let start = url.find("://").expect("a URL has a scheme") + 3;
    let end = url[start..].find('/').map_or(url.len(), |length| start + length);
    let start = url[start..end].rfind('@').map_or(start, |at| start + at + 1);
    start..end
}
