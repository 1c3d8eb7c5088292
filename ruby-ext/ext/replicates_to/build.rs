//! A Ruby extension finds Ruby's functions in the process that loads it; macOS' linker must be told so.

#[expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "the environment and standard output are how cargo and a build script talk; no application runs yet"
)]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("macos") {
        println!("cargo::rustc-link-arg-cdylib=-Wl,-undefined,dynamic_lookup");
    }
}
