//! Keyed state whose serializers have changed since it was written: taken as it is, read by a reconfigured serializer,
//! migrated or refused, on every backend and from every backend to every other.
#![cfg(feature = "runtime")]

use serde::{Deserialize, Serialize};
use snapline::codec::CodecError;
use snapline::keygroup::MaxParallelism;
use snapline::state::backend::{SortedMapStateBackendFactory, StateBackend};
use snapline::state::serializer::*;
use snapline::state::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A value in its first version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Narrow(u8);

impl VersionedState for Narrow {
    const VERSION: u32 = 1;
    type Previous = FirstVersion;

    fn upgrade(previous: FirstVersion) -> Self {
        match previous {}
    }
}

/// The same in its second: a larger number, and a field more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Wide(u64, bool);

impl VersionedState for Wide {
    const VERSION: u32 = 2;
    type Previous = Narrow;

    fn upgrade(Narrow(number): Narrow) -> Self {
        Wide(1_000 + u64::from(number), true)
    }
}

fn narrow() -> VersionedSerializer<Narrow> {
    VersionedSerializer::with_id("number")
}

fn wide() -> VersionedSerializer<Wide> {
    VersionedSerializer::with_id("number")
}

/// Writes numbers with something added, which is its configuration; what was written goes before what the job says.
struct Shifted(u8);

impl StateSerializer<u8> for Shifted {
    fn serialize(&self, number: &u8, target: &mut Vec<u8>) -> Result<(), CodecError> {
        target.push(number.wrapping_add(self.0));
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<u8, String> {
        match bytes {
            [byte] => Ok(byte.wrapping_sub(self.0)),
            _ => Err(format!("{} bytes are not one", bytes.len())),
        }
    }

    fn snapshot(&self) -> SerializerSnapshot {
        SerializerSnapshot { configuration: vec![self.0], ..SerializerSnapshot::new("shifted", 0) }
    }

    fn compatibility(&self, written: &SerializerSnapshot) -> Compatibility<u8> {
        match written.configuration[..] {
            [shift] if written.id == "shifted" && shift == self.0 => Compatibility::AsIs,
            [shift] if written.id == "shifted" => {
                Compatibility::AfterReconfiguration(Arc::new(Shifted(shift)))
            }
            _ => Compatibility::if_equal(&self.snapshot(), written),
        }
    }
}

/// A serializer of another id.
fn other<T>() -> SerdeSerializer<T> {
    SerdeSerializer::with_id("other")
}

type Store = KeyedStateStore<u32>;

fn max() -> MaxParallelism {
    MaxParallelism::new(8).expect("valid")
}

/// Every backend as that which writes and that which restores.
fn for_each_pair(check: impl Fn(&StateBackend, &StateBackend)) {
    let sorted = StateBackend::Custom(Arc::new(SortedMapStateBackendFactory), BTreeMap::new());
    let backends = [StateBackend::default(), sorted];
    for (writes, restores) in backends.iter().flat_map(|one| backends.iter().map(move |other| (one, other))) {
        check(writes, restores);
    }
}

fn store(backend: &StateBackend, file: Option<&[u8]>) -> Store {
    let image = file.map(|file| SnapshotImage::read_from(file, None).expect("intact"));
    let keyed = image.and_then(|image| image.keyed).into_iter().collect();
    let builder = KeyedStateStoreBuilder::new(max(), max().all_groups()).with_backend(backend);
    builder.restore(keyed).expect("fits")
}

fn file(store: &mut Store) -> Vec<u8> {
    let mut file = Vec::new();
    store.snapshot().expect("captured").write_to(&mut file).expect("memory");
    file
}

/// A file with one state that `fill` has filled for the keys 1 and 2.
fn written<D: StateDescriptor>(
    backend: &StateBackend,
    descriptor: &D,
    fill: impl Fn(&mut Store, &D::State<()>) -> Result<(), StateError>,
) -> Vec<u8> {
    let mut store = store(backend, None);
    let state = store.open(descriptor).expect("opens");
    for key in [1, 2] {
        store.set_current_key(key).expect("all groups");
        fill(&mut store, &state).expect("a current key");
    }
    file(&mut store)
}

/// Checks that a file opens with `descriptor` as `expected` for both keys; so does the file written after it; and so does
/// the same descriptor once more.
fn assert_reads<D: StateDescriptor, R: PartialEq + std::fmt::Debug>(
    backend: &StateBackend,
    file: &[u8],
    descriptor: &D,
    read: impl Fn(&Store, &D::State<()>) -> Result<R, StateError>,
    expected: &R,
) {
    let mut first = store(backend, Some(file));
    first.open(descriptor).expect("compatible");
    let anew = self::file(&mut first);
    for mut store in [first, store(backend, Some(&anew))] {
        let state = store.open(descriptor).expect("the same state");
        for key in [1, 2] {
            store.set_current_key(key).expect("all groups");
            assert_eq!(read(&store, &state).expect("a current key"), *expected, "{backend:?}");
        }
    }
}

/// Checks that a file is refused when the state is opened, for the serializer of `part`, and is kept as it is.
fn assert_refuses<D: StateDescriptor>(backend: &StateBackend, file: &[u8], descriptor: &D, part: StatePart) {
    let mut store = store(backend, Some(file));
    match store.open(descriptor).err().expect("incompatible") {
        StateError::IncompatibleSerializer { part: found, .. } => assert_eq!(found, part),
        other => panic!("{other}"),
    }
    assert_eq!(self::file(&mut store), file, "{backend:?}");
}

#[test]
fn state_value_migrates_is_reconfigured_or_refused() {
    for_each_pair(|writes, restores| {
        let named = || ValueStateDescriptor::<Narrow>::new("state");
        let old = named().with_serializer(narrow());
        let file = written(writes, &old, |store, state| state.update(store, Narrow(7)));
        let new = ValueStateDescriptor::<Wide>::new("state").with_serializer(wide());
        let read =
            |store: &Store, state: &ValueState<Wide>| Ok(state.get(store)?.map(|value| value.into_owned()));
        assert_reads(restores, &file, &new, read, &Some(Wide(1_007, true)));
        assert_refuses(restores, &file, &named().with_serializer(other()), StatePart::Values);

        let old = ValueStateDescriptor::<u8>::new("state").with_serializer(Shifted(3));
        let file = written(writes, &old, |store, state| state.update(store, 7));
        let new = ValueStateDescriptor::<u8>::new("state").with_serializer(Shifted(5));
        let read = |store: &Store, state: &ValueState<u8>| Ok(state.get(store)?.map(|value| *value));
        assert_reads(restores, &file, &new, read, &Some(7));
    });
}

#[test]
fn state_list_migrates_is_reconfigured_or_refused() {
    for_each_pair(|writes, restores| {
        let named = || ListStateDescriptor::<Narrow>::new("state");
        let old = named().with_serializer(narrow());
        let file = written(writes, &old, |store, state| state.add_all(store, [Narrow(7), Narrow(8)]));
        let new = ListStateDescriptor::<Wide>::new("state").with_serializer(wide());
        let read = |store: &Store, state: &ListState<Wide>| {
            Ok(state.get(store)?.map(|element| element.into_owned()).collect::<Vec<_>>())
        };
        assert_reads(restores, &file, &new, read, &vec![Wide(1_007, true), Wide(1_008, true)]);
        assert_refuses(restores, &file, &named().with_serializer(other()), StatePart::Values);

        let old = ListStateDescriptor::<u8>::new("state").with_serializer(Shifted(3));
        let file = written(writes, &old, |store, state| state.add_all(store, [7, 8]));
        let new = ListStateDescriptor::<u8>::new("state").with_serializer(Shifted(5));
        let read = |store: &Store, state: &ListState<u8>| {
            Ok(state.get(store)?.map(|element| element.into_owned()).collect::<Vec<_>>())
        };
        assert_reads(restores, &file, &new, read, &vec![7, 8]);
    });
}

#[test]
fn state_map_is_taken_as_it_is_migrates_is_reconfigured_or_refused() {
    for_each_pair(|writes, restores| {
        let named = || MapStateDescriptor::<Narrow, Narrow>::new("state").with_key_serializer(narrow());
        let old = || named().with_value_serializer(narrow());
        let entries = [(Narrow(1), Narrow(10)), (Narrow(2), Narrow(20))];
        let file = written(writes, &old(), |store, state| state.put_all(store, entries.clone()));
        let read = |store: &Store, state: &MapState<Narrow, Narrow>| {
            let entries = state.entries(store)?.map(|(key, value)| (key.into_owned(), value.into_owned()));
            Ok(entries.collect::<BTreeMap<_, _>>())
        };
        assert_reads(restores, &file, &old(), read, &entries.clone().into());
        let new = MapStateDescriptor::<Wide, Wide>::new("state");
        let new = new.with_key_serializer(wide()).with_value_serializer(wide());
        let read = |store: &Store, state: &MapState<Wide, Wide>| {
            let entries = state.entries(store)?.map(|(key, value)| (key.into_owned(), value.into_owned()));
            Ok(entries.collect::<BTreeMap<_, _>>())
        };
        let migrated = entries.clone().map(|(key, value)| (Wide::upgrade(key), Wide::upgrade(value)));
        assert_reads(restores, &file, &new, read, &migrated.into());
        assert_refuses(restores, &file, &old().with_value_serializer(other()), StatePart::Values);
        assert_refuses(restores, &file, &old().with_key_serializer(other()), StatePart::UserKeys);

        let shifted = |key, value| {
            let named = MapStateDescriptor::<u8, u8>::new("state");
            named.with_key_serializer(Shifted(key)).with_value_serializer(Shifted(value))
        };
        let file = written(writes, &shifted(3, 4), |store, state| state.put_all(store, [(1, 10), (2, 20)]));
        let read = |store: &Store, state: &MapState<u8, u8>| {
            let entries = state.entries(store)?.map(|(key, value)| (*key, *value));
            Ok(entries.collect::<BTreeMap<_, _>>())
        };
        assert_reads(restores, &file, &shifted(5, 6), read, &[(1, 10), (2, 20)].into());
    });
}

#[test]
fn state_that_reduces_migrates() {
    for_each_pair(|writes, restores| {
        let old = ReducingStateDescriptor::new("state", |one: Narrow, _| one).with_serializer(narrow());
        let file = written(writes, &old, |store, state| state.add(store, Narrow(7)));
        let new = ReducingStateDescriptor::new("state", |one: Wide, _| one).with_serializer(wide());
        let read = |store: &Store, state: &ReducingState<Wide>| {
            Ok(state.get(store)?.map(|value| value.into_owned()))
        };
        assert_reads(restores, &file, &new, read, &Some(Wide(1_007, true)));
    });
}

/// Restores a file whose keys were written by `old` with the serializer `new` of keys.
fn with_keys(
    writes: &StateBackend,
    restores: &StateBackend,
    new: impl StateSerializer<u8> + 'static,
) -> Result<KeyedStateStore<u8>, StateError> {
    let builder = KeyedStateStoreBuilder::with_key_serializer(max(), max().all_groups(), Shifted(3));
    let mut store = builder.with_backend(writes).restore(vec![]).expect("nothing is restored");
    let state = store.open(&ValueStateDescriptor::<u64>::new("state")).expect("opens");
    store.set_current_key(9).expect("all groups");
    state.update(&mut store, 90).expect("a current key");
    let mut file = Vec::new();
    store.snapshot().expect("captured").write_to(&mut file).expect("memory");
    let keyed = SnapshotImage::read_from(&file[..], None).expect("intact").keyed.into_iter().collect();
    let builder = KeyedStateStoreBuilder::with_key_serializer(max(), max().all_groups(), new);
    builder.with_backend(restores).restore(keyed)
}

/// Would migrate whatever was written.
struct Migrating;

impl StateSerializer<u8> for Migrating {
    fn serialize(&self, number: &u8, target: &mut Vec<u8>) -> Result<(), CodecError> {
        Shifted(0).serialize(number, target)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<u8, String> {
        Shifted(0).deserialize(bytes)
    }

    fn snapshot(&self) -> SerializerSnapshot {
        SerializerSnapshot::new("migrating", 0)
    }

    fn compatibility(&self, _: &SerializerSnapshot) -> Compatibility<u8> {
        Compatibility::AfterMigration(Arc::new(|bytes| Shifted(3).deserialize(bytes)))
    }
}

#[test]
fn state_keys_are_reconfigured_or_refused_but_never_migrate() {
    for_each_pair(|writes, restores| {
        let mut store = with_keys(writes, restores, Shifted(5)).expect("reconfigured");
        let state = store.open(&ValueStateDescriptor::<u64>::new("state")).expect("opens");
        store.set_current_key(9).expect("all groups");
        assert_eq!(state.get(&store).expect("a key").as_deref(), Some(&90));
        for refused in [with_keys(writes, restores, Migrating), with_keys(writes, restores, other())] {
            let refused = refused.expect_err("incompatible");
            assert!(
                matches!(refused, StateError::IncompatibleSerializer { part: StatePart::Keys, .. }),
                "{refused}"
            );
        }
    });
}

#[test]
fn state_of_another_type_of_namespace_is_refused() {
    for_each_pair(|writes, restores| {
        let descriptor = ValueStateDescriptor::<u64>::new("state");
        let mut store = store(writes, None);
        let state = store.open_namespaced::<u8, _>(&descriptor).expect("opens");
        store.set_current_key(1).expect("all groups");
        state.of(5_u8).update(&mut store, 50).expect("a current key");
        let file = file(&mut store);
        let mut store = self::store(restores, Some(&file));
        let refused = store.open_namespaced::<u16, _>(&descriptor).expect_err("another type");
        let part = StatePart::Namespaces;
        assert!(
            matches!(&refused, StateError::IncompatibleSerializer { part: p, .. } if *p == part),
            "{refused}"
        );
        let state = store.open_namespaced::<u8, _>(&descriptor).expect("the right type");
        store.set_current_key(1).expect("all groups");
        assert_eq!(state.of(5_u8).get(&store).expect("a current key").as_deref(), Some(&50));
    });
}
