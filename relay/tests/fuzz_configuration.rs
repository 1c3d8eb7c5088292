//! The fuzz target of the configuration on the stable compiler: its corpus, and texts drawn from it. See
//! `relay/core/fuzz`.
#[path = "../core/fuzz/src/configuration.rs"]
mod configuration;
#[path = "../core/fuzz/src/mutate.rs"]
mod mutate;

use std::path::Path;

#[test]
fn any_text_is_a_configuration_or_has_problems_with_words() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("core/fuzz/corpus/configuration");
    mutate::feed_all(&corpus, 3_000, configuration::feed);
}
