use super::*;
use crate::base::{Alignment, CheckpointKind, StateFile, StateHandle};
use proptest::prelude::*;

mod cancelled;
mod end;
mod table;

const ATTEMPT: Attempt = Attempt(3);

fn subtask(channels: u16) -> Subtask {
    Subtask::new(config(channels))
}

fn config(channels: u16) -> Config {
    Config {
        id: SubtaskId::new(1, 0),
        attempt: ATTEMPT,
        mode: CheckpointingMode::ExactlyOnce,
        channels,
        outputs: 2,
        input_finished: false,
    }
}

fn id(number: u64) -> CheckpointId {
    CheckpointId(number)
}

fn on(subtask: &mut Subtask, input: Input) -> Vec<Output> {
    at(subtask, 0, input)
}

fn at(subtask: &mut Subtask, now: u64, input: Input) -> Vec<Output> {
    let mut out = Vec::new();
    subtask.on(Millis(now), input, &mut out).unwrap();
    subtask.check().unwrap();
    out
}

fn trigger_of(checkpoint: u64, kind: CheckpointKind) -> Input {
    let options = CheckpointOptions::aligned(kind);
    Input::TriggerArrived { attempt: ATTEMPT, checkpoint: id(checkpoint), options }
}

fn trigger(checkpoint: u64) -> Input {
    trigger_of(checkpoint, CheckpointKind::Periodic)
}

fn barrier(channel: u16, checkpoint: u64) -> Input {
    let options = CheckpointOptions::aligned(CheckpointKind::Periodic);
    Input::BarrierArrived { channel: Channel(channel), checkpoint: id(checkpoint), options }
}

fn abort(checkpoint: u64) -> Input {
    Input::AbortArrived { attempt: ATTEMPT, checkpoint: id(checkpoint), newest_completed: None }
}

fn completion(checkpoint: u64) -> Input {
    Input::CompletionArrived { attempt: ATTEMPT, checkpoint: id(checkpoint) }
}

fn taken(checkpoint: u64) -> Input {
    Input::SnapshotTaken { checkpoint: id(checkpoint) }
}

fn handle(checkpoint: u64) -> StateHandle {
    let (checkpoint, subtask) = (id(checkpoint), SubtaskId::new(1, 0));
    let file = StateFile { checkpoint, subtask, attempt: ATTEMPT, savepoint: false };
    StateHandle { file, bytes: 1, checksum: 2, inline: None }
}

fn uploaded(checkpoint: u64) -> Input {
    Input::UploadFinished { checkpoint: id(checkpoint), handle: Some(handle(checkpoint)) }
}

fn begins(checkpoint: u64, kind: CheckpointKind) -> [Output; 2] {
    let (checkpoint, options) = (id(checkpoint), CheckpointOptions::aligned(kind));
    [Output::EmitBarrier { checkpoint, options }, Output::TakeSnapshot { checkpoint, options }]
}

fn declines(checkpoint: u64, reason: DeclineReason) -> Output {
    Output::Decline { checkpoint: id(checkpoint), attempt: ATTEMPT, reason }
}

fn cancels(checkpoint: u64) -> Output {
    Output::EmitCancellation { checkpoint: id(checkpoint) }
}

fn notifies_abort(checkpoint: u64) -> Output {
    Output::NotifyAborted { checkpoint: id(checkpoint) }
}

//= spec/subtask.md#subtask-1-the-barrier-goes-out-before-the-snapshot
//= type=test
//# A subtask MUST emit the barrier of a checkpoint before it takes its snapshot.
//= spec/subtask.md#subtask-4-acknowledged-means-durable
//= type=test
//# A subtask MUST acknowledge a checkpoint only after the upload of its state has finished.
#[test]
fn subtask_source_emits_the_barrier_snapshots_uploads_and_then_acknowledges() {
    let mut source = subtask(0);
    assert_eq!(at(&mut source, 10, trigger(1)), begins(1, CheckpointKind::Periodic));
    assert_eq!(at(&mut source, 13, taken(1)), [Output::StartUpload { checkpoint: id(1) }]);
    assert!(!source.parts.is_empty());
    let durations = Durations { alignment: Millis(0), sync: Millis(3), asynchronous: Millis(7) };
    let expected =
        Output::Acknowledge { checkpoint: id(1), attempt: ATTEMPT, handle: Some(handle(1)), durations };
    assert_eq!(at(&mut source, 20, uploaded(1)), [expected]);
    assert!(source.parts.is_empty());
}

//= spec/subtask.md#subtask-1-the-barrier-goes-out-before-the-snapshot
//= type=test
//# A subtask MUST emit the barrier of a checkpoint before it takes its snapshot.
#[test]
fn subtask_with_a_gate_snapshots_before_its_channels_are_read_again() {
    let mut task = subtask(2);
    assert_eq!(at(&mut task, 1, barrier(1, 1)), [Output::BlockChannel(Channel(1))]);
    let [emit, take] = begins(1, CheckpointKind::Periodic);
    let [first, second] = [0, 1].map(|channel| Output::ResumeChannel(Channel(channel)));
    assert_eq!(
        at(&mut task, 5, barrier(0, 1)),
        [Output::BlockChannel(Channel(0)), emit, take, first, second]
    );
    at(&mut task, 5, taken(1));
    let done = at(&mut task, 5, uploaded(1));
    assert!(matches!(done[..], [Output::Acknowledge { durations, .. }] if durations.alignment == Millis(4)));
}

//= spec/subtask.md#subtask-2-messages-of-other-attempts-are-ignored
//= type=test
//# A message of the coordinator to another attempt MUST change nothing.
#[test]
fn subtask_messages_to_another_attempt_are_ignored() {
    let attempt = ATTEMPT.next();
    let mut source = subtask(0);
    let before = source.clone();
    for stale in [
        Input::TriggerArrived {
            attempt,
            checkpoint: id(1),
            options: CheckpointOptions::aligned(CheckpointKind::Periodic),
        },
        Input::CompletionArrived { attempt, checkpoint: id(1) },
        Input::AbortArrived { attempt, checkpoint: id(1), newest_completed: Some(id(1)) },
    ] {
        assert_eq!(on(&mut source, stale), []);
    }
    assert_eq!(source, before);
}

//= spec/subtask.md#subtask-3-a-source-takes-each-checkpoint-once
//= type=test
//# A source MUST ignore a trigger that is not newer than all it has emitted a barrier or marker for.
#[test]
fn subtask_source_ignores_repeated_and_old_triggers() {
    let mut source = subtask(0);
    on(&mut source, trigger(2));
    assert_eq!(on(&mut source, trigger(2)), []);
    assert_eq!(on(&mut source, trigger(1)), []);
    on(&mut source, abort(3));
    assert_eq!(on(&mut source, trigger(3)), [cancels(3)]);
    assert_eq!(on(&mut source, trigger(3)), []);
}

//= spec/subtask.md#subtask-5-a-failed-part-is-declined
//= type=test
//# A subtask whose snapshot or upload fails MUST decline the checkpoint.
#[test]
fn subtask_failed_sync_part_is_declined_and_the_task_goes_on() {
    let mut source = subtask(0);
    on(&mut source, trigger(1));
    let done = on(&mut source, Input::SnapshotFailed { checkpoint: id(1) });
    let dropped = Output::DropSnapshot { checkpoint: id(1) };
    assert_eq!(done, [dropped, declines(1, DeclineReason::SyncPartFailed)]);
    assert_eq!(on(&mut source, trigger(2)), begins(2, CheckpointKind::Periodic));
}

//= spec/subtask.md#subtask-5-a-failed-part-is-declined
//= type=test
//# A subtask whose snapshot or upload fails MUST decline the checkpoint.
#[test]
fn subtask_failed_async_part_is_declined_and_the_task_goes_on() {
    let mut source = subtask(0);
    on(&mut source, trigger(1));
    on(&mut source, taken(1));
    let done = on(&mut source, Input::UploadFailed { checkpoint: id(1) });
    assert_eq!(done, [declines(1, DeclineReason::AsyncPartFailed)]);
    assert_eq!(on(&mut source, trigger(2)), begins(2, CheckpointKind::Periodic));
}

//= spec/subtask.md#subtask-7-an-aborted-checkpoint-is-not-started
//= type=test
//# A checkpoint whose abort arrived before its barriers MUST NOT be snapshotted.
//= spec/subtask.md#subtask-8-a-missing-barrier-is-replaced-by-a-cancellation-marker
//= type=test
//# A subtask that gives a checkpoint up before its barrier MUST emit a cancellation marker instead.
#[test]
fn subtask_abort_before_the_barrier_sends_a_marker_instead_of_a_snapshot() {
    let mut task = subtask(1);
    assert_eq!(on(&mut task, abort(1)), [notifies_abort(1)]);
    let [block, resume] = [Output::BlockChannel(Channel(0)), Output::ResumeChannel(Channel(0))];
    assert_eq!(on(&mut task, barrier(0, 1)), [block.clone(), cancels(1), resume.clone()]);
    let [emit, take] = begins(2, CheckpointKind::Periodic);
    assert_eq!(on(&mut task, barrier(0, 2)), [block, emit, take, resume]);
}

//= spec/subtask.md#subtask-8-a-missing-barrier-is-replaced-by-a-cancellation-marker
//= type=test
//# A subtask that gives a checkpoint up before its barrier MUST emit a cancellation marker instead.
#[test]
fn subtask_abort_during_the_alignment_opens_the_gate_without_a_decline() {
    let mut task = subtask(2);
    on(&mut task, barrier(0, 1));
    let done = on(&mut task, abort(1));
    assert_eq!(done, [cancels(1), Output::ResumeChannel(Channel(0)), notifies_abort(1)]);
    assert_eq!(on(&mut task, barrier(1, 1)), []);
}

//= spec/subtask.md#subtask-8-a-missing-barrier-is-replaced-by-a-cancellation-marker
//= type=test
//# A subtask that gives a checkpoint up before its barrier MUST emit a cancellation marker instead.
//= spec/subtask.md#subtask-17-a-checkpoint-lost-at-the-gate-is-declined
//= type=test
//# A checkpoint that the gate gives up by itself MUST be declined with the reason of the gate.
#[test]
fn subtask_checkpoint_lost_at_the_gate_is_declined_and_cancelled_downstream() {
    let mut task = subtask(2);
    on(&mut task, barrier(0, 1));
    let done = on(&mut task, barrier(1, 2));
    assert_eq!(done[..2], [cancels(1), declines(1, DeclineReason::Subsumed)]);
    let done = on(&mut task, Input::CancellationArrived { channel: Channel(0), checkpoint: id(2) });
    assert_eq!(done[..2], [cancels(2), declines(2, DeclineReason::OnCancellationBarrier)]);
}

//= spec/subtask.md#subtask-6-aborts-are-remembered-only-ahead-of-barriers
//= type=test
//# An abort MUST be remembered only while the checkpoint is newer than all that were emitted.
//= spec/subtask.md#subtask-9-the-memory-of-aborts-is-bounded
//= type=test
//# A subtask MUST remember at most the 128 newest aborted checkpoints.
#[test]
fn subtask_memory_of_aborts_is_bounded_and_keeps_the_newest() {
    let mut source = subtask(0);
    let bound = REMEMBERED_ABORTS as u64;
    for checkpoint in 1..=bound + 10 {
        on(&mut source, abort(checkpoint));
    }
    assert!(source.aborted.iter().copied().eq((11..=bound + 10).map(id)));
    assert_eq!(on(&mut source, trigger(bound)), [cancels(bound)]);
    assert_eq!(source.aborted.len(), 10);
    on(&mut source, abort(5));
    assert_eq!(source.aborted.len(), 10, "an abort behind the barriers is not remembered");
}

#[test]
fn subtask_abort_after_the_async_part_only_notifies() {
    let mut source = subtask(0);
    for input in [trigger(1), taken(1), uploaded(1)] {
        on(&mut source, input);
    }
    assert_eq!(on(&mut source, abort(1)), [notifies_abort(1)]);
}

#[test]
fn subtask_abort_of_the_old_does_not_hurt_the_new() {
    let mut source = subtask(0);
    for input in [trigger(1), taken(1), trigger(2), taken(2), abort(1)] {
        on(&mut source, input);
    }
    assert!(matches!(on(&mut source, uploaded(2))[..], [Output::Acknowledge { .. }]));
    assert_eq!(on(&mut source, uploaded(1)), [Output::DiscardState(handle(1).file)]);
}

//= spec/subtask.md#subtask-12-completions-are-notified-in-order
//= type=test
//# The user's code MUST be notified of completed checkpoints in increasing order, each at most once.
#[test]
fn subtask_completions_are_notified_once_and_in_order() {
    let mut task = subtask(1);
    let notified = |checkpoint| [Output::NotifyComplete { checkpoint: id(checkpoint) }];
    assert_eq!(on(&mut task, completion(1)), notified(1));
    assert_eq!(on(&mut task, completion(1)), []);
    assert_eq!(on(&mut task, completion(3)), notified(3));
    assert_eq!(on(&mut task, completion(2)), []);
}

//= spec/subtask.md#subtask-16-the-end-of-data-is-passed-on-once
//= type=test
//# A subtask MUST pass the end of data on once, when all of its channels have delivered it.
#[test]
fn subtask_end_of_data_is_passed_on_after_the_last_channel() {
    let mut task = subtask(2);
    assert_eq!(on(&mut task, Input::EndOfDataArrived { channel: Channel(1) }), []);
    let done = on(&mut task, Input::EndOfDataArrived { channel: Channel(0) });
    assert_eq!(done, [Output::FinishInput, Output::EmitEndOfData]);
    assert!(task.has_reached_end_of_data());
    let again = Input::EndOfDataArrived { channel: Channel(0) };
    assert!(task.on(Millis(0), again, &mut Vec::new()).is_err());
}

fn overtaking(alignment: Alignment) -> CheckpointOptions {
    CheckpointOptions::new(CheckpointKind::Periodic, alignment)
}

fn announced(channel: u16, checkpoint: u64) -> Input {
    let options = overtaking(Alignment::Unaligned);
    Input::BarrierAnnounced { channel: Channel(channel), checkpoint: id(checkpoint), options }
}

/// What a subtask with two outputs does when a barrier overtakes.
fn overtakes(checkpoint: u64) -> [Output; 4] {
    let (checkpoint, options) = (id(checkpoint), overtaking(Alignment::Unaligned));
    let [first, second] =
        [0, 1].map(|channel| Output::OvertakeOutput { checkpoint, channel: Channel(channel), options });
    [Output::EmitBarrier { checkpoint, options }, first, second, Output::TakeSnapshot { checkpoint, options }]
}

//= spec/subtask.md#subtask-20-the-upload-waits-for-all-that-belongs-to-it
//= type=test
//# The upload of a checkpoint MUST begin only when its snapshot is taken and nothing more is captured for it.
#[test]
fn subtask_unaligned_snapshot_is_uploaded_when_the_last_barrier_ends_the_capture() {
    let mut task = subtask(2);
    let queued = Output::CaptureQueued { checkpoint: id(1), channel: Channel(1) };
    let done = at(&mut task, 1, announced(0, 1));
    assert!(overtakes(1).iter().all(|output| done.contains(output)) && done.contains(&queued), "{done:?}");
    assert_eq!(at(&mut task, 2, taken(1)), []);
    assert_eq!(task.capturing(Channel(1)), Some(id(1)));
    assert_eq!(at(&mut task, 5, announced(1, 1)), [Output::StartUpload { checkpoint: id(1) }]);
    assert_eq!(task.capturing(Channel(1)), None);
    let durations = Durations { alignment: Millis(4), sync: Millis(1), asynchronous: Millis(2) };
    let (handle, checkpoint) = (Some(handle(1)), id(1));
    let acknowledged = Output::Acknowledge { checkpoint, attempt: ATTEMPT, handle, durations };
    assert_eq!(at(&mut task, 7, uploaded(1)), [acknowledged]);
    assert_eq!(at(&mut task, 8, barrier(0, 1)), [], "it is read where it stands in line");
}

//= spec/subtask.md#subtask-20-the-upload-waits-for-all-that-belongs-to-it
//= type=test
//# The upload of a checkpoint MUST begin only when its snapshot is taken and nothing more is captured for it.
#[test]
fn subtask_barrier_at_the_outputs_overtakes_at_its_deadline_and_only_then_the_upload_begins() {
    let mut source = subtask(0);
    let options = overtaking(Alignment::AlignedUntil(Millis(10)));
    let trigger = Input::TriggerArrived { attempt: ATTEMPT, checkpoint: id(1), options };
    let checkpoint = id(1);
    let begun = [Output::EmitBarrier { checkpoint, options }, Output::TakeSnapshot { checkpoint, options }];
    assert_eq!(at(&mut source, 1, trigger), begun);
    assert_eq!(at(&mut source, 1, taken(1)), []);
    assert_eq!(source.deadline(), Some(Millis(10)));
    assert_eq!(at(&mut source, 2, Input::BarrierSent { channel: Channel(1), checkpoint }), []);
    let options = overtaking(Alignment::Unaligned);
    let overtake = Output::OvertakeOutput { checkpoint, channel: Channel(0), options };
    assert_eq!(at(&mut source, 10, Input::Tick), [overtake, Output::StartUpload { checkpoint }]);
    assert_eq!(source.deadline(), None);
}

//= spec/subtask.md#subtask-21-what-was-collected-in-vain-is-dropped
//= type=test
//# A snapshot whose checkpoint is given up before its upload MUST be dropped with all that was captured for it.
#[test]
fn subtask_abort_during_the_capture_drops_the_snapshot_without_a_marker() {
    let mut task = subtask(2);
    on(&mut task, announced(0, 1));
    on(&mut task, taken(1));
    let dropped = Output::DropSnapshot { checkpoint: id(1) };
    assert_eq!(on(&mut task, abort(1)), [dropped, notifies_abort(1)]);
    assert_eq!(task.capturing(Channel(1)), None);
    assert_eq!(on(&mut task, announced(1, 1)), []);
    // The same by a newer barrier, which the coordinator does not know of.
    on(&mut task, announced(0, 2));
    on(&mut task, taken(2));
    let done = on(&mut task, announced(1, 3));
    let dropped = Output::DropSnapshot { checkpoint: id(2) };
    assert_eq!(done[..2], [dropped, declines(2, DeclineReason::Subsumed)]);
    assert!(overtakes(3).iter().all(|output| done.contains(output)), "{done:?}");
}

//= spec/subtask.md#subtask-7-an-aborted-checkpoint-is-not-started
//= type=test
//# A checkpoint whose abort arrived before its barriers MUST NOT be snapshotted.
#[test]
fn subtask_abort_before_an_overtaking_barrier_captures_nothing() {
    let mut task = subtask(2);
    on(&mut task, abort(1));
    assert_eq!(on(&mut task, announced(0, 1)), [cancels(1)]);
    assert_eq!(task.capturing(Channel(1)), None);
    assert_eq!(on(&mut task, announced(1, 1)), []);
}

//= spec/subtask.md#subtask-19-input-is-finished-once
//= type=test
//# A subtask restored from a snapshot that was taken after its input was finished MUST NOT finish it again.
#[test]
fn subtask_input_that_was_finished_before_the_snapshot_is_not_finished_again() {
    let mut task = subtask(1);
    assert!(!task.has_finished_input());
    on(&mut task, Input::EndOfDataArrived { channel: Channel(0) });
    let input_finished = task.has_finished_input();
    let mut restored = Subtask::new(Config { input_finished, ..config(1) });
    let end = Input::EndOfDataArrived { channel: Channel(0) };
    assert_eq!(on(&mut restored, end), [Output::EmitEndOfData]);
    assert!(restored.has_finished_input());
}

//= spec/subtask.md#subtask-18-a-source-reports-the-end-of-its-data
//= type=test
//# A source that reaches the end of its data MUST report it to the coordinator.
#[test]
fn subtask_source_at_its_end_tells_its_outputs_and_the_coordinator() {
    let mut source = subtask(0);
    let done = on(&mut source, Input::SourceExhausted);
    assert_eq!(done, [Output::EmitEndOfData, Output::ReportEndOfData { attempt: ATTEMPT }]);
}

//= spec/subtask.md#subtask-13-a-terminal-checkpoint-holds-the-subtask
//= type=test
//# A subtask that takes a terminal checkpoint MUST hold until that is decided.
//= spec/subtask.md#subtask-14-a-subtask-finishes-with-its-terminal-checkpoint
//= type=test
//# A subtask that holds MUST finish only when the terminal checkpoint that it holds for is complete.
#[test]
fn subtask_finishes_when_its_terminal_checkpoint_completes_and_not_before() {
    for kind in [CheckpointKind::Final, CheckpointKind::Stop] {
        let mut source = subtask(0);
        for input in [trigger(1), taken(1), uploaded(1)] {
            on(&mut source, input);
        }
        assert!(!source.is_holding());
        assert_eq!(on(&mut source, trigger_of(2, kind)), begins(2, kind));
        assert!(source.is_holding());
        assert_eq!(on(&mut source, completion(1)), [Output::NotifyComplete { checkpoint: id(1) }]);
        assert!(!source.is_finished());
        on(&mut source, taken(2));
        on(&mut source, uploaded(2));
        assert_eq!(
            on(&mut source, completion(2)),
            [Output::NotifyComplete { checkpoint: id(2) }, Output::Finish]
        );
        assert!(source.is_finished());
        assert_eq!(on(&mut source, trigger(3)), []);
    }
}

//= spec/subtask.md#subtask-15-an-aborted-terminal-checkpoint-lets-the-subtask-go-on
//= type=test
//# The abort of the terminal checkpoint that a subtask holds for MUST let it run again.
#[test]
fn subtask_goes_on_after_its_terminal_checkpoint_was_aborted() {
    let mut source = subtask(0);
    on(&mut source, trigger_of(1, CheckpointKind::Stop));
    on(&mut source, taken(1));
    on(&mut source, abort(1));
    assert!(!source.is_holding());
    for input in [uploaded(1), trigger_of(2, CheckpointKind::Stop), taken(2), uploaded(2)] {
        on(&mut source, input);
    }
    assert!(on(&mut source, completion(2)).contains(&Output::Finish));
}

#[test]
fn subtask_misuse_is_refused_without_change() {
    let refused = |task: &Subtask, input: Input| {
        let (mut after, mut out) = (task.clone(), Vec::new());
        assert!(after.on(Millis(0), input.clone(), &mut out).is_err(), "{input:?}");
        assert_eq!((&after, out.len()), (task, 0), "{input:?}");
    };
    let drain = Input::DrainArrived { attempt: ATTEMPT };
    for input in [
        drain,
        Input::EndOfDataSent { has_union_list: false },
        Input::SourceExhausted,
        taken(1),
        barrier(1, 1),
    ] {
        refused(&subtask(1), input);
    }
    let mut source = subtask(0);
    on(&mut source, trigger(1));
    for input in [uploaded(1), Input::UploadFailed { checkpoint: id(1) }, taken(2)] {
        refused(&source, input);
    }
    on(&mut source, taken(1));
    for input in [taken(1), Input::SnapshotFailed { checkpoint: id(1) }, barrier(0, 1)] {
        refused(&source, input);
    }
}

#[test]
fn subtask_check_finds_a_part_without_a_barrier_and_an_abort_that_came_too_late() {
    let broken = |task: &Subtask| task.check().unwrap_err().requirement;
    let mut source = subtask(0);
    on(&mut source, trigger(2));
    for newest in [None, Some(id(1))] {
        let mut not_emitted = source.clone();
        not_emitted.newest_emitted = newest;
        assert_eq!(broken(&not_emitted), "SUBTASK-1");
    }
    for late in [1, 2] {
        let mut remembered = source.clone();
        remembered.aborted.insert(id(late));
        assert_eq!(broken(&remembered), "SUBTASK-6");
    }
}

fn any_input() -> impl Strategy<Value = Input> {
    let kind =
        prop_oneof![Just(CheckpointKind::Periodic), Just(CheckpointKind::Stop), Just(CheckpointKind::Final)];
    let alignment = prop_oneof![
        Just(Alignment::Aligned),
        Just(Alignment::AlignedUntil(Millis(30))),
        Just(Alignment::Unaligned),
    ];
    let options = (kind, alignment).prop_map(|(kind, alignment)| CheckpointOptions::new(kind, alignment));
    (0_u8..18, 1_u64..6, 0_u16..3, options, 2_u32..4).prop_map(
        |(what, checkpoint, channel, options, attempt)| {
            let (checkpoint, channel, attempt) = (id(checkpoint), Channel(channel), Attempt(attempt));
            match what {
                0 => Input::TriggerArrived { attempt, checkpoint, options },
                1 => Input::BarrierArrived { channel, checkpoint, options },
                12 => Input::BarrierAnnounced { channel, checkpoint, options },
                13 => Input::BarrierSent { channel, checkpoint },
                14 => Input::Tick,
                15 => Input::DrainArrived { attempt },
                16 => Input::EndOfDataSent { has_union_list: channel.0 == 2 },
                2 => Input::CancellationArrived { channel, checkpoint },
                3 => Input::EndOfDataArrived { channel },
                4 => Input::ChannelEnded { channel },
                5 => Input::SourceExhausted,
                6 => Input::SnapshotTaken { checkpoint },
                7 => Input::SnapshotFailed { checkpoint },
                8 => Input::UploadFinished { checkpoint, handle: Some(handle(checkpoint.0)) },
                9 => Input::UploadFailed { checkpoint },
                10 => Input::CompletionArrived { attempt, checkpoint },
                _ => {
                    let newest_completed = (channel.0 == 0).then_some(checkpoint);
                    Input::AbortArrived { attempt, checkpoint, newest_completed }
                }
            }
        },
    )
}

proptest! {
    #[test]
    fn subtask_random_inputs_keep_the_invariants_and_misuse_changes_nothing(
        channels in 0_u16..3,
        inputs in prop::collection::vec(any_input(), 0..80),
    ) {
        let mut task = subtask(channels);
        let (mut emitted, mut notified, mut finished) = (None, None, false);
        for (now, input) in inputs.into_iter().enumerate() {
            if finished {
                break;
            }
            let (before, mut out) = (task.clone(), Vec::new());
            if task.on(Millis(now as u64), input, &mut out).is_err() {
                prop_assert_eq!((&task, out.len()), (&before, 0));
            }
            task.check().unwrap();
            for output in out {
                prop_assert!(!finished, "the last output is to finish");
                match output {
                    Output::Finish => finished = true,
                    Output::EmitBarrier { checkpoint, .. } | Output::EmitCancellation { checkpoint } => {
                        prop_assert!(emitted.replace(checkpoint) < Some(checkpoint));
                    }
                    Output::NotifyComplete { checkpoint } => {
                        prop_assert!(notified.replace(checkpoint) < Some(checkpoint));
                    }
                    _ => {}
                }
            }
        }
    }
}
