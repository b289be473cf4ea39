use super::*;
use crate::shared::incremental::{Config, Input, Output, Restored};

const CONFIG: Config = Config { job: JOB, subtask: SUBTASK, attempt: Attempt(1) };

fn fresh() -> IncrementalSnapshots {
    IncrementalSnapshots::new(CONFIG, None)
}

fn on(task: &mut IncrementalSnapshots, input: Input) -> Vec<Output> {
    let mut out = Vec::new();
    task.on(Millis(0), input, &mut out).unwrap();
    task.check().unwrap();
    out
}

fn began(checkpoint: u64, sharing: Sharing, digests: &[u128]) -> Input {
    let files = digests.iter().copied().map(content).collect();
    Input::SnapshotBegan { checkpoint: id(checkpoint), sharing, files }
}

fn completed(checkpoint: u64) -> Input {
    Input::CheckpointCompleted { checkpoint: id(checkpoint) }
}

fn aborted(checkpoint: u64) -> Input {
    Input::CheckpointAborted { checkpoint: id(checkpoint) }
}

/// Takes a snapshot whose uploads all succeed.
fn take(task: &mut IncrementalSnapshots, checkpoint: u64, sharing: Sharing, digests: &[u128]) -> SharedState {
    let mut answers = on(task, began(checkpoint, sharing, digests));
    let uploads: Vec<SharedObject> = answers.iter().filter_map(upload).collect();
    for upload in uploads {
        answers.extend(on(task, Input::UploadFinished(upload)));
    }
    match answers.pop() {
        Some(Output::Ready { checkpoint: ready, state }) if ready == id(checkpoint) => state,
        other => panic!("{other:?}"),
    }
}

fn snapshot(task: &mut IncrementalSnapshots, checkpoint: u64, digests: &[u128]) -> SharedState {
    take(task, checkpoint, Sharing::ForwardBackward, digests)
}

fn upload(output: &Output) -> Option<SharedObject> {
    match output {
        Output::Upload(object) => Some(*object),
        _ => None,
    }
}

//= spec/shared.md#shared-3-only-complete-checkpoints-are-referred-to
//= type=test
//# An incremental snapshot MUST refer only to files of the newest checkpoint that its task knows to be
//# complete.
#[test]
fn shared_snapshot_refers_to_the_newest_complete_one_and_uploads_the_rest() {
    let mut task = fresh();
    assert_eq!(snapshot(&mut task, 1, &[1, 2]), increment([object(1, 0), object(2, 1)], []));
    assert_eq!(snapshot(&mut task, 2, &[1]), increment([object(1, 2)], []), "1 may still be aborted");
    assert_eq!(on(&mut task, completed(1)), []);
    assert_eq!(snapshot(&mut task, 3, &[1, 3]), increment([object(3, 3)], [file(1)]));
    on(&mut task, completed(3));
    assert_eq!(snapshot(&mut task, 4, &[1, 3]), increment([], [file(1), file(3)]));
}

//= spec/shared.md#shared-9-only-news-change-the-base
//= type=test
//# A notice of a checkpoint that is not newer than the newest known to be complete MUST change nothing.
#[test]
fn shared_late_repeated_and_unknown_notices_change_nothing() {
    let mut task = fresh();
    snapshot(&mut task, 1, &[1]);
    snapshot(&mut task, 2, &[1, 2]);
    on(&mut task, completed(2));
    let before = task.clone();
    for input in [completed(1), completed(2), completed(9), aborted(1), aborted(2), aborted(9)] {
        assert_eq!(on(&mut task, input), []);
    }
    for unknown in [Input::UploadFinished(object(1, 0)), Input::UploadFailed(object(9, 9))] {
        assert_eq!(on(&mut task, unknown), [], "what is acknowledged is not discarded");
    }
    assert_eq!(task, before);
}

#[test]
fn shared_lost_notice_leaves_an_older_base() {
    let mut task = fresh();
    snapshot(&mut task, 1, &[1]);
    on(&mut task, completed(1));
    snapshot(&mut task, 2, &[1, 2]);
    assert_eq!(snapshot(&mut task, 3, &[1, 2]), increment([object(2, 2)], [file(1)]));
}

#[test]
fn shared_aborted_snapshot_is_no_base() {
    let mut task = fresh();
    snapshot(&mut task, 1, &[1]);
    on(&mut task, aborted(1));
    on(&mut task, completed(1));
    assert_eq!(snapshot(&mut task, 2, &[1]), increment([object(1, 1)], []));
}

//= spec/shared.md#shared-4-what-has-gone-is-uploaded-again
//= type=test
//# A file that is missing in one snapshot MUST NOT be referred to by a later one as uploaded before
//# that.
#[test]
fn shared_content_that_was_gone_is_uploaded_again() {
    let mut task = fresh();
    snapshot(&mut task, 1, &[1, 2]);
    on(&mut task, completed(1));
    on(&mut task, began(2, Sharing::ForwardBackward, &[1, 3]));
    snapshot(&mut task, 3, &[1]);
    assert_eq!(snapshot(&mut task, 4, &[1, 2]), increment([object(2, 3)], [file(1)]));
    on(&mut task, Input::UploadFinished(object(3, 2)));
    on(&mut task, completed(2));
    assert_eq!(snapshot(&mut task, 5, &[1, 3]).uploaded, BTreeSet::from([object(3, 4)]));
}

//= spec/shared.md#shared-2-an-object-is-written-once
//= type=test
//# Every upload MUST have a name that no other upload ever has.
#[test]
fn shared_content_uploaded_again_gets_another_name() {
    let mut task = fresh();
    let first = snapshot(&mut task, 1, &[1]).uploaded;
    on(&mut task, aborted(1));
    let second = snapshot(&mut task, 2, &[1]).uploaded;
    let config = Config { attempt: Attempt(2), ..CONFIG };
    let third = snapshot(&mut IncrementalSnapshots::new(config, None), 3, &[1]).uploaded;
    assert!(first.is_disjoint(&second) && first.is_disjoint(&third) && second.is_disjoint(&third));
}

//= spec/shared.md#shared-5-a-full-snapshot-refers-to-nothing
//= type=test
//# A full checkpoint or a savepoint MUST NOT refer to a file that was uploaded before it.
#[test]
fn shared_full_checkpoint_uploads_everything_and_is_a_base() {
    let mut task = fresh();
    snapshot(&mut task, 1, &[1]);
    on(&mut task, completed(1));
    let full = take(&mut task, 2, Sharing::Forward, &[1, 2]);
    assert_eq!(full, state(Sharing::Forward, [object(1, 1), object(2, 2)], []));
    on(&mut task, completed(2));
    assert_eq!(snapshot(&mut task, 3, &[1, 2]), increment([], [file(1), file(2)]));
}

//= spec/shared.md#shared-6-a-savepoint-is-no-base
//= type=test
//# The completion of a savepoint MUST NOT change what later snapshots refer to.
#[test]
fn shared_savepoint_uploads_everything_and_leaves_the_base() {
    let mut task = fresh();
    snapshot(&mut task, 1, &[1]);
    on(&mut task, completed(1));
    let savepoint = take(&mut task, 2, Sharing::NoSharing, &[1, 2]);
    let own = [object(1, 1), object(2, 2)].map(|object| SharedObject { savepoint: Some(id(2)), ..object });
    assert_eq!(savepoint, state(Sharing::NoSharing, own, []));
    on(&mut task, completed(2));
    assert_eq!(snapshot(&mut task, 3, &[1, 2]), increment([object(2, 3)], [file(1)]));
}

#[test]
fn shared_restored_files_are_the_base_until_the_next_completion() {
    let files = BTreeSet::from([file(1), SharedFile { subtask: OTHER, ..file(2) }]);
    let config = Config { attempt: Attempt(2), ..CONFIG };
    let restored = Restored { files: files.clone(), ownership: Ownership::Owned };
    // The same checkpoint may be restored more than once.
    for _ in 0..2 {
        let mut task = IncrementalSnapshots::new(config, Some(restored.clone()));
        assert_eq!(task.base().collect::<BTreeSet<_>>(), files);
        assert_eq!(snapshot(&mut task, 7, &[1, 2]), increment([], files.clone()));
    }
}

//= spec/shared.md#shared-22-after-a-full-checkpoint-nothing-restored-is-referred-to
//= type=test
//# After a full checkpoint a task MUST NOT refer to a file that an earlier attempt uploaded.
#[test]
fn shared_restored_files_are_no_base_once_a_full_checkpoint_was_begun() {
    let config = Config { attempt: Attempt(2), ..CONFIG };
    let restored = Restored { files: BTreeSet::from([file(1)]), ownership: Ownership::Owned };
    let mut task = IncrementalSnapshots::new(config, Some(restored));
    let own = |content, upload| SharedObject {
        file: SharedFile { attempt: Attempt(2), ..file(content) },
        ..object(content, upload)
    };
    let full = take(&mut task, 7, Sharing::Forward, &[1]);
    assert_eq!(full, state(Sharing::Forward, [own(1, 0)], []));
    // The full one completes before this one is acknowledged, and then nobody else refers to what was restored.
    assert_eq!(snapshot(&mut task, 8, &[1, 2]), increment([own(1, 1), own(2, 2)], []));
    on(&mut task, completed(7));
    assert_eq!(snapshot(&mut task, 9, &[1]), increment([], [own(1, 0).file]));
}

#[test]
fn shared_restored_files_do_not_come_back_by_a_completion_after_a_full_checkpoint_was_begun() {
    let config = Config { attempt: Attempt(2), ..CONFIG };
    let restored = Restored { files: BTreeSet::from([file(1)]), ownership: Ownership::Owned };
    let mut task = IncrementalSnapshots::new(config, Some(restored));
    assert_eq!(snapshot(&mut task, 6, &[1]), increment([], [file(1)]));
    take(&mut task, 7, Sharing::Forward, &[1]);
    on(&mut task, completed(6));
    assert_eq!(task.base().count(), 0);
    assert!(snapshot(&mut task, 8, &[1]).reused.is_empty());
}

//= spec/shared.md#shared-7-files-that-are-not-owned-are-no-base
//= type=test
//# A task restored from a checkpoint that its job does not own MUST NOT refer to any of its files.
#[test]
fn shared_first_checkpoint_after_a_restore_that_is_not_owned_is_full() {
    let restored = Restored { files: BTreeSet::from([file(1)]), ownership: Ownership::NotOwned };
    let mut task = IncrementalSnapshots::new(Config { attempt: Attempt(2), ..CONFIG }, Some(restored));
    let first = snapshot(&mut task, 7, &[1]);
    assert!(first.reused.is_empty() && first.uploaded.len() == 1);
    on(&mut task, completed(7));
    assert_eq!(snapshot(&mut task, 8, &[1]).uploaded, BTreeSet::new());
}

//= spec/shared.md#shared-8-a-snapshot-that-was-not-ready-leaves-nothing
//= type=test
//# A task MUST discard every upload of a snapshot that ends before it is ready.
#[test]
fn shared_snapshot_that_fails_part_way_discards_what_was_uploaded() {
    let mut task = fresh();
    on(&mut task, began(1, Sharing::ForwardBackward, &[1, 2, 3]));
    on(&mut task, Input::UploadFinished(object(1, 0)));
    assert_eq!(
        on(&mut task, Input::UploadFailed(object(2, 1))),
        [
            Output::Discard(object(2, 1)),
            Output::Discard(object(1, 0)),
            Output::CancelUpload(object(3, 2)),
            Output::Failed { checkpoint: id(1) },
        ]
    );
    assert_eq!(on(&mut task, Input::UploadFinished(object(3, 2))), [Output::Discard(object(3, 2))]);
    assert_eq!(on(&mut task, Input::UploadFinished(object(3, 2))), []);
}

#[test]
fn shared_snapshot_aborted_while_it_uploads_discards_everything_once_it_has_ended() {
    let mut task = fresh();
    on(&mut task, began(1, Sharing::ForwardBackward, &[1, 2]));
    on(&mut task, Input::UploadFinished(object(1, 0)));
    assert_eq!(
        on(&mut task, aborted(1)),
        [Output::Discard(object(1, 0)), Output::CancelUpload(object(2, 1))]
    );
    assert_eq!(on(&mut task, aborted(1)), []);
    assert_eq!(on(&mut task, Input::UploadFailed(object(2, 1))), [Output::Discard(object(2, 1))]);
}

#[test]
fn shared_snapshot_aborted_after_it_was_ready_is_left_to_the_coordinator() {
    let mut task = fresh();
    snapshot(&mut task, 1, &[1]);
    assert_eq!(on(&mut task, aborted(1)), []);
}

#[test]
fn shared_completion_gives_up_older_checkpoints_but_no_savepoint() {
    let mut task = fresh();
    on(&mut task, began(1, Sharing::NoSharing, &[1]));
    on(&mut task, began(2, Sharing::ForwardBackward, &[1]));
    snapshot(&mut task, 3, &[1]);
    assert_eq!(on(&mut task, completed(3)), [Output::CancelUpload(object(1, 1))]);
    let own = SharedObject { savepoint: Some(id(1)), ..object(1, 0) };
    let ready = Output::Ready { checkpoint: id(1), state: state(Sharing::NoSharing, [own], []) };
    assert_eq!(on(&mut task, Input::UploadFinished(own)), [ready]);
}

#[test]
fn shared_snapshot_without_files_is_ready_at_once() {
    assert_eq!(snapshot(&mut fresh(), 1, &[]), increment([], []));
}

#[test]
fn shared_snapshot_out_of_order_is_misuse() {
    let mut task = fresh();
    snapshot(&mut task, 2, &[1]);
    let before = task.clone();
    for checkpoint in [1, 2] {
        let began = began(checkpoint, Sharing::ForwardBackward, &[1]);
        assert!(task.on(Millis(0), began, &mut Vec::new()).is_err());
    }
    assert_eq!(task, before);
    assert_eq!(task.deadline(), None);
}

#[test]
fn shared_check_finds_uploads_of_one_name_and_a_full_snapshot_that_refers_to_files() {
    let broken = |task: &IncrementalSnapshots| task.check().unwrap_err().requirement;
    let mut task = fresh();
    on(&mut task, began(1, Sharing::Forward, &[1, 2]));
    let mut twice = task.clone();
    twice.abandoned.insert(object(3, 0));
    assert_eq!(broken(&twice), "SHARED-2");
    let mut beyond = task.clone();
    beyond.abandoned.insert(object(3, 2));
    assert_eq!(broken(&beyond), "SHARED-2");
    task.snapshots.get_mut(&id(1)).unwrap().state.reused.insert(file(1));
    assert_eq!(broken(&task), "SHARED-5");
}
