//! Memory that several instances share.

use super::super::instances::Instances;
use super::{Observed, store};
use crate::state::*;
use rocksdb::properties;

const MEBIBYTE: usize = 1 << 20;

/// An instance, its store and a few states in it.
type Subtask = (Observed, KeyedStateStore<u32>, Vec<ValueState<Vec<u8>>>);

/// Subtasks of one budget.
struct Subtasks {
    all: Vec<Subtask>,
    most_of_write_buffers: usize,
    most_of_cache: usize,
}

impl Subtasks {
    fn new(subtasks: usize, budget: &str, ratio: &str) -> Self {
        let options = [("memory.fixed-per-tm", budget), ("memory.write-buffer-ratio", ratio)];
        let subtask = |_| {
            let observed = Observed::default();
            let mut store = store(&observed, &options);
            let open = |name| store.open(&ValueStateDescriptor::new(name)).unwrap();
            let states = ["one", "two", "three"].map(open).into();
            (observed, store, states)
        };
        let all = (0..subtasks).map(subtask).collect();
        Subtasks { all, most_of_write_buffers: 0, most_of_cache: 0 }
    }

    fn update(&mut self, subtask: usize, number: u32) {
        let (observed, store, states) = &mut self.all[subtask];
        let state = number as usize % states.len();
        store.set_current_key(number).unwrap();
        states[state].update(store, vec![number as u8; 10_000]).unwrap();
        let database = observed.database();
        let memory = database.families.memory.as_ref().unwrap();
        self.most_of_write_buffers = self.most_of_write_buffers.max(memory.write_buffers.get_usage());
        self.most_of_cache = self.most_of_cache.max(memory.cache.get_usage());
    }

    fn read(&mut self, subtask: usize, number: u32) {
        let (_, store, states) = &mut self.all[subtask];
        store.set_current_key(number).unwrap();
        let state = number as usize % states.len();
        assert_eq!(states[state].get(store).unwrap().map(|value| value[0]), Some(number as u8));
    }

    /// What an instance has in write buffers that nobody has begun to flush.
    fn entries(&self, subtask: usize) -> u64 {
        let database = self.all[subtask].0.database();
        let entries = |name: String| {
            let family = database.family(&name).unwrap();
            database.db.property_int_value_cf(&family, properties::NUM_ENTRIES_ACTIVE_MEM_TABLE).unwrap()
        };
        database.names().into_iter().filter_map(entries).sum()
    }
}

/// Write buffers have their share of 6 MiB, and besides the piece that the last write has added.
#[test]
fn memory_of_several_instances_stays_within_its_budget_while_much_more_is_written() {
    let mut subtasks = Subtasks::new(4, "12mb", "0.5");
    // One after the other, and then in turns.
    (0..1_200).for_each(|number| subtasks.update(number as usize / 300, number));
    (1_200..3_600).for_each(|number| subtasks.update(number as usize % 4, number));
    (1_200..3_600).for_each(|number| subtasks.read(number as usize % 4, number));
    assert!(subtasks.most_of_write_buffers > 3 * MEBIBYTE, "this writes too little");
    assert!(
        subtasks.most_of_write_buffers <= 6 * MEBIBYTE + MEBIBYTE / 8,
        "{}",
        subtasks.most_of_write_buffers
    );
    assert!(subtasks.most_of_cache <= 12 * MEBIBYTE, "{}", subtasks.most_of_cache);
}

#[test]
fn memory_that_an_idle_instance_has_is_given_to_the_one_that_writes() {
    let mut subtasks = Subtasks::new(2, "13mb", "0.9");
    (0..300).for_each(|number| subtasks.update(0, number));
    (0..30).for_each(|number| subtasks.update(1, number));
    let database = subtasks.all[1].0.database();
    let memory = database.families.memory.as_ref().unwrap();
    let (idle, writing) = (subtasks.entries(0), subtasks.entries(1));
    assert!(idle > 200 && writing > 0, "{idle}, {writing}");
    memory.flush_largest(&Instances::of_the_process(), memory.write_buffers.get_usage() - MEBIBYTE);
    assert!(subtasks.entries(0) < idle, "the largest goes first");
    assert_eq!(subtasks.entries(1), writing);
}

/// A reader keeps what is in memory when it begins; nobody waits until it ends, and little is added to it meanwhile.
#[test]
fn memory_that_readers_keep_stops_no_writer() {
    let mut subtasks = Subtasks::new(1, "14mb", "0.5");
    let database = subtasks.all[0].0.database();
    let mut readers = Vec::new();
    for number in 0..1_500 {
        subtasks.update(0, number);
        if number % 100 == 0 {
            for name in database.names() {
                let mut reader = database.db.raw_iterator_cf(&database.family(&name).unwrap());
                reader.seek_to_first();
                readers.push(reader);
            }
        }
    }
    let memory = database.families.memory.as_ref().unwrap();
    assert!(memory.write_buffers.get_usage() > 10 * MEBIBYTE, "the readers keep it");
    let can_be_flushed = (1_500..1_800).map(|number| {
        subtasks.update(0, number);
        database.names().iter().map(|name| database.bytes_in_write_buffers(name)).sum::<u64>()
    });
    assert!(can_be_flushed.max().unwrap() <= MEBIBYTE as u64, "the writer makes what room it can");
    drop(readers);
    (1_800..2_100).for_each(|number| subtasks.update(0, number));
    assert!(memory.write_buffers.get_usage() <= 8 * MEBIBYTE, "it is free again");
}

/// Memory of instances that have ended is not theirs any more.
#[test]
fn memory_is_free_when_its_instances_have_ended() {
    let mut subtasks = Subtasks::new(2, "15mb", "0.5");
    (0..300).for_each(|number| subtasks.update(number as usize % 2, number));
    let (observed, ended, _) = subtasks.all.remove(0);
    let memory = observed.database().families.memory.clone().unwrap();
    let before = memory.write_buffers.get_usage();
    drop((observed, ended));
    assert!(memory.write_buffers.get_usage() < before);
    let others = Instances::of_the_process().iter().filter(|one| one.shares(&memory)).count();
    assert_eq!(others, 1);
}
