//! Subtasks that finish before the others, are triggered without inputs, or are drained.

use super::*;

const SENT: Input = Input::EndOfDataSent { has_union_list: false };
const DRAIN: Input = Input::DrainArrived { attempt: ATTEMPT };

fn end_of_data(channel: u16) -> Input {
    Input::EndOfDataArrived { channel: Channel(channel) }
}

fn ended(channel: u16) -> Input {
    Input::ChannelEnded { channel: Channel(channel) }
}

fn notifies(checkpoint: u64) -> Output {
    Output::NotifyComplete { checkpoint: id(checkpoint) }
}

/// A checkpoint that is triggered, taken and acknowledged.
fn takes(task: &mut Subtask, checkpoint: u64) {
    assert_eq!(on(task, trigger(checkpoint)), begins(checkpoint, CheckpointKind::Periodic));
    on(task, taken(checkpoint));
    assert!(matches!(on(task, uploaded(checkpoint))[..], [Output::Acknowledge { .. }]));
}

fn source_at_its_end() -> Subtask {
    let mut source = subtask(0);
    on(&mut source, Input::SourceExhausted);
    on(&mut source, SENT);
    source
}

//= spec/subtask.md#subtask-22-a-subtask-without-open-inputs-is-triggered-like-a-source
//= type=test
//# A triggered checkpoint MUST begin as soon as no input channel is open.
#[test]
fn subtask_trigger_waits_for_the_end_of_the_last_channel() {
    let mut task = subtask(2);
    on(&mut task, ended(1));
    assert_eq!(on(&mut task, trigger(4)), []);
    assert_eq!(on(&mut task, trigger(5)), []);
    assert_eq!(on(&mut task, trigger(6)), []);
    assert_eq!(on(&mut task, abort(5)), [notifies_abort(5)]);
    let done = on(&mut task, barrier(0, 3));
    assert_eq!(done[1..3], begins(3, CheckpointKind::Periodic), "it was in line before");
    let both = [begins(4, CheckpointKind::Periodic), begins(6, CheckpointKind::Periodic)];
    assert_eq!(on(&mut task, ended(0)), both.concat());
    assert_eq!(on(&mut task, trigger(6)), [], "each is taken once");
    assert_eq!(on(&mut task, trigger(7)), begins(7, CheckpointKind::Periodic));
}

//= spec/subtask.md#subtask-22-a-subtask-without-open-inputs-is-triggered-like-a-source
//= type=test
//# A triggered checkpoint MUST begin as soon as no input channel is open.
#[test]
fn subtask_trigger_that_waits_ends_with_its_abort() {
    let mut task = subtask(1);
    on(&mut task, trigger(1));
    on(&mut task, abort(1));
    assert_eq!(on(&mut task, ended(0)), []);
    assert_eq!(on(&mut task, trigger_of(2, CheckpointKind::Final)), begins(2, CheckpointKind::Final));
    assert!(task.is_holding());
}

//= spec/subtask.md#subtask-23-an-abort-makes-up-for-a-lost-completion
//= type=test
//# The notice of an abort MUST count as that of the completion of the checkpoint that it names as the newest complete
//# one, too.
#[test]
fn subtask_abort_tells_of_the_completion_that_was_lost_and_only_then() {
    let mut source = subtask(0);
    let abort_after = |checkpoint, newest, attempt| Input::AbortArrived {
        attempt,
        checkpoint: id(checkpoint),
        newest_completed: Some(id(newest)),
    };
    assert_eq!(on(&mut source, abort_after(3, 2, ATTEMPT)), [notifies(2), notifies_abort(3)]);
    assert_eq!(on(&mut source, abort_after(4, 2, ATTEMPT)), [notifies_abort(4)]);
    assert_eq!(on(&mut source, completion(2)), [], "it comes late");
    assert_eq!(on(&mut source, abort_after(6, 5, Attempt(2))), []);
    on(&mut source, trigger_of(7, CheckpointKind::Stop));
    on(&mut source, taken(7));
    on(&mut source, uploaded(7));
    let done = on(&mut source, abort_after(6, 7, ATTEMPT));
    assert_eq!(done, [notifies(7), notifies_abort(6), Output::Finish]);
}

//= spec/subtask.md#subtask-24-a-subtask-without-more-data-finishes-with-the-next-checkpoint
//= type=test
//# A subtask that does not hold MUST finish exactly when a checkpoint is complete that it began after all its inputs had
//# closed and all its output, with the end of the data, was sent.
#[test]
fn subtask_without_more_data_finishes_with_the_first_checkpoint_that_covers_it() {
    let mut source = subtask(0);
    takes(&mut source, 1);
    on(&mut source, Input::SourceExhausted);
    takes(&mut source, 2);
    on(&mut source, SENT);
    for checkpoint in [1, 2] {
        assert_eq!(on(&mut source, completion(checkpoint)), [notifies(checkpoint)]);
    }
    takes(&mut source, 3);
    on(&mut source, abort(3));
    takes(&mut source, 4);
    assert!(!source.is_holding(), "there is no need to");
    assert_eq!(on(&mut source, completion(4)), [notifies(4), Output::Finish]);
    assert!(source.is_finished());
    assert_eq!(on(&mut source, trigger(5)), []);
}

//= spec/subtask.md#subtask-24-a-subtask-without-more-data-finishes-with-the-next-checkpoint
//= type=test
//# A subtask that does not hold MUST finish exactly when a checkpoint is complete that it began after all its inputs had
//# closed and all its output, with the end of the data, was sent.
#[test]
fn subtask_whose_input_has_ended_finishes_like_a_source_and_one_that_reports_nothing_does_not() {
    for (sent, finishes) in [(true, true), (false, false)] {
        let mut task = subtask(1);
        on(&mut task, end_of_data(0));
        if sent {
            on(&mut task, SENT);
        }
        on(&mut task, barrier(0, 1));
        on(&mut task, taken(1));
        on(&mut task, uploaded(1));
        assert_eq!(on(&mut task, completion(1)), [notifies(1)], "its sender is still there");
        on(&mut task, ended(0));
        takes(&mut task, 2);
        assert_eq!(on(&mut task, completion(2)).contains(&Output::Finish), finishes);
    }
}

//= spec/subtask.md#subtask-14-a-subtask-finishes-with-its-terminal-checkpoint
//= type=test
//# A subtask that holds MUST finish only when the terminal checkpoint that it holds for is complete.
#[test]
fn subtask_that_holds_does_not_finish_with_an_earlier_checkpoint() {
    let mut source = source_at_its_end();
    takes(&mut source, 1);
    on(&mut source, trigger_of(2, CheckpointKind::Final));
    assert_eq!(on(&mut source, completion(1)), [notifies(1)]);
    on(&mut source, taken(2));
    on(&mut source, uploaded(2));
    assert_eq!(on(&mut source, completion(2)), [notifies(2), Output::Finish]);
}

//= spec/subtask.md#subtask-25-a-subtask-leaves-nothing-unfinished
//= type=test
//# A subtask MUST NOT finish while a snapshot or an upload of it is under way.
#[test]
fn subtask_waits_for_its_uploads_before_it_finishes_and_is_told_of_completions_meanwhile() {
    let mut source = source_at_its_end();
    takes(&mut source, 1);
    for input in [trigger(2), taken(2), trigger(3), taken(3), trigger(4), taken(4)] {
        on(&mut source, input);
    }
    assert_eq!(on(&mut source, completion(1)), [notifies(1)]);
    assert!(source.is_holding() && !source.is_finished());
    assert!(matches!(on(&mut source, uploaded(2))[..], [Output::Acknowledge { .. }]));
    assert_eq!(on(&mut source, completion(2)), [notifies(2)]);
    on(&mut source, abort(3));
    let failed = |checkpoint| Input::UploadFailed { checkpoint: id(checkpoint) };
    assert_eq!(on(&mut source, failed(3)), [], "a cancelled upload counts too");
    assert_eq!(on(&mut source, failed(4)), [declines(4, DeclineReason::AsyncPartFailed), Output::Finish]);
}

//= spec/subtask.md#subtask-25-a-subtask-leaves-nothing-unfinished
//= type=test
//# A subtask MUST NOT finish while a snapshot or an upload of it is under way.
#[test]
fn subtask_finishes_when_what_is_under_way_is_dropped() {
    let mut source = source_at_its_end();
    takes(&mut source, 1);
    let options = overtaking(Alignment::AlignedUntil(Millis(10)));
    on(&mut source, Input::TriggerArrived { attempt: ATTEMPT, checkpoint: id(2), options });
    on(&mut source, taken(2));
    assert_eq!(on(&mut source, completion(1)), [notifies(1)]);
    let dropped = Output::DropSnapshot { checkpoint: id(2) };
    assert_eq!(on(&mut source, abort(2)), [dropped, notifies_abort(2), Output::Finish]);
}

#[test]
fn subtask_that_is_about_to_finish_takes_part_in_a_terminal_checkpoint_without_holding_for_it() {
    let mut source = source_at_its_end();
    takes(&mut source, 1);
    on(&mut source, trigger(2));
    on(&mut source, taken(2));
    on(&mut source, completion(1));
    assert_eq!(on(&mut source, trigger_of(3, CheckpointKind::Final)), begins(3, CheckpointKind::Final));
    on(&mut source, taken(3));
    on(&mut source, uploaded(2));
    assert!(on(&mut source, uploaded(3)).contains(&Output::Finish));
}

//= spec/subtask.md#subtask-26-a-drained-source-ends-its-data-and-waits-for-the-stop
//= type=test
//# A source that is drained MUST end its data at once and finish only with a terminal checkpoint.
#[test]
fn subtask_drained_source_ends_its_data_and_finishes_with_the_stop_checkpoint_alone() {
    for at_its_end in [false, true] {
        let mut source = if at_its_end { source_at_its_end() } else { subtask(0) };
        takes(&mut source, 1);
        let reported = [Output::EmitEndOfData, Output::ReportEndOfData { attempt: ATTEMPT }];
        assert_eq!(on(&mut source, DRAIN), if at_its_end { &[][..] } else { &reported });
        assert!(source.has_reached_end_of_data());
        on(&mut source, SENT);
        takes(&mut source, 2);
        assert_eq!(on(&mut source, completion(2)), [notifies(2)]);
        on(&mut source, trigger_of(3, CheckpointKind::Stop));
        on(&mut source, taken(3));
        on(&mut source, uploaded(3));
        assert_eq!(on(&mut source, completion(3)), [notifies(3), Output::Finish]);
        assert_eq!(on(&mut source, DRAIN), []);
    }
}

//= spec/subtask.md#subtask-27-a-subtask-with-a-union-list-stays-until-the-job-ends
//= type=test
//# A subtask that has a union list when the end of the data was sent MUST finish only with a terminal checkpoint.
#[test]
fn subtask_with_a_union_list_finishes_with_the_final_checkpoint_alone() {
    let mut source = subtask(0);
    on(&mut source, Input::SourceExhausted);
    on(&mut source, Input::EndOfDataSent { has_union_list: true });
    for checkpoint in [1, 2] {
        takes(&mut source, checkpoint);
        assert_eq!(on(&mut source, completion(checkpoint)), [notifies(checkpoint)]);
    }
    on(&mut source, trigger_of(3, CheckpointKind::Final));
    on(&mut source, taken(3));
    on(&mut source, uploaded(3));
    assert_eq!(on(&mut source, completion(3)), [notifies(3), Output::Finish]);
}

//= spec/subtask.md#subtask-2-messages-of-other-attempts-are-ignored
//= type=test
//# A message of the coordinator to another attempt MUST change nothing.
#[test]
fn subtask_drain_for_another_attempt_changes_nothing() {
    let mut source = subtask(0);
    assert_eq!(on(&mut source, Input::DrainArrived { attempt: Attempt(2) }), []);
    assert_eq!(source, subtask(0));
}

//= spec/subtask.md#subtask-21-what-was-collected-in-vain-is-dropped
//= type=test
//# A snapshot whose checkpoint is given up before its upload MUST be dropped with all that was captured for it.
#[test]
fn subtask_snapshot_that_fails_after_its_checkpoint_was_given_up_is_dropped_all_the_same() {
    let mut source = subtask(0);
    on(&mut source, trigger(1));
    on(&mut source, abort(1));
    let dropped = Output::DropSnapshot { checkpoint: id(1) };
    assert_eq!(on(&mut source, Input::SnapshotFailed { checkpoint: id(1) }), [dropped]);
}

#[test]
fn subtask_savepoint_and_aligned_checkpoint_capture_nothing() {
    let requested = CheckpointOptions::new(CheckpointKind::Savepoint, Alignment::Unaligned);
    for options in [requested, CheckpointOptions::aligned(CheckpointKind::Periodic)] {
        let mut task = subtask(2);
        let announced =
            |channel| Input::BarrierAnnounced { channel: Channel(channel), checkpoint: id(1), options };
        let arrived =
            |channel| Input::BarrierArrived { channel: Channel(channel), checkpoint: id(1), options };
        assert_eq!(on(&mut task, announced(0)), []);
        assert_eq!(on(&mut task, arrived(0)), [Output::BlockChannel(Channel(0))]);
        assert_eq!(task.capturing(Channel(1)), None);
        let done = on(&mut task, arrived(1));
        let captures =
            |output: &Output| matches!(output, Output::CaptureQueued { .. } | Output::OvertakeOutput { .. });
        assert!(!done.iter().any(captures), "{done:?}");
        assert_eq!(on(&mut task, taken(1)), [Output::StartUpload { checkpoint: id(1) }]);
    }
}
