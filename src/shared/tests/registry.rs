use super::*;
use crate::shared::registry::{Config, Input, Output};

const PAUSE: Millis = Millis(100);

fn on_at(registry: &mut SharedStateRegistry, now: u64, input: Input) -> Vec<Output> {
    let mut out = Vec::new();
    registry.on(Millis(now), input, &mut out).unwrap();
    registry.check().unwrap();
    out
}

fn on(registry: &mut SharedStateRegistry, input: Input) -> Vec<Output> {
    on_at(registry, 0, input)
}

fn restored(attempt: u32, checkpoints: Vec<RestoredFiles>) -> Input {
    Input::Restored { attempt: Attempt(attempt), checkpoints }
}

fn found(checkpoint: u64, ownership: Ownership, objects: &[SharedObject]) -> RestoredFiles {
    let objects = objects.iter().copied().collect();
    RestoredFiles { checkpoint: id(checkpoint), ownership, objects }
}

/// A registry that has started with nothing.
fn fresh() -> SharedStateRegistry {
    let mut fresh = SharedStateRegistry::new(Config { job: JOB, retry_pause: PAUSE });
    assert_eq!(on(&mut fresh, restored(1, vec![])), []);
    fresh
}

fn acknowledged(checkpoint: u64, state: SharedState) -> Input {
    Input::Acknowledged { checkpoint: id(checkpoint), subtask: SUBTASK, state }
}

/// Registers a state of which nothing is missing.
fn register(registry: &mut SharedStateRegistry, checkpoint: u64, state: SharedState) -> Vec<SharedObject> {
    match on(registry, acknowledged(checkpoint, state)).as_slice() {
        [Output::Registered { objects, .. }] => objects.iter().copied().collect(),
        other => panic!("{other:?}"),
    }
}

fn dropped(checkpoint: u64) -> Input {
    Input::Dropped { checkpoint: id(checkpoint) }
}

fn subsumed(lowest_retained: u64) -> Input {
    Input::Subsumed { lowest_retained: id(lowest_retained) }
}

fn deleted(objects: &[SharedObject]) -> Vec<Output> {
    objects.iter().copied().map(Output::Delete).collect()
}

//= spec/shared.md#shared-12-nothing-else-is-kept
//= type=test
//# An object MUST be deleted once no registered checkpoint refers to it any more.
//= spec/shared.md#shared-11-nothing-that-is-referred-to-is-deleted
//= type=test
//# An object that a registered checkpoint refers to MUST NOT be deleted.
//= spec/shared.md#shared-14-subsumption-goes-by-id
//= type=test
//# Subsumption MUST drop exactly the checkpoints below the lowest retained one that are no savepoints.
#[test]
fn shared_subsumption_deletes_exactly_what_is_older_and_unused() {
    let mut registry = fresh();
    register(&mut registry, 1, increment([object(1, 0), object(2, 1)], []));
    register(&mut registry, 2, increment([object(3, 2)], [file(2)]));
    register(&mut registry, 3, increment([object(4, 3)], [file(3)]));
    assert_eq!(on(&mut registry, subsumed(1)), []);
    assert_eq!(on(&mut registry, subsumed(2)), deleted(&[object(1, 0)]));
    assert_eq!(on(&mut registry, subsumed(3)), deleted(&[object(2, 1)]));
    assert_eq!(on(&mut registry, subsumed(3)), [], "nothing is ordered twice");
    assert_eq!(registry.objects_of(id(3)), Some(&BTreeSet::from([object(3, 2), object(4, 3)])));
}

#[test]
fn shared_unknown_checkpoints_and_objects_change_nothing() {
    let mut registry = fresh();
    register(&mut registry, 2, increment([object(1, 0)], []));
    let before = registry.clone();
    for input in [
        dropped(1),
        dropped(9),
        subsumed(2),
        Input::SavepointCompleted { savepoint: id(9) },
        Input::Deleted(object(5, 5)),
        Input::DeletionFailed(object(5, 5)),
        Input::Tick,
    ] {
        assert_eq!(on(&mut registry, input), []);
    }
    assert_eq!(registry, before);
}

//= spec/shared.md#shared-10-an-acknowledgement-is-registered
//= type=test
//# The objects of an acknowledgement MUST be registered before its checkpoint can complete.
#[test]
fn shared_acknowledgement_is_registered_before_its_checkpoint_completes_and_once() {
    let mut registry = fresh();
    let state = increment([object(1, 0)], []);
    assert_eq!(register(&mut registry, 1, state.clone()), [object(1, 0)]);
    assert!(registry.refers_to(&object(1, 0)));
    assert_eq!(register(&mut registry, 2, increment([object(2, 1)], [file(1)])).len(), 2);
    let before = registry.clone();
    register(&mut registry, 1, state);
    register(&mut registry, 2, increment([object(2, 1)], [file(1)]));
    assert_eq!(registry, before, "a repetition changes nothing");
}

//= spec/shared.md#shared-1-a-file-is-its-content-and-its-writer
//= type=test
//# The identity of a shared file MUST consist of its content and of the job, subtask and attempt that
//# wrote it.
#[test]
fn shared_file_of_another_attempt_subtask_or_job_is_another_file() {
    let mut registry = fresh();
    register(&mut registry, 1, increment([object(1, 0)], []));
    let namesakes = [
        SharedFile { attempt: Attempt(2), ..file(1) },
        SharedFile { subtask: OTHER, ..file(1) },
        SharedFile { job: FOREIGN, ..file(1) },
        SharedFile { content: ContentId { digest: 1, bytes: 11 }, ..file(1) },
        file(0),
        file(2),
    ];
    for (checkpoint, namesake) in (2..).zip(namesakes) {
        let answer = on(&mut registry, acknowledged(checkpoint, increment([], [namesake])));
        let missing = BTreeSet::from([namesake]);
        assert_eq!(answer, [Output::Refused { checkpoint: id(checkpoint), subtask: SUBTASK, missing }]);
    }
}

#[test]
fn shared_namesake_of_a_new_attempt_replaces_nothing() {
    let mut registry = fresh();
    let old = object(2, 0);
    register(&mut registry, 2, increment([old], []));
    on(&mut registry, restored(2, vec![]));
    let new =
        SharedObject { file: SharedFile { attempt: Attempt(2), ..file(2) }, upload: 0, savepoint: None };
    assert_eq!(register(&mut registry, 3, increment([new], [])), [new]);
    assert_eq!(on(&mut registry, subsumed(3)), deleted(&[old]));
    assert!(registry.refers_to(&new));
}

//= spec/shared.md#shared-13-a-reference-is-resolved-or-refused
//= type=test
//# A reference to a file MUST be resolved to a registered object with that file or refused.
#[test]
fn shared_file_uploaded_twice_is_resolved_to_the_newest_upload() {
    let mut registry = fresh();
    register(&mut registry, 1, increment([object(1, 0)], []));
    // The notice of checkpoint 1 came too late for checkpoint 2.
    register(&mut registry, 2, increment([object(1, 1)], []));
    assert_eq!(register(&mut registry, 3, increment([], [file(1)])), [object(1, 1)]);
    assert_eq!(on(&mut registry, subsumed(2)), deleted(&[object(1, 0)]), "the superseded copy goes");
    assert_eq!(register(&mut registry, 4, increment([], [file(1)])), [object(1, 1)]);
}

#[test]
fn shared_repeated_acknowledgement_keeps_to_the_upload_that_it_was_resolved_to() {
    let mut registry = fresh();
    register(&mut registry, 1, increment([object(1, 0)], []));
    register(&mut registry, 2, increment([], [file(1)]));
    register(&mut registry, 3, increment([object(1, 1)], []));
    assert_eq!(register(&mut registry, 2, increment([], [file(1)])), [object(1, 0)]);
    assert_eq!(registry.objects_of(id(2)), Some(&BTreeSet::from([object(1, 0)])));
}

#[test]
fn shared_upload_that_is_being_deleted_is_refused() {
    let mut registry = fresh();
    let state = increment([object(1, 0)], []);
    on(&mut registry, Input::AcknowledgedTooLate { state: state.clone() });
    let refused = Output::Refused { checkpoint: id(1), subtask: SUBTASK, missing: BTreeSet::from([file(1)]) };
    assert_eq!(on(&mut registry, acknowledged(1, state)), [refused]);
}

#[test]
fn shared_reference_to_what_was_dropped_is_refused_and_its_uploads_go() {
    let mut registry = fresh();
    register(&mut registry, 1, increment([object(1, 0)], []));
    assert_eq!(on(&mut registry, dropped(1)), deleted(&[object(1, 0)]));
    let answer = on(&mut registry, acknowledged(2, increment([object(2, 1)], [file(1)])));
    let refused = Output::Refused { checkpoint: id(2), subtask: SUBTASK, missing: BTreeSet::from([file(1)]) };
    assert_eq!(answer, [refused, Output::Delete(object(2, 1))]);
    assert!(registry.objects_of(id(2)).is_none());
    assert!(!registry.refers_to(&object(2, 1)));
}

#[test]
fn shared_aborted_checkpoint_leaves_what_a_later_one_refers_to() {
    let mut registry = fresh();
    register(&mut registry, 1, increment([object(1, 0)], []));
    register(&mut registry, 2, increment([object(2, 1), object(3, 2)], [file(1)]));
    register(&mut registry, 3, increment([object(4, 3)], [file(1), file(2)]));
    assert_eq!(on(&mut registry, dropped(2)), deleted(&[object(3, 2)]));
    assert_eq!(on(&mut registry, subsumed(3)), []);
    assert_eq!(on(&mut registry, dropped(2)), [], "a repeated abort changes nothing");
    assert_eq!(register(&mut registry, 4, increment([], [file(1)])), [object(1, 0)]);
    assert_eq!(on(&mut registry, subsumed(4)), deleted(&[object(2, 1), object(4, 3)]));
}

#[test]
fn shared_previous_checkpoint_is_whole_after_a_failed_one() {
    let mut registry = fresh();
    register(&mut registry, 1, increment([object(1, 0)], []));
    register(&mut registry, 2, increment([object(2, 1)], [file(1)]));
    assert_eq!(on(&mut registry, dropped(2)), deleted(&[object(2, 1)]));
    on(&mut registry, restored(2, vec![]));
    assert_eq!(registry.objects_of(id(1)), Some(&BTreeSet::from([object(1, 0)])));
}

//= spec/shared.md#shared-16-nobody-shares-with-a-savepoint
//= type=test
//# A reference MUST NOT be resolved to an object of a savepoint.
//= spec/shared.md#shared-15-a-completed-savepoint-is-handed-over
//= type=test
//# The objects of a completed savepoint MUST be forgotten without being deleted.
#[test]
fn shared_savepoint_is_neither_subsumed_nor_shared_with_and_then_handed_over() {
    let mut registry = fresh();
    register(&mut registry, 1, increment([object(1, 0)], []));
    let own = SharedObject { savepoint: Some(id(2)), ..object(2, 1) };
    register(&mut registry, 2, state(Sharing::NoSharing, [own], []));
    let refused = on(&mut registry, acknowledged(3, increment([], [file(2)])));
    assert!(matches!(refused.as_slice(), [Output::Refused { .. }]), "{refused:?}");
    register(&mut registry, 4, increment([], [file(1)]));
    assert_eq!(on(&mut registry, subsumed(4)), [], "the savepoint is still under way");
    assert!(registry.refers_to(&own));
    assert_eq!(on(&mut registry, Input::SavepointCompleted { savepoint: id(2) }), []);
    assert!(!registry.refers_to(&own));
    assert_eq!(on(&mut registry, subsumed(5)), deleted(&[object(1, 0)]));
    on(&mut registry, restored(2, vec![]));
    let listed = Input::ObjectsFound { objects: BTreeSet::from([own]) };
    assert_eq!(on(&mut registry, listed), [], "a savepoint is no leftover");
}

#[test]
fn shared_aborted_savepoint_is_deleted() {
    let mut registry = fresh();
    let own = SharedObject { savepoint: Some(id(1)), ..object(2, 1) };
    register(&mut registry, 1, state(Sharing::NoSharing, [own], []));
    assert_eq!(on(&mut registry, dropped(1)), deleted(&[own]));
}

#[test]
fn shared_full_checkpoint_that_refers_to_earlier_files_is_refused() {
    for sharing in [Sharing::Forward, Sharing::NoSharing] {
        let mut registry = fresh();
        register(&mut registry, 1, increment([object(1, 0)], []));
        let answer = on(&mut registry, acknowledged(2, state(sharing, [object(2, 1)], [file(1)])));
        assert!(matches!(answer[0], Output::Refused { .. }), "{answer:?}");
    }
}

#[test]
fn shared_full_checkpoint_keeps_its_own_copies() {
    let mut registry = fresh();
    register(&mut registry, 1, increment([object(1, 0)], []));
    let full = state(Sharing::Forward, [object(1, 1)], []);
    assert_eq!(register(&mut registry, 2, full), [object(1, 1)]);
    assert_eq!(on(&mut registry, dropped(2)), deleted(&[object(1, 1)]));
    assert_eq!(register(&mut registry, 3, increment([], [file(1)])), [object(1, 0)]);
}

#[test]
fn shared_restored_checkpoint_is_registered_again_and_lives_as_long_as_its_users() {
    let mut registry = fresh();
    on(&mut registry, restored(2, vec![found(5, Ownership::Owned, &[object(1, 0), object(2, 1)])]));
    // Two subtasks have restored from one file, one of them twice.
    for subtask in [SUBTASK, OTHER, OTHER] {
        let state = increment([], [file(1)]);
        let answer = on(&mut registry, Input::Acknowledged { checkpoint: id(6), subtask, state });
        let objects = BTreeSet::from([object(1, 0)]);
        assert_eq!(answer, [Output::Registered { checkpoint: id(6), subtask, objects }]);
    }
    assert_eq!(on(&mut registry, subsumed(6)), deleted(&[object(2, 1)]));
    assert!(registry.refers_to(&object(1, 0)));
    register(&mut registry, 7, increment([object(3, 2)], []));
    assert_eq!(on(&mut registry, subsumed(7)), deleted(&[object(1, 0)]), "a file of two users goes once");
}

#[test]
fn shared_claimed_savepoint_stays_while_its_state_is_referred_to_and_may_go_then() {
    let mut registry = SharedStateRegistry::new(Config { job: JOB, retry_pause: PAUSE });
    let theirs = SharedFile { job: FOREIGN, ..file(1) };
    let claimed = SharedObject { file: theirs, upload: 0, savepoint: Some(id(4)) };
    on(&mut registry, restored(1, vec![found(4, Ownership::Owned, &[claimed])]));
    assert_eq!(register(&mut registry, 5, increment([object(2, 0)], [theirs])).len(), 2);
    assert_eq!(on(&mut registry, subsumed(5)), []);
    assert!(registry.refers_to(&claimed), "its directory must stay");
    register(&mut registry, 6, increment([], [file(2)]));
    assert_eq!(on(&mut registry, subsumed(6)), deleted(&[claimed]));
    assert!(!registry.refers_to(&claimed), "its directory may go");
}

//= spec/shared.md#shared-17-what-is-not-owned-is-not-deleted
//= type=test
//# An object of a restored checkpoint that the job does not own MUST NOT be deleted.
#[test]
fn shared_checkpoint_that_is_not_owned_is_neither_referred_to_nor_deleted() {
    let mut registry = SharedStateRegistry::new(Config { job: JOB, retry_pause: PAUSE });
    on(&mut registry, restored(2, vec![found(4, Ownership::NotOwned, &[object(1, 0)])]));
    let refused = on(&mut registry, acknowledged(5, increment([], [file(1)])));
    assert!(matches!(refused.as_slice(), [Output::Refused { .. }]), "{refused:?}");
    // A job that restores from its own old checkpoint finds the files among its own.
    let listed = BTreeSet::from([object(1, 0), object(2, 1)]);
    assert_eq!(on(&mut registry, Input::ObjectsFound { objects: listed }), deleted(&[object(2, 1)]));
    let late = increment([object(1, 0)], []);
    assert_eq!(on(&mut registry, Input::AcknowledgedTooLate { state: late }), []);
    register(&mut registry, 6, increment([object(3, 2)], []));
    assert_eq!(on(&mut registry, subsumed(6)), []);
}

//= spec/shared.md#shared-18-a-failed-deletion-is-repeated
//= type=test
//# A deletion that has failed MUST be ordered again after the pause.
#[test]
fn shared_failed_deletion_is_repeated_after_a_pause_and_holds_nothing_up() {
    let mut registry = fresh();
    register(&mut registry, 1, increment([object(1, 0)], []));
    assert_eq!(on(&mut registry, dropped(1)), deleted(&[object(1, 0)]));
    assert_eq!(registry.deadline(), None);
    on_at(&mut registry, 5, Input::DeletionFailed(object(1, 0)));
    assert_eq!(registry.deadline(), Some(Millis(105)));
    register(&mut registry, 2, increment([object(2, 1)], []));
    assert_eq!(on(&mut registry, dropped(1)), [], "it is ordered by the clock alone");
    assert_eq!(on_at(&mut registry, 104, Input::Tick), []);
    assert_eq!(on_at(&mut registry, 105, Input::Tick), deleted(&[object(1, 0)]));
    assert_eq!(registry.deadline(), None);
    assert_eq!(on(&mut registry, Input::Deleted(object(1, 0))), []);
    assert_eq!(on(&mut registry, Input::Deleted(object(1, 0))), []);
    assert_eq!(registry.deletions().count(), 0);
}

#[test]
fn shared_object_found_while_its_deletion_waits_keeps_waiting() {
    let mut registry = fresh();
    register(&mut registry, 1, increment([object(1, 0)], []));
    on(&mut registry, dropped(1));
    on(&mut registry, Input::DeletionFailed(object(1, 0)));
    on(&mut registry, restored(2, vec![]));
    assert_eq!(on(&mut registry, Input::ObjectsFound { objects: BTreeSet::from([object(1, 0)]) }), []);
    assert_eq!(registry.deadline(), Some(PAUSE));
}

//= spec/shared.md#shared-19-leftovers-are-those-of-earlier-attempts
//= type=test
//# An object that is merely found MUST be deleted only if an earlier attempt of the job wrote it and
//# nothing refers to it.
#[test]
fn shared_listing_deletes_what_earlier_attempts_left_and_nothing_else() {
    let mut registry = SharedStateRegistry::new(Config { job: JOB, retry_pause: PAUSE });
    on(&mut registry, restored(2, vec![found(4, Ownership::Owned, &[object(1, 0)])]));
    let leftover = object(2, 1);
    let current =
        SharedObject { file: SharedFile { attempt: Attempt(2), ..file(3) }, upload: 0, savepoint: None };
    let foreign = SharedObject { file: SharedFile { job: FOREIGN, ..file(4) }, upload: 0, savepoint: None };
    let listed = BTreeSet::from([object(1, 0), leftover, current, foreign]);
    assert_eq!(on(&mut registry, Input::ObjectsFound { objects: listed }), deleted(&[leftover]));
}

//= spec/shared.md#shared-20-what-comes-too-late-is-deleted
//= type=test
//# The uploads of an acknowledgement that no checkpoint takes in MUST be deleted unless a
//# registered checkpoint refers to them.
#[test]
fn shared_late_acknowledgement_leaves_its_references_and_loses_its_uploads() {
    let mut registry = fresh();
    register(&mut registry, 1, increment([object(1, 0)], []));
    let late = increment([object(2, 1)], [file(1)]);
    assert_eq!(
        on(&mut registry, Input::AcknowledgedTooLate { state: late.clone() }),
        deleted(&[object(2, 1)])
    );
    assert_eq!(on(&mut registry, Input::AcknowledgedTooLate { state: late }), []);
    let repeated = increment([object(1, 0)], []);
    assert_eq!(on(&mut registry, Input::AcknowledgedTooLate { state: repeated }), []);
    assert!(registry.refers_to(&object(1, 0)));
}

//= spec/shared.md#shared-21-who-does-not-know-deletes-nothing
//= type=test
//# A registry MUST NOT delete anything before its first recovery or after it was fenced.
#[test]
fn shared_registry_that_is_fenced_or_new_deletes_nothing() {
    let mut registry = SharedStateRegistry::new(Config { job: JOB, retry_pause: PAUSE });
    let late = Input::AcknowledgedTooLate { state: increment([object(2, 1)], []) };
    assert_eq!(on(&mut registry, late.clone()), []);
    on(&mut registry, restored(1, vec![found(1, Ownership::Owned, &[object(1, 0)])]));
    register(&mut registry, 2, increment([object(3, 2)], []));
    on(&mut registry, dropped(2));
    on(&mut registry, Input::DeletionFailed(object(3, 2)));
    on(&mut registry, Input::Fenced);
    assert_eq!(registry.deadline(), None);
    for input in [late, subsumed(9), Input::Tick, Input::ObjectsFound { objects: [object(3, 2)].into() }] {
        assert_eq!(on_at(&mut registry, 1_000, input), []);
    }
    let refused = on(&mut registry, acknowledged(3, increment([object(4, 3)], [])));
    assert!(matches!(refused.as_slice(), [Output::Refused { .. }]), "{refused:?}");
}

#[test]
fn shared_acknowledgement_before_a_recovery_or_an_old_attempt_is_misuse() {
    let mut registry = SharedStateRegistry::new(Config { job: JOB, retry_pause: PAUSE });
    let before = registry.clone();
    let mut out = Vec::new();
    assert!(registry.on(Millis(0), acknowledged(1, increment([], [])), &mut out).is_err());
    assert_eq!(registry, before);
    on(&mut registry, restored(2, vec![]));
    assert!(registry.on(Millis(0), restored(2, vec![]), &mut out).is_err());
    on(&mut registry, Input::Fenced);
    assert!(registry.on(Millis(0), restored(3, vec![]), &mut out).is_err());
    assert_eq!(out, []);
}

#[test]
fn shared_size_of_a_checkpoint_tells_what_is_new_from_all() {
    let state = increment([object(1, 0), object(2, 1)], [file(3)]);
    assert_eq!((state.checkpointed_bytes(), state.full_bytes()), (20, 30));
}

#[test]
fn shared_check_finds_a_deletion_that_must_not_be() {
    let broken = |registry: &SharedStateRegistry| registry.check().unwrap_err().requirement;
    let mut needed = fresh();
    register(&mut needed, 1, increment([object(1, 0)], []));
    needed.deletions.insert(object(1, 0), crate::shared::registry::Deletion::Ordered);
    assert_eq!(broken(&needed), "SHARED-11");
    let mut foreign = fresh();
    on(&mut foreign, restored(2, vec![found(1, Ownership::NotOwned, &[object(1, 0)])]));
    foreign.deletions.insert(object(1, 0), crate::shared::registry::Deletion::Ordered);
    assert_eq!(broken(&foreign), "SHARED-17");
    let mut fenced = fresh();
    on(&mut fenced, Input::Fenced);
    let ignorant = SharedStateRegistry::new(Config { job: JOB, retry_pause: PAUSE });
    for mut registry in [fenced, ignorant] {
        registry.deletions.insert(object(1, 0), crate::shared::registry::Deletion::Ordered);
        assert_eq!(broken(&registry), "SHARED-21");
    }
}
