//! The fuzz targets of `relay/core/fuzz`, fed with their corpora, and with inputs drawn from them. libFuzzer, guided by
//! coverage, goes further: `cargo fuzz run decoder`.
#[path = "../../fuzz/src/answers.rs"]
mod answers;
#[path = "../../fuzz/src/decoder.rs"]
mod decoder;
#[path = "../../fuzz/src/mutate.rs"]
mod mutate;
#[path = "../../fuzz/src/renderer.rs"]
mod renderer;

use std::path::{Path, PathBuf};

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target)
}

#[test]
fn any_message_is_a_record_or_is_quarantined() {
    mutate::feed_all(&corpus("decoder"), 100_000, decoder::feed);
}

#[test]
fn any_record_makes_requests_that_http_can_carry() {
    // What can be decoded is what can be sent: the corpus is the same.
    mutate::feed_all(&corpus("decoder"), 50_000, renderer::feed);
}

#[test]
fn any_answer_has_a_meaning() {
    mutate::feed_all(&corpus("answers"), 200_000, answers::feed);
}
