//! The reference of the relay's configuration, as far as tests ask whether something is said of every key.

use std::collections::BTreeSet;

/// The keys of `relay.default.toml`: those that are set there, and those that are shown as comments.
pub fn keys_of(reference: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut section = String::new();
    for line in reference.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        let header = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        if let Some((name, rest)) = header {
            // Not the words of a sentence that begins with a section's name.
            if rest.is_empty() || rest.starts_with("   ") {
                name.clone_into(&mut section);
            }
            continue;
        }
        let Some((key, _)) = line.split_once(" = ") else {
            continue;
        };
        let is_key = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        if key.bytes().all(is_key) {
            keys.insert(format!("{section}.{key}"));
        }
    }
    keys
}
