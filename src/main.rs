//! The program. Everything is in the library, so that it is compiled once.

use std::process::ExitCode;

fn main() -> ExitCode {
    karbor_restore_worker::cli::main()
}
