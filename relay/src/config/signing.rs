//! `signing.secrets`: the keys of Standard Webhooks, `whsec_` and base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use relay_core::settings::SigningSecret;

use super::section::{MASK, Section};

const PREFIX: &str = "whsec_";

/// One to rotate out, one in use, one to rotate in.
const SECRETS_MAX: usize = 3;

pub(super) fn read(section: &Section<'_>) -> Option<Vec<SigningSecret>> {
    let nodes = section.list("secrets")?;
    if nodes.len() > SECRETS_MAX {
        let node = section.required("secrets")?;
        section.refuse::<()>(node, "at most 3 secrets, newest first");
    }
    let secrets: Vec<_> = nodes
        .iter()
        .map(|node| {
            let secret = section.secret(node)?;
            parse(secret.expose())
                .or_else(|| section.problem(node, "must hold whsec_ and base64 of 24 to 64 bytes"))
        })
        .collect();
    section.refuse_unknown_keys();
    section.show("secrets", vec![MASK; nodes.len()]);
    secrets.into_iter().collect()
}

/// Reads `whsec_` and base64 of 24 to 64 bytes.
pub fn parse(text: &str) -> Option<SigningSecret> {
    let bytes = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
    (24..=64)
        .contains(&bytes.len())
        .then_some(SigningSecret(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signing_secret_is_24_to_64_bytes() {
        let secret = parse("whsec_cmVwbGljYXRlcy10by10ZXN0LXZlY3Rvci1zZWNyZXQ=").unwrap();
        assert_eq!(secret.0, b"replicates-to-test-vector-secret");
        for length in [0, 23, 65] {
            let text = format!("{PREFIX}{}", STANDARD.encode(vec![7; length]));
            assert!(parse(&text).is_none(), "{length}");
        }
        assert!(parse("whsec_!!!").is_none());
        assert!(parse(&STANDARD.encode([7; 32])).is_none());
    }
}
