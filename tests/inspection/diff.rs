//! How two checkpoints differ.

use super::folder::Folder;
use super::operators::{Operator, operator, put};
use super::{CHECKPOINT_1, CHECKPOINT_2, SAVEPOINT};
use snapline::base::*;
use snapline::inspection::*;
use snapline::state::{ChannelSide, ValueStateDescriptor};
use snapline::store::*;
use snapline::ttl::StateTtlConfig;
use std::fs;
use std::path::Path;

fn compared(left: impl AsRef<Path>, right: impl AsRef<Path>) -> Difference {
    diff(&Location::of(left).expect("is one"), &Location::of(right).expect("is one")).expect("is whole")
}

/// The difference of two checkpoints with these operators.
fn of(left: Vec<Operator<'_>>, right: Vec<Operator<'_>>) -> Difference {
    let folder = Folder::new();
    put(&folder, 1, left);
    put(&folder, 2, right);
    compared(folder.place(CHECKPOINT_1), folder.place(CHECKPOINT_2))
}

fn sides<T>(left: T, right: T) -> Sides<T> {
    Sides { left: Some(left), right: Some(right) }
}

#[test]
fn diff_of_the_same_state_finds_nothing() {
    let same = || vec![operator("a", 8).with_values("v", [(1, 1_u64), (2, 2)]).with_list(&[1, 2])];
    let found = of(same(), same());
    assert!(found.is_same && found.operators.is_empty(), "{found:?}");
    assert_eq!((found.left.id, found.right.id, &*found.left.kind), (1, 2, "periodic"));
    assert!(found.left.private_bytes > 0 && found.left.private_bytes == found.right.private_bytes);
}

/// Also when neither the entries nor their bytes are more.
#[test]
fn diff_of_values_that_have_changed_finds_subtasks_with_other_bytes() {
    let with = |value: u64| vec![operator("a", 8).with_values("v", [(1, value)]), operator("b", 8)];
    let found = of(with(1), with(2));
    assert!(!found.is_same);
    let [operator] = &found.operators[..] else { panic!("{found:?}") };
    assert_eq!((&*operator.uid, operator.change), ("a", Change::Changed));
    assert_eq!((operator.subtasks_that_differ, &operator.states[..]), (1, &[][..]));
}

#[test]
fn diff_tells_operators_and_states_that_were_added_removed_and_changed() {
    let ttl =
        ValueStateDescriptor::<u64>::new("expires").with_ttl(StateTtlConfig::new(Millis(9)).expect("valid"));
    let mut expiring = operator("changed", 16).with_values("grows", [(1, 1_u64), (2, 300)]).with_list(&[1]);
    let state = expiring.store.open(&ttl).expect("opens");
    expiring.store.set_current_key(1).expect("owns");
    state.update(&mut expiring.store, 1).expect("fits");
    expiring.channels.append(ChannelSide::Input, Channel(0), &[1_u64, 2]).expect("serializes");
    let found = of(
        vec![
            operator("removed", 8),
            operator("changed", 8)
                .with_values("grows", [(1, 1_u64)])
                .with_values("goes", [(1, String::new())])
                .with_values("expires", [(1, 1_u64)])
                .with_list(&[1]),
            operator("same", 8),
        ],
        vec![operator("same", 8), expiring, operator("added", 8)],
    );
    let operators: Vec<_> =
        found.operators.iter().map(|operator| (&*operator.uid, operator.change)).collect();
    assert_eq!(
        operators,
        [("added", Change::Added), ("changed", Change::Changed), ("removed", Change::Removed)]
    );
    let changed = &found.operators[1];
    assert_eq!(changed.max_parallelism, sides(8, 16));
    assert_eq!(changed.parallelism, sides(1, 1));
    assert_eq!(changed.captured_records, sides(0, 2));
    assert_eq!(found.operators[0].parallelism, Sides { left: None, right: Some(1) });
    let states: Vec<_> = changed.states.iter().map(|state| (&*state.name, state.change)).collect();
    let expected = [("expires", Change::Changed), ("goes", Change::Removed), ("grows", Change::Changed)];
    assert_eq!(states, expected, "the list has not changed");
    let [expires, goes, grows] = &changed.states[..] else { panic!("{changed:?}") };
    let types =
        ["a value of u64", "a value of u64 with the time of its update"].map(|name| vec![name.to_owned()]);
    assert_eq!(expires.types, sides(types[0].clone(), types[1].clone()));
    assert_eq!(goes.types.left, Some(vec!["a value of alloc::string::String".to_owned()]));
    assert_eq!((&grows.entries, grows.is_keyed), (&sides(1, 2), true));
    let bytes = grows.entry_bytes.clone();
    assert!(bytes.right > bytes.left && bytes.left > Some(0), "{bytes:?}");
}

#[test]
fn diff_tells_shared_files_in_common_and_the_parallelism() {
    let folder = Folder::with_checkpoints();
    let found = compared(folder.place(CHECKPOINT_1), folder.place(CHECKPOINT_2));
    let shared = SharedFilesDifference {
        common_files: 1,
        common_bytes: 4,
        right_only_files: 1,
        right_only_bytes: 6,
        ..SharedFilesDifference::default()
    };
    assert_eq!(found.shared_files, shared);
    let [count] = &found.operators[..] else { panic!("{found:?}") };
    assert_eq!((&*count.uid, count.subtasks_that_differ), ("count-uid", 1));
    // A job is as its newest checkpoint, and a savepoint shares nothing.
    let job = compared(folder.storage.directory(), folder.place(CHECKPOINT_2));
    assert!(job.is_same && job.left.directory == job.right.directory, "{job:?}");
    let savepoint = compared(folder.path(), folder.place(SAVEPOINT));
    assert_eq!((savepoint.shared_files.common_files, &*savepoint.right.kind), (0, "savepoint"));
    assert_eq!(savepoint.operators[0].subtasks_that_differ, 1);
}

#[test]
fn diff_of_what_is_damaged_or_no_single_checkpoint_says_so() {
    let folder = Folder::with_checkpoints();
    let error = |left: &Path, right: &Path| {
        let [left, right] = [left, right].map(|path| Location::of(path).expect("holds checkpoints"));
        diff(&left, &right).expect_err("cannot be compared").to_string()
    };
    let [one, two] = [CHECKPOINT_1, CHECKPOINT_2].map(|place| folder.place(place));
    let state = two.join("1-1-1.state");
    let bytes = fs::read(&state).expect("reads");
    fs::write(&state, &bytes[1..]).expect("writes");
    assert!(error(&one, &two).starts_with(&state.display().to_string()));
    fs::remove_file(two.join("_metadata")).expect("deletes");
    let missing = format!("{}: the file is missing", two.join("_metadata").display());
    assert_eq!(error(&two, &one), missing);
    assert_eq!(error(folder.path(), &one), missing);
    fs::remove_dir_all(folder.storage.directory().join("pointers")).expect("deletes");
    assert!(error(folder.path(), &one).contains("has no newest checkpoint: name one"));
    FileSystemCheckpointStorage::open(folder.path(), JobId(5)).expect("opens");
    assert!(error(folder.path(), &one).contains("is no single checkpoint: name one"));
}
