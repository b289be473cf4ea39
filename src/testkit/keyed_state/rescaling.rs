use super::Verdict;
use super::everything::{Content, fill};
use super::harness::{
    AtKey, File, Operator, builder, counts, file_of, group_of, groups, images, keys_of_groups,
    max_parallelism, restored, store, written,
};
use crate::keygroup::{KeyGroup, KeyGroupRange, KeyHash, key_group_of};
use crate::state::backend::StateBackend;
use crate::state::{KeyedStateStore, KeyedStateStoreBuilder, StateError};

/// Restores an operator of one parallelism with another one, twice, so that parts of the first come from several files.
fn rescale(backend: &StateBackend, max: u16, from: u16, to: u16) -> Verdict {
    let max = groups(max);
    let mut operator = Operator::restored(backend, max, from, &[])?;
    for key in 0..60 {
        fill(operator.at(key)?, key..key + 1)?;
    }
    let expected = operator.content()?;
    for parallelism in [to, from] {
        let files: Vec<File> = operator.snapshot()?.into_iter().map(file_of).collect::<Result<_, _>>()?;
        operator = Operator::restored(backend, max, parallelism, &files)?;
        assert_eq!(operator.stores.len(), usize::from(parallelism));
        for store in &mut operator.stores {
            let range = store.range();
            for key in Content::of(store)?.keys() {
                let group = key_group_of(key.key_hash(), max);
                assert!(range.contains(group), "key {key} of group {group} is in {range}");
            }
        }
        assert_eq!(operator.content()?, expected, "{from} to {parallelism} of {max} groups");
    }
    Ok(())
}

/// Q49: the state of four subtasks is restored by two.
pub fn keyed_state_of_four_subtasks_is_restored_by_two(backend: &StateBackend) -> Verdict {
    rescale(backend, 16, 4, 2)
}

/// Q50: the state of two subtasks is restored by four.
pub fn keyed_state_of_two_subtasks_is_restored_by_four(backend: &StateBackend) -> Verdict {
    rescale(backend, 16, 2, 4)
}

/// Q51: as many subtasks as before have the key groups they had.
pub fn keyed_state_of_as_many_subtasks_as_before_stays_where_it_was(backend: &StateBackend) -> Verdict {
    rescale(backend, 16, 4, 4)
}

/// Q52: key groups are shared out unevenly among more subtasks.
pub fn keyed_state_is_shared_out_unevenly_among_more_subtasks(backend: &StateBackend) -> Verdict {
    rescale(backend, 10, 3, 7)
}

/// Q53: key groups are shared out unevenly among fewer subtasks.
pub fn keyed_state_is_shared_out_unevenly_among_fewer_subtasks(backend: &StateBackend) -> Verdict {
    rescale(backend, 10, 7, 3)
}

fn narrow(
    backend: &StateBackend,
    range: KeyGroupRange,
    file: &File,
) -> Result<KeyedStateStore<u32>, StateError> {
    let builder = KeyedStateStoreBuilder::new(max_parallelism(), range).with_backend(backend);
    // All that the file holds is offered.
    builder.restore(images(file, None)?)
}

/// T17, T18: of a snapshot, exactly the key groups of the store are restored, which may be none, opened or not.
pub fn keyed_restore_keeps_exactly_its_own_key_groups(backend: &StateBackend) -> Verdict {
    let mut whole = store::<u32>(backend)?;
    let count = whole.open(&counts())?;
    let group_3 = KeyGroup(3);
    let (inside, outside): (Vec<u32>, Vec<u32>) = (0..60).partition(|key| group_of(*key) == group_3);
    for key in inside.iter().chain(&outside) {
        count.update(whole.at(*key)?, 1)?;
    }
    let file = written(&mut whole)?;
    let range = |group| KeyGroupRange::new(group, group).expect("one group");
    let mut part = narrow(backend, range(group_3), &file)?;
    let count = part.open(&counts())?;
    let mut keys: Vec<u32> = part.keys(&count)?.map(|key| *key).collect();
    keys.sort_unstable();
    assert_eq!(keys, inside);
    // Without being opened, what one group has goes on, and nothing of the others.
    let mut untouched = narrow(backend, range(group_3), &file)?;
    let file = written(&mut untouched)?;
    assert!(narrow(backend, range(KeyGroup(4)), &file)?.snapshot().is_ok());
    let mut all = restored::<u32>(backend, &file)?;
    let count = all.open(&counts())?;
    assert_eq!(all.count(&count)?, inside.len());
    let mut none = narrow(backend, range(KeyGroup(4)), &file)?;
    let count = none.open(&counts())?;
    assert_eq!(none.count(&count)?, 0);
    Ok(())
}

/// T19: in a snapshot the entries stand by key group, each in its own, and none is missing.
pub fn keyed_snapshot_stands_by_key_group(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open(&counts())?;
    for key in 0..100 {
        count.update(store.at(key)?, 1)?;
    }
    let file = written(&mut store)?;
    let image = images(&file, None)?.pop().expect("keyed state");
    assert_eq!(keys_of_groups(&image.states["counts"]), (0..100).collect::<Vec<_>>());
    Ok(())
}

/// A restore that would have to guess is refused: key groups that are in two parts, or another number of them.
pub fn keyed_restore_that_does_not_fit_the_job_is_refused(backend: &StateBackend) -> Verdict {
    let mut whole = store::<u32>(backend)?;
    fill(&mut whole, 0..20)?;
    let file = written(&mut whole)?;
    let twice = [images(&file, None)?, images(&file, None)?].concat();
    let message = builder::<u32>(backend).restore(twice).expect_err("every group twice").to_string();
    assert!(message.contains("in two parts"), "{message}");
    let wider = KeyedStateStoreBuilder::<u32>::new(groups(32), max_parallelism().all_groups());
    let refused = wider.with_backend(backend).restore(images(&file, None)?);
    let message = refused.expect_err("other key groups").to_string();
    assert!(message.contains("its maximum parallelism is 16, the job's is 32"), "{message}");
    Ok(())
}

/// A key that stands in a wrong key group, as its hash has changed, is refused when the state is opened: nobody
/// would find it.
pub fn keyed_restored_key_in_a_wrong_group_is_refused(backend: &StateBackend) -> Verdict {
    let mut whole = store::<u32>(backend)?;
    let count = whole.open(&counts())?;
    count.update(whole.at(1)?, 1)?;
    let mut image = images(&written(&mut whole)?, None)?;
    let state = image[0].states.get_mut("counts").expect("written");
    let (group, entries) = state.groups.pop_first().expect("the group of key 1");
    let wrong = KeyGroup((group.0 + 1) % 16);
    state.groups.insert(wrong, entries);
    let mut restored = builder::<u32>(backend).restore(image)?;
    let message = restored.open(&counts()).expect_err("a wrong group").to_string();
    assert!(
        message.contains(&format!("key group {wrong}: a key of group {group} stands there")),
        "{message}"
    );
    Ok(())
}
