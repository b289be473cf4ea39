use super::Verdict;
use super::harness::{AtKey, File, images, max_parallelism, restored, store, written};
use crate::codec::{CodecError, append_value, value_from_bytes};
use crate::keygroup::KeyHash;
use crate::state::backend::StateBackend;
use crate::state::serializer::{
    Compatibility, FirstVersion, SerializerSnapshot, StateSerializer, VersionedSerializer, VersionedState,
};
use crate::state::{
    AggregateFunction, AggregatingStateDescriptor, KeyedStateStore, KeyedStateStoreBuilder,
    ListStateDescriptor, MapStateDescriptor, ReducingStateDescriptor, StateError, StateKey, StatePart,
    ValueStateDescriptor,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// A name, as it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct NameV1 {
    full: String,
}

impl VersionedState for NameV1 {
    const VERSION: u32 = 1;
    type Previous = FirstVersion;

    fn upgrade(previous: FirstVersion) -> Self {
        match previous {}
    }
}

impl KeyHash for NameV1 {
    fn key_hash(&self) -> i32 {
        self.full.key_hash()
    }
}

/// A name, as it is now: the last name stands first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Name {
    last: String,
    first: String,
}

impl VersionedState for Name {
    const VERSION: u32 = 2;
    type Previous = NameV1;

    fn upgrade(NameV1 { full }: NameV1) -> Self {
        let (first, last) = full.split_once(' ').unwrap_or(("", &full));
        Name { last: last.to_owned(), first: first.to_owned() }
    }
}

impl KeyHash for Name {
    fn key_hash(&self) -> i32 {
        self.last.key_hash()
    }
}

pub(super) fn names<T: VersionedState>() -> VersionedSerializer<T> {
    VersionedSerializer::with_id("name")
}

pub(super) fn old(full: &str) -> NameV1 {
    NameV1 { full: full.to_owned() }
}

pub(super) fn new(first: &str, last: &str) -> Name {
    Name { last: last.to_owned(), first: first.to_owned() }
}

/// Words as their places in a dictionary, which is the configuration: a new word gets the next place.
#[derive(Clone)]
struct Words(Vec<String>);

fn words(words: &[&str]) -> Words {
    Words(words.iter().map(|word| (*word).to_owned()).collect())
}

impl StateSerializer<String> for Words {
    fn serialize(&self, word: &String, target: &mut Vec<u8>) -> Result<(), CodecError> {
        let place = self.0.iter().position(|known| known == word);
        let place = place.ok_or_else(|| CodecError::Refused(format!("`{word}` is not in the dictionary")))?;
        append_value(target, &place)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<String, String> {
        let place = value_from_bytes::<usize>(bytes).ok_or("not a place")?;
        self.0.get(place).cloned().ok_or_else(|| format!("there is no word {place}"))
    }

    fn snapshot(&self) -> SerializerSnapshot {
        let mut configuration = Vec::new();
        append_value(&mut configuration, &self.0).expect("strings");
        SerializerSnapshot { configuration, ..SerializerSnapshot::new("words", 0) }
    }

    fn compatibility(&self, written: &SerializerSnapshot) -> Compatibility<String> {
        let Some(mut words) = value_from_bytes::<Vec<String>>(&written.configuration) else {
            return Compatibility::Incompatible("the dictionary is damaged".to_owned());
        };
        if words == self.0 {
            return Compatibility::AsIs;
        }
        let more: Vec<String> = self.0.iter().filter(|word| !words.contains(word)).cloned().collect();
        words.extend(more);
        Compatibility::AfterReconfiguration(Arc::new(Words(words)))
    }
}

/// The file of a store with one value of version 1 per key.
fn file_of_old_values(backend: &StateBackend) -> Result<File, StateError> {
    let mut store = store::<u32>(backend)?;
    let name = store.open(&ValueStateDescriptor::<NameV1>::new("name").with_serializer(names()))?;
    for key in 0..20 {
        name.update(store.at(key)?, old(&format!("ann {key}")))?;
    }
    written(&mut store)
}

fn assert_new_values(store: &mut KeyedStateStore<u32>) -> Verdict {
    let name = store.open(&ValueStateDescriptor::<Name>::new("name").with_serializer(names()))?;
    assert_eq!(store.count(&name)?, 20);
    for key in 0..20 {
        let expected = new("ann", &key.to_string());
        assert_eq!(name.get(store.at(key)?)?.as_deref(), Some(&expected), "key {key}");
    }
    Ok(())
}

/// R01: values of an older version are those of the newest one when the state is opened, and are written so.
pub fn keyed_values_migrate_to_a_new_version(backend: &StateBackend) -> Verdict {
    let mut store = restored::<u32>(backend, &file_of_old_values(backend)?)?;
    assert_new_values(&mut store)?;
    let image = images(&written(&mut store)?, None)?.pop().expect("keyed state");
    assert_eq!(image.states["name"].header.value, SerializerSnapshot::new("name", 2));
    let mut again = restored::<u32>(backend, &written(&mut store)?)?;
    assert_new_values(&mut again)?;
    // From now on there is no way back.
    let mut again = restored::<u32>(backend, &written(&mut store)?)?;
    let back = again.open(&ValueStateDescriptor::<NameV1>::new("name").with_serializer(names()));
    assert!(matches!(back, Err(StateError::IncompatibleSerializer { part: StatePart::Values, .. })));
    Ok(())
}

/// State that nobody opens keeps its old bytes, and migrates when it is opened after another snapshot.
pub fn keyed_state_never_opened_migrates_when_it_is_opened(backend: &StateBackend) -> Verdict {
    let mut untouched = restored::<u32>(backend, &file_of_old_values(backend)?)?;
    let file = written(&mut untouched)?;
    let image = images(&file, None)?.pop().expect("keyed state");
    assert_eq!(image.states["name"].header.value, SerializerSnapshot::new("name", 1));
    assert_new_values(&mut restored::<u32>(backend, &file)?)
}

/// R04: so do the elements of lists, in their order.
pub fn keyed_list_elements_migrate_to_a_new_version(backend: &StateBackend) -> Verdict {
    let mut filled = store::<u32>(backend)?;
    let list = filled.open(&ListStateDescriptor::<NameV1>::new("list").with_serializer(names()))?;
    list.add_all(filled.at(1)?, [old("b c"), old("a d"), old("e f")])?;
    let mut store = restored::<u32>(backend, &written(&mut filled)?)?;
    for _ in 0..2 {
        let list = store.open(&ListStateDescriptor::<Name>::new("list").with_serializer(names()))?;
        let found: Vec<Name> = list.get(store.at(1)?)?.map(Cow::into_owned).collect();
        assert_eq!(found, [new("b", "c"), new("a", "d"), new("e", "f")]);
        store = restored::<u32>(backend, &written(&mut store)?)?;
    }
    let list = store.open(&ListStateDescriptor::<Name>::new("list").with_serializer(names()))?;
    list.add(store.at(1)?, new("g", "h"))?;
    assert_eq!(list.len(&store)?, 4);
    Ok(())
}

/// R07: the entries of maps whose serializers are the same are taken as they are.
pub fn keyed_map_entries_of_the_same_version_are_taken_as_they_are(backend: &StateBackend) -> Verdict {
    let maps = || {
        let maps = MapStateDescriptor::<Name, Name>::new("map");
        maps.with_key_serializer(names()).with_value_serializer(names())
    };
    let mut filled = store::<u32>(backend)?;
    let map = filled.open(&maps())?;
    map.put(filled.at(1)?, new("a", "b"), new("c", "d"))?;
    let mut store = restored::<u32>(backend, &written(&mut filled)?)?;
    let map = store.open(&maps())?;
    assert_eq!(map.get(store.at(1)?, &new("a", "b"))?.as_deref(), Some(&new("c", "d")));
    Ok(())
}

type OldMaps = MapStateDescriptor<NameV1, NameV1>;

fn old_maps() -> OldMaps {
    OldMaps::new("map").with_key_serializer(names()).with_value_serializer(names())
}

fn new_maps() -> MapStateDescriptor<Name, Name> {
    MapStateDescriptor::new("map").with_key_serializer(names()).with_value_serializer(names())
}

/// R08: keys and values of maps migrate, and are found by their new keys.
pub fn keyed_map_keys_and_values_migrate_to_a_new_version(backend: &StateBackend) -> Verdict {
    let mut filled = store::<u32>(backend)?;
    let map = filled.open(&old_maps())?;
    for entry in 0..20 {
        map.put(filled.at(1)?, old(&format!("k {entry}")), old(&format!("v {entry}")))?;
    }
    let mut store = restored::<u32>(backend, &written(&mut filled)?)?;
    for _ in 0..2 {
        let map = store.open(&new_maps())?;
        assert_eq!(map.len(store.at(1)?)?, 20);
        for entry in 0..20 {
            let (key, value) = (new("k", &entry.to_string()), new("v", &entry.to_string()));
            assert_eq!(map.get(&store, &key)?.as_deref(), Some(&value), "entry {entry}");
        }
        store = restored::<u32>(backend, &written(&mut store)?)?;
    }
    Ok(())
}

/// Keys of a map that become the same are refused: one of the entries would be lost.
pub fn keyed_map_keys_that_fall_together_when_they_migrate_are_refused(backend: &StateBackend) -> Verdict {
    /// What becomes of a name when only its length is kept.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    struct Length(usize);

    impl VersionedState for Length {
        const VERSION: u32 = 2;
        type Previous = NameV1;

        fn upgrade(previous: NameV1) -> Self {
            Length(previous.full.len())
        }
    }

    let mut filled = store::<u32>(backend)?;
    let map = filled.open(&old_maps())?;
    map.put_all(filled.at(1)?, [(old("a"), old("1")), (old("b"), old("2"))])?;
    let mut store = restored::<u32>(backend, &written(&mut filled)?)?;
    let lengths = MapStateDescriptor::<Length, NameV1>::new("map");
    let opened = store.open(&lengths.with_key_serializer(names()).with_value_serializer(names()));
    assert!(matches!(opened, Err(StateError::Undecodable { .. })), "{opened:?}");
    Ok(())
}

/// Tells the names apart in what is reduced.
fn longer<T: Ord>(a: T, b: T) -> T {
    a.max(b)
}

/// The greatest name.
struct Greatest;

impl AggregateFunction for Greatest {
    type In = Name;
    type Accumulator = Name;
    type Out = Name;

    fn create_accumulator(&self) -> Name {
        new("", "")
    }

    fn add(&self, value: Name, accumulator: &mut Name) {
        *accumulator = accumulator.clone().max(value);
    }

    fn result(&self, accumulator: &Name) -> Name {
        accumulator.clone()
    }

    fn merge(&self, accumulator: &mut Name, other: Name) {
        self.add(other, accumulator);
    }
}

/// The same before names had two parts.
struct GreatestV1;

impl AggregateFunction for GreatestV1 {
    type In = NameV1;
    type Accumulator = NameV1;
    type Out = NameV1;

    fn create_accumulator(&self) -> NameV1 {
        old("")
    }

    fn add(&self, value: NameV1, accumulator: &mut NameV1) {
        *accumulator = accumulator.clone().max(value);
    }

    fn result(&self, accumulator: &NameV1) -> NameV1 {
        accumulator.clone()
    }

    fn merge(&self, accumulator: &mut NameV1, other: NameV1) {
        self.add(other, accumulator);
    }
}

/// R01: so do what was reduced and accumulators, and both go on in the new version.
pub fn keyed_reducing_and_aggregating_states_migrate_to_a_new_version(backend: &StateBackend) -> Verdict {
    let mut filled = store::<u32>(backend)?;
    let reducing = ReducingStateDescriptor::new("reducing", longer::<NameV1>).with_serializer(names());
    let reducing = filled.open(&reducing)?;
    reducing.add(filled.at(1)?, old("a b"))?;
    let aggregating = AggregatingStateDescriptor::new("aggregating", GreatestV1).with_serializer(names());
    let aggregating = filled.open(&aggregating)?;
    aggregating.add(&mut filled, old("a c"))?;
    let mut store = restored::<u32>(backend, &written(&mut filled)?)?;
    let reducing = ReducingStateDescriptor::new("reducing", longer::<Name>).with_serializer(names());
    let reducing = store.open(&reducing)?;
    assert_eq!(reducing.get(store.at(1)?)?.as_deref(), Some(&new("a", "b")));
    reducing.add(&mut store, new("a", "z"))?;
    assert_eq!(reducing.get(&store)?.as_deref(), Some(&new("a", "z")));
    let aggregating = AggregatingStateDescriptor::new("aggregating", Greatest).with_serializer(names());
    let aggregating = store.open(&aggregating)?;
    aggregating.add(&mut store, new("x", "a"))?;
    assert_eq!(aggregating.get(&store)?, Some(new("a", "c")));
    Ok(())
}

/// R02: a serializer that is reconfigured takes the place of the one that was given: what was written is read, and new
/// things are written so that both can be told apart. The state may be opened again.
pub fn keyed_value_serializer_is_reconfigured_by_what_was_written(backend: &StateBackend) -> Verdict {
    let colours =
        |known: &[&str]| ValueStateDescriptor::<String>::new("colour").with_serializer(words(known));
    let mut filled = store::<u32>(backend)?;
    let colour = filled.open(&colours(&["red", "green"]))?;
    colour.update(filled.at(1)?, "green".to_owned())?;
    let mut store = restored::<u32>(backend, &written(&mut filled)?)?;
    let descriptor = colours(&["blue", "green"]);
    let colour = store.open(&descriptor)?;
    assert_eq!(colour.get(store.at(1)?)?.as_deref(), Some(&"green".to_owned()));
    colour.update(store.at(2)?, "blue".to_owned())?;
    let again = store.open(&descriptor)?;
    assert_eq!(again.get(&store)?.as_deref(), Some(&"blue".to_owned()));
    let mut store = restored::<u32>(backend, &written(&mut store)?)?;
    let colour = store.open(&descriptor)?;
    assert_eq!(colour.get(store.at(1)?)?.as_deref(), Some(&"green".to_owned()));
    assert_eq!(colour.get(store.at(2)?)?.as_deref(), Some(&"blue".to_owned()));
    Ok(())
}

/// R05: so does that of the elements of lists.
pub fn keyed_list_serializer_is_reconfigured_by_what_was_written(backend: &StateBackend) -> Verdict {
    let lists = |known: &[&str]| ListStateDescriptor::<String>::new("list").with_serializer(words(known));
    let mut filled = store::<u32>(backend)?;
    let list = filled.open(&lists(&["red", "green"]))?;
    list.add_all(filled.at(1)?, ["green".to_owned(), "red".to_owned()])?;
    let mut store = restored::<u32>(backend, &written(&mut filled)?)?;
    let list = store.open(&lists(&["blue", "green"]))?;
    list.add(store.at(1)?, "blue".to_owned())?;
    for _ in 0..2 {
        let list = store.open(&lists(&["blue", "green"]))?;
        let found: Vec<String> = list.get(store.at(1)?)?.map(Cow::into_owned).collect();
        assert_eq!(found, ["green", "red", "blue"]);
        store = restored::<u32>(backend, &written(&mut store)?)?;
    }
    Ok(())
}

/// R09: and so do those of the keys and the values of maps.
pub fn keyed_map_serializers_are_reconfigured_by_what_was_written(backend: &StateBackend) -> Verdict {
    let maps = |known: &[&str]| {
        let maps = MapStateDescriptor::<String, String>::new("map");
        maps.with_key_serializer(words(known)).with_value_serializer(words(known))
    };
    let mut filled = store::<u32>(backend)?;
    let map = filled.open(&maps(&["red", "green"]))?;
    map.put(filled.at(1)?, "green".to_owned(), "red".to_owned())?;
    let mut store = restored::<u32>(backend, &written(&mut filled)?)?;
    let map = store.open(&maps(&["blue", "green"]))?;
    map.put(store.at(1)?, "blue".to_owned(), "green".to_owned())?;
    for _ in 0..2 {
        let map = store.open(&maps(&["blue", "green"]))?;
        for (key, value) in [("green", "red"), ("blue", "green")] {
            assert_eq!(map.get(store.at(1)?, &key.to_owned())?.as_deref(), Some(&value.to_owned()));
        }
        store = restored::<u32>(backend, &written(&mut store)?)?;
    }
    Ok(())
}

fn with_keys<K: StateKey>(
    backend: &StateBackend,
    serializer: impl StateSerializer<K> + 'static,
) -> KeyedStateStoreBuilder<K> {
    let all = max_parallelism().all_groups();
    KeyedStateStoreBuilder::with_key_serializer(max_parallelism(), all, serializer).with_backend(backend)
}

/// R12: keys do not migrate: they could belong to other key groups then.
pub fn keyed_keys_of_an_older_version_are_refused(backend: &StateBackend) -> Verdict {
    let mut filled = with_keys::<NameV1>(backend, names()).restore(Vec::new())?;
    let count = filled.open(&ValueStateDescriptor::<u64>::new("counts"))?;
    count.update(filled.at(old("a b"))?, 1)?;
    let refused = with_keys::<Name>(backend, names()).restore(images(&written(&mut filled)?, None)?);
    let refused = refused.map(drop).expect_err("the keys are of version 1");
    assert!(matches!(refused, StateError::IncompatibleSerializer { part: StatePart::Keys, .. }), "{refused}");
    Ok(())
}

/// R13: the serializer of keys may be reconfigured.
pub fn keyed_key_serializer_is_reconfigured_by_what_was_written(backend: &StateBackend) -> Verdict {
    let counts = ValueStateDescriptor::<u64>::new("counts");
    let mut filled = with_keys(backend, words(&["red", "green"])).restore(Vec::new())?;
    let count = filled.open(&counts)?;
    count.update(filled.at("green".to_owned())?, 1)?;
    let mut file = written(&mut filled)?;
    for round in 1..3u64 {
        let mut store = with_keys(backend, words(&["blue", "green"])).restore(images(&file, None)?)?;
        let count = store.open(&counts)?;
        assert_eq!(count.get(store.at("green".to_owned())?)?.as_deref(), Some(&round));
        count.update(store.at("blue".to_owned())?, 7)?;
        count.update(store.at("green".to_owned())?, round + 1)?;
        assert_eq!(count.get(store.at("blue".to_owned())?)?.as_deref(), Some(&7));
        file = written(&mut store)?;
    }
    Ok(())
}
