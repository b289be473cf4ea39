use super::{KeyGroup, MaxParallelism};

/// The key group of a key whose Java hash code is `hash`.
#[must_use]
#[inline]
pub fn key_group_of(hash: i32, max_parallelism: MaxParallelism) -> KeyGroup {
    let (hash, groups) = (murmur(hash).unsigned_abs(), u32::from(max_parallelism.get()));
    // A division costs as much as all the rest, and the default is a power of two.
    let remainder = match hash {
        _ if groups.is_power_of_two() => hash & (groups - 1),
        NOT_NEGATED => 0,
        _ => hash % groups,
    };
    // It is below the maximum parallelism, hence below 32768.
    KeyGroup(remainder as u16)
}

/// The absolute value of the least number, for which Flink's `MathUtils.murmurHash` returns 0.
const NOT_NEGATED: u32 = i32::MIN.unsigned_abs();

/// MurmurHash3 of one 32-bit word.
#[inline]
fn murmur(code: i32) -> i32 {
    let mut h = code as u32;
    h = h.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    h = h.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    h ^= 4;
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    (h ^ (h >> 16)) as i32
}

/// A type whose values can be keys: it knows the hash code that Java gives to the same value.
///
/// The hash decides where state lies, so it must never change for a key that a snapshot may hold: it must not
/// depend on the process, the machine or the release. Equal keys must have equal hashes.
pub trait KeyHash {
    /// What `hashCode` of the corresponding Java value returns.
    fn key_hash(&self) -> i32;
}

/// Integers up to 32 bits hash to themselves; those that Java does not have, to their zero extension, as
/// `Character` does, or to the value with the same bits.
macro_rules! hash_as_int {
    ($($int:ty),*) => {$(
        impl KeyHash for $int {
            fn key_hash(&self) -> i32 {
                *self as i32
            }
        }
    )*};
}

hash_as_int!(i8, i16, i32, u8, u16, u32);

impl KeyHash for i64 {
    /// `Long.hashCode`.
    fn key_hash(&self) -> i32 {
        (*self as u64).key_hash()
    }
}

impl KeyHash for u64 {
    /// `Long.hashCode` of the same bits.
    fn key_hash(&self) -> i32 {
        (*self ^ (*self >> 32)) as i32
    }
}

impl KeyHash for bool {
    /// `Boolean.hashCode`.
    fn key_hash(&self) -> i32 {
        if *self { 1231 } else { 1237 }
    }
}

impl KeyHash for char {
    /// `String.hashCode` of the one-character string, which is `Character.hashCode` where Java has such a
    /// character.
    fn key_hash(&self) -> i32 {
        hash_units(self.encode_utf16(&mut [0; 2]).iter().copied())
    }
}

impl KeyHash for str {
    /// `String.hashCode`, which is over UTF-16 units.
    fn key_hash(&self) -> i32 {
        if self.is_ascii() {
            hash_units(self.bytes().map(u16::from))
        } else {
            hash_units(self.encode_utf16())
        }
    }
}

impl KeyHash for String {
    /// `String.hashCode`.
    fn key_hash(&self) -> i32 {
        self.as_str().key_hash()
    }
}

impl<T: KeyHash + ?Sized> KeyHash for &T {
    fn key_hash(&self) -> i32 {
        (**self).key_hash()
    }
}

/// Tuples hash as those of Flink do.
macro_rules! hash_as_tuple {
    ($tuple:literal: $first:ident $(, $next:ident)+) => {
        impl<$first: KeyHash $(, $next: KeyHash)+> KeyHash for ($first, $($next),+) {
            #[doc = concat!("`hashCode` of Flink's `", $tuple, "`.")]
            #[allow(non_snake_case)]
            fn key_hash(&self) -> i32 {
                let ($first, $($next),+) = self;
                let hash = $first.key_hash();
                $(let hash = hash.wrapping_mul(31).wrapping_add($next.key_hash());)+
                hash
            }
        }
    };
}

hash_as_tuple!("Tuple2": A, B);
hash_as_tuple!("Tuple3": A, B, C);
hash_as_tuple!("Tuple4": A, B, C, D);

fn hash_units(units: impl Iterator<Item = u16>) -> i32 {
    units.fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keygroup_java_hash_codes_match_known_vectors() {
        assert_eq!("hello".key_hash(), 99_162_322);
        assert_eq!(String::new().key_hash(), 0);
        // Two strings that collide in Java, and one that overflows to i32::MIN.
        assert_eq!("Aa".key_hash(), "BB".key_hash());
        assert_eq!("polygenelubricants".key_hash(), i32::MIN);
        // U+1F600 is the surrogate pair D83D DE00.
        assert_eq!("😀".key_hash(), 0xd83d * 31 + 0xde00);
        assert_eq!('😀'.key_hash(), "😀".key_hash());
        assert_eq!("ä".key_hash(), 0xe4);
        assert_eq!('x'.key_hash(), 120);
        assert_eq!((true.key_hash(), false.key_hash()), (1231, 1237));
        assert_eq!((-1i8).key_hash(), -1);
        assert_eq!(255u8.key_hash(), 255);
        assert_eq!(u32::MAX.key_hash(), -1);
        assert_eq!((-1i64).key_hash(), 0);
        assert_eq!((1i64 << 32).key_hash(), 1);
        assert_eq!(u64::MAX.key_hash(), 0);
        assert_eq!((1i32, 2i32).key_hash(), 33);
        assert_eq!((1i32, 2i32, 3i32).key_hash(), 1_026);
        assert_eq!((1i32, 2i32, 3i32, 4i32).key_hash(), 31_810);
        assert_eq!((&"hello", 1i32).key_hash(), 99_162_322i32.wrapping_mul(31).wrapping_add(1));
    }
}
