//! Standard Webhooks 1.0: how a consumer knows that a request is ours, unaltered and recent
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::settings::SigningSecret;

/// The header that carries the signatures.
pub const HEADER: &str = "webhook-signature";

/// One `v1,<base64>` for each secret, separated by spaces, in the order of the secrets.
pub fn sign(secrets: &[SigningSecret], id: &str, timestamp: &str, body: &[u8]) -> String {
    let mut signatures = String::with_capacity(secrets.len() * 48);
    for secret in secrets {
        if !signatures.is_empty() {
            signatures.push(' ');
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0).expect("HMAC takes any key length");
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        signatures.push_str("v1,");
        BASE64.encode_string(mac.finalize().into_bytes(), &mut signatures);
    }
    signatures
}
