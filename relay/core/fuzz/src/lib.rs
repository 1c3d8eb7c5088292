//! What the relay reads from others, fed with anything: each module has a function `feed` that takes any bytes and panics
//! when a promise is broken.
//!
//! `cargo fuzz run decoder` (in `relay/core`; for the renderer, `… run renderer fuzz/corpus/decoder`) looks for inputs that
//! break one, guided by coverage: with a nightly compiler, or with `RUSTC_BOOTSTRAP=1` and `--sanitizer none`. The suites
//! `core` and `relay` feed the corpora, and inputs drawn from them.
pub mod answers;
pub mod configuration;
pub mod decoder;
pub mod renderer;
