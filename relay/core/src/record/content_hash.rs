//! The content hash: what tells two states of a row apart.

use sha2::{Digest, Sha256};

use crate::names::ContentHash;

/// SHA-256 over fields as they stand in the record, tag and length included. Hashed from the bytes that were read, never
/// from a re-encoding: another encoder's bytes stay another encoder's bytes.
#[derive(Default)]
pub struct ContentHasher(Sha256);

impl ContentHasher {
    pub fn add(&mut self, raw: &[u8]) {
        self.0.update(raw);
    }

    pub fn finish(self) -> ContentHash {
        let digest = self.0.finalize();
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        ContentHash(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_fields_hash_to_the_empty_digest() {
        let ContentHash(hash) = ContentHasher::default().finish();
        assert_eq!(
            u128::from_be_bytes(hash),
            0xe3b0_c442_98fc_1c14_9afb_f4c8_996f_b924
        );
    }
}
