//! CRC-32C (Castagnoli), the checksum of every file.

use crc_fast::{CrcAlgorithm, Digest};

/// The checksum of bytes that have the checksum `before`, followed by these. That of no bytes is 0.
#[must_use]
pub fn checksum(before: u32, bytes: &[u8]) -> u32 {
    // What is between two pieces is the checksum before its last step, which inverts it.
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, u64::from(!before));
    digest.update(bytes);
    digest.finalize() as u32
}

#[cfg(test)]
mod tests {
    use super::checksum;
    use proptest::prelude::*;

    #[test]
    fn checksum_of_the_usual_digits_is_the_known_one() {
        assert_eq!((checksum(0, b""), checksum(0, b"123456789")), (0, 0xe306_9283));
    }

    proptest! {
        #[test]
        fn checksum_is_that_of_another_implementation_however_the_bytes_come(
            bytes in prop::collection::vec(any::<u8>(), 0..3_000),
            split in any::<prop::sample::Index>(),
        ) {
            let (first, second) = bytes.split_at(split.index(bytes.len() + 1));
            prop_assert_eq!(checksum(checksum(0, first), second), crc32c::crc32c(&bytes));
        }
    }
}
