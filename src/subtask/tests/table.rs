//! Every input in every situation of a subtask, as a table that is reviewed when it changes.

use super::*;
use crate::table_tests::{assert_committed, cell, paragraph};
use std::fmt::Write;

/// A subtask, the time, and its name.
type Situation = (&'static str, u64, Subtask);

const UNALIGNED: CheckpointOptions = CheckpointOptions::new(CheckpointKind::Periodic, Alignment::Unaligned);

fn after(channels: u16, inputs: impl IntoIterator<Item = Input>) -> Subtask {
    let mut task = subtask(channels);
    for (now, input) in (0..).zip(inputs) {
        at(&mut task, now, input);
    }
    task
}

fn unaligned(channel: u16, checkpoint: u64) -> Input {
    Input::BarrierAnnounced { channel: Channel(channel), checkpoint: id(checkpoint), options: UNALIGNED }
}

fn sent(channel: u16, checkpoint: u64) -> Input {
    Input::BarrierSent { channel: Channel(channel), checkpoint: id(checkpoint) }
}

fn until_9() -> Input {
    let options = CheckpointOptions::new(CheckpointKind::Periodic, Alignment::AlignedUntil(Millis(9)));
    Input::TriggerArrived { attempt: ATTEMPT, checkpoint: id(1), options }
}

/// A source whose end was sent, and that has acknowledged checkpoint 1 since then.
fn covered_by_1() -> Vec<Input> {
    vec![
        Input::SourceExhausted,
        Input::EndOfDataSent { has_union_list: false },
        trigger(1),
        taken(1),
        uploaded(1),
    ]
}

fn drained(attempt: u32) -> Input {
    Input::DrainArrived { attempt: Attempt(attempt) }
}

fn ended(channel: u16) -> Input {
    Input::ChannelEnded { channel: Channel(channel) }
}

fn situations() -> Vec<Situation> {
    let terminal = || trigger_of(1, CheckpointKind::Final);
    let leaving = [trigger(2), taken(2), completion(1)];
    vec![
        ("source, nothing yet", 5, after(0, [])),
        ("source, snapshot of 1", 5, after(0, [trigger(1)])),
        ("source, upload of 1", 5, after(0, [trigger(1), taken(1)])),
        ("source, 1 acknowledged", 5, after(0, [trigger(1), taken(1), uploaded(1)])),
        ("source, 1 complete", 5, after(0, [trigger(1), taken(1), uploaded(1), completion(1)])),
        ("source, abort of 1 remembered", 5, after(0, [abort(1)])),
        ("source, snapshot of 1 cancelled", 5, after(0, [trigger(1), abort(1)])),
        ("source, upload of 1 cancelled", 5, after(0, [trigger(1), taken(1), abort(1)])),
        ("source at its end", 5, after(0, [Input::SourceExhausted])),
        ("source holding for 1", 5, after(0, [Input::SourceExhausted, terminal(), taken(1), uploaded(1)])),
        (
            "source finished with 1",
            5,
            after(0, [Input::SourceExhausted, terminal(), taken(1), uploaded(1), completion(1)]),
        ),
        (
            "source at its end that was sent",
            5,
            after(0, [Input::SourceExhausted, Input::EndOfDataSent { has_union_list: false }]),
        ),
        (
            "source at its end that was sent, with a union list",
            5,
            after(0, [Input::SourceExhausted, Input::EndOfDataSent { has_union_list: true }]),
        ),
        ("source at its end that 1 covers", 5, after(0, covered_by_1())),
        ("source covered by 1, upload of 2", 5, after(0, covered_by_1().into_iter().chain(leaving))),
        ("source drained", 5, after(0, [drained(3)])),
        ("gate, nothing yet", 5, after(2, [])),
        ("gate, aligning 1", 5, after(2, [barrier(0, 1)])),
        ("gate, snapshot of 1", 5, after(2, [barrier(0, 1), barrier(1, 1)])),
        ("gate, upload of 1", 5, after(2, [barrier(0, 1), barrier(1, 1), taken(1)])),
        ("gate, one channel at its end", 5, after(2, [Input::EndOfDataArrived { channel: Channel(0) }])),
        ("gate, one channel closed", 5, after(2, [Input::ChannelEnded { channel: Channel(0) }])),
        ("gate, all channels closed", 5, after(2, [ended(0), ended(1)])),
        ("gate, 2 triggered before all channels are closed", 5, after(2, [ended(1), trigger(2)])),
        ("gate, 1 overtaking", 5, after(2, [unaligned(0, 1)])),
        ("gate, snapshot of 1 taken while capturing", 5, after(2, [unaligned(0, 1), taken(1)])),
        ("gate, 1 captured", 5, after(2, [unaligned(0, 1), taken(1), unaligned(1, 1)])),
        ("source, 1 queued until 9", 5, after(0, [until_9(), taken(1)])),
        ("source, 1 sent at one output until 9", 5, after(0, [until_9(), taken(1), sent(0, 1)])),
        ("source, 1 queued at 9", 9, after(0, [until_9(), taken(1)])),
    ]
}

fn inputs() -> Vec<(&'static str, Input)> {
    let channel = Channel(0);
    let aborted = |attempt| Input::AbortArrived {
        attempt: Attempt(attempt),
        checkpoint: id(1),
        newest_completed: Some(id(2)),
    };
    vec![
        ("trigger 1", trigger(1)),
        ("trigger 2", trigger(2)),
        ("final trigger 1", trigger_of(1, CheckpointKind::Final)),
        (
            "trigger 2 of another attempt",
            Input::TriggerArrived {
                attempt: Attempt(2),
                checkpoint: id(2),
                options: CheckpointOptions::aligned(CheckpointKind::Periodic),
            },
        ),
        ("barrier 1 at 0", barrier(0, 1)),
        ("barrier 1 at 1", barrier(1, 1)),
        ("barrier 2 at 1", barrier(1, 2)),
        ("barrier 1 at 2", barrier(2, 1)),
        ("overtaking barrier 1 at 1", unaligned(1, 1)),
        ("overtaking barrier 2 at 0", unaligned(0, 2)),
        ("cancellation of 1 at 1", Input::CancellationArrived { channel: Channel(1), checkpoint: id(1) }),
        ("cancellation of 2 at 1", Input::CancellationArrived { channel: Channel(1), checkpoint: id(2) }),
        ("barrier 1 sent at 0", sent(0, 1)),
        ("barrier 1 sent at 1", sent(1, 1)),
        ("end of data at 0", Input::EndOfDataArrived { channel }),
        ("end of data at 1", Input::EndOfDataArrived { channel: Channel(1) }),
        ("end of data at 2", Input::EndOfDataArrived { channel: Channel(2) }),
        ("channel 0 ends", Input::ChannelEnded { channel }),
        ("channel 1 ends", Input::ChannelEnded { channel: Channel(1) }),
        ("source exhausted", Input::SourceExhausted),
        ("drained", drained(3)),
        ("drained, another attempt", drained(2)),
        ("end of data sent", Input::EndOfDataSent { has_union_list: false }),
        ("end of data sent, with a union list", Input::EndOfDataSent { has_union_list: true }),
        ("snapshot of 1 taken", taken(1)),
        ("snapshot of 1 failed", Input::SnapshotFailed { checkpoint: id(1) }),
        ("upload of 1 finished", uploaded(1)),
        ("upload of 1 without state", Input::UploadFinished { checkpoint: id(1), handle: None }),
        ("upload of 1 failed", Input::UploadFailed { checkpoint: id(1) }),
        ("1 complete", completion(1)),
        ("2 complete", completion(2)),
        ("2 complete, another attempt", Input::CompletionArrived { attempt: Attempt(2), checkpoint: id(2) }),
        ("1 aborted", abort(1)),
        ("2 aborted", abort(2)),
        ("1 aborted, 2 complete", aborted(3)),
        ("1 aborted, 2 complete, another attempt", aborted(2)),
        ("tick", Input::Tick),
    ]
}

/// What a driver can see of a subtask, and its parts.
fn name(task: &Subtask) -> String {
    assert_eq!((task.id(), task.attempt()), (SubtaskId::new(1, 0), ATTEMPT));
    let mut name = format!("{:?}", task.life);
    let blocked: Vec<u16> = (0..2).filter(|channel| task.is_blocked(Channel(*channel))).collect();
    let capturing = (0..2).filter_map(|channel| Some((channel, task.capturing(Channel(channel))?)));
    for (channel, checkpoint) in capturing {
        write!(name, ", capturing {channel} for {checkpoint}").unwrap();
    }
    for (checkpoint, part) in &task.parts {
        let part = format!("{part:?}");
        write!(name, ", part {checkpoint} {}", &part[..part.find(['(', ' ']).unwrap_or(part.len())]).unwrap();
    }
    let end = format!("{:?}", task.end);
    let flags = [
        (!task.triggered.is_empty(), format!("triggered {:?}", task.triggered.keys())),
        (end.contains("sent: true"), "sent".into()),
        (end.contains("drained: true"), "drained".into()),
        (end.contains("covered_by: Some"), "covered".into()),
        (!blocked.is_empty(), format!("blocked {blocked:?}")),
        (!task.aborted.is_empty(), format!("remembers aborts of {:?}", task.aborted)),
        (task.is_holding(), "holding".into()),
        (task.has_reached_end_of_data(), "end of data".into()),
        (task.has_finished_input(), "input finished".into()),
        (!task.parts.is_empty(), "pending".into()),
    ];
    for (_, flag) in flags.iter().filter(|(holds, _)| *holds) {
        write!(name, ", {flag}").unwrap();
    }
    let number = |id: Option<CheckpointId>| id.map_or("-".into(), |id| id.to_string());
    write!(name, "; emitted {}, complete {}", number(task.newest_emitted), number(task.newest_completed()))
        .unwrap();
    name
}

fn brief(output: &Output) -> String {
    let alignment = |options: &CheckpointOptions| format!("{:?} {}", options.alignment(), options.kind());
    match output {
        Output::BlockChannel(channel) => format!("block {channel}"),
        Output::ResumeChannel(channel) => format!("resume {channel}"),
        Output::EmitBarrier { checkpoint, options } => {
            format!("barrier {checkpoint} ({})", alignment(options))
        }
        Output::TakeSnapshot { checkpoint, .. } => format!("snapshot {checkpoint}"),
        Output::OvertakeOutput { checkpoint, channel, .. } => format!("overtake {checkpoint} at {channel}"),
        Output::CaptureQueued { checkpoint, channel } => format!("capture {channel} for {checkpoint}"),
        Output::Acknowledge { checkpoint, handle, durations, .. } => {
            let state = if handle.is_some() { "" } else { " without state" };
            let Durations { alignment, sync, asynchronous } = durations;
            format!("acknowledge {checkpoint}{state} after {alignment}, {sync}, {asynchronous}")
        }
        Output::Decline { checkpoint, reason, .. } => format!("decline {checkpoint}: {reason:?}"),
        Output::DiscardState(file) => format!("discard the state of {}", file.checkpoint),
        other => format!("{other:?}")
            .replace(" { checkpoint: CheckpointId(", " ")
            .trim_end_matches(") }")
            .to_owned(),
    }
}

fn effect(task: &Subtask, now: u64, state: &str, input: Input) -> String {
    let (mut next, mut out) = (task.clone(), Vec::new());
    let misused = next.on(Millis(now), input, &mut out).is_err();
    next.check().unwrap();
    cell(&out.iter().map(brief).collect::<Vec<_>>(), misused, state, &name(&next))
}

#[test]
fn subtask_every_input_in_every_situation_behaves_as_in_the_committed_table() {
    let mut found = String::from("situation [state]\n  inputs: what is done [next state]\n");
    for (situation, now, task) in situations() {
        let state = name(&task);
        let cells =
            inputs().into_iter().map(|(event, input)| (event.to_owned(), effect(&task, now, &state, input)));
        paragraph(&mut found, situation, &state, cells);
    }
    assert_committed("src/subtask/table.txt", &found);
}
