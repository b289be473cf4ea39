use super::OperatorStateMode::{Broadcast, Split, Union};
use super::*;
use quickcheck::{Arbitrary, Gen, QuickCheck};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

#[cfg(feature = "runtime")]
mod assignment;

type Old = Vec<BTreeMap<String, OperatorStateInfo>>;

/// What old subtasks reported of the states `a` (split), `b` (union), `c` (broadcast) and `d` (split), and a new
/// parallelism.
#[derive(Clone, Debug)]
struct Situation {
    old: Old,
    parallelism: u16,
}

impl Arbitrary for Situation {
    fn arbitrary(g: &mut Gen) -> Self {
        let subtasks = u16::arbitrary(g) % 9;
        let broadcast = u64::arbitrary(g) % 4;
        let old = (0..subtasks).map(|_| {
            let states = [("a", Split), ("b", Union), ("c", Broadcast), ("d", Split)];
            let reported = states.into_iter().filter(|_| u8::arbitrary(g) % 8 > 0).collect::<Vec<_>>();
            let info = |(name, mode): (&str, OperatorStateMode)| {
                let items = if mode == Broadcast { broadcast } else { u64::arbitrary(g) % 12 };
                (name.to_owned(), OperatorStateInfo { mode, items })
            };
            reported.into_iter().map(info).collect()
        });
        Situation { old: old.collect(), parallelism: 1 + u16::arbitrary(g) % 9 }
    }
}

impl Situation {
    fn redistributed(&self) -> Vec<BTreeMap<String, Vec<ItemRange>>> {
        redistribute_operator_state(&self.old, nonzero(self.parallelism)).expect("the modes agree")
    }

    /// The items of a state, each as the old subtask and its number there.
    fn old_items(&self, name: &str) -> Vec<(u16, u64)> {
        let reported =
            (0..).zip(&self.old).filter_map(|(subtask, states)| Some((subtask, states.get(name)?)));
        reported.flat_map(|(subtask, info)| (0..info.items).map(move |item| (subtask, item))).collect()
    }

    fn new_items(&self, name: &str) -> Vec<Vec<(u16, u64)>> {
        let items = |range: &ItemRange| range.items.clone().map(move |item| (range.subtask, item)).collect();
        let of = |ranges: &Vec<ItemRange>| ranges.iter().flat_map(items as fn(_) -> Vec<_>).collect();
        self.redistributed().iter().map(|states| states.get(name).map_or_else(Vec::new, of)).collect()
    }
}

fn nonzero(parallelism: u16) -> NonZeroU16 {
    NonZeroU16::new(parallelism).expect("at least one subtask")
}

fn check(law: fn(Situation) -> bool) {
    QuickCheck::new().tests(2_000).quickcheck(law);
}

fn list(counts: &[u64]) -> Old {
    let state =
        |items: &u64| BTreeMap::from([("a".to_owned(), OperatorStateInfo { mode: Split, items: *items })]);
    counts.iter().map(state).collect()
}

/// The numbers of items that `parallelism` subtasks get of a split list.
fn lengths(counts: &[u64], parallelism: u16) -> Vec<usize> {
    let new = Situation { old: list(counts), parallelism };
    new.new_items("a").iter().map(Vec::len).collect()
}

#[test]
fn rescale_split_items_go_to_exactly_one_subtask_in_even_runs() {
    //= spec/rescale.md#rescale-2-split-state-is-cut-into-even-runs
    //= type=test
    //# With another parallelism, the items of split state MUST be cut, in the order of the old subtasks, into as many
    //# runs as there are new subtasks, the first of which are longer by one if the number of items does not divide.
    check(|situation| {
        if situation.old.len() == usize::from(situation.parallelism) {
            return true;
        }
        ["a", "d"].into_iter().all(|name| {
            let (old, mut new) = (situation.old_items(name), situation.new_items(name));
            let shortest = old.len() / usize::from(situation.parallelism);
            let even = new.iter().all(|items| items.len() == shortest || items.len() == shortest + 1);
            // Each is a run of the old items, and together they are all of them.
            let runs =
                new.iter().all(|items| items.is_empty() || old.windows(items.len()).any(|run| run == items));
            new.sort();
            even && runs && new.concat() == old
        })
    });
    assert_eq!(lengths(&[4, 0, 3], 2), [4, 3]);
    assert_eq!(lengths(&[4, 0, 3], 5), [2, 2, 1, 1, 1]);
    assert_eq!(lengths(&[1], 3), [1, 0, 0]);
}

#[test]
fn rescale_split_items_stay_with_the_same_parallelism() {
    //= spec/rescale.md#rescale-1-split-state-stays-where-it-was
    //= type=test
    //# With the same parallelism as before, a subtask MUST get exactly its own items of split state.
    check(|mut situation| {
        situation.old.push(BTreeMap::new());
        situation.parallelism = situation.old.len() as u16;
        ["a", "d"].into_iter().all(|name| {
            let new = situation.new_items(name);
            (0..).zip(&new).all(|(subtask, items)| items.iter().all(|(from, _)| *from == subtask))
                && new.concat() == situation.old_items(name)
        })
    });
    assert_eq!(lengths(&[7, 0, 1], 3), [7, 0, 1]);
}

#[test]
fn rescale_split_states_take_turns_by_name() {
    //= spec/rescale.md#rescale-3-the-runs-of-the-next-state-begin-behind-the-last-longer-one
    //= type=test
    //# The runs of each state, in the order of the states' names, MUST be handed out in a circle that begins with the
    //# subtask behind the last longer run of the state before.
    let states = [("a", Split, 1), ("b", Union, 5), ("c", Split, 4), ("d", Split, 3), ("e", Split, 2)];
    let old = states.map(|(name, mode, items)| (name.to_owned(), OperatorStateInfo { mode, items }));
    let situation = Situation { old: vec![old.into()], parallelism: 3 };
    let lengths = |name: &str| situation.new_items(name).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths("a"), [1, 0, 0]);
    // The longer run is the first, and stands with subtask 1.
    assert_eq!(lengths("c"), [1, 2, 1]);
    assert_eq!(situation.new_items("c")[1], [(0, 0), (0, 1)]);
    assert_eq!(lengths("d"), [1, 1, 1]);
    assert_eq!(situation.new_items("d")[2], [(0, 0)]);
    assert_eq!(lengths("e"), [1, 0, 1]);
    // However many lists there are, no subtask gets two more items of them than another.
    check(|situation| {
        if situation.old.len() == usize::from(situation.parallelism) {
            return true;
        }
        let both = situation.new_items("a").into_iter().zip(situation.new_items("d"));
        let lengths: BTreeSet<usize> = both.map(|(a, d)| a.len() + d.len()).collect();
        lengths.last().zip(lengths.first()).is_none_or(|(most, fewest)| most - fewest <= 1)
    });
}

#[test]
fn rescale_union_items_all_go_to_every_subtask() {
    //= spec/rescale.md#rescale-4-union-state-goes-to-everyone
    //= type=test
    //# Every new subtask MUST get all items of union state, in the order of the old subtasks.
    check(|situation| {
        let old = situation.old_items("b");
        let new = situation.new_items("b");
        new.len() == usize::from(situation.parallelism) && new.iter().all(|items| *items == old)
    });
}

#[test]
fn rescale_broadcast_entries_come_from_one_subtask_in_turns() {
    //= spec/rescale.md#rescale-5-broadcast-state-is-copied-from-one-subtask
    //= type=test
    //# New subtask i MUST get all entries of broadcast state from old subtask i if the parallelism is as before and it
    //# reported them, and else from number i modulo n of the n old subtasks that reported them.
    check(|situation| {
        let reported =
            (0..).zip(&situation.old).filter_map(|(subtask, states)| Some((subtask, states.get("c")?)));
        let copies: Vec<(u16, u64)> = reported.map(|(subtask, info)| (subtask, info.items)).collect();
        situation.new_items("c").into_iter().enumerate().all(|(new, entries)| match copies.len() {
            0 => entries.is_empty(),
            n => {
                let is_as_before = situation.old.len() == usize::from(situation.parallelism);
                let own = copies.iter().find(|(old, _)| is_as_before && usize::from(*old) == new);
                let (subtask, count) = *own.unwrap_or(&copies[new % n]);
                entries == (0..count).map(|entry| (subtask, entry)).collect::<Vec<_>>()
            }
        })
    });
}

#[test]
fn rescale_every_new_subtask_knows_every_state() {
    check(|situation| {
        let names: BTreeSet<&String> = situation.old.iter().flat_map(BTreeMap::keys).collect();
        let new = situation.redistributed();
        new.len() == usize::from(situation.parallelism)
            && new.iter().all(|states| states.keys().collect::<BTreeSet<_>>() == names)
    });
}

#[test]
fn rescale_state_in_two_modes_is_refused() {
    //= spec/rescale.md#rescale-6-a-state-has-one-mode
    //= type=test
    //# A state that old subtasks report in different modes MUST be refused.
    let mut old = list(&[1, 2]);
    old[1].insert("a".to_owned(), OperatorStateInfo { mode: Union, items: 2 });
    let refused = redistribute_operator_state(&old, nonzero(2)).expect_err("two modes");
    assert_eq!(refused.to_string(), "state `a` is Split in one part and Union in another");
}
