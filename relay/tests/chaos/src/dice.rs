//! Numbers from a seed, thrown as the simulation of `relay/core` throws them.

#[path = "../../../core/tests/promises/world/dice.rs"]
mod simulation;

pub use simulation::Dice;

/// Dice of one thing: what is drawn for another does not change what is drawn here.
pub fn dice_of(seed: u64, what: &str) -> Dice {
    // FNV-1a: equal in every version of everything.
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    Dice::new(what.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, hash))
}
