//! Kafka's partitioner hash, as Java clients compute it. Pure.

const SEED: u32 = 0x9747_b28c;
const MULTIPLIER: u32 = 0x5bd1_e995;

/// The hash of a message key; its partition is `(murmur2(key) & 0x7fff_ffff) % partitions`.
pub fn murmur2(bytes: &[u8]) -> u32 {
    // A key has 512 bytes at most.
    let mut hash = SEED ^ u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let (blocks, tail) = bytes.as_chunks::<4>();
    for block in blocks {
        let mut block = u32::from_le_bytes(*block).wrapping_mul(MULTIPLIER);
        block ^= block >> 24;
        hash = hash.wrapping_mul(MULTIPLIER) ^ block.wrapping_mul(MULTIPLIER);
    }
    if !tail.is_empty() {
        let tail = tail
            .iter()
            .rev()
            .fold(0_u32, |word, &byte| word << 8 | u32::from(byte));
        hash = (hash ^ tail).wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_vectors_of_the_java_client() {
        // org.apache.kafka.common.utils.UtilsTest#testMurmur2
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash.cast_unsigned(), "{key}");
        }
    }
}
