//! What threads that share the tables of the heap backend can do to each other: loom runs every interleaving.
//!
//! The files under test are compiled a second time here, with loom's reference counts in the place of the standard
//! ones, so that no `--cfg loom` has to reach all the other crates. How many interleavings there are is pinned: were
//! there fewer, the test would no longer look at what it is about.
#![cfg(feature = "runtime")]

#[allow(dead_code)]
#[path = "../src/backend/heap/copy_on_write.rs"]
mod copy_on_write;
#[allow(dead_code)]
#[path = "../src/backend/heap/linear.rs"]
mod linear;
#[allow(dead_code)]
#[path = "../src/backend/heap/segmented_map.rs"]
mod segmented_map;

/// What `backend::heap` takes from the standard library.
mod sync {
    pub(super) use loom::sync::Arc;
}

use copy_on_write::CopyOnWrite;
use loom::cell::UnsafeCell;
use loom::thread;
use segmented_map::{SegmentedMap, SharedMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A number of which loom knows who looks at it and who changes it, so that it finds a change that is not ordered with
/// all other accesses.
struct Watched {
    number: AtomicU64,
    access: UnsafeCell<()>,
    /// How many there are.
    alive: Arc<AtomicUsize>,
}

impl Watched {
    fn new(number: u64, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Watched { number: AtomicU64::new(number), access: UnsafeCell::new(()), alive: Arc::clone(alive) }
    }

    fn get(&self) -> u64 {
        self.access.with(|_| self.number.load(Ordering::Relaxed))
    }

    /// This should take `&mut self`, but then no fault could be planted.
    fn set(&self, number: u64) {
        self.access.with_mut(|_| self.number.store(number, Ordering::Relaxed));
    }
}

impl Clone for Watched {
    fn clone(&self) -> Self {
        Watched::new(self.get(), &self.alive)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.set(u64::MAX);
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs all interleavings of `body` and returns how many there were. None leaves anything behind.
fn interleavings(body: impl Fn(&Arc<AtomicUsize>) + Send + Sync + 'static) -> usize {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    loom::model(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let alive = Arc::default();
        body(&alive);
        assert_eq!(alive.load(Ordering::Relaxed), 0, "everything is freed, once");
    });
    count.load(Ordering::Relaxed)
}

type Cell = CopyOnWrite<Vec<Watched>>;

fn cell(alive: &Arc<AtomicUsize>) -> Cell {
    CopyOnWrite::Owned(vec![Watched::new(1, alive)])
}

#[test]
fn loom_cell_is_taken_back_or_copied_while_a_reader_lets_go() {
    let copied = Arc::new(AtomicUsize::new(0));
    let copies = Arc::clone(&copied);
    let count = interleavings(move |alive| {
        let mut cell = cell(alive);
        let shared = cell.share();
        let reader = thread::spawn(move || {
            assert_eq!(shared[0].get(), 1);
            drop(shared);
        });
        let first: *const Watched = &cell.read()[0];
        cell.write()[0].set(2);
        let is_copy = !std::ptr::eq(first, &cell.read()[0]);
        copies.fetch_add(is_copy.into(), Ordering::Relaxed);
        cell.write()[0].set(3);
        assert_eq!((cell.read()[0].get(), cell.is_shared()), (3, false));
        drop(cell);
        reader.join().expect("no panic");
    });
    // It is taken back in the others.
    assert_eq!((count, copied.load(Ordering::Relaxed)), (9, 7));
}

#[test]
fn loom_cell_shared_in_two_versions_shows_each_its_own() {
    let count = interleavings(|alive| {
        let mut cell = cell(alive);
        let readers = [1, 2].map(|version| {
            cell.write()[0].set(version);
            let shared = cell.share();
            thread::spawn(move || assert_eq!(shared[0].get(), version))
        });
        cell.write()[0].set(3);
        assert_eq!(cell.read()[0].get(), 3);
        drop(cell);
        readers.into_iter().for_each(|reader| reader.join().expect("no panic"));
    });
    assert_eq!(count, 135);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_cell_written_to_although_it_is_shared_is_found() {
    interleavings(|alive| {
        let mut cell = cell(alive);
        let shared = cell.share();
        let reader = thread::spawn(move || shared[0].get());
        cell.read()[0].set(2);
        reader.join().expect("no panic");
    });
}

/// The numbers in a shared map, in order.
fn numbers(shared: &SharedMap<u64, Watched>) -> Vec<u64> {
    let mut numbers: Vec<u64> = shared.iter().map(|(_, number)| number.get()).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn loom_map_goes_on_while_two_threads_iterate_a_snapshot() {
    let count = interleavings(|alive| {
        // All keys have hashes of their own, and there is one segment.
        let mut map = SegmentedMap::default();
        let put = |map: &mut SegmentedMap<_, _>, key: u64, number| {
            map.insert(key, |other| *other == key, |key| *key, || key, Watched::new(number, alive));
        };
        put(&mut map, 1, 10);
        put(&mut map, 2, 20);
        let shared = map.share();
        let readers = [shared.clone(), shared]
            .map(|shared| thread::spawn(move || assert_eq!(numbers(&shared), [10, 20])));
        put(&mut map, 1, 11);
        assert!(map.remove(2, |key| *key == 2).is_some());
        put(&mut map, 3, 30);
        assert_eq!(numbers(&map.share()), [11, 30]);
        drop(map);
        readers.into_iter().for_each(|reader| reader.join().expect("no panic"));
    });
    assert_eq!(count, 330);
}
