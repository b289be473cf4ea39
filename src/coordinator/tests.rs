use super::*;
use crate::base::{
    CheckpointKind, CheckpointOptions, DeclineReason, Incarnation, JobId, SavepointFormat, StateFile,
    StateHandle,
};
use crate::publish::{Answer, Listing, Operation, Pointer, PointerKind, PointerSequence, PublicationFailure};

mod claim;
mod failures;
mod finished;
mod invariants;
mod life;
mod messages;
mod random;
mod requests;
mod retention;
mod savepoints;
mod shared;
mod table;
mod triggering;

const JOB: JobId = JobId(1);
const SOURCE: SubtaskId = SubtaskId::new(0, 0);
const SINK: SubtaskId = SubtaskId::new(1, 0);
const SAVEPOINT: RequestKind = RequestKind::Savepoint(SavepointFormat::Canonical);
const CANCEL_WITH_SAVEPOINT: RequestKind = RequestKind::CancelWithSavepoint(SavepointFormat::Canonical);
const SUSPEND: RequestKind = RequestKind::Stop(StopMode::Suspend, SavepointFormat::Canonical);
const DRAIN: RequestKind = RequestKind::Stop(StopMode::Drain, SavepointFormat::Canonical);
/// No checkpoint, and no file.
const NONE: [u64; 0] = [];

fn config() -> Config {
    Config {
        job: JOB,
        subtasks: [SOURCE, SINK].into(),
        sources: [SOURCE].into(),
        edges: Vec::new(),
        interval: Some(Millis(10)),
        interval_during_backlog: None,
        timeout: Millis(100),
        min_pause: Millis(0),
        unaligned: None,
        max_concurrent: 1,
        force_savepoints: true,
        max_queued_requests: 2,
        tolerable_failures: 0,
        retained: 1,
        retention: Retention::RETAIN_ALWAYS,
        restart: RestartStrategy::FixedDelay { attempts: 1, delay: Millis(7) },
        restore: None,
        publish: publish::Config {
            incarnation: Incarnation(1),
            retry_pause: Millis(1),
            recovery_retries: 3,
            segment: publish::Config::SEGMENT,
            first_attempt: Attempt(1),
            on_corruption: publish::OnCorruption::Fail,
        },
    }
}

/// A coordinator, its clock, a storage that works, and everything that it asked for.
struct Job {
    coordinator: Coordinator,
    now: u64,
    /// Operations of the storage that are not answered yet.
    asked: Vec<(publish::Ticket, Operation)>,
    pointers: BTreeMap<PointerSequence, Pointer>,
    metadata: BTreeMap<CheckpointId, CompletedCheckpoint>,
    /// Whether deletions end at once.
    cleans: bool,
}

impl Job {
    fn new(config: Config) -> Job {
        let coordinator = Coordinator::new(config).unwrap();
        let (pointers, metadata) = (BTreeMap::new(), BTreeMap::new());
        Job { coordinator, now: 0, asked: Vec::new(), pointers, metadata, cleans: true }
    }

    /// A job whose tasks run, in attempt 1, since time 0.
    fn running(config: Config) -> Job {
        let mut job = Job::new(config);
        job.on(Input::JobStarted);
        assert!(matches!(job.store()[..], [Output::StartTasks(_)]));
        job.on(Input::TasksRunning { attempt: Attempt(1) });
        job
    }

    fn on(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.coordinator.on(Millis(self.now), input, &mut out).unwrap();
        self.coordinator.check().unwrap();
        out.retain(|output| match output {
            Output::Perform { ticket, operation } => {
                self.asked.push((*ticket, operation.clone()));
                false
            }
            _ => true,
        });
        if self.cleans {
            for output in out.clone() {
                if let Output::DeleteCheckpoint(checkpoint) = output {
                    out.extend(self.on(Input::CleanupEnded { checkpoint }));
                }
            }
        }
        out
    }

    fn answer(&mut self, answer: Answer) -> Vec<Output> {
        let (ticket, _) = self.asked.remove(0);
        self.on(Input::StorageAnswered { ticket, answer })
    }

    /// Lets the storage do everything that it was asked for.
    fn store(&mut self) -> Vec<Output> {
        let mut done = Vec::new();
        while let Some((_, operation)) = self.asked.first().cloned() {
            let answer = self.perform(operation);
            done.extend(self.answer(answer));
        }
        done
    }

    fn perform(&mut self, operation: Operation) -> Answer {
        match operation {
            Operation::List => Answer::Listed(Listing {
                pointers: self.pointers.keys().copied().collect(),
                checkpoints: self.metadata.keys().copied().collect(),
            }),
            Operation::ReadPointer(number) => Answer::Pointer(self.pointers.get(&number).cloned()),
            Operation::ReadMetadata(id) => Answer::Metadata(self.metadata.get(&id).cloned()),
            Operation::PutMetadata(checkpoint) => {
                self.metadata.insert(checkpoint.id, checkpoint);
                Answer::Stored
            }
            Operation::PutPointer(number, _) if self.pointers.contains_key(&number) => Answer::Exists,
            Operation::PutPointer(number, pointer) => {
                self.pointers.insert(number, pointer);
                Answer::Stored
            }
        }
    }

    fn tick(&mut self, now: u64) -> Vec<Output> {
        self.now = now;
        self.on(Input::Tick)
    }

    fn acknowledge(&mut self, subtask: SubtaskId, checkpoint: u64) -> Vec<Output> {
        self.on(acknowledgement(1, subtask, checkpoint))
    }

    /// Both tasks acknowledge and the storage works.
    fn complete(&mut self, checkpoint: u64) -> Vec<Output> {
        let mut done = self.acknowledge(SOURCE, checkpoint);
        done.extend(self.acknowledge(SINK, checkpoint));
        done.extend(self.store());
        done
    }

    fn request(&mut self, request: u64, kind: RequestKind) -> Vec<Output> {
        self.on(Input::CheckpointRequested { request: RequestId(request), kind })
    }

    fn decline(&mut self, checkpoint: u64, reason: DeclineReason) -> Vec<Output> {
        let checkpoint = CheckpointId(checkpoint);
        self.on(Input::DeclineArrived { attempt: Attempt(1), subtask: SINK, checkpoint, reason })
    }

    fn under_way(&self) -> Vec<u64> {
        self.coordinator.pending().map(|(id, _)| id.0).collect()
    }

    /// A task fails, the tasks stop, the delay passes, and the next attempt recovers and runs.
    fn restart(&mut self) {
        let attempt = self.coordinator.attempt();
        self.on(failed(attempt, SINK));
        self.on(Input::TasksStopped { attempt });
        self.tick(self.now + 7);
        self.store();
        self.on(Input::TasksRunning { attempt: attempt.next() });
    }
}

fn file(attempt: u32, subtask: SubtaskId, checkpoint: u64) -> StateFile {
    let (checkpoint, attempt) = (CheckpointId(checkpoint), Attempt(attempt));
    StateFile { checkpoint, subtask, attempt, savepoint: false }
}

fn acknowledgement(attempt: u32, subtask: SubtaskId, checkpoint: u64) -> Input {
    let handle =
        Some(StateHandle { file: file(attempt, subtask, checkpoint), bytes: 1, checksum: 2, inline: None });
    Input::AcknowledgeArrived {
        attempt: Attempt(attempt),
        subtask,
        checkpoint: CheckpointId(checkpoint),
        handle,
        shared: None,
    }
}

fn failed(attempt: Attempt, subtask: SubtaskId) -> Input {
    Input::TaskFailed { attempt, subtask, unrecoverable: false }
}

fn aborted(checkpoint: u64, reason: AbortReason) -> Output {
    Output::Aborted { checkpoint: CheckpointId(checkpoint), reason }
}

fn notices_of_abort(checkpoint: u64) -> [Output; 2] {
    let checkpoint = CheckpointId(checkpoint);
    let (attempt, newest_completed) = (Attempt(1), None);
    [SOURCE, SINK].map(|subtask| Output::NotifyAborted { subtask, attempt, checkpoint, newest_completed })
}

fn notices_of_completion(checkpoint: u64) -> [Output; 2] {
    let checkpoint = CheckpointId(checkpoint);
    [SOURCE, SINK].map(|subtask| Output::NotifyComplete { subtask, attempt: Attempt(1), checkpoint })
}

fn triggers(checkpoint: u64, kind: CheckpointKind) -> [Output; 1] {
    let (checkpoint, options) = (CheckpointId(checkpoint), CheckpointOptions::aligned(kind));
    [Output::Trigger { subtask: SOURCE, attempt: Attempt(1), checkpoint, options }]
}

/// The same of a savepoint, before which it is said for which request that is.
fn triggers_savepoint(checkpoint: u64, request: u64) -> [Output; 2] {
    let [trigger] = triggers(checkpoint, CheckpointKind::Savepoint);
    let (savepoint, request) = (CheckpointId(checkpoint), RequestId(request));
    [Output::PlaceSavepoint { savepoint, attempt: Attempt(1), request }, trigger]
}

fn answered(request: u64, outcome: RequestOutcome) -> Output {
    Output::RequestAnswered { request: RequestId(request), outcome }
}

fn refused(request: u64, refusal: Refusal) -> Output {
    answered(request, RequestOutcome::Refused(refusal))
}

fn end_of_data(job: &mut Job) -> Vec<Output> {
    job.on(Input::EndOfDataReported { attempt: Attempt(1), subtask: SOURCE })
}

fn finish(job: &mut Job) -> Vec<Output> {
    let finished = |subtask| Input::TaskFinished { attempt: Attempt(1), subtask };
    assert_eq!(job.on(finished(SOURCE)), [], "one task is not all");
    job.on(finished(SINK))
}

const CANCEL: Output = Output::CancelTasks { attempt: Attempt(1) };

//= spec/coordinator.md#coord-4-complete-means-acknowledged-by-all
//= type=test
//# A checkpoint MUST be complete only with the acknowledgement of every subtask in its attempt that had not
//# finished before.
//= spec/coordinator.md#coord-30-every-task-is-told-of-a-completion
//= type=test
//# Every task that has not finished MUST be told of a completed checkpoint that is no savepoint.
#[test]
fn coord_checkpoint_acknowledged_by_all_is_published_and_then_notified() {
    let mut job = Job::running(config());
    assert_eq!(job.tick(10), triggers(1, CheckpointKind::Periodic));
    assert_eq!(job.acknowledge(SOURCE, 1), []);
    assert_eq!(job.acknowledge(SOURCE, 1), [], "a duplicate is no second task");
    assert_eq!(job.asked, []);
    assert_eq!(job.acknowledge(SINK, 1), []);
    assert_eq!(job.answer(Answer::Stored), [], "metadata alone completes nothing");
    let done = job.answer(Answer::Stored);
    assert!(matches!(&done[0], Output::Completed(complete) if complete.state_bytes() == 2));
    assert_eq!(done[1..], notices_of_completion(1));
    assert_eq!(job.coordinator.next_expiry(), None);
    assert_eq!(job.coordinator.retained().len(), 1);
}

#[test]
fn coord_two_checkpoints_complete_independently_of_each_other() {
    let mut job = Job::running(Config { max_concurrent: 2, retained: 2, ..config() });
    job.tick(10);
    job.tick(20);
    for (subtask, checkpoint) in [(SINK, 2), (SOURCE, 1), (SOURCE, 2)] {
        job.acknowledge(subtask, checkpoint);
        if checkpoint == 1 {
            job.acknowledge(SINK, 1);
            assert_eq!(job.store()[1..], notices_of_completion(1));
        }
    }
    assert_eq!(job.store()[1..3], notices_of_completion(2));
    assert!(job.coordinator.retained().iter().map(|kept| kept.id.0).eq([1, 2]));
}

#[test]
fn coord_task_without_state_is_recorded_as_such() {
    let mut job = Job::running(config());
    job.tick(10);
    let (attempt, checkpoint) = (Attempt(1), CheckpointId(1));
    job.on(Input::AcknowledgeArrived { attempt, subtask: SINK, checkpoint, handle: None, shared: None });
    job.acknowledge(SOURCE, 1);
    job.store();
    let states = &job.coordinator.retained()[0].states;
    assert_eq!((&states[&SINK], states[&SOURCE].is_some(), states.len()), (&None, true, 2));
}

//= spec/coordinator.md#coord-8-a-published-checkpoint-subsumes-older-ones
//= type=test
//# The publication of a checkpoint MUST abort every older one under way that is no savepoint.
#[test]
fn coord_published_checkpoint_subsumes_older_ones_and_their_state() {
    let mut job = Job::running(Config { max_concurrent: 2, ..config() });
    job.tick(10);
    job.tick(20);
    job.acknowledge(SOURCE, 1);
    let done = job.complete(2);
    let at = done.iter().position(|output| *output == aborted(1, AbortReason::Subsumed)).unwrap();
    assert!(
        done[at + 1..].iter().filter(|output| matches!(output, Output::NotifyAborted { .. })).count() == 2
    );
    assert!(done.contains(&Output::DiscardState(file(1, SOURCE, 1))));
    assert_eq!(job.acknowledge(SINK, 1), [Output::DiscardState(file(1, SINK, 1))]);
    assert_eq!(job.decline(1, DeclineReason::SyncPartFailed), [], "it is not counted");
    assert_eq!(job.under_way(), NONE, "both places are free");
}

//= spec/coordinator.md#coord-2-ids-strictly-increase
//= type=test
//# Ids MUST strictly increase over the triggers of an attempt and over all publications of a job.
//= spec/coordinator.md#coord-8-a-published-checkpoint-subsumes-older-ones
//= type=test
//# The publication of a checkpoint MUST abort every older one under way that is no savepoint.
#[test]
fn coord_older_checkpoint_acknowledged_during_a_publication_is_not_published_after_it() {
    let mut job = Job::running(Config { max_concurrent: 2, ..config() });
    job.tick(10);
    job.tick(20);
    for (subtask, checkpoint) in [(SOURCE, 2), (SINK, 2), (SOURCE, 1), (SINK, 1)] {
        assert_eq!(job.acknowledge(subtask, checkpoint), []);
    }
    let done = job.store();
    assert!(done.contains(&aborted(1, AbortReason::Subsumed)));
    let published: Vec<_> = job.pointers.values().filter_map(|pointer| pointer.newest).collect();
    assert_eq!(published, [CheckpointId(2)]);
}

//= spec/coordinator.md#coord-2-ids-strictly-increase
//= type=test
//# Ids MUST strictly increase over the triggers of an attempt and over all publications of a job.
#[test]
fn coord_ids_increase_over_aborts_and_attempts() {
    let mut job = Job::running(Config { tolerable_failures: 9, ..config() });
    job.tick(10);
    job.decline(1, DeclineReason::SyncPartFailed);
    assert_eq!(job.tick(20), triggers(2, CheckpointKind::Periodic));
    job.restart();
    job.tick(100);
    assert_eq!(job.under_way(), [3]);
    let mut process = Job::new(config());
    (process.pointers, process.metadata) = (job.pointers, job.metadata);
    process.metadata.insert(CheckpointId(41), CompletedCheckpoint { id: CheckpointId(41), ..complete() });
    process.on(Input::JobStarted);
    process.store();
    process.on(Input::TasksRunning { attempt: process.coordinator.attempt() });
    process.tick(10);
    assert_eq!(process.under_way(), [42]);
}

fn complete() -> CompletedCheckpoint {
    let (id, attempt) = (CheckpointId(1), Attempt(1));
    let (states, shared) = (BTreeMap::new(), BTreeMap::new());
    CompletedCheckpoint { id, attempt, kind: CheckpointKind::Periodic, states, shared }
}

//= spec/coordinator.md#coord-12-only-the-newest-are-retained
//= type=test
//# The coordinator MUST retain only the configured number of newest published checkpoints.
//= spec/coordinator.md#coord-13-deletion-starts-below-the-retained
//= type=test
//# A checkpoint MUST be deleted only when every retained checkpoint is newer.
#[test]
fn coord_only_the_newest_are_retained_and_only_older_ones_deleted() {
    let mut job = Job::running(Config { retained: 2, tolerable_failures: 9, ..config() });
    job.tick(10);
    let deletes = |done: Vec<Output>| -> Vec<u64> {
        let deleted = done.into_iter().filter_map(|output| match output {
            Output::DeleteCheckpoint(id) => Some(id.0),
            _ => None,
        });
        deleted.collect()
    };
    assert_eq!(deletes(job.decline(1, DeclineReason::SyncPartFailed)), NONE);
    job.tick(20);
    assert_eq!(deletes(job.complete(2)), [1], "what an aborted one left behind");
    job.tick(30);
    assert_eq!(deletes(job.complete(3)), NONE);
    job.tick(40);
    assert_eq!(deletes(job.complete(4)), [2]);
    assert!(job.coordinator.retained().iter().map(|kept| kept.id.0).eq([3, 4]));
}

#[test]
fn coord_configuration_that_contradicts_itself_is_refused() {
    let edge = |from, to| vec![Edge { from, to, pattern: EdgePattern::AllToAll }];
    for (wrong, contradiction) in [
        (Config { retained: 0, ..config() }, "no checkpoint is retained"),
        (Config { max_concurrent: 0, ..config() }, "no checkpoint may be under way"),
        (Config { max_queued_requests: 0, ..config() }, "no request may wait"),
        (Config { interval: Some(Millis(0)), ..config() }, "the interval is 0"),
        (Config { interval_during_backlog: Some(Millis(9)), ..config() }, "during backlog is shorter"),
        (Config { edges: edge(1, 1), ..config() }, "does not lead to a later operator"),
        (Config { edges: edge(0, 2), ..config() }, "neither a source nor at the end of an edge"),
        (Config { unaligned: Some(Millis(0)), max_concurrent: 2, ..config() }, "one at a time"),
        (Config { sources: [].into(), ..config() }, "there is no source"),
        (Config { sources: [SubtaskId::new(9, 9)].into(), ..config() }, "a source is no subtask"),
    ] {
        let misuse = Coordinator::new(wrong).expect_err(contradiction);
        assert!(misuse.what.contains(contradiction), "{misuse} instead of {contradiction}");
    }
}

#[test]
fn coord_misuse_changes_nothing() {
    let mut job = Job::running(config());
    let before = job.coordinator.clone();
    assert!(job.coordinator.on(Millis(0), Input::JobStarted, &mut Vec::new()).is_err());
    assert_eq!(job.coordinator, before);
}
