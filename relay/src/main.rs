//! `replicates-relay`.

use std::process::ExitCode;

fn main() -> ExitCode {
    replicates_relay::cli::run()
}
