//! The real Python clients, run as programs of their own, and the Python package's own tests.
//!
//! Takes the name of a program in `tests/python` and its arguments, gives what it printed. The
//! Python comes from `scripts/test`, which installs the clients; a test without it fails.

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a program to its end; fails with all it wrote if it did not exit with 0.
pub async fn run_python(program: &str, arguments: &[&str]) -> String {
    run_python_command(program, |command| {
        command.args(arguments);
    })
    .await
}

/// The same, with arguments and an environment that `complete` adds.
pub async fn run_python_command(program: &str, complete: impl FnOnce(&mut Command)) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(program);
    let mut command = python();
    command.arg(path);
    complete(&mut command);
    run(program, command).await
}

/// Runs the package's tests in a folder of `integrations/python/tests`, against the built worker.
pub async fn run_pytest(folder: &str) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("integrations/python/tests");
    let mut command = python();
    command.args(["-m", "pytest", "--quiet", "-W", "ignore", "-p", "no:cacheprovider"]);
    command.arg(tests.join(folder));
    command.env("TEST_WORKER", env!("CARGO_BIN_EXE_karbor-restore-worker"));
    run(folder, command).await;
}

fn python() -> Command {
    let mut command = Command::new(super::server("TEST_PYTHON"));
    command.stdin(Stdio::null()).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

async fn run(name: &str, mut command: Command) -> String {
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.expect("no panic").expect("Python starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{name} {}:\n{stdout}\n{stderr}", output.status);
    stdout
}
