use super::*;
use crate::codec::{append_value, value_from_bytes};
use crate::state::{StateError, StatePart};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct AddressV1 {
    line: String,
}

impl VersionedState for AddressV1 {
    const VERSION: u32 = 1;
    type Previous = FirstVersion;

    fn upgrade(previous: FirstVersion) -> Self {
        match previous {}
    }
}

/// Version 2 was never released.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct AddressV3 {
    street: String,
    number: u16,
}

impl VersionedState for AddressV3 {
    const VERSION: u32 = 3;
    type Previous = AddressV1;

    fn upgrade(previous: AddressV1) -> Self {
        let (street, number) = previous.line.rsplit_once(' ').unwrap_or((&previous.line, "0"));
        AddressV3 { street: street.to_owned(), number: number.parse().unwrap_or(0) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Address {
    street: String,
    number: u16,
    country: Option<String>,
}

impl VersionedState for Address {
    const VERSION: u32 = 4;
    type Previous = AddressV3;

    fn upgrade(AddressV3 { street, number }: AddressV3) -> Self {
        Address { street, number, country: None }
    }
}

fn addresses<T: VersionedState>() -> VersionedSerializer<T> {
    VersionedSerializer::with_id("address")
}

/// Writes words as their places in a dictionary, which is its configuration: a new word gets the next place.
struct WordSerializer {
    words: Vec<String>,
}

impl WordSerializer {
    fn of(words: &[&str]) -> Self {
        WordSerializer { words: words.iter().map(|word| (*word).to_owned()).collect() }
    }
}

impl StateSerializer<String> for WordSerializer {
    fn serialize(&self, word: &String, target: &mut Vec<u8>) -> Result<(), CodecError> {
        let place = self.words.iter().position(|known| known == word);
        let place = place.ok_or_else(|| CodecError::Refused(format!("`{word}` is not in the dictionary")))?;
        append_value(target, &place)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<String, String> {
        let place = value_from_bytes::<usize>(bytes).ok_or("not a place")?;
        self.words.get(place).cloned().ok_or_else(|| format!("there is no word {place}"))
    }

    fn snapshot(&self) -> SerializerSnapshot {
        let mut configuration = Vec::new();
        append_value(&mut configuration, &self.words).expect("strings");
        SerializerSnapshot { configuration, ..SerializerSnapshot::new("words", 0) }
    }

    fn compatibility(&self, written: &SerializerSnapshot) -> Compatibility<String> {
        let Some(mut words) = value_from_bytes::<Vec<String>>(&written.configuration) else {
            return Compatibility::Incompatible("the dictionary is damaged".to_owned());
        };
        if words == self.words {
            return Compatibility::AsIs;
        }
        words.extend(self.words.iter().filter(|word| !words.contains(word)).cloned().collect::<Vec<_>>());
        Compatibility::AfterReconfiguration(Arc::new(WordSerializer { words }))
    }
}

fn bytes_of<T: 'static>(serializer: &dyn StateSerializer<T>, value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    serializer.serialize(value, &mut bytes).expect("can be written");
    bytes
}

fn resolved<T: 'static>(
    now: impl StateSerializer<T> + 'static,
    written: &SerializerSnapshot,
) -> Result<ResolvedSerializer<T>, StateError> {
    let now: Arc<dyn StateSerializer<T>> = Arc::new(now);
    resolve("state", StatePart::Values, &now, written)
}

fn reason<T: 'static>(now: impl StateSerializer<T> + 'static, written: &SerializerSnapshot) -> String {
    resolved(now, written).expect_err("incompatible").to_string()
}

#[test]
fn serializer_snapshot_bytes_have_a_fixed_order() {
    let snapshot = SerializerSnapshot { id: "ab".to_owned(), version: 300, configuration: vec![0xf0, 0x0f] };
    let mut bytes = Vec::new();
    append_value(&mut bytes, &snapshot).expect("encodes");
    assert_eq!(bytes, [2, b'a', b'b', 0xac, 2, 2, 0xf0, 0x0f]);
    assert_eq!(value_from_bytes(&bytes), Some(snapshot));
}

#[test]
fn serializer_of_the_same_type_is_taken_as_it_is() {
    let (old, new) = (SerdeSerializer::<u64>::new(), SerdeSerializer::<u64>::new());
    let bytes = bytes_of(&old, &7);
    let resolved = resolved(new, &old.snapshot()).expect("compatible");
    assert!(!resolved.migrates());
    assert_eq!(resolved.read_restored(&bytes), Ok(7));
    assert_eq!(bytes_of(&**resolved.serializer(), &7), bytes);
}

#[test]
fn serializer_of_a_type_that_was_moved_is_found_by_its_id() {
    let old = SerdeSerializer::<AddressV1>::with_id("address");
    assert!(resolved(SerdeSerializer::<AddressV1>::with_id("address"), &old.snapshot()).is_ok());
    let message = reason(SerdeSerializer::<AddressV1>::with_id("place"), &old.snapshot());
    let expected = "state `state` cannot be opened with this serializer of its values: \
                    address was written, the job has place";
    assert_eq!(message, expected);
}

#[test]
fn serializer_versions_migrate_step_by_step_to_the_newest() {
    let first = AddressV1 { line: "Long Lane 12".to_owned() };
    let third = AddressV3 { street: "Long Lane".to_owned(), number: 12 };
    let newest = Address { street: "Long Lane".to_owned(), number: 12, country: None };
    let written = [
        (addresses::<AddressV1>().snapshot(), bytes_of(&addresses(), &first)),
        (addresses::<AddressV3>().snapshot(), bytes_of(&addresses(), &third)),
    ];
    for (snapshot, bytes) in &written {
        let resolved = resolved(addresses::<Address>(), snapshot).expect("an older version");
        assert!(resolved.migrates());
        assert_eq!(resolved.read_restored(bytes), Ok(newest.clone()));
        // What is written from now on is the newest version.
        assert_eq!(resolved.serializer().snapshot(), SerializerSnapshot::new("address", 4));
        let anew = bytes_of(&**resolved.serializer(), &newest);
        assert_eq!(resolved.serializer().deserialize(&anew), Ok(newest.clone()));
    }
    let same = resolved(addresses::<Address>(), &addresses::<Address>().snapshot()).expect("the same");
    assert!(!same.migrates());
}

#[test]
fn serializer_versions_that_are_newer_or_unknown_are_incompatible() {
    let newer = reason(addresses::<AddressV3>(), &addresses::<Address>().snapshot());
    assert!(
        newer.ends_with("address, version 4 was written by a newer job, this one knows [3, 1]"),
        "{newer}"
    );
    let skipped = reason(addresses::<Address>(), &SerializerSnapshot::new("address", 2));
    assert!(
        skipped.ends_with("address, version 2 was written, the job knows versions [4, 3, 1]"),
        "{skipped}"
    );
    let other = reason(addresses::<Address>(), &SerializerSnapshot::new("other", 1));
    assert!(other.ends_with("other, version 1 was written, the job has address, version 4"), "{other}");
}

#[test]
fn serializer_versions_can_begin_with_what_serde_wrote() {
    #[derive(Serialize, Deserialize)]
    struct Plain(u8);
    impl VersionedState for Plain {
        const VERSION: u32 = 0;
        type Previous = FirstVersion;
        fn upgrade(previous: FirstVersion) -> Self {
            match previous {}
        }
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wide(u64, bool);
    impl VersionedState for Wide {
        const VERSION: u32 = 1;
        type Previous = Plain;
        fn upgrade(previous: Plain) -> Self {
            Wide(previous.0.into(), true)
        }
    }
    let old = SerdeSerializer::with_id("number");
    let resolved = resolved(VersionedSerializer::<Wide>::with_id("number"), &old.snapshot());
    let read = resolved.expect("version 0").read_restored(&bytes_of(&old, &Plain(9)));
    assert_eq!(read, Ok(Wide(9, true)));
}

#[test]
fn serializer_that_is_reconfigured_takes_the_place_of_the_new_one() {
    let old = WordSerializer::of(&["red", "green"]);
    let bytes = bytes_of(&old, &"green".to_owned());
    let new = WordSerializer::of(&["green", "blue"]);
    let resolved = resolved(new, &old.snapshot()).expect("reconfigured");
    assert!(!resolved.migrates());
    assert_eq!(resolved.read_restored(&bytes), Ok("green".to_owned()));
    let expected = WordSerializer::of(&["red", "green", "blue"]).snapshot();
    assert_eq!(resolved.serializer().snapshot(), expected);
    assert_eq!(bytes_of(&**resolved.serializer(), &"green".to_owned()), bytes);
}

#[test]
fn serializer_configured_differently_says_so() {
    let written = SerializerSnapshot { configuration: vec![1], ..SerdeSerializer::<u8>::new().snapshot() };
    let message = reason(SerdeSerializer::<u8>::new(), &written);
    assert!(message.ends_with("u8 was written, the job has u8, configured differently"), "{message}");
}

#[test]
fn serializer_of_keys_and_namespaces_may_be_reconfigured_but_not_migrate() {
    for (part, may) in [
        (StatePart::Keys, false),
        (StatePart::Namespaces, false),
        (StatePart::UserKeys, true),
        (StatePart::Values, true),
    ] {
        let now: Arc<dyn StateSerializer<Address>> = Arc::new(addresses());
        let migrated = resolve("state", part, &now, &addresses::<AddressV1>().snapshot());
        assert_eq!(migrated.is_ok(), may, "{part}");
        if let Err(refused) = migrated {
            let expected = format!(
                "state `state` cannot be opened with this serializer of its {part}: \
                 they would have to be migrated from address, version 1 to address, version 4"
            );
            assert_eq!(refused.to_string(), expected);
        }
        let now: Arc<dyn StateSerializer<String>> = Arc::new(WordSerializer::of(&["blue"]));
        assert!(resolve("state", part, &now, &WordSerializer::of(&["red"]).snapshot()).is_ok(), "{part}");
        assert!(resolve("state", part, &now, &SerializerSnapshot::new("words", 0)).is_err(), "{part}");
    }
}

#[test]
fn serializer_limit_refuses_exactly_what_is_larger() {
    let serializer = SerdeSerializer::<Vec<u8>>::with_id("bytes");
    let value = vec![7; 9];
    let mut target = vec![1, 2, 3];
    serialize_within(10, &serializer, &value, &mut target).expect("ten bytes");
    assert_eq!(target.len(), 13);
    let refused = serialize_within(9, &serializer, &value, &mut Vec::new()).expect_err("ten bytes");
    let expected = "a value is refused: a bytes of 10 bytes is more than the 9 that one may have";
    assert_eq!(refused.to_string(), expected);
    assert_eq!(MAX_RECORD_BYTES, 2_147_483_647);
}

type Nested = BTreeMap<u32, (Option<String>, Vec<i64>)>;

fn nested() -> impl Strategy<Value = Nested> {
    let value = (any::<Option<String>>(), proptest::collection::vec(any::<i64>(), 0..5));
    proptest::collection::btree_map(any::<u32>(), value, 0..8)
}

proptest! {
    /// Values written one behind the other are read back from their own bytes, and from no others.
    #[test]
    fn serializer_values_round_trip(values in proptest::collection::vec(nested(), 1..4), tail: u8) {
        let serializer = SerdeSerializer::<Nested>::new();
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for value in &values {
            serializer.serialize(value, &mut bytes).expect("can be written");
            ends.push(bytes.len());
        }
        for (value, range) in values.iter().zip(ends.windows(2)) {
            let own = &bytes[range[0]..range[1]];
            prop_assert_eq!(serializer.deserialize(own), Ok(value.clone()));
            prop_assert!(serializer.deserialize(&own[..own.len() - 1]).is_err());
            prop_assert!(serializer.deserialize(&[own, &[tail]].concat()).is_err());
        }
    }

    #[test]
    fn serializer_versions_agree_with_upgrading_by_hand(line: String, street: String, number: u16) {
        let first = AddressV1 { line };
        let read = Address::read(1, &bytes_of(&addresses(), &first));
        prop_assert_eq!(read, Ok(Address::upgrade(AddressV3::upgrade(first))));
        let third = AddressV3 { street, number };
        let read = Address::read(3, &bytes_of(&addresses(), &third));
        prop_assert_eq!(read, Ok(Address::upgrade(third)));
    }

    #[test]
    fn serializer_garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), version: u32) {
        let _ = SerdeSerializer::<Nested>::new().deserialize(&bytes);
        let _ = SerdeSerializer::<(char, f64, u128, bool, String)>::new().deserialize(&bytes);
        let _ = WordSerializer::of(&["red"]).deserialize(&bytes);
        for version in [1, 2, 3, 4, version] {
            let _ = Address::read(version, &bytes);
        }
        let written = SerializerSnapshot { configuration: bytes, ..SerializerSnapshot::new("words", version) };
        let _ = resolved(WordSerializer::of(&["red"]), &written);
        let _ = value_from_bytes::<SerializerSnapshot>(&written.configuration);
    }
}
