//! What tasks are told and what they report, carried from machine to machine.

use super::*;
use crate::subtask::{self, Durations};

const CHECKPOINT: CheckpointId = CheckpointId(9);
const ATTEMPT: Attempt = Attempt(3);

#[test]
fn coord_message_is_for_the_task_of_its_attempt_and_says_the_same() {
    let options = CheckpointOptions::aligned(CheckpointKind::Savepoint);
    let trigger = Output::Trigger { subtask: SOURCE, attempt: ATTEMPT, checkpoint: CHECKPOINT, options };
    let arrived = subtask::Input::TriggerArrived { attempt: ATTEMPT, checkpoint: CHECKPOINT, options };
    assert_eq!(trigger.message(), Some((ATTEMPT, SOURCE, arrived)));
    let complete = Output::NotifyComplete { subtask: SINK, attempt: ATTEMPT, checkpoint: CHECKPOINT };
    let arrived = subtask::Input::CompletionArrived { attempt: ATTEMPT, checkpoint: CHECKPOINT };
    assert_eq!(complete.message(), Some((ATTEMPT, SINK, arrived)));
    let newest_completed = Some(CheckpointId(7));
    let aborted =
        Output::NotifyAborted { subtask: SINK, attempt: ATTEMPT, checkpoint: CHECKPOINT, newest_completed };
    let arrived = subtask::Input::AbortArrived { attempt: ATTEMPT, checkpoint: CHECKPOINT, newest_completed };
    assert_eq!(aborted.message(), Some((ATTEMPT, SINK, arrived)));
    assert_eq!(Output::CancelTasks { attempt: ATTEMPT }.message(), None);
}

#[test]
fn coord_report_of_a_task_is_what_its_machine_said() {
    let file = StateFile { checkpoint: CHECKPOINT, subtask: SINK, attempt: ATTEMPT, savepoint: false };
    let handle = Some(StateHandle { file, bytes: 5, checksum: 6, inline: None });
    let durations = Durations::default();
    let acknowledge = subtask::Output::Acknowledge {
        checkpoint: CHECKPOINT,
        attempt: ATTEMPT,
        handle: handle.clone(),
        durations,
    };
    let arrived = Input::AcknowledgeArrived {
        attempt: ATTEMPT,
        subtask: SINK,
        checkpoint: CHECKPOINT,
        handle,
        shared: None,
    };
    assert_eq!(Input::reported_by(SINK, &acknowledge), Some(arrived));
    let reason = DeclineReason::AsyncPartFailed;
    let decline = subtask::Output::Decline { checkpoint: CHECKPOINT, attempt: ATTEMPT, reason };
    let arrived = Input::DeclineArrived { attempt: ATTEMPT, subtask: SINK, checkpoint: CHECKPOINT, reason };
    assert_eq!(Input::reported_by(SINK, &decline), Some(arrived));
    let end_of_data = subtask::Output::ReportEndOfData { attempt: ATTEMPT };
    let reported = Input::EndOfDataReported { attempt: ATTEMPT, subtask: SOURCE };
    assert_eq!(Input::reported_by(SOURCE, &end_of_data), Some(reported));
    assert_eq!(Input::reported_by(SINK, &subtask::Output::EmitEndOfData), None);
}
