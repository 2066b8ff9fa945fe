//! The log: takes `[log]`, gives one line an event on standard error, as text or as JSON.
//! Standard output is left to what commands print. Libraries that speak of each frame are held to
//! warnings, unless the filter names them itself.

use std::io::{self, IsTerminal as _};

use tracing::Metadata;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::settings::{LogFormat, LogSettings};

const QUIET: &str = "mysql_async=warn,tokio_postgres=warn,rustls=warn,hyper=warn";

/// Starts logging for the whole process.
///
/// # Errors
///
/// Something else in the process logs already.
pub fn start_logging(settings: &LogSettings) -> Result<(), TryInitError> {
    let output = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        // A log that nobody reads any more must not end the worker: to complain of it, the layer
        // would write to the same closed pipe, and panic.
        .log_internal_errors(false);
    let output = match settings.format {
        LogFormat::Text => output.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => output.json().flatten_event(true).boxed(),
    };
    let filter = build_filter(&settings.filter).and(filter_fn(may_be_heard));
    tracing_subscriber::registry().with(output.with_filter(filter)).try_init()
}

/// The last directive for a module counts, so the operator's win over the quiet ones.
fn build_filter(filter: &str) -> EnvFilter {
    EnvFilter::new(format!("{QUIET},{filter}"))
}

/// lapin logs what it sends, bodies included, whenever a message is returned: it is never heard,
/// whatever the filter says. What it has to say, `transport` says in its own words.
fn may_be_heard(of: &Metadata<'_>) -> bool {
    let target = of.target();
    target != "lapin" && !target.starts_with("lapin::")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn libraries_are_quiet_unless_named() {
        assert!(build_filter("debug").to_string().contains("hyper=warn"));
        let named = build_filter("info,hyper=trace").to_string();
        assert!(named.contains("hyper=trace") && !named.contains("hyper=warn"), "{named}");
    }

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lapin_is_never_heard_whatever_the_filter_says() {
        let written = Written::default();
        let writer = written.clone();
        let output = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let filter = build_filter("trace,lapin::channel=trace").and(filter_fn(may_be_heard));
        let subscriber = tracing_subscriber::registry().with(output.with_filter(filter));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "lapin::channel", "a body");
            tracing::warn!(target: "lapinette", "heard");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("heard") && !text.contains("a body"), "{text}");
    }
}
