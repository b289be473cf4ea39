use super::super::{
    Distribution, NewNeighbours, OperatorAssignment, StateAssignment, StateMisfit, adopt_max_parallelism,
    check_all_took_in_the_same,
};
use crate::base::{
    Attempt, CheckpointId, CheckpointKind, CompletedCheckpoint, ContentId, JobId, SharedFile, SharedObject,
    StateFile, StateHandle, SubtaskId,
};
use crate::codec::{CheckpointMetadata, OperatorMetadata};
use crate::keygroup::{KeyGroupRange, KeyGroupRangeAssignment, MaxParallelism};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const MAX: u16 = 16;

fn operator(uid: &str, parallelism: u16) -> OperatorMetadata {
    OperatorMetadata { uid: uid.to_owned(), name: String::new(), parallelism, max_parallelism: MAX }
}

fn handle(operator: u16, index: u16) -> StateHandle {
    let file = StateFile {
        checkpoint: CheckpointId(7),
        subtask: SubtaskId::new(operator, index),
        attempt: Attempt(2),
        savepoint: false,
    };
    StateHandle { file, bytes: 1, checksum: 0, inline: None }
}

fn shared(operator: u16, index: u16) -> SharedObject {
    let (subtask, content) = (SubtaskId::new(operator, index), ContentId { digest: 1, bytes: 1 });
    let file = SharedFile { job: JobId(1), subtask, attempt: Attempt(2), content };
    SharedObject { file, upload: 0, savepoint: None }
}

/// Every subtask that is not in `finished` has a state file and a shared one.
fn metadata(operators: Vec<OperatorMetadata>, finished: &[(u16, u16)]) -> CheckpointMetadata {
    let (mut states, mut all_shared) = (BTreeMap::new(), BTreeMap::new());
    for (number, operator) in (0..).zip(&operators) {
        for index in (0..operator.parallelism).filter(|index| !finished.contains(&(number, *index))) {
            let subtask = SubtaskId::new(number, index);
            states.insert(subtask, Some(handle(number, index)));
            all_shared.insert(subtask, BTreeSet::from([shared(number, index)]));
        }
    }
    let checkpoint = CompletedCheckpoint {
        id: CheckpointId(7),
        attempt: Attempt(2),
        kind: CheckpointKind::Periodic,
        states,
        shared: all_shared,
    };
    CheckpointMetadata { job: JobId(1), operators, checkpoint }
}

fn range(parallelism: u16, index: u16) -> KeyGroupRange {
    let max = MaxParallelism::new(MAX).unwrap();
    KeyGroupRangeAssignment::new(max, parallelism).unwrap().range_of(index).unwrap()
}

#[test]
fn rescale_with_the_operators_that_there_were_changes_nothing() {
    let metadata = metadata(vec![operator("a", 2), operator("b", 3)], &[(0, 1)]);
    let assignment = StateAssignment::new(&metadata, &metadata.operators);
    assert_eq!(assignment.for_job(), metadata.checkpoint);
    assert_eq!(assignment.check(|_| true, &[], false), Ok(()));
    assert!(!assignment.operators.iter().any(OperatorAssignment::is_rescaled));
    assert!(assignment.operators[0].had_finished(1) && !assignment.operators[0].had_finished(0));
}

#[test]
fn rescale_finds_operators_by_their_uids_wherever_they_are() {
    let metadata = metadata(vec![operator("a", 1), operator("b", 2)], &[]);
    let assignment =
        StateAssignment::new(&metadata, &[operator("b", 2), operator("new", 1), operator("a", 1)]);
    let states = assignment.for_job().states;
    let expected = [
        (SubtaskId::new(0, 0), Some(handle(1, 0))),
        (SubtaskId::new(0, 1), Some(handle(1, 1))),
        (SubtaskId::new(1, 0), None),
        (SubtaskId::new(2, 0), Some(handle(0, 0))),
    ];
    assert_eq!(states, BTreeMap::from(expected));
    assert_eq!(
        assignment.to_string(),
        "periodic 7\n  `b` goes on with 2 subtasks\n  `new` is new and starts without state\n  `a` goes on with 1 \
         subtasks"
    );
}

/// I05, I06: another order, new neighbours and another parallelism, all at once.
#[test]
fn rescale_finds_operators_by_their_uids_at_another_parallelism() {
    let metadata = metadata(vec![operator("a", 2), operator("b", 3)], &[]);
    for (b, a) in [(5, 4), (1, 1), (16, 1)] {
        let job = [operator("b", b), operator("new", 2), operator("a", a)];
        let assignment = StateAssignment::new(&metadata, &job);
        assert_eq!((assignment.unclaimed.len(), assignment.check(|_| true, &[], false)), (0, Ok(())));
        for (number, old, before, now) in [(0, 1, 3, b), (2, 0, 2, a)] {
            let operator = &assignment.operators[number];
            let restored = operator.restored.as_ref().expect("it is known by its uid");
            assert!(restored.states.iter().flatten().all(|handle| handle.file.subtask.operator == old));
            let of_groups = |index| {
                let has_common = |old: &u16| {
                    let (old, new) = (range(before, *old), range(now, index));
                    old.start() <= new.end() && new.start() <= old.end()
                };
                (0..before).filter(has_common).collect::<Vec<_>>()
            };
            assert!((0..now).all(|index| operator.keyed_sources(index) == of_groups(index)));
        }
        assert!(assignment.operators[1].restored.is_none());
    }
}

//= spec/rescale.md#rescale-7-unclaimed-state-is-an-error
//= type=test
//# State of an operator that the job does not have MUST be refused, unless the job allows it to be left out.
#[test]
fn rescale_refuses_unclaimed_state_unless_it_may_be_left_out() {
    let mut metadata = metadata(vec![operator("a", 1), operator("b", 2), operator("c", 1)], &[(2, 0)]);
    let job = [operator("a", 1)];
    let assignment = StateAssignment::new(&metadata, &job);
    // What had finished has no state.
    assert_eq!(assignment.unclaimed, ["b"]);
    let misfit = assignment.check(|_| true, &[], false).unwrap_err().to_string();
    assert!(misfit.contains("it has state of operator `b`, which the job does not have"), "{misfit}");
    assert_eq!(assignment.check(|_| true, &[], true), Ok(()));
    metadata.checkpoint.states.values_mut().for_each(|state| *state = None);
    assert_eq!(StateAssignment::new(&metadata, &job).check(|_| true, &[], false), Ok(()));
}

//= spec/rescale.md#rescale-10-the-maximum-parallelism-stays
//= type=test
//# An operator with keyed state whose maximum parallelism is not what it was MUST be refused.
#[test]
fn rescale_refuses_another_max_parallelism_of_keyed_state() {
    let metadata = metadata(vec![operator("a", 1)], &[]);
    let job = [OperatorMetadata { max_parallelism: 32, ..operator("a", 1) }];
    let assignment = StateAssignment::new(&metadata, &job);
    let misfit = assignment.check(|_| true, &[], true).unwrap_err().to_string();
    assert_eq!(misfit, "operator `a` had max parallelism 16 and now has 32, which can never change");
    assert_eq!(assignment.check(|uid| uid != "a", &[], true), Ok(()));
}

//= spec/rescale.md#rescale-18-a-maximum-parallelism-that-nobody-has-set-is-that-of-the-checkpoint
//= type=test
//# An operator whose maximum parallelism the job does not set MUST take that of its state, if it is not below its parallelism.
#[test]
fn rescale_takes_a_max_parallelism_that_nobody_has_set_from_the_checkpoint() {
    let adopted = |uid, parallelism| {
        let now = OperatorMetadata { max_parallelism: 64, ..operator(uid, parallelism) };
        adopt_max_parallelism(&now, &[operator("a", 2), operator("b", 1)])
    };
    assert_eq!(adopted("a", 16), operator("a", 16));
    assert_eq!(adopted("a", 17).max_parallelism, 64, "it had fewer key groups than there are subtasks");
    assert_eq!(adopted("new", 1).max_parallelism, 64);
}

//= spec/rescale.md#rescale-8-an-operator-that-had-finished-stays-finished
//= type=test
//# With another parallelism, the subtasks of an operator MUST count as finished exactly if all of them had finished.
#[test]
fn rescale_leaves_finished_what_had_finished_as_a_whole() {
    let metadata = metadata(vec![operator("a", 2), operator("b", 2)], &[(0, 0), (0, 1), (1, 0)]);
    let assignment = StateAssignment::new(&metadata, &[operator("a", 3), operator("b", 3)]);
    assert!((0..3).all(|index| assignment.operators[0].had_finished(index)));
    assert!((0..3).all(|index| !assignment.operators[1].had_finished(index)));
    let starting: Vec<SubtaskId> = assignment.for_job().states.into_keys().collect();
    assert_eq!(starting, [0, 1, 2].map(|index| SubtaskId::new(1, index)));
}

//= spec/rescale.md#rescale-17-what-had-finished-reads-from-nobody
//= type=test
//# An operator that had finished MUST be refused behind one that had not.
#[test]
fn rescale_refuses_what_had_finished_behind_what_had_not() {
    let metadata = metadata(vec![operator("a", 2), operator("b", 2)], &[(0, 0), (1, 0)]);
    let check = |job: &[OperatorMetadata], is_one_to_one| {
        StateAssignment::new(&metadata, job).check(|_| false, &[(0, 1, is_one_to_one)], true)
    };
    let same = &metadata.operators;
    assert_eq!(check(same, true), Ok(()));
    let misfit = check(same, false).unwrap_err().to_string();
    assert_eq!(misfit, "operator `b` had finished, and now operator `a` before it has not");
    let misfit = check(&[operator("new", 2), operator("b", 2)], true).unwrap_err().to_string();
    assert!(misfit.contains("operator `new` before it has not"), "{misfit}");
    assert_eq!(check(&[operator("new", 2), operator("c", 2)], false), Ok(()));
}

//= spec/rescale.md#rescale-17-what-had-finished-reads-from-nobody
//= type=test
//# An operator that had finished MUST be refused behind one that had not.
#[test]
fn rescale_refuses_what_had_finished_in_whole_or_in_part_behind_what_runs() {
    let refused = |finished: &[(u16, u16)], is_one_to_one| {
        let metadata = metadata(vec![operator("a", 2), operator("b", 2)], finished);
        let assignment = StateAssignment::new(&metadata, &metadata.operators);
        assignment.check(|_| false, &[(0, 1, is_one_to_one)], true).is_err()
    };
    let (whole, half) = ([(1, 0), (1, 1)], [(1, 0)]);
    for is_one_to_one in [false, true] {
        assert!(refused(&[&[(0, 0)][..], &whole].concat(), is_one_to_one), "I35: half before whole");
        assert!(refused(&half, is_one_to_one), "I36, I38: running before half");
        assert!(refused(&whole, is_one_to_one), "I34: running before whole");
        let all = [(0, 0), (0, 1), (1, 0), (1, 1)];
        assert!(!refused(&all, is_one_to_one), "whole before whole");
    }
    assert!(refused(&[(0, 0), (1, 0)], false), "I37: half before half");
    assert!(!refused(&[(0, 0), (1, 0)], true), "the same pair");
}

//= spec/rescale.md#rescale-15-all-had-taken-in-the-same
//= type=test
//# Old subtasks whose key groups go to one new subtask, and of which one had more records of a stream that goes to everyone
//# ahead of it than another, MUST be refused.
#[test]
fn rescale_refuses_those_who_had_taken_in_unequally_much() {
    let check = |ahead: &[&[u64]]| {
        check_all_took_in_the_same(&ahead.iter().map(|it| it.to_vec()).collect::<Vec<_>>())
    };
    assert_eq!(check(&[]), Ok(()));
    assert_eq!(check(&[&[3, 0], &[3, 0], &[3, 0]]), Ok(()));
    for unequal in [&[&[3, 0][..], &[3, 0], &[2, 0]][..], &[&[3, 0], &[0, 3]], &[&[0], &[1]]] {
        assert_eq!(check(unequal), Err(StateMisfit::TookInUnequally));
    }
    let metadata = metadata(vec![operator("a", 4)], &[(0, 3)]);
    let agree = |parallelism, distribution, sender_is_rescaled| {
        let assignment = StateAssignment::new(&metadata, &[operator("a", parallelism)]);
        assignment.operators[0].must_agree(0, distribution, sender_is_rescaled)
    };
    assert_eq!(agree(2, Distribution::ToAll, false), [0, 1]);
    assert_eq!(agree(4, Distribution::ToAll, false), [0]);
    assert_eq!(agree(4, Distribution::ToAll, true), [0, 1, 2]);
    assert_eq!(agree(2, Distribution::ByKey, true), [0_u16; 0]);
    assert_eq!(agree(2, Distribution::OneToOne, true), [0_u16; 0]);
}

//= spec/rescale.md#rescale-16-records-between-operators-that-are-no-neighbours-any-more-are-refused
//= type=test
//# Records that were on their way from or to an operator MUST be refused if those that it is connected with now are new.
#[test]
fn rescale_refuses_records_between_operators_of_which_one_is_new() {
    let metadata = metadata(vec![operator("a", 1), operator("b", 1)], &[]);
    let job = [operator("a", 1), operator("new", 1), operator("b", 1), operator("end", 1)];
    let assignment = StateAssignment::new(&metadata, &job);
    let neighbours = |operator, edges: &[(u16, u16)]| assignment.new_neighbours(operator, edges);
    let between = [(0, 1), (1, 2), (2, 3)];
    let (senders, receivers) = (true, true);
    assert_eq!(neighbours(0, &between), NewNeighbours { senders: false, receivers });
    assert_eq!(neighbours(2, &between), NewNeighbours { senders, receivers });
    assert_eq!(neighbours(1, &between), NewNeighbours::default(), "it is new itself");
    assert_eq!(neighbours(2, &[(0, 2), (1, 3)]), NewNeighbours::default());
    assert!(neighbours(0, &between).are_any() && !NewNeighbours::default().are_any());
    let refused = Err(StateMisfit::RecordsBetweenOthers);
    assert_eq!(NewNeighbours { senders, receivers: false }.check(1, 0), refused);
    assert_eq!(NewNeighbours { senders, receivers: false }.check(0, 1), Ok(()));
    assert_eq!(NewNeighbours { senders: false, receivers }.check(0, 1), refused);
    assert_eq!(NewNeighbours { senders: false, receivers }.check(1, 0), Ok(()));
    assert_eq!(NewNeighbours { senders, receivers }.check(0, 0), Ok(()));
}

#[test]
fn rescale_refuses_what_no_checkpoint_says() {
    for (parallelism, max_parallelism) in [(0, 16), (17, 16), (1, 0)] {
        let strange = OperatorMetadata { max_parallelism, ..operator("a", parallelism) };
        let assignment = StateAssignment::new(&metadata(vec![strange], &[]), &[operator("a", 2)]);
        let misfit = assignment.check(|_| true, &[], true).unwrap_err().to_string();
        assert!(misfit.contains("operator `a` is said to have had parallelism"), "{misfit}");
    }
    let mut with_stranger = metadata(vec![operator("a", 2)], &[]);
    with_stranger.checkpoint.states.insert(SubtaskId::new(0, 2), Some(handle(0, 2)));
    let misfit = StateAssignment::new(&with_stranger, &[operator("a", 2)]).check(|_| true, &[], true);
    assert!(misfit.unwrap_err().to_string().contains("which there was not"));
    let many = CheckpointMetadata { operators: vec![operator("a", 1); 65_537], ..metadata(Vec::new(), &[]) };
    let _ = StateAssignment::new(&many, &[operator("a", 0)]).for_job();
}

proptest! {
    //= spec/rescale.md#rescale-13-records-on-their-way-are-handed-out
    //= type=test
    //# With another parallelism, each record that was on its way to an old subtask MUST be given to the owner of its key
    //# group, or to old subtask i's successor: i modulo the parallelism where records went from one to one, and those who
    //# have the old subtask's broadcast state where they went to everyone.
    #[test]
    fn rescale_hands_out_what_was_on_its_way(before in 1..=MAX, now in 1..=MAX) {
        let metadata = metadata(vec![operator("a", before)], &[]);
        let assignment = StateAssignment::new(&metadata, &[operator("a", now)]);
        let assigned = &assignment.operators[0];
        let all = |distribution| {
            let of = move |index| assigned.receivers_before(index, distribution);
            (0..now).flat_map(of).collect::<Vec<_>>()
        };
        let mut one_to_one = all(Distribution::OneToOne);
        one_to_one.sort_unstable();
        prop_assert!(one_to_one.into_iter().eq(0..before), "each old one has one successor");
        for index in 0..now {
            let by_key = assigned.receivers_before(index, Distribution::ByKey);
            prop_assert_eq!(by_key, assigned.keyed_sources(index));
            prop_assert_eq!(assigned.receivers_before(index, Distribution::ToAll), [if before == now { index } else { index % before }]);
        }
    }

    //= spec/rescale.md#rescale-9-key-groups-go-to-their-new-owners
    //= type=test
    //# A subtask MUST get the keyed state of exactly those old subtasks that had one of its key groups.
    #[test]
    fn rescale_hands_out_every_key_group_once(before in 1..=MAX, now in 1..=MAX) {
        let metadata = metadata(vec![operator("a", before)], &[]);
        let assignment = StateAssignment::new(&metadata, &[operator("a", now)]);
        let assigned = &assignment.operators[0];
        let mut groups = Vec::new();
        for index in 0..now {
            let sources = assigned.keyed_sources(index);
            for old in 0..before {
                let common: Vec<_> =
                    range(before, old).groups().filter(|group| range(now, index).contains(*group)).collect();
                prop_assert_eq!(sources.contains(&old), !common.is_empty());
                groups.extend(common);
            }
            let objects = assigned.shared_objects(index);
            prop_assert_eq!(objects, sources.iter().map(|old| shared(0, *old)).collect::<BTreeSet<_>>());
        }
        groups.sort();
        prop_assert!(groups.into_iter().eq(MaxParallelism::new(MAX).unwrap().all_groups().groups()));
    }
}
