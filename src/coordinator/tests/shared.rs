//! Files that checkpoints share: registered, refused, recorded, deleted when nobody refers to them, and left alone.

use super::*;
use crate::base::{ContentId, Ownership, SharedFile, SharedObject, SharedState, Sharing};

/// What `subtask` has uploaded in an attempt as number `upload`.
pub(super) fn object(attempt: u32, subtask: SubtaskId, upload: u64) -> SharedObject {
    let content = ContentId { digest: upload.into(), bytes: 10 };
    let file = SharedFile { job: JOB, subtask, attempt: Attempt(attempt), content };
    SharedObject { file, upload, savepoint: None }
}

/// What the source has uploaded in attempt 1.
pub(super) fn upload(upload: u64) -> SharedObject {
    object(1, SOURCE, upload)
}

/// The acknowledgement of the source in an attempt.
pub(super) fn shares(
    attempt: u32,
    checkpoint: u64,
    uploaded: &[SharedObject],
    reused: &[SharedObject],
) -> Input {
    let shared = Some(SharedState {
        sharing: Sharing::ForwardBackward,
        uploaded: uploaded.iter().copied().collect(),
        reused: reused.iter().map(|object| object.file).collect(),
    });
    let (attempt, checkpoint) = (Attempt(attempt), CheckpointId(checkpoint));
    Input::AcknowledgeArrived { attempt, subtask: SOURCE, checkpoint, handle: None, shared }
}

/// Both tasks acknowledge and the storage works.
fn complete(job: &mut Job, id: u64, uploaded: &[SharedObject], reused: &[SharedObject]) -> Vec<Output> {
    let attempt = job.coordinator.attempt().0;
    let mut done = job.on(shares(attempt, id, uploaded, reused));
    done.extend(job.on(acknowledgement(attempt, SINK, id)));
    done.extend(job.store());
    done
}

/// A job of which checkpoint 1 is complete, with upload 1, and that tolerates failures.
pub(super) fn with_upload_1(config: Config) -> Job {
    let mut job = Job::running(Config { tolerable_failures: 9, ..config });
    job.tick(10);
    complete(&mut job, 1, &[upload(1)], &[]);
    job
}

/// A process that finds what `before` has stored, and whose tasks run.
fn next_process(before: &Job, config: Config) -> Job {
    let mut job = Job::new(config);
    (job.pointers, job.metadata) = (before.pointers.clone(), before.metadata.clone());
    job.on(Input::JobStarted);
    job.store();
    job.on(Input::TasksRunning { attempt: job.coordinator.attempt() });
    job
}

fn deleted(done: &[Output]) -> Vec<u64> {
    let deleted = done.iter().filter_map(|output| match output {
        Output::DeleteShared(object) => Some(object.upload),
        _ => None,
    });
    deleted.collect()
}

fn registered(job: &Job, checkpoint: u64) -> Vec<u64> {
    let objects = job.coordinator.registry().objects_of(CheckpointId(checkpoint));
    objects.into_iter().flatten().map(|object| object.upload).collect()
}

//= spec/coordinator.md#coord-60-a-checkpoint-records-its-shared-files
//= type=test
//# A completed checkpoint MUST record every shared file that its acknowledgements refer to.
//= spec/shared.md#shared-10-an-acknowledgement-is-registered
//= type=test
//# The objects of an acknowledgement MUST be registered before its checkpoint can complete.
#[test]
fn coord_shared_files_are_registered_at_once_and_recorded_with_their_checkpoint() {
    let mut job = with_upload_1(config());
    job.tick(20);
    job.on(shares(1, 2, &[upload(2)], &[upload(1)]));
    assert_eq!(registered(&job, 2), [1, 2], "before anything of it is written");
    job.acknowledge(SINK, 2);
    job.store();
    let stored = &job.metadata[&CheckpointId(2)];
    assert_eq!(stored.shared, [(SOURCE, [upload(1), upload(2)].into())].into());
    assert_eq!(stored.state_bytes(), 1 + 10 + 10, "the handle of the sink, and both files");
}

//= spec/coordinator.md#coord-61-missing-shared-files-abort-the-checkpoint
//= type=test
//# A checkpoint MUST be aborted when an acknowledgement refers to a shared file that is missing.
#[test]
fn coord_acknowledgement_that_refers_to_what_is_missing_aborts_its_checkpoint_and_counts() {
    let mut job = Job::running(config());
    job.tick(10);
    job.acknowledge(SINK, 1);
    let done = job.on(shares(1, 1, &[upload(2)], &[upload(1)]));
    assert_eq!(done[0], aborted(1, AbortReason::SharedFilesMissing(SOURCE)));
    assert_eq!(done[1..3], notices_of_abort(1));
    assert_eq!(done[3], Output::DiscardState(file(1, SINK, 1)));
    assert_eq!(deleted(&done), [2], "what was uploaded for it");
    assert!(done.contains(&CANCEL), "not one failure is tolerated");
    assert!(job.asked.is_empty() && job.under_way().is_empty());
}

//= spec/coordinator.md#coord-62-the-kind-decides-what-is-shared
//= type=test
//# What the files of a checkpoint may have in common with others MUST follow from its kind alone.
#[test]
fn coord_full_checkpoint_or_savepoint_that_refers_to_older_files_is_aborted_whatever_the_task_says() {
    for kind in [RequestKind::Checkpoint { full: true }, SAVEPOINT, STOP] {
        let mut job = with_upload_1(config());
        job.request(1, kind);
        let done = job.on(shares(1, 2, &[], &[upload(1)]));
        assert_eq!(done[0], aborted(2, AbortReason::SharedFilesMissing(SOURCE)), "{kind:?}");
        assert_eq!(registered(&job, 1), [1], "{kind:?}");
    }
    let mut job = with_upload_1(config());
    job.request(1, RequestKind::Checkpoint { full: true });
    assert_eq!(deleted(&complete(&mut job, 2, &[upload(2)], &[])), [1]);
    job.tick(20);
    assert_eq!(
        deleted(&complete(&mut job, 3, &[], &[upload(2)])),
        NONE,
        "later ones may refer to a full one"
    );
}

const STOP: RequestKind = SUSPEND;

//= spec/coordinator.md#coord-63-shared-files-go-with-their-last-checkpoint
//= type=test
//# The end of a checkpoint MUST delete the shared files that no other checkpoint refers to.
#[test]
fn coord_shared_files_go_with_the_last_checkpoint_that_refers_to_them() {
    let mut job = with_upload_1(config());
    job.tick(20);
    assert_eq!(deleted(&complete(&mut job, 2, &[upload(2)], &[upload(1)])), NONE, "2 still needs 1");
    job.tick(30);
    assert_eq!(deleted(&complete(&mut job, 3, &[], &[upload(2)])), [1], "subsumed");
    job.tick(40);
    job.on(shares(1, 4, &[upload(4)], &[upload(2)]));
    assert_eq!(deleted(&job.decline(4, DeclineReason::AsyncPartFailed)), [4], "aborted");
    job.tick(50);
    job.on(shares(1, 5, &[upload(5)], &[upload(2)]));
    job.acknowledge(SINK, 5);
    assert_eq!(deleted(&job.answer(Answer::Failed)), [5], "not published");
    assert_eq!(registered(&job, 3), [2]);
}

//= spec/coordinator.md#coord-63-shared-files-go-with-their-last-checkpoint
//= type=test
//# The end of a checkpoint MUST delete the shared files that no other checkpoint refers to.
#[test]
fn coord_end_of_the_job_deletes_shared_files_with_its_checkpoints_and_only_then() {
    let retention = Retention::DELETE_ON_CANCELLATION;
    for (answer, goes) in [(Answer::Stored, &[1][..]), (Answer::Exists, &[]), (Answer::Unknown, &[])] {
        let mut job = with_upload_1(Config { retention, ..config() });
        job.on(Input::CancelRequested);
        assert_eq!(deleted(&job.on(Input::TasksStopped { attempt: Attempt(1) })), NONE);
        let done = job.answer(answer);
        assert_eq!(deleted(&done), goes);
        assert_eq!(done.last(), Some(&Output::JobEnded(Outcome::Cancelled)));
        let ended = Input::SharedDeletionEnded { object: upload(1), is_deleted: false };
        assert_eq!((job.on(ended), job.coordinator.deadline()), (vec![], None), "the job is over");
        assert_eq!(job.on(Input::SharedListed { objects: [upload(1)].into() }), []);
    }
    let mut job = with_upload_1(Config { retention, ..config() });
    job.request(1, STOP);
    complete(&mut job, 2, &[upload(2)], &[]);
    assert_eq!(deleted(&finish(&mut job)), NONE, "1 went with its checkpoint, and a stop is kept");
    assert_eq!(registered(&job, 2), [2]);
}

#[test]
fn coord_shared_files_of_a_savepoint_are_the_users_unless_it_was_aborted() {
    let mut job = with_upload_1(config());
    let of_savepoint = SharedObject { savepoint: Some(CheckpointId(2)), ..upload(2) };
    job.request(1, SAVEPOINT);
    let done = complete(&mut job, 2, &[of_savepoint], &[]);
    assert!(
        matches!(&done[0], Output::Completed(savepoint) if savepoint.shared[&SOURCE] == [of_savepoint].into())
    );
    assert_eq!(deleted(&job.on(shares(1, 2, &[of_savepoint], &[]))), NONE, "a message that comes twice");
    assert_eq!(job.coordinator.registry().objects_of(CheckpointId(2)), None, "nobody keeps count of them");
    job.tick(20);
    assert_eq!(deleted(&complete(&mut job, 3, &[], &[upload(1)])), NONE);

    job.request(2, SAVEPOINT);
    job.on(shares(1, 4, &[SharedObject { savepoint: Some(CheckpointId(4)), ..upload(4) }], &[]));
    job.acknowledge(SINK, 4);
    assert_eq!(deleted(&job.answer(Answer::Unknown)), NONE, "its metadata may be there");
    assert_eq!(job.coordinator.registry().objects_of(CheckpointId(4)), None);
    job.request(3, SAVEPOINT);
    job.on(shares(1, 5, &[SharedObject { savepoint: Some(CheckpointId(5)), ..upload(5) }], &[]));
    assert_eq!(deleted(&job.decline(5, DeclineReason::SyncPartFailed)), [5]);
}

#[test]
fn coord_late_uploads_are_deleted_unless_a_checkpoint_refers_to_them() {
    let mut job = with_upload_1(config());
    assert_eq!(deleted(&job.on(shares(1, 1, &[upload(1)], &[]))), NONE, "taken in before");
    assert_eq!(deleted(&job.on(shares(1, 9, &[upload(9)], &[upload(1)]))), [9]);
    assert_eq!(deleted(&job.on(shares(0, 9, &[object(0, SOURCE, 8)], &[]))), [8]);
    assert_eq!(registered(&job, 1), [1]);
    job.on(failed(Attempt(1), SINK));
    job.on(Input::TasksStopped { attempt: Attempt(1) });
    job.tick(17);
    assert_eq!(job.on(shares(1, 9, &[upload(7)], &[])), [], "a recovery finds out what counts");
}

//= spec/coordinator.md#coord-65-savepoints-of-other-processes-are-left-alone
//= type=test
//# State of a savepoint that this process has not triggered MUST NOT be discarded.
#[test]
fn coord_late_state_of_a_savepoint_of_another_process_is_left_alone() {
    let late = |savepoint: bool| {
        let file = StateFile { savepoint, ..file(1, SOURCE, 9) };
        let object = SharedObject { savepoint: savepoint.then_some(CheckpointId(9)), ..upload(9) };
        let mut input = shares(1, 9, &[object], &[]);
        if let Input::AcknowledgeArrived { handle, shared: Some(shared), .. } = &mut input {
            *handle = Some(StateHandle { file, bytes: 1, checksum: 2, inline: None });
            shared.sharing = if savepoint { Sharing::NoSharing } else { Sharing::Forward };
        }
        input
    };
    let mut job = next_process(&with_upload_1(config()), config());
    assert_eq!(job.on(late(true)), [], "it may have been completed before");
    let private = StateHandle {
        file: StateFile { savepoint: true, ..file(1, SOURCE, 9) },
        bytes: 1,
        checksum: 2,
        inline: None,
    };
    let alone = Input::AcknowledgeArrived {
        attempt: Attempt(1),
        subtask: SOURCE,
        checkpoint: CheckpointId(9),
        handle: Some(private),
        shared: None,
    };
    assert_eq!(job.on(alone), [], "nor is it discarded without files that others could share");
    assert_eq!(job.on(late(false)).len(), 2, "what is not found is nobody's");
    let mut job = with_upload_1(config());
    job.restart();
    assert_eq!(job.on(late(true)).len(), 2, "this process would know of it");
}

//= spec/coordinator.md#coord-64-leftovers-are-looked-for
//= type=test
//# The first publication of an attempt that is not the first one MUST be followed by a listing of the shared files.
#[test]
fn coord_leftovers_of_earlier_attempts_are_looked_for_after_the_first_own_checkpoint() {
    let mut job = with_upload_1(config());
    job.tick(20);
    assert!(!complete(&mut job, 2, &[], &[upload(1)]).contains(&Output::ListShared), "there was none before");
    let mut job = next_process(&job, config());
    job.tick(10);
    let done = complete(&mut job, 3, &[object(2, SOURCE, 3)], &[upload(1)]);
    assert!(done.contains(&Output::ListShared));
    let objects = [upload(1), upload(7), object(2, SOURCE, 3), object(2, SINK, 8)];
    let done = job.on(Input::SharedListed { objects: objects.into() });
    assert_eq!(deleted(&done), [7], "the others are referred to, or may be soon");
    job.tick(20);
    assert!(!complete(&mut job, 4, &[], &[upload(1)]).contains(&Output::ListShared), "once");
    job.restart();
    job.tick(job.now + 10);
    assert!(complete(&mut job, 5, &[], &[upload(1)]).contains(&Output::ListShared), "by each attempt");
}

#[test]
fn coord_failed_deletion_of_a_shared_file_is_repeated_at_its_deadline() {
    let mut job = with_upload_1(Config { interval: Some(Millis(1_000)), ..config() });
    assert!(registered(&job, 1).is_empty(), "nothing was due at 10");
    job.on(shares(1, 9, &[upload(9)], &[]));
    job.on(Input::SharedDeletionEnded { object: upload(9), is_deleted: false });
    assert_eq!(job.coordinator.deadline(), Some(Millis(11)));
    assert_eq!(deleted(&job.tick(11)), [9]);
    job.on(Input::SharedDeletionEnded { object: upload(9), is_deleted: true });
    assert_eq!(job.coordinator.deadline(), Some(Millis(1_000)), "only the next checkpoint is due");
}

#[test]
fn coord_restored_checkpoint_is_registered_and_its_files_go_with_it() {
    let mut job = next_process(&with_upload_1(config()), config());
    assert_eq!(registered(&job, 1), [1]);
    job.tick(10);
    assert_eq!(deleted(&complete(&mut job, 2, &[object(2, SOURCE, 2)], &[upload(1)])), NONE);
    job.tick(20);
    assert_eq!(deleted(&complete(&mut job, 3, &[], &[object(2, SOURCE, 2)])), [1]);
}

//= spec/coordinator.md#coord-50-a-claimed-checkpoint-is-retained
//= type=test
//# A claimed checkpoint MUST be retained and deleted like one that the job has published.
#[test]
fn coord_shared_files_of_a_given_checkpoint_go_only_if_it_was_claimed() {
    let of_another_job = {
        let object = object(4, SOURCE, 6);
        SharedObject { file: SharedFile { job: JobId(9), ..object.file }, ..object }
    };
    for (mode, ownership) in [(ClaimMode::Claim, Ownership::Owned), (ClaimMode::NoClaim, Ownership::NotOwned)]
    {
        let checkpoint = CompletedCheckpoint {
            id: CheckpointId(7),
            states: [(SOURCE, None), (SINK, None)].into(),
            shared: [(SOURCE, [of_another_job].into())].into(),
            ..super::complete()
        };
        let given = || Config { restore: Some(Restore { checkpoint: checkpoint.clone(), mode }), ..config() };
        let mut job = Job::new(given());
        job.on(Input::JobStarted);
        let started = job.store();
        assert!(
            matches!(&started[..], [Output::StartTasks(recovered)] if recovered.ownership == ownership),
            "tasks must know what they may refer to"
        );
        job.on(Input::TasksRunning { attempt: job.coordinator.attempt() });
        job.tick(10);
        let is_ours = mode == ClaimMode::Claim;
        let goes = if is_ours { vec![6] } else { vec![] };
        assert_eq!(deleted(&complete(&mut job, 8, &[], &[])), goes);
        job.restart();
        assert_eq!(registered(&job, 7), NONE, "its files are being deleted, or were never the job's");
        let mut job = next_process(&job, given());
        job.tick(10);
        assert_eq!(deleted(&complete(&mut job, 9, &[], &[])), goes, "the process may have died before");
    }
}

//= spec/coordinator.md#coord-26-a-fenced-coordinator-deletes-nothing
//= type=test
//# A fenced coordinator MUST NOT delete any state.
#[test]
fn coord_fenced_coordinator_deletes_no_shared_files() {
    let mut job = with_upload_1(config());
    let next = job.pointers.keys().next_back().map(|last| last.next()).unwrap();
    let claim = Pointer {
        kind: PointerKind::Claim,
        attempt: Attempt(2),
        incarnation: Incarnation(9),
        newest: Some(CheckpointId(1)),
        older: [].into(),
    };
    job.pointers.insert(next, claim);
    job.tick(20);
    assert_eq!(complete(&mut job, 2, &[upload(2)], &[]), [CANCEL]);
    assert_eq!(job.on(shares(1, 3, &[upload(3)], &[])), []);
    assert_eq!(job.on(Input::SharedListed { objects: [object(0, SINK, 4)].into() }), []);
}
