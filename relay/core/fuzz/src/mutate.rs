//! Inputs drawn from a corpus by a seed, where libFuzzer is not at hand.

use std::path::Path;

/// Feeds every input of a corpus, then inputs drawn from it, to `feed`; says the one that breaks it.
///
/// # Panics
/// When `feed` does, or when there is no corpus.
pub fn feed_all(corpus: &Path, drawn: usize, feed: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    let mut paths: Vec<_> = std::fs::read_dir(corpus)
        .unwrap_or_else(|error| panic!("{}: {error}", corpus.display()))
        .map(|entry| entry.expect("an entry of the folder").path())
        .collect();
    paths.sort();
    let inputs: Vec<_> = paths
        .iter()
        .map(|path| std::fs::read(path).expect("an input"))
        .collect();
    assert!(!inputs.is_empty(), "{}: no inputs", corpus.display());
    for (path, input) in paths.iter().zip(&inputs) {
        let outcome = std::panic::catch_unwind(|| feed(input));
        assert!(outcome.is_ok(), "{} breaks a promise", path.display());
    }
    let mut dice = Dice(0x5eed);
    for _ in 0..drawn {
        let input = dice.mutate(&inputs);
        let outcome = std::panic::catch_unwind(|| feed(&input));
        assert!(
            outcome.is_ok(),
            "this breaks a promise: {}",
            input.escape_ascii()
        );
    }
}

/// Splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let wide = u128::from(mixed ^ (mixed >> 31)) * end as u128;
        usize::try_from(wide >> 64).expect("less than end")
    }

    /// One of the inputs, changed in a few places: bytes flipped, removed, repeated, or taken from another input.
    fn mutate(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut input = inputs[self.below(inputs.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(input.len() + 1);
            let until = (at + 1 + self.below(8)).min(input.len());
            match self.below(6) {
                0 if at < input.len() => input[at] ^= 1 << self.below(8),
                1 if at < input.len() => {
                    input[at] = [0, 0xff, b'"', b'{', b'\n', b'.'][self.below(6)];
                }
                2 if at < until => drop(input.drain(at..until)),
                3 if at < until => {
                    let again = input[at..until].to_vec();
                    input.splice(at..at, again);
                }
                4 => input.truncate(at),
                _ => {
                    let other = &inputs[self.below(inputs.len())];
                    let from = self.below(other.len() + 1);
                    let to = (from + 1 + self.below(32)).min(other.len());
                    input.splice(at..at, other[from..to.max(from)].iter().copied());
                }
            }
        }
        input
    }
}
