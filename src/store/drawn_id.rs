//! Ids that are drawn, so that nobody else has them: 32 hexadecimal digits.

use std::hash::{BuildHasher, RandomState};

/// One that nobody has drawn.
pub(crate) fn draw() -> u128 {
    let half = || u128::from(RandomState::new().hash_one(std::process::id()));
    (half() << 64) | half()
}

/// The id that is written so, if it is one.
pub(crate) fn parse(text: &str) -> Option<u128> {
    let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(text, 16).ok().filter(|_| is_id)
}
