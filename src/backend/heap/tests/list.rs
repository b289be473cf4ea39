use super::{COPIES, Counted, DROPS};
use crate::backend::heap::CopyOnWriteList;
use proptest::prelude::*;

const PER_CHUNK: usize = CopyOnWriteList::<Counted>::ELEMENTS_PER_CHUNK;

fn counted(elements: usize) -> CopyOnWriteList<Counted> {
    (0..elements as u64).map(Counted).collect()
}

/// T04 for lists: a clone copies the end, and nothing else is copied whatever is added.
#[test]
fn heap_list_copies_no_more_than_its_end() {
    let mut list = counted(10 * PER_CHUNK + 7);
    assert_eq!((COPIES.take(), list.len()), (0, 10 * PER_CHUNK + 7));
    let clone = list.clone();
    assert_eq!(COPIES.take(), 7);
    (0..3 * PER_CHUNK).for_each(|_| list.push(Counted(0)));
    assert_eq!((clone.len(), clone.iter().count()), (10 * PER_CHUNK + 7, 10 * PER_CHUNK + 7));
    drop(clone);
    assert_eq!((COPIES.take(), DROPS.take()), (0, 7), "all else is the list's, too");
    drop(list);
    assert_eq!((COPIES.take(), DROPS.take()), (0, 13 * PER_CHUNK + 7));
}

/// A clone keeps what the list gives up, and the list copies no more of it than it keeps of a chunk.
#[test]
fn heap_list_truncated_beside_a_clone_leaves_it_alone() {
    let mut list = counted(3 * PER_CHUNK);
    let clone = list.clone();
    COPIES.take();
    list.truncate(PER_CHUNK + 3);
    assert_eq!((COPIES.take(), list.len(), clone.len()), (3, PER_CHUNK + 3, 3 * PER_CHUNK));
    assert_eq!(list.iter().map(|element| element.0).max(), Some(PER_CHUNK as u64 + 2));
    list.truncate(usize::MAX);
    assert_eq!(list.len(), PER_CHUNK + 3);
    list.truncate(0);
    assert!(list.is_empty() && list.get(0).is_none());
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Truncate(usize),
    Clone,
    Drop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..200usize).prop_map(Step::Push),
        1 => (0..400usize).prop_map(Step::Truncate),
        2 => Just(Step::Clone),
        1 => Just(Step::Drop),
    ]
}

/// The elements of a chunk are so large that there are few of them.
type Large = [u64; 40];

proptest! {
    #[test]
    fn heap_list_agrees_with_a_vector_whatever_is_cloned(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let (mut list, mut model) = (CopyOnWriteList::<Large>::default(), Vec::new());
        let mut clones = Vec::new();
        for step in steps {
            match step {
                Step::Push(count) => for element in 0..count {
                    list.push([element as u64; 40]);
                    model.push([element as u64; 40]);
                },
                Step::Truncate(len) => {
                    list.truncate(len);
                    model.truncate(len);
                }
                Step::Clone => clones.push((list.clone(), model.clone())),
                Step::Drop => _ = clones.pop(),
            }
            prop_assert_eq!((list.len(), list.is_empty()), (model.len(), model.is_empty()));
            for at in [0, 15, 16, 31, 32, 200] {
                prop_assert_eq!(list.get(at), model.get(at));
            }
        }
        clones.push((list, model));
        for (list, model) in clones {
            prop_assert!(list.iter().eq(&model));
        }
    }
}
