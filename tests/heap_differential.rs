//! The heap backend against ordered maps, with snapshots taken at any moment and written after more writes.
#![cfg(feature = "runtime")]

use proptest::prelude::*;
use snapline::keygroup::*;
use snapline::state::*;
use std::collections::BTreeMap;

const SUBTASKS: [u16; 3] = [1, 2, 3];

type Model = BTreeMap<(u32, bool), u64>;

#[derive(Clone, Debug)]
enum Step {
    Update(u32, bool, u64),
    Add(u32, bool),
    Modify(u32, bool),
    Clear(u32, bool),
    ClearAll,
    Snapshot,
    Write,
    Restore(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..40u32;
    prop_oneof![
        6 => (key(), any::<bool>(), any::<u64>()).prop_map(|(k, s, v)| Step::Update(k, s, v)),
        6 => (key(), any::<bool>()).prop_map(|(k, s)| Step::Add(k, s)),
        3 => (key(), any::<bool>()).prop_map(|(k, s)| Step::Modify(k, s)),
        4 => (key(), any::<bool>()).prop_map(|(k, s)| Step::Clear(k, s)),
        1 => Just(Step::ClearAll),
        2 => Just(Step::Snapshot),
        2 => Just(Step::Write),
        1 => (0..SUBTASKS.len()).prop_map(Step::Restore),
    ]
}

/// An operator of some parallelism with two states, of which it opens the second one late.
struct Operator {
    max_parallelism: MaxParallelism,
    backends: Vec<KeyedStateStore<u32>>,
    opened: Vec<[Option<ValueState<u64>>; 2]>,
}

impl Operator {
    fn new(max_parallelism: MaxParallelism, parallelism: u16, files: &[Vec<u8>]) -> Operator {
        let assignment = KeyGroupRangeAssignment::new(max_parallelism, parallelism).expect("valid");
        let restore = |subtask| {
            let range = assignment.range_of(subtask).expect("exists");
            let read =
                |file: &Vec<u8>| SnapshotImage::read_from(&file[..], Some(range)).expect("intact").keyed;
            let images = files.iter().filter_map(read).collect();
            KeyedStateStore::restore(max_parallelism, range, images).expect("restores")
        };
        let backends: Vec<_> = (0..parallelism).map(restore).collect();
        Operator { max_parallelism, opened: vec![[None; 2]; backends.len()], backends }
    }

    fn on(&mut self, key: u32, second: bool) -> (&mut KeyedStateStore<u32>, ValueState<u64>) {
        let parallelism = self.backends.len() as u16;
        let assignment = KeyGroupRangeAssignment::new(self.max_parallelism, parallelism).expect("valid");
        let owner = usize::from(assignment.owner_of_key(&key));
        let backend = &mut self.backends[owner];
        let state = self.opened[owner][usize::from(second)].get_or_insert_with(|| {
            let name = if second { "second" } else { "first" };
            backend.open(&ValueStateDescriptor::new(name)).expect("opens")
        });
        backend.set_current_key_from(&key).expect("its own key");
        (backend, *state)
    }

    fn snapshot(&mut self) -> Vec<KeyedStateSnapshot> {
        self.backends.iter_mut().map(|backend| backend.snapshot().expect("in memory")).collect()
    }

    fn content(&mut self) -> Model {
        let mut content = Model::new();
        for second in [false, true] {
            for key in 0..40 {
                let (backend, state) = self.on(key, second);
                if let Some(value) = state.get(backend).expect("opened here") {
                    content.insert((key, second), *value);
                }
            }
        }
        let entries: usize = (self.backends.iter().zip(&self.opened))
            .map(|(b, opened)| {
                let count = |s: &ValueState<u64>| {
                    s.entries(b).expect("opened").count().max(b.count(s).expect("opened"))
                };
                opened.iter().flatten().map(count).sum::<usize>()
            })
            .sum();
        assert_eq!(entries, content.len(), "no entry but those of the keys");
        content
    }
}

fn write(snapshots: Vec<KeyedStateSnapshot>) -> Vec<Vec<u8>> {
    let write = |snapshot: KeyedStateSnapshot| {
        let mut file = Vec::new();
        // On another thread, as the runtime does.
        std::thread::scope(|scope| scope.spawn(|| snapshot.write_to(&mut file)).join())
            .expect("no panic")
            .expect("writes");
        file
    };
    snapshots.into_iter().map(write).collect()
}

fn apply(operator: &mut Operator, model: &mut Model, step: &Step) {
    match *step {
        Step::Update(key, second, value) => {
            let (backend, state) = operator.on(key, second);
            state.update(backend, value).expect("a key");
            model.insert((key, second), value);
        }
        Step::Add(key, second) => {
            let (backend, state) = operator.on(key, second);
            state.with_mut(backend, || 7, |value| *value = value.wrapping_add(1)).expect("a key");
            let value = model.entry((key, second)).or_insert(7);
            *value = value.wrapping_add(1);
        }
        Step::Modify(key, second) => {
            // Makes what is missing, removes what is odd, halves what is even.
            let change = |value: Option<u64>| match value {
                None => Some(12),
                Some(value) if value % 2 == 1 => None,
                Some(value) => Some(value / 2),
            };
            let (backend, state) = operator.on(key, second);
            state.modify(backend, change).expect("a key");
            match change(model.remove(&(key, second))) {
                Some(value) => model.insert((key, second), value),
                None => None,
            };
        }
        Step::Clear(key, second) => {
            let (backend, state) = operator.on(key, second);
            state.clear(backend).expect("a key");
            model.remove(&(key, second));
        }
        Step::ClearAll => {
            for (key, second) in std::mem::take(model).into_keys() {
                let (backend, state) = operator.on(key, second);
                state.clear(backend).expect("a key");
            }
        }
        Step::Snapshot | Step::Write | Step::Restore(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn heap_backend_agrees_with_a_map_over_snapshots_restores_and_rescaling(
        steps in proptest::collection::vec(step(), 1..200),
        groups in prop_oneof![Just(3u16), Just(8), Just(128)],
    ) {
        let max_parallelism = MaxParallelism::new(groups).expect("valid");
        let mut operator = Operator::new(max_parallelism, 2, &[]);
        let mut model = Model::new();
        let mut taken: Vec<(Vec<KeyedStateSnapshot>, Model)> = Vec::new();
        let mut written: Option<(Vec<Vec<u8>>, Model)> = None;
        for step in &steps {
            apply(&mut operator, &mut model, step);
            match step {
                Step::Snapshot => taken.push((operator.snapshot(), model.clone())),
                Step::Write if !taken.is_empty() => {
                    let (snapshots, content) = taken.remove(0);
                    written = Some((write(snapshots), content));
                }
                Step::Restore(parallelism) => if let Some((files, content)) = &written {
                    operator = Operator::new(max_parallelism, SUBTASKS[*parallelism], files);
                    model = content.clone();
                },
                _ => {}
            }
        }
        prop_assert_eq!(operator.content(), model);
        for (snapshots, content) in taken {
            let files = write(snapshots);
            for parallelism in SUBTASKS {
                prop_assert_eq!(&Operator::new(max_parallelism, parallelism, &files).content(), &content);
            }
        }
    }
}

/// T03: ten million operations against a reference, with up to three snapshots open.
#[test]
fn heap_backend_agrees_with_a_map_over_ten_million_operations() {
    let max_parallelism = MaxParallelism::new(4).expect("valid");
    let mut backend =
        KeyedStateStore::<u64>::new(max_parallelism, max_parallelism.all_groups()).expect("valid");
    let state = backend.open(&ValueStateDescriptor::<u64>::new("s")).expect("opens");
    let mut model = BTreeMap::new();
    let mut open = Vec::new();
    let mut random = 1u64;
    for operation in 0..10_000_000u64 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let key = (random >> 20) % 20_000;
        backend.set_current_key(key).expect("all groups");
        match random % 8 {
            0..=3 => {
                state.with_mut(&mut backend, || 0, |value| *value += operation).expect("a key");
                *model.entry(key).or_insert(0) += operation;
            }
            4 | 5 => {
                state.update(&mut backend, operation).expect("a key");
                model.insert(key, operation);
            }
            6 => {
                state.clear(&mut backend).expect("a key");
                model.remove(&key);
            }
            _ => assert_eq!(state.get(&backend).expect("a key").as_deref(), model.get(&key)),
        }
        if operation % 400_000 == 0 {
            open.push((backend.snapshot().expect("in memory"), model.clone()));
        }
        if open.len() > 3 {
            let (snapshot, expected) = open.remove(0);
            let mut file = Vec::new();
            snapshot.write_to(&mut file).expect("writes");
            let image =
                SnapshotImage::read_from(&file[..], None).expect("intact").keyed.into_iter().collect();
            let range = max_parallelism.all_groups();
            let mut restored =
                KeyedStateStore::<u64>::restore(max_parallelism, range, image).expect("restores");
            let state = restored.open(&ValueStateDescriptor::<u64>::new("s")).expect("opens");
            let entries = state.entries(&restored).expect("opened");
            assert_eq!(entries.map(|(k, v)| (*k, *v)).collect::<BTreeMap<_, _>>(), expected);
        }
    }
    assert_eq!(backend.count(&state).expect("opened"), model.len());
}
