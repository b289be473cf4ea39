use super::Verdict;
use super::harness::{AtKey, restored, store, written};
use crate::state::ReducingStateDescriptor;
use crate::state::backend::StateBackend;

fn sums() -> ReducingStateDescriptor<u64> {
    ReducingStateDescriptor::new("sums", |a, b| a + b)
}

/// Tells the order in which it was called.
fn texts() -> ReducingStateDescriptor<String> {
    ReducingStateDescriptor::new("texts", |a, b| format!("({a}{b})"))
}

/// Q20: what is added is reduced with what is there, in this order, for each key by itself.
pub fn keyed_reducing_states_reduce_what_is_added(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let text = store.open(&texts())?;
    text.add(store.at(1)?, "a".to_owned())?;
    assert_eq!(text.get(&store)?.as_deref(), Some(&"a".to_owned()), "the first one is taken as it is");
    text.add(store.at(2)?, "x".to_owned())?;
    text.add(store.at(1)?, "b".to_owned())?;
    text.add(&mut store, "c".to_owned())?;
    assert_eq!(text.get(&store)?.as_deref(), Some(&"((ab)c)".to_owned()));
    assert_eq!(text.get(store.at(2)?)?.as_deref(), Some(&"x".to_owned()));
    text.clear(&mut store)?;
    assert_eq!(text.get(&store)?, None);
    text.add(&mut store, "y".to_owned())?;
    assert_eq!(text.get(&store)?.as_deref(), Some(&"y".to_owned()), "it begins anew");
    Ok(())
}

/// Q19: the reduction is restored and goes on.
pub fn keyed_reducing_states_are_restored_and_go_on(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let sum = store.open(&sums())?;
    for key in 0..20 {
        sum.add(store.at(key)?, u64::from(key))?;
        sum.add(&mut store, 100)?;
    }
    let mut store = restored::<u32>(backend, &written(&mut store)?)?;
    let sum = store.open(&sums())?;
    for key in 0..20 {
        sum.add(store.at(key)?, 1000)?;
        assert_eq!(sum.get(&store)?.as_deref(), Some(&(u64::from(key) + 1100)));
    }
    Ok(())
}

/// Q22: without anything added there is nothing.
pub fn keyed_reducing_state_that_was_never_added_to_is_none(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let sum = store.open(&sums())?;
    assert_eq!(sum.get(store.at(1)?)?, None);
    sum.clear(&mut store)?;
    assert_eq!(store.count(&sum)?, 0);
    Ok(())
}

/// Q21: the values of other namespaces are reduced into that of the target, in their order, and are gone; namespaces
/// without a value, the target among the sources and a source named twice change nothing.
pub fn keyed_reducing_states_are_merged_between_namespaces(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let text = store.open_namespaced::<u8, _>(&texts())?;
    for (key, namespace, added) in [(1, 1u8, "a"), (1, 2, "b"), (1, 3, "c"), (2, 2, "z")] {
        text.of(namespace).add(store.at(key)?, added.to_owned())?;
    }
    text.of(1u8).merge_namespaces(store.at(1)?, [3, 9, 1, 2, 3])?;
    assert_eq!(text.of(1u8).get(&store)?.as_deref(), Some(&"((ac)b)".to_owned()));
    for gone in [2u8, 3, 9] {
        assert_eq!(text.of(gone).get(&store)?, None, "namespace {gone}");
    }
    assert_eq!(text.of(2u8).get(store.at(2)?)?.as_deref(), Some(&"z".to_owned()), "another key was merged");
    text.of(7u8).merge_namespaces(store.at(1)?, [1])?;
    assert_eq!(text.of(7u8).get(&store)?.as_deref(), Some(&"((ac)b)".to_owned()), "into an empty one");
    text.of(7u8).merge_namespaces(&mut store, [5, 6])?;
    text.of(8u8).merge_namespaces(&mut store, [5, 6])?;
    assert_eq!(text.of(7u8).get(&store)?.as_deref(), Some(&"((ac)b)".to_owned()));
    assert_eq!(store.count(&text.of(0u8))?, 2, "that of key 1 and that of key 2");
    Ok(())
}
