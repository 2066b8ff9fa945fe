//! The real Python clients, run as programs of their own.
//!
//! Takes the name of a program in `tests/python` and its arguments, gives what it printed. The
//! Python comes from `scripts/test`, which installs the clients; a test without it fails.

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a program to its end; fails with all it wrote if it did not exit with 0.
pub async fn run_python(program: &str, arguments: &[&str]) -> String {
    let python = super::server("TEST_PYTHON");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    let mut command = Command::new(python);
    command.arg(folder.join(program)).args(arguments).stdin(Stdio::null());
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.expect("no panic").expect("Python starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{program} {}:\n{stdout}\n{stderr}", output.status);
    stdout
}
