//! Serializers, times to live and subtasks change from restore to restore, forth and back, and backends with files answer as
//! the heap does, which has one version of everything.

use super::*;
use snapline::ttl::UpdateType;

/// Reads what any version has written.
#[derive(Clone)]
struct AnyVersion(u8);

impl StateSerializer<u32> for AnyVersion {
    fn serialize(&self, number: &u32, target: &mut Vec<u8>) -> Result<(), CodecError> {
        Numbered::new(self.0).serialize(number, target)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<u32, String> {
        read(self.0, bytes)
    }

    fn snapshot(&self) -> SerializerSnapshot {
        Numbered::new(self.0).snapshot()
    }

    fn compatibility(&self, written: &SerializerSnapshot) -> Compatibility<u32> {
        match u8::try_from(written.version) {
            Ok(version) if version != self.0 => {
                Compatibility::AfterMigration(Arc::new(move |bytes| read(version, bytes)))
            }
            _ => Compatibility::if_equal(&self.snapshot(), written),
        }
    }
}

/// A snapshot in the middle, of which nothing may be noticed.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Nothing,
    FullSnapshot,
    SnapshotInFiles,
}

#[derive(Clone, Debug)]
enum Step {
    Update(u32),
    Modify(u32),
    Change(u32),
    Add(u32),
    AddAll(u32),
    MergeLists,
    Put(u32),
    Remove(u32),
    Retain,
    ChangeEntry(u32),
    Reduce(u32),
    MergeReduced,
    Read,
    ClearValue,
    ClearList,
    ClearMap,
    ClearReduced,
    Later(u64),
}

/// What happens between two restores.
#[derive(Clone, Debug)]
struct Generation {
    /// With a key and a namespace.
    steps: Vec<(u32, u8, Step)>,
    cut: Option<u16>,
    is_opened: bool,
    has_ttl: bool,
    values: u8,
    user_keys: u8,
    in_files: bool,
    meanwhile: Meanwhile,
    later: u64,
}

/// The time to live that all states have, or none.
fn ttl() -> StateTtlConfig {
    StateTtlConfig::new(Millis(20)).expect("positive").with_update_type(UpdateType::OnReadAndWrite)
}

/// States with and without a time to live have different types with the same methods.
macro_rules! generation_of_states {
    ($name:ident $(, $with:ident, $ttl:expr)?) => {
        /// Everything that was read.
        fn $name(store: &mut Store, generation: &Generation, clock: &mut u64, snapshot: &mut dyn FnMut(&mut Store)) -> Vec<String> {
            let (values, user_keys) = (AnyVersion(generation.values), AnyVersion(generation.user_keys));
            let value = ValueStateDescriptor::<u32>::new("value").with_serializer(values.clone())$(.$with($ttl))?;
            let list = ListStateDescriptor::<u32>::new("list").with_serializer(values.clone())$(.$with($ttl))?;
            let map = MapStateDescriptor::<u32, u32>::new("map");
            let map = map.with_key_serializer(user_keys).with_value_serializer(values.clone())$(.$with($ttl))?;
            let reduced = ReducingStateDescriptor::new("reduced", |a: u32, b: u32| a.wrapping_mul(31).wrapping_add(b));
            let reduced = reduced.with_serializer(values)$(.$with($ttl))?;
            let value = store.open_namespaced::<u8, _>(&value).expect("compatible");
            let list = store.open_namespaced::<u8, _>(&list).expect("compatible");
            let map = store.open_namespaced::<u8, _>(&map).expect("compatible");
            let reduced = store.open_namespaced::<u8, _>(&reduced).expect("compatible");
            let mut read = Vec::new();
            for (number, (key, namespace, step)) in generation.steps.iter().enumerate() {
                if number == generation.steps.len() / 2 {
                    snapshot(store);
                }
                if let Step::Later(millis) = step {
                    *clock += millis;
                    store.set_processing_time(Millis(*clock));
                }
                if store.set_current_key(*key).is_err() {
                    continue;
                }
                let others = [(namespace + 1) % 3, (namespace + 2) % 3];
                let (value, list, map, reduced) =
                    (value.of(*namespace), list.of(*namespace), map.of(*namespace), reduced.of(*namespace));
                match *step {
                    Step::Update(number) => value.update(store, number).expect("a key"),
                    Step::Modify(number) => {
                        value.modify(store, |found| found.map(|found| found ^ number)).expect("a key");
                    }
                    Step::Change(number) => value.with_mut(store, || number, |found| *found += 1).expect("a key"),
                    Step::Add(number) => list.add(store, number).expect("a key"),
                    Step::AddAll(number) => list.add_all(store, vec![number, number + 1]).expect("a key"),
                    Step::MergeLists => list.merge_namespaces(store, others).expect("a key"),
                    Step::Put(number) => map.put(store, number % 4, number).expect("a key"),
                    Step::Remove(number) => read.push(format!("{:?}", map.remove(store, &(number % 4)).expect("a key"))),
                    Step::Retain => map.retain(store, |entry, found| { *found += 1; entry % 2 == 0 }).expect("a key"),
                    Step::ChangeEntry(number) => {
                        map.with_mut(store, &(number % 4), || number, |found| *found += 2).expect("a key");
                    }
                    Step::Reduce(number) => reduced.add(store, number).expect("a key"),
                    Step::MergeReduced => reduced.merge_namespaces(store, others).expect("a key"),
                    Step::Read => {
                        read.push(format!("{:?}", value.get(store).expect("a key").map(|found| *found)));
                        read.push(format!("{:?}", list.get(store).expect("a key").map(|one| *one).collect::<Vec<_>>()));
                    }
                    Step::ClearValue => value.clear(store).expect("a key"),
                    Step::ClearList => list.clear(store).expect("a key"),
                    Step::ClearMap => map.clear(store).expect("a key"),
                    Step::ClearReduced => reduced.clear(store).expect("a key"),
                    Step::Later(_) => {}
                }
            }
            for key in 0..KEYS {
                if store.set_current_key(key).is_err() {
                    continue;
                }
                for namespace in 0..3 {
                    let (value, list, map, reduced) =
                        (value.of(namespace), list.of(namespace), map.of(namespace), reduced.of(namespace));
                    let values = value.get(store).expect("a key").map(|found| *found);
                    let lists: Vec<u32> = list.get(store).expect("a key").map(|one| *one).collect();
                    let maps = BTreeMap::from_iter(map.entries(store).expect("a key"));
                    let sums = reduced.get(store).expect("a key").map(|found| *found);
                    read.push(format!("{key} in {namespace}: {values:?} {lists:?} {maps:?} {sums:?}"));
                }
            }
            read
        }
    };
}

generation_of_states!(without_ttl);
generation_of_states!(with_ttl, with_ttl, ttl());

fn steps() -> impl Strategy<Value = Vec<(u32, u8, Step)>> {
    let number = 0..1_000u32;
    let step = prop_oneof![
        number.clone().prop_map(Step::Update),
        number.clone().prop_map(Step::Modify),
        number.clone().prop_map(Step::Change),
        number.clone().prop_map(Step::Add),
        number.clone().prop_map(Step::AddAll),
        Just(Step::MergeLists),
        number.clone().prop_map(Step::Put),
        number.clone().prop_map(Step::Remove),
        Just(Step::Retain),
        number.clone().prop_map(Step::ChangeEntry),
        number.prop_map(Step::Reduce),
        Just(Step::MergeReduced),
        Just(Step::Read),
        prop_oneof![
            Just(Step::ClearValue),
            Just(Step::ClearList),
            Just(Step::ClearMap),
            Just(Step::ClearReduced),
        ],
        (0..9u64).prop_map(Step::Later),
    ];
    proptest::collection::vec((0..KEYS, 0..3u8, step), 0..60)
}

fn generation() -> impl Strategy<Value = Generation> {
    let meanwhile = prop_oneof![
        2 => Just(Meanwhile::Nothing),
        1 => Just(Meanwhile::FullSnapshot),
        1 => Just(Meanwhile::SnapshotInFiles),
    ];
    let shape = (proptest::option::of(1..7u16), prop::bool::weighted(0.8), prop::bool::weighted(0.6));
    // Few, so that a version comes back.
    let versions = (1..5u8, prop_oneof![3 => Just(1u8), 1 => 2..4u8]);
    let snapshots = (prop::bool::weighted(0.75), meanwhile);
    (steps(), shape, versions, snapshots, 0..15u64).prop_map(
        |(steps, (cut, is_opened, has_ttl), (values, user_keys), (in_files, meanwhile), later)| Generation {
            steps,
            cut,
            is_opened,
            has_ttl,
            values,
            user_keys,
            in_files,
            meanwhile,
            later,
        },
    )
}

fn full(store: &mut Store) -> Vec<u8> {
    let mut file = Vec::new();
    store.snapshot().expect("taken").write_to(&mut file).expect("memory");
    file
}

fn agrees_with_the_heap(backend: &StateBackend, generations: &[Generation]) {
    let (mut of_heap, mut checkpoints): (Vec<Vec<u8>>, Vec<Checkpoint>) = Default::default();
    let mut clock = 0;
    for generation in generations {
        clock += generation.later;
        let run = if generation.has_ttl { with_ttl } else { without_ttl };
        let (mut next_of_heap, mut next) = (Vec::new(), Vec::new());
        let start = clock;
        for range in ranges(&generation.cut.into_iter().collect()) {
            let images = of_heap.iter().map(|file| image(file)).collect();
            let mut heap = builder(&StateBackend::default(), range).restore(images).expect("fits");
            let mut store = restored(backend, range, &checkpoints);
            heap.set_processing_time(Millis(start));
            store.set_processing_time(Millis(start));
            if generation.is_opened {
                let (mut clock_of_heap, mut clock_here) = (start, start);
                let expected = run(&mut heap, generation, &mut clock_of_heap, &mut |_| {});
                let found =
                    run(&mut store, generation, &mut clock_here, &mut |store| match generation.meanwhile {
                        Meanwhile::Nothing => {}
                        Meanwhile::FullSnapshot => drop(full(store)),
                        Meanwhile::SnapshotInFiles => drop(store.snapshot_in_files().expect("taken")),
                    });
                assert_eq!(found, expected, "{}", backend.name());
                clock = clock_here;
            }
            next_of_heap.push(full(&mut heap));
            next.push(match generation.in_files {
                true => in_files_of(backend.name(), &mut store),
                false => Checkpoint::of(store.snapshot().expect("taken"), backend.name()).expect("written"),
            });
        }
        (of_heap, checkpoints) = (next_of_heap, next);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn versions_agree_with_the_heap(generations in proptest::collection::vec(generation(), 1..7)) {
        for backend in backends() {
            agrees_with_the_heap(&backend, &generations);
        }
    }
}
