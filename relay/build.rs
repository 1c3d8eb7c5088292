//! Tells the binary which revision it is built from: `RELAY_REVISION`, or `unknown` outside a repository.

#![expect(
    clippy::disallowed_macros,
    reason = "a build script speaks to cargo on its standard output"
)]

use std::process::Command;

fn main() {
    let revision = git(&["rev-parse", "--short=7", "HEAD"]);
    let revision = revision.as_deref().unwrap_or("unknown");
    println!("cargo::rustc-env=RELAY_REVISION={revision}");
    println!("cargo::rerun-if-changed=build.rs");
    // Grows with every commit and checkout.
    if let Some(log) = git(&[
        "rev-parse",
        "--path-format=absolute",
        "--git-path",
        "logs/HEAD",
    ]) {
        println!("cargo::rerun-if-changed={log}");
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
