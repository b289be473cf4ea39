//! Any script of accesses, snapshots and restores, on several backends side by side and beside a plain reference of ordered
//! maps.
//!
//! There is a state of each kind, and one with a time to live, while the clocks go on. Snapshots are full or in files, lie
//! around while the state changes, and are restored at any parallelism: full ones on other backends too, as savepoints.

mod lane;
mod reference;
mod script;
mod states;
mod step;
pub mod timers;

pub use script::{Tally, run};
pub use states::times_to_live;
pub use step::{Operation, Step};

use super::Verdict;
use crate::state::backend::StateBackend;
use step::Answer;

/// The parallelisms that a restore chooses from.
const PARALLELISMS: [u16; 4] = [2, 3, 1, 5];

/// Random bytes, always the same ones for a seed.
fn random_bytes(seed: u64) -> impl Iterator<Item = [u8; 8]> {
    // Other seeds that are near each other begin with numbers that are far from each other.
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()
    })
}

/// Scripts of 300 random steps each, always the same ones.
fn random_scripts<S>(step: fn([u8; 8]) -> S) -> impl Iterator<Item = Vec<S>> {
    (1..).map(move |seed| random_bytes(seed).take(300).map(step).collect())
}

/// A long script of random steps, always the same ones for a seed. Few of them are about checkpoints, so that a backend on a
/// disk is busy with others too.
#[must_use]
pub fn long_script(seed: u64, steps: usize) -> Vec<Step> {
    let is_left = |(step, bytes): &(Step, [u8; 8])| {
        u16::from_be_bytes([bytes[5], bytes[6]]).is_multiple_of(step.operation.rarity())
    };
    let random = random_bytes(seed).map(|bytes| (Step::of(bytes), bytes));
    random.filter(is_left).map(|(step, _)| step).take(steps).collect()
}

/// Random scripts, always the same ones, agree with the reference, beside objects in memory. Whoever has proptest gives scripts
/// of its making to [`run`].
pub fn keyed_states_agree_with_a_reference_over_random_scripts(backend: &StateBackend) -> Verdict {
    let backends = [backend.clone(), StateBackend::default()];
    let script = |seed| random_bytes(seed).take(100).map(Step::of).collect::<Vec<_>>();
    let scripts = times_to_live().into_iter().zip((1..).map(script));
    scripts.into_iter().try_for_each(|(ttl, steps)| run(&backends, ttl, &steps).map(drop))
}
