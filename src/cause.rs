//! An error with all its causes, for a log line or `/readyz`: the first sentence says what was
//! being done, the last one why it failed.

use std::error::Error;

/// `what was done: what was met: why`.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
