use super::Verdict;
use super::checkpoint::Checkpoint;
use super::everything::{Content, fill};
use super::harness::{AtKey, counts, file_of, file_of_task, restored, store, written};
use crate::codec::CodecError;
use crate::state::backend::StateBackend;
use crate::state::{
    KeyedSnapshot, OperatorSnapshot, RawEntry, StateError, StateFileSummary, StateRecord, TaskSnapshot,
    ValueStateDescriptor,
};
use std::collections::BTreeMap;
use std::io;
use std::thread;

/// Q42: a snapshot of nothing holds nothing, and can be restored.
pub fn keyed_snapshot_of_nothing_is_empty(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    assert!(store.snapshot()?.is_empty(), "no state is open");
    let count = store.open(&counts())?;
    assert!(store.snapshot()?.is_empty(), "nothing was put");
    count.update(store.at(1)?, 1)?;
    assert!(!store.snapshot()?.is_empty(), "there is a value");
    count.clear(&mut store)?;
    assert!(store.snapshot()?.is_empty(), "it was cleared");
    let mut store = restored::<u32>(backend, &written(&mut store)?)?;
    assert!(store.snapshot()?.is_empty(), "nothing was restored");
    let count = store.open(&counts())?;
    assert_eq!(count.get(store.at(1)?)?, None);
    Ok(())
}

/// Q43: state that was restored and never opened goes into the next snapshot, beside what was.
pub fn keyed_state_never_opened_survives_the_next_snapshot(backend: &StateBackend) -> Verdict {
    let mut filled = store::<u32>(backend)?;
    let expected = fill(&mut filled, 0..40)?;
    let mut untouched = restored::<u32>(backend, &written(&mut filled)?)?;
    assert!(!untouched.snapshot()?.is_empty());
    let mut again = restored::<u32>(backend, &written(&mut untouched)?)?;
    let other = again.open(&ValueStateDescriptor::<u64>::new("other"))?;
    other.update(again.at(1)?, 5)?;
    let mut last = restored::<u32>(backend, &written(&mut again)?)?;
    assert_eq!(Content::of(&mut last)?, expected);
    let other = last.open(&ValueStateDescriptor::<u64>::new("other"))?;
    assert_eq!(other.get(last.at(1)?)?.as_deref(), Some(&5));
    Ok(())
}

/// Whoever looks at a checkpoint sees the same entries, whether they lie in files of the backend or in the state file.
pub fn keyed_entries_in_files_are_shown_as_those_of_a_snapshot_are(backend: &StateBackend) -> Verdict {
    let StateBackend::Custom(factory, options) = backend else { return Ok(()) };
    let mut store = store::<u32>(backend)?;
    fill(&mut store, 0..40)?;
    let in_files = Checkpoint::of(store.snapshot_in_files()?, backend.name())?;
    let snapshot = file_of(store.snapshot()?)?;
    for only in [None, Some("list"), Some("map")] {
        let wanted = |state: &str| only.is_none_or(|only| only == state);
        let (mut shown, mut expected) = (Vec::new(), Vec::new());
        StateFileSummary::read_records(&snapshot[..], &wanted, &mut |record| {
            take_note(record, &mut expected)
        })?;
        let summary = StateFileSummary::read_records(&in_files.state[..], &wanted, &mut |it| {
            take_note(it, &mut shown)
        })?;
        summary.read_backend_files(&**factory, options.clone(), &in_files, &wanted, &mut |record| {
            take_note(record, &mut shown)
        })?;
        shown.sort();
        expected.sort();
        assert!(expected.len() > 50, "there is much to see");
        assert_eq!(shown, expected);
    }
    Ok(())
}

/// The state, the key group and the bytes of an entry.
fn take_note(record: StateRecord<'_>, noted: &mut Vec<(String, u16, [Vec<u8>; 4])>) -> io::Result<()> {
    if let StateRecord::Keyed { state, key_group, entry, .. } = record {
        let RawEntry { key, namespace, user_key, value } = entry;
        let bytes = [key, namespace, user_key.unwrap_or_default(), value].map(<[u8]>::to_vec);
        noted.push((state.name.clone(), key_group.0, bytes));
    }
    Ok(())
}

/// Q44: what changes after a snapshot was taken is not in it, for all kinds of states, though it is written later.
pub fn keyed_snapshot_is_isolated_from_later_changes(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let expected = fill(&mut store, 0..40)?;
    let snapshot = store.snapshot()?;
    let changed = fill(&mut store, 20..60)?;
    assert_ne!(changed, expected);
    let file = file_of(snapshot)?;
    assert_eq!(Content::of(&mut restored(backend, &file)?)?, expected, "the snapshot");
    assert_eq!(Content::of(&mut store)?, changed, "what is there");
    Ok(())
}

/// Q44: neither is what is removed, put again or opened after it.
pub fn keyed_snapshot_is_isolated_from_removals_and_new_states(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open(&counts())?;
    for key in 0..40 {
        count.update(store.at(key)?, 1)?;
    }
    let snapshot = store.snapshot()?;
    for key in 0..40 {
        count.clear(store.at(key)?)?;
    }
    for key in 0..20 {
        count.update(store.at(key)?, 2)?;
    }
    let late = store.open(&ValueStateDescriptor::<u64>::new("late"))?;
    late.update(&mut store, 3)?;
    let mut restored = restored::<u32>(backend, &file_of(snapshot)?)?;
    let count = restored.open(&counts())?;
    let entries: BTreeMap<u32, u64> = count.entries(&restored)?.map(|(k, v)| (*k, *v)).collect();
    assert_eq!(entries, (0..40).map(|key| (key, 1)).collect());
    let late = restored.open(&ValueStateDescriptor::<u64>::new("late"))?;
    assert_eq!(restored.count(&late)?, 0);
    Ok(())
}

/// Q45: several snapshots may be open, each of its own moment, and be written in any order.
pub fn keyed_snapshots_may_overlap(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let mut open = Vec::new();
    for round in 0..4u32 {
        let content = fill(&mut store, round * 5..round * 5 + 20)?;
        open.push((store.snapshot()?, content));
    }
    fill(&mut store, 0..40)?;
    for place in [2, 0, 1, 0] {
        let (snapshot, expected) = open.remove(place);
        assert_eq!(Content::of(&mut restored(backend, &file_of(snapshot)?)?)?, expected);
    }
    Ok(())
}

/// Q46: snapshots are written by other threads while the state goes on changing.
pub fn keyed_snapshots_are_written_while_the_state_changes(backend: &StateBackend) -> Verdict {
    const KEYS: u32 = 300;
    let mut store = store::<u32>(backend)?;
    let count = store.open(&counts())?;
    for key in 0..KEYS {
        count.update(store.at(key)?, 0)?;
    }
    let files = thread::scope(|scope| {
        let mut writers = Vec::new();
        for round in 1..=12 {
            let snapshot = store.snapshot()?;
            writers.push(scope.spawn(move || file_of(snapshot)));
            for key in 0..KEYS {
                count.update(store.at(key)?, round)?;
            }
        }
        let join = |writer: thread::ScopedJoinHandle<'_, _>| writer.join().expect("writing does not panic");
        writers.into_iter().map(join).collect::<Result<Vec<_>, StateError>>()
    })?;
    for (round, file) in (0..).zip(&files) {
        let mut restored = restored::<u32>(backend, file)?;
        let count = restored.open(&counts())?;
        assert_eq!(restored.count(&count)?, KEYS as usize);
        for (key, value) in count.entries(&restored)? {
            assert_eq!(*value, round, "key {key} in the snapshot of round {round}");
        }
    }
    Ok(())
}

/// Q47: a snapshot that is dropped, or whose target fails, changes nothing, and the next one is whole.
pub fn keyed_snapshot_that_is_given_up_leaves_the_state_as_it_is(backend: &StateBackend) -> Verdict {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut store = store::<u32>(backend)?;
    fill(&mut store, 0..40)?;
    drop(store.snapshot()?);
    let failing = store.snapshot()?;
    let expected = fill(&mut store, 20..60)?;
    let failed = failing.write_to(&mut Full).expect_err("there is no room");
    assert!(matches!(failed, StateError::Codec(CodecError::Io(_))), "{failed}");
    let file = written(&mut store)?;
    assert_eq!(Content::of(&mut restored(backend, &file)?)?, expected);
    assert_eq!(Content::of(&mut store)?, expected);
    Ok(())
}

/// Q47: a snapshot does not need the store it was taken of.
pub fn keyed_snapshot_outlives_its_store(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let expected = fill(&mut store, 0..40)?;
    let snapshot = store.snapshot()?;
    drop(store);
    assert_eq!(Content::of(&mut restored(backend, &file_of(snapshot)?)?)?, expected);
    Ok(())
}

/// T20, T21: a file is read whether its keyed state was compressed or not, and holds the same.
pub fn keyed_snapshots_round_trip_with_and_without_compression(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let expected = fill(&mut store, 0..60)?;
    let mut lengths = Vec::new();
    for is_compressed in [false, true] {
        let snapshot = TaskSnapshot::new(Some(Box::new(store.snapshot()?)), OperatorSnapshot::default());
        let file = file_of_task(snapshot.with_compression(is_compressed))?;
        lengths.push(file.len());
        // Nobody opens it before the next snapshot, which is not compressed.
        let next = written(&mut restored::<u32>(backend, &file)?)?;
        for file in [file, next] {
            assert_eq!(Content::of(&mut restored(backend, &file)?)?, expected, "{is_compressed}");
        }
    }
    assert!(lengths[1] < lengths[0], "{lengths:?}");
    Ok(())
}

/// A snapshot says nothing about the backend: that of objects in memory restores what this one wrote, and the other way
/// round.
pub fn keyed_snapshot_is_restored_by_another_backend_and_back(backend: &StateBackend) -> Verdict {
    let mut here = store::<u32>(backend)?;
    let first = fill(&mut here, 0..40)?;
    let mut in_memory = restored::<u32>(&StateBackend::default(), &written(&mut here)?)?;
    assert_eq!(Content::of(&mut in_memory)?, first);
    let second = fill(&mut in_memory, 30..50)?;
    let mut back = restored::<u32>(backend, &written(&mut in_memory)?)?;
    assert_eq!(Content::of(&mut back)?, second);
    Ok(())
}
