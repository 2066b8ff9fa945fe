//! The formats of `/metrics`: OpenMetrics where a scraper asks for it, else Prometheus's own text.
//!
//! Takes the page as prometheus-client writes it, which is OpenMetrics 1.0, gives it in the older
//! format (version 0.0.4 on Prometheus's page "Exposition formats"): there a counter's metadata
//! bear the name of its samples, `_total` included, and no line ends the page.

use axum::http::{HeaderMap, header};

/// How the page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exposition {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's text format 0.0.4.
    Text,
}

impl Exposition {
    /// What a request is answered with: OpenMetrics is for those that name it.
    pub(super) fn asked_by(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter();
        let mut ranges =
            accepted.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
        let names_it = |range: &str| {
            let media_type = range.split(';').next().unwrap_or_default().trim();
            media_type.eq_ignore_ascii_case("application/openmetrics-text")
        };
        if ranges.any(names_it) { Self::OpenMetrics } else { Self::Text }
    }

    /// The `Content-Type` of the answer.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// An OpenMetrics page in this format.
    pub(super) fn write(self, page: String) -> String {
        match self {
            Self::OpenMetrics => page,
            Self::Text => to_text(&page),
        }
    }
}

fn to_text(page: &str) -> String {
    let counters: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(page.len());
    for line in page.lines().filter(|line| *line != "# EOF") {
        let metadata = ["# HELP ", "# TYPE "].into_iter().find_map(|keyword| {
            let (name, rest) = line.strip_prefix(keyword)?.split_once(' ')?;
            counters.contains(&name).then_some((keyword, name, rest))
        });
        match metadata {
            Some((keyword, name, rest)) => {
                text.extend([keyword, name, "_total ", rest, "\n"]);
            }
            None => text.extend([line, "\n"]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn openmetrics_is_for_those_that_name_it() {
        for (accept, exposition) in [
            ("", Exposition::Text),
            ("*/*", Exposition::Text),
            ("text/plain;version=0.0.4", Exposition::Text),
            ("application/openmetrics-text", Exposition::OpenMetrics),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2",
                Exposition::OpenMetrics,
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Exposition::asked_by(&headers), exposition, "{accept}");
        }
        assert_eq!(Exposition::asked_by(&HeaderMap::new()), Exposition::Text);
    }

    #[test]
    fn in_text_a_counters_metadata_name_its_samples() {
        let page = "# HELP a_b How many.\n# TYPE a_b counter\na_b_total{c=\"d\"} 1\n\
                    # HELP a_b_c Now.\n# TYPE a_b_c gauge\na_b_c 2\n# EOF\n";
        assert_eq!(
            to_text(page),
            "# HELP a_b_total How many.\n# TYPE a_b_total counter\na_b_total{c=\"d\"} 1\n\
             # HELP a_b_c Now.\n# TYPE a_b_c gauge\na_b_c 2\n"
        );
    }
}
