//! The log: takes `[log]`, gives one line an event on standard error, as text or as JSON.
//! Standard output is left to what commands print. Libraries that speak of each frame are held to
//! warnings, unless the filter names them itself.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::settings::{LogFormat, LogSettings};

const QUIET: &str = "mysql_async=warn,tokio_postgres=warn,rustls=warn,hyper=warn";

/// Starts logging for the whole process.
///
/// # Errors
///
/// Something else in the process logs already.
pub fn start_logging(settings: &LogSettings) -> Result<(), TryInitError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(build_filter(&settings.filter))
        .with_writer(io::stderr);
    match settings.format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    }
}

/// lapin logs what it sends, bodies included, whenever a message is returned: it is never heard.
/// What it has to say, `transport` says in its own words.
const SILENT: &str = "lapin=off";

/// The last directive for a module counts, so the operator's win over the quiet ones.
fn build_filter(filter: &str) -> EnvFilter {
    EnvFilter::new(format!("{QUIET},{filter},{SILENT}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_quiet_unless_named_and_lapin_always() {
        assert!(build_filter("debug").to_string().contains("hyper=warn"));
        let named = build_filter("info,hyper=trace,lapin=trace").to_string();
        assert!(named.contains("hyper=trace") && !named.contains("hyper=warn"), "{named}");
        assert!(named.contains("lapin=off") && !named.contains("lapin=trace"), "{named}");
    }
}
