use serde::{Deserialize, Serialize};

/// Numbers by chance that depend on nothing but a seed and what they are for, so they can be had again in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chance(u64);

impl Chance {
    /// The source of all numbers with this seed.
    pub fn new(seed: u64) -> Self {
        Chance(mix(seed))
    }

    /// What belongs to `number` alone: nothing drawn from it says anything about another one.
    pub fn of(self, number: u64) -> Self {
        Chance(mix(self.0 ^ mix(number)))
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(self, bound: u64) -> u64 {
        // The product is below 2^64 times the bound, so its upper half is below the bound.
        ((u128::from(self.0) * u128::from(bound)) >> 64) as u64
    }
}

/// SplitMix64.
fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
