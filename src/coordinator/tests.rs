use super::*;
use crate::base::{
    CheckpointKind, CheckpointOptions, DeclineReason, Incarnation, JobId, StateFile, StateHandle,
};
use crate::publish::{Answer, Listing, Operation, Pointer, PointerKind, PointerSequence, PublicationFailure};

mod claim;
mod finished;
mod invariants;
mod life;
mod random;
mod requests;
mod retention;
mod savepoints;
mod shared;
mod table;

const JOB: JobId = JobId(1);
const SOURCE: SubtaskId = SubtaskId::new(0, 0);
const SINK: SubtaskId = SubtaskId::new(1, 0);

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
    let handle = Some(StateHandle { file: file(attempt, subtask, checkpoint), bytes: 1, checksum: 2 });
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

#[test]
fn coord_only_periodic_checkpoints_of_a_job_that_is_unaligned_overtake() {
    use crate::base::Alignment;
    let cases = [
        (None, Alignment::Aligned),
        (Some(Millis(0)), Alignment::Unaligned),
        (Some(Millis(7)), Alignment::AlignedUntil(Millis(17))),
    ];
    for (unaligned, expected) in cases {
        let mut job = Job::running(Config { unaligned, ..config() });
        job.now = 10;
        let alignments = |out: Vec<Output>| -> Vec<Alignment> {
            let alignment = |output| match output {
                Output::Trigger { options, .. } => Some(options.alignment()),
                _ => None,
            };
            out.into_iter().filter_map(alignment).collect()
        };
        assert_eq!(alignments(job.on(Input::Tick)), [expected]);
        let mut job = Job::running(Config { unaligned, ..config() });
        assert_eq!(alignments(end_of_data(&mut job)), [Alignment::Aligned]);
    }
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
    assert_eq!((states[&SINK], states[&SOURCE].is_some(), states.len()), (None, true, 2));
}

//= spec/coordinator.md#coord-1-tasks-start-from-a-recovery
//= type=test
//# An attempt MUST start its tasks only after its recovery has succeeded.
#[test]
fn coord_tasks_start_only_when_the_recovery_has_succeeded() {
    let mut job = Job::new(config());
    assert_eq!(job.on(Input::JobStarted), []);
    assert_eq!(job.answer(Answer::Listed(Listing::default())), []);
    assert!(matches!(job.answer(Answer::Stored)[..], [Output::StartTasks(_)]));
    let mut job = Job::new(config());
    job.on(Input::JobStarted);
    job.answer(Answer::Listed(Listing { pointers: [PointerSequence(1)].into(), ..Listing::default() }));
    assert!(matches!(job.answer(Answer::Corrupt)[..], [Output::JobEnded(Outcome::RecoveryFailed(_))]));
    assert!(job.coordinator.has_ended());
}

//= spec/coordinator.md#coord-5-checkpoints-need-running-tasks
//= type=test
//# A checkpoint MUST be triggered only while every task of the attempt runs.
#[test]
fn coord_nothing_is_triggered_until_all_tasks_run_or_after_they_stop() {
    let mut job = Job::new(config());
    job.on(Input::JobStarted);
    job.store();
    assert_eq!(job.tick(1_000), []);
    job.on(Input::TasksRunning { attempt: Attempt(1) });
    job.on(failed(Attempt(1), SINK));
    assert_eq!(job.tick(2_000), []);
}

//= spec/coordinator.md#coord-3-concurrency-is-bounded
//= type=test
//# A checkpoint that is not forced MUST NOT be triggered while the configured maximum is under way.
//= spec/coordinator.md#coord-29-the-interval-is-kept
//= type=test
//# A periodic checkpoint MUST be triggered when the interval since the last one was due is over and there is
//# room.
#[test]
fn coord_limit_of_concurrency_delays_triggers_until_there_is_room() {
    for limit in [1, 2, 5] {
        let mut job = Job::running(Config { max_concurrent: limit as usize, ..config() });
        for turn in 1..=limit + 2 {
            job.tick(10 * turn);
        }
        assert!(job.under_way().into_iter().eq(1..=limit));
        assert_eq!(job.complete(1).last(), triggers(limit + 1, CheckpointKind::Periodic).last());
        assert!(job.under_way().into_iter().eq(2..=limit + 1));
    }
}

//= spec/coordinator.md#coord-29-the-interval-is-kept
//= type=test
//# A periodic checkpoint MUST be triggered when the interval since the last one was due is over and there is
//# room.
#[test]
fn coord_interval_runs_from_due_time_to_due_time() {
    let mut job = Job::running(config());
    assert_eq!(job.coordinator.deadline(), Some(Millis(10)));
    assert_eq!(job.tick(9), []);
    job.tick(12);
    job.complete(1);
    assert_eq!(job.tick(19), []);
    assert_eq!(job.tick(20), triggers(2, CheckpointKind::Periodic), "the late one has moved nothing");
    assert_eq!(job.tick(45), [], "there is no room");
    job.now = 46;
    assert_eq!(job.complete(2).last(), triggers(3, CheckpointKind::Periodic).last());
    job.complete(3);
    assert_eq!(job.under_way(), [], "what was due twice is triggered once");
    assert_eq!(job.coordinator.deadline(), Some(Millis(50)));
    let mut job = Job::running(Config { interval: None, ..config() });
    assert_eq!((job.coordinator.deadline(), job.tick(1_000)), (None, vec![]), "without an interval: never");
}

//= spec/coordinator.md#coord-6-the-minimum-pause-is-kept
//= type=test
//# A periodic checkpoint MUST NOT be triggered within the minimum pause after a completion.
#[test]
fn coord_minimum_pause_counts_from_the_completion() {
    let mut job = Job::running(Config { min_pause: Millis(50), ..config() });
    job.tick(10);
    job.now = 30;
    job.complete(1);
    assert_eq!(job.coordinator.deadline(), Some(Millis(80)));
    assert_eq!(job.tick(79), []);
    assert_eq!(job.tick(80), triggers(2, CheckpointKind::Periodic));
    job.complete(2);
    assert_eq!(job.coordinator.deadline(), Some(Millis(130)), "80 and 50, and due times count from 80");
}

#[test]
fn coord_interval_counts_from_the_end_of_a_pause_that_has_delayed_a_checkpoint() {
    let mut job = Job::running(Config { min_pause: Millis(7), ..config() });
    job.tick(10);
    job.now = 18;
    job.complete(1);
    assert_eq!(job.tick(25), triggers(2, CheckpointKind::Periodic), "due at 20, but the pause ends at 25");
    job.now = 26;
    job.complete(2);
    assert_eq!(job.coordinator.deadline(), Some(Millis(35)), "the pause ends at 33");
}

//= spec/coordinator.md#coord-6-the-minimum-pause-is-kept
//= type=test
//# A periodic checkpoint MUST NOT be triggered within the minimum pause after a completion.
#[test]
fn coord_minimum_pause_outlasts_a_restart() {
    let mut job = Job::running(Config { min_pause: Millis(50), ..config() });
    job.tick(10);
    job.complete(1);
    job.restart();
    assert_eq!(job.coordinator.deadline(), Some(Millis(60)));
}

//= spec/coordinator.md#coord-7-checkpoints-expire
//= type=test
//# A checkpoint that is not fully acknowledged when its timeout ends MUST be aborted.
//= spec/coordinator.md#coord-14-an-abort-discards-acknowledged-state
//= type=test
//# The abort of a checkpoint MUST discard the state that was acknowledged for it, unless it may have become a
//# savepoint.
//= spec/coordinator.md#coord-17-every-task-is-told-of-an-abort
//= type=test
//# Every task that has not finished MUST be told of an aborted checkpoint.
#[test]
fn coord_expired_checkpoint_is_aborted_and_its_state_discarded() {
    let mut job = Job::running(config());
    job.tick(10);
    job.acknowledge(SOURCE, 1);
    assert_eq!(job.tick(109), []);
    let done = job.tick(110);
    assert_eq!(done[0], aborted(1, AbortReason::Expired));
    assert_eq!(done[1..3], notices_of_abort(1));
    assert_eq!(done[3], Output::DiscardState(file(1, SOURCE, 1)));
    assert!(!done.iter().any(|output| matches!(output, Output::NotifyComplete { .. })));
}

//= spec/coordinator.md#coord-31-declined-checkpoints-are-aborted
//= type=test
//# A checkpoint that a task declines MUST be aborted.
//= spec/coordinator.md#coord-14-an-abort-discards-acknowledged-state
//= type=test
//# The abort of a checkpoint MUST discard the state that was acknowledged for it, unless it may have become a
//# savepoint.
//= spec/coordinator.md#coord-17-every-task-is-told-of-an-abort
//= type=test
//# Every task that has not finished MUST be told of an aborted checkpoint.
#[test]
fn coord_declined_checkpoint_is_aborted_alone_and_once() {
    let mut job = Job::running(Config { max_concurrent: 2, tolerable_failures: 9, ..config() });
    job.tick(10);
    job.tick(20);
    job.acknowledge(SOURCE, 1);
    let done = job.decline(1, DeclineReason::SyncPartFailed);
    assert_eq!(done[0], aborted(1, AbortReason::Declined(SINK, DeclineReason::SyncPartFailed)));
    assert_eq!(done[1..3], notices_of_abort(1));
    assert_eq!(done[3], Output::DiscardState(file(1, SOURCE, 1)));
    assert_eq!(job.decline(1, DeclineReason::SyncPartFailed), []);
    assert_eq!(job.decline(7, DeclineReason::SyncPartFailed), [], "an unknown checkpoint");
    assert_eq!(job.under_way(), [2]);
}

//= spec/coordinator.md#coord-27-messages-of-unknown-tasks-change-no-checkpoint
//= type=test
//# A message of a task that is not part of the job MUST NOT change a checkpoint.
#[test]
fn coord_messages_of_unknown_tasks_change_no_checkpoint() {
    let stranger = SubtaskId::new(9, 9);
    let mut job = Job::running(config());
    job.tick(10);
    assert_eq!(job.acknowledge(stranger, 1), [Output::DiscardState(file(1, stranger, 1))]);
    let (checkpoint, reason) = (CheckpointId(1), DeclineReason::SyncPartFailed);
    let declined = Input::DeclineArrived { attempt: Attempt(1), subtask: stranger, checkpoint, reason };
    assert_eq!(job.on(declined), []);
    job.on(Input::EndOfDataReported { attempt: Attempt(1), subtask: stranger });
    job.on(Input::TaskFinished { attempt: Attempt(1), subtask: stranger });
    assert_eq!(job.complete(1)[1..], notices_of_completion(1));
}

//= spec/coordinator.md#coord-16-messages-of-other-attempts-change-no-checkpoint
//= type=test
//# A message of another attempt MUST NOT change a checkpoint or the phase of the job.
#[test]
fn coord_messages_of_another_attempt_change_nothing() {
    let attempt = Attempt(2);
    let (checkpoint, reason) = (CheckpointId(1), DeclineReason::SyncPartFailed);
    let mut job = Job::running(config());
    job.tick(10);
    job.acknowledge(SOURCE, 1);
    let before = job.coordinator.clone();
    for stale in [
        Input::TasksRunning { attempt },
        Input::DeclineArrived { attempt, subtask: SINK, checkpoint, reason },
        Input::EndOfDataReported { attempt, subtask: SOURCE },
        Input::TaskFinished { attempt, subtask: SINK },
        failed(attempt, SINK),
        Input::TasksStopped { attempt },
    ] {
        assert_eq!(job.on(stale), []);
    }
    assert_eq!(job.on(acknowledgement(2, SINK, 1)), [Output::DiscardState(file(2, SINK, 1))]);
    assert_eq!(job.coordinator, before);
}

//= spec/coordinator.md#coord-15-late-state-is-discarded
//= type=test
//# State that no checkpoint takes in MUST be discarded unless a checkpoint that counts may refer to it.
#[test]
fn coord_late_state_is_discarded_unless_a_checkpoint_holds_it() {
    let mut job = Job::running(config());
    job.tick(10);
    job.acknowledge(SOURCE, 1);
    assert_eq!(job.acknowledge(SOURCE, 1), [], "held by the pending checkpoint");
    job.acknowledge(SINK, 1);
    assert_eq!(job.acknowledge(SINK, 1), [], "held by the checkpoint in publication");
    job.store();
    assert_eq!(job.acknowledge(SINK, 1), [], "held by the retained checkpoint");
    job.tick(20);
    job.tick(120);
    assert_eq!(job.acknowledge(SINK, 2), [Output::DiscardState(file(1, SINK, 2))]);
}

//= spec/coordinator.md#coord-15-late-state-is-discarded
//= type=test
//# State that no checkpoint takes in MUST be discarded unless a checkpoint that counts may refer to it.
#[test]
fn coord_state_is_left_alone_until_the_recovery_says_which_checkpoint_counts() {
    let mut first = Job::running(config());
    first.tick(10);
    first.complete(1);
    let mut second = Job::new(config());
    (second.pointers, second.metadata) = (first.pointers, first.metadata);
    assert_eq!(second.acknowledge(SINK, 1), []);
    second.on(Input::JobStarted);
    assert_eq!(second.acknowledge(SINK, 1), [], "a second copy outlived the process");
    second.store();
    assert_eq!(second.acknowledge(SINK, 1), [], "recovered, so it counts");
    assert_eq!(second.acknowledge(SINK, 9), [Output::DiscardState(file(1, SINK, 9))]);
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
    assert_eq!(job.under_way(), [], "both places are free");
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

//= spec/coordinator.md#coord-25-stopping-the-tasks-aborts-what-is-under-way
//= type=test
//# When tasks are stopped, every checkpoint under way MUST be aborted except one in publication.
#[test]
fn coord_failure_during_a_publication_aborts_all_but_the_one_in_publication() {
    let mut job = Job::running(Config { max_concurrent: 3, ..config() });
    for now in [10, 20, 30] {
        job.tick(now);
    }
    for (subtask, checkpoint) in [(SOURCE, 2), (SINK, 2), (SOURCE, 1), (SINK, 1)] {
        job.acknowledge(subtask, checkpoint);
    }
    let done = job.on(failed(Attempt(1), SINK));
    let reasons: Vec<_> = done.iter().filter(|output| matches!(output, Output::Aborted { .. })).collect();
    assert_eq!(reasons, [&aborted(1, AbortReason::Suspended), &aborted(3, AbortReason::Suspended)]);
    assert_eq!(done.last(), Some(&CANCEL));
    assert!(matches!(job.store()[0], Output::Completed(_)));
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
    assert_eq!(deletes(job.decline(1, DeclineReason::SyncPartFailed)), []);
    job.tick(20);
    assert_eq!(deletes(job.complete(2)), [1], "what an aborted one left behind");
    job.tick(30);
    assert_eq!(deletes(job.complete(3)), []);
    job.tick(40);
    assert_eq!(deletes(job.complete(4)), [2]);
    assert!(job.coordinator.retained().iter().map(|kept| kept.id.0).eq([3, 4]));
}

//= spec/coordinator.md#coord-9-which-failures-count
//= type=test
//# A checkpoint MUST count as failed exactly when a part failed, it expired or the storage did not take it.
#[test]
fn coord_only_failures_of_a_part_a_timeout_or_a_publication_count() {
    use DeclineReason::{AsyncPartFailed, OnCancellationBarrier, Subsumed, SyncPartFailed};
    for (reason, counts) in
        [(SyncPartFailed, true), (AsyncPartFailed, true), (OnCancellationBarrier, false), (Subsumed, false)]
    {
        let mut job = Job::running(config());
        job.tick(10);
        assert_eq!(job.decline(1, reason).contains(&CANCEL), counts, "{reason:?}");
    }
    let mut job = Job::running(config());
    job.tick(10);
    assert!(job.tick(110).contains(&CANCEL), "expired");
    let mut job = Job::running(config());
    job.tick(10);
    job.acknowledge(SOURCE, 1);
    job.acknowledge(SINK, 1);
    let done = job.answer(Answer::Failed);
    let reason = AbortReason::PublicationFailed(PublicationFailure::StorageFailed);
    assert!(done.contains(&aborted(1, reason)) && done.contains(&CANCEL));
    assert!([SOURCE, SINK].iter().all(|task| done.contains(&Output::DiscardState(file(1, *task, 1)))));
    let mut job = Job::running(config());
    job.tick(10);
    job.acknowledge(SOURCE, 1);
    job.acknowledge(SINK, 1);
    let done = job.answer(Answer::Exists);
    let reason = AbortReason::PublicationFailed(PublicationFailure::IdTaken);
    assert!(done.contains(&aborted(1, reason)) && !done.contains(&CANCEL));
    let mut job = Job::running(Config { max_concurrent: 2, ..config() });
    job.tick(10);
    job.tick(20);
    assert!(!job.complete(2).contains(&CANCEL), "subsumed");
}

//= spec/coordinator.md#coord-10-too-many-failures-in-a-row-stop-the-tasks
//= type=test
//# More consecutive failures than tolerated MUST stop all tasks.
//= spec/coordinator.md#coord-11-a-success-resets-the-count
//= type=test
//# A completed checkpoint that is newer than every other MUST reset the count of consecutive failures.
#[test]
fn coord_failures_in_a_row_beyond_the_tolerated_stop_the_tasks_and_a_success_resets_them() {
    let mut job = Job::running(Config { tolerable_failures: 1, ..config() });
    job.tick(10);
    assert!(!job.decline(1, DeclineReason::SyncPartFailed).contains(&CANCEL));
    job.tick(20);
    job.complete(2);
    job.tick(30);
    assert!(!job.decline(3, DeclineReason::AsyncPartFailed).contains(&CANCEL));
    job.tick(40);
    let done = job.decline(4, DeclineReason::AsyncPartFailed);
    assert_eq!(done.iter().filter(|output| **output == CANCEL).count(), 1);
    let mut job = Job::running(Config { restart: RestartStrategy::None, ..config() });
    job.tick(10);
    job.decline(1, DeclineReason::SyncPartFailed);
    let done = job.on(Input::TasksStopped { attempt: Attempt(1) });
    assert_eq!(done, [Output::JobEnded(Outcome::TooManyCheckpointFailures)]);
}

#[test]
fn coord_configuration_that_makes_no_sense_is_refused() {
    for wrong in [
        Config { retained: 0, ..config() },
        Config { max_concurrent: 0, ..config() },
        Config { max_queued_requests: 0, ..config() },
        Config { interval: Some(Millis(0)), ..config() },
        Config { interval_during_backlog: Some(Millis(9)), ..config() },
        Config { edges: vec![Edge { from: 1, to: 1, pattern: EdgePattern::AllToAll }], ..config() },
        Config { edges: vec![Edge { from: 0, to: 2, pattern: EdgePattern::AllToAll }], ..config() },
        Config { sources: [].into(), ..config() },
        Config { sources: [SubtaskId::new(9, 9)].into(), ..config() },
    ] {
        assert!(Coordinator::new(wrong).is_err());
    }
    let mut job = Job::running(config());
    let before = job.coordinator.clone();
    assert!(job.coordinator.on(Millis(0), Input::JobStarted, &mut Vec::new()).is_err());
    assert_eq!(job.coordinator, before);
}
