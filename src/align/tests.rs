use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;

/// Reads `b2@0` (barrier of checkpoint 2 on channel 0), `c2@0` (cancellation marker), `end@0`, `abort2`.
fn input(text: &str) -> Input {
    let (what, channel) = text.split_once('@').unwrap_or((text, "0"));
    let channel = Channel(channel.parse().expect("a channel"));
    let id = |digits: &str| CheckpointId(digits.parse().expect("an id"));
    match what {
        "end" => Input::ChannelEnded { channel },
        _ if what.starts_with("abort") => Input::CheckpointAborted { checkpoint: id(&what[5..]) },
        _ if what.starts_with('b') => {
            Input::BarrierArrived { channel, checkpoint: id(&what[1..]), kind: CheckpointKind::Periodic }
        }
        _ => Input::CancellationArrived { channel, checkpoint: id(&what[1..]) },
    }
}

fn text(outputs: &[Output]) -> String {
    let one = |output: &Output| match output {
        Output::BlockChannel(channel) => format!("block {channel}"),
        Output::ResumeChannel(channel) => format!("resume {channel}"),
        Output::Aligned { checkpoint, .. } => format!("take {checkpoint}"),
        Output::Aborted { checkpoint, reason } => format!("give up {checkpoint} {reason:?}"),
    };
    outputs.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What one input does; a misuse must change nothing.
fn step(aligner: &mut Aligner, at: u64, event: &str) -> String {
    let (before, mut out) = (aligner.clone(), Vec::new());
    match aligner.on(Millis(at), input(event), &mut out) {
        Ok(()) => {
            aligner.check().unwrap_or_else(|violation| panic!("{event}: {violation}"));
            text(&out)
        }
        Err(_) => {
            assert_eq!((&before, 0), (&*aligner, out.len()), "{event} is misuse and changed something");
            "misuse".into()
        }
    }
}

/// Plays events at a new gate and compares what each one did.
fn play(channels: u16, script: &[(&str, &str)]) -> Aligner {
    let mut aligner = Aligner::new(channels);
    for (at, (event, expected)) in script.iter().enumerate() {
        assert_eq!(step(&mut aligner, at as u64, event), *expected, "{event}, step {at}");
    }
    aligner
}

//= spec/alignment.md#align-1-a-delivered-barrier-blocks-its-channel
//= type=test
//# A channel that delivers the barrier of the pending checkpoint MUST be blocked.
//= spec/alignment.md#align-3-a-fully-arrived-checkpoint-is-not-pending
//= type=test
//# A checkpoint whose barriers have arrived on all open channels MUST NOT stay pending.
//= spec/alignment.md#align-4-the-snapshot-comes-before-reading-on
//= type=test
//# The snapshot of an aligned checkpoint MUST be asked for before any channel is resumed.
#[test]
fn align_barriers_on_all_channels_take_the_snapshot_before_reading_on() {
    play(1, &[("b1@0", "block 0, take 1, resume 0"), ("b2@0", "block 0, take 2, resume 0")]);
    let aligner = play(3, &[("b1@2", "block 2"), ("b1@0", "block 0")]);
    let blocked: Vec<bool> = (0..3).map(|channel| aligner.is_blocked(Channel(channel))).collect();
    assert_eq!(blocked, [true, false, true]);
    play(
        3,
        &[
            ("b1@2", "block 2"),
            ("b1@0", "block 0"),
            ("b1@1", "block 1, take 1, resume 0, resume 1, resume 2"),
            ("b2@1", "block 1"),
        ],
    );
}

//= spec/alignment.md#align-14-the-alignment-is-measured
//= type=test
//# An aligned checkpoint MUST report the time from its first barrier to its last.
#[test]
fn align_duration_runs_from_the_first_barrier_to_the_last() {
    for (last, expected) in [(17, 7), (4, 0)] {
        let (mut aligner, mut out) = (Aligner::new(2), Vec::new());
        aligner.on(Millis(10), input("b1@0"), &mut out).unwrap();
        aligner.on(Millis(last), input("b1@1"), &mut out).unwrap();
        assert!(matches!(out[2], Output::Aligned { alignment: Millis(time), .. } if time == expected));
    }
}

//= spec/alignment.md#align-6-an-old-barrier-changes-nothing
//= type=test
//# A barrier that is neither of the pending checkpoint nor newer than all seen MUST change nothing.
#[test]
fn align_barrier_of_an_old_checkpoint_passes() {
    play(
        2,
        &[("b2@0", "block 0"), ("b1@1", ""), ("b2@1", "block 1, take 2, resume 0, resume 1"), ("b2@0", "")],
    );
}

//= spec/alignment.md#align-7-a-newer-barrier-subsumes-the-pending-checkpoint
//= type=test
//# A barrier newer than the pending checkpoint MUST abort it as subsumed and start its own alignment.
#[test]
fn align_newer_barrier_subsumes_the_pending_checkpoint() {
    play(
        3,
        &[
            ("b1@0", "block 0"),
            ("b1@1", "block 1"),
            ("b2@2", "give up 1 Subsumed, resume 0, resume 1, block 2"),
            ("b2@1", "block 1"),
            ("b2@0", "block 0, take 2, resume 0, resume 1, resume 2"),
        ],
    );
}

//= spec/alignment.md#align-8-a-cancellation-marker-ends-the-pending-alignment
//= type=test
//# A cancellation marker of the pending checkpoint MUST abort it.
#[test]
fn align_cancellation_of_the_pending_checkpoint_opens_the_gate() {
    play(
        3,
        &[
            ("b1@0", "block 0"),
            ("b1@2", "block 2"),
            ("c1@1", "give up 1 OnCancellationBarrier, resume 0, resume 2"),
            ("c1@0", ""),
            ("b2@0", "block 0"),
        ],
    );
}

//= spec/alignment.md#align-9-a-cancellation-marker-ahead-of-its-barriers-is-remembered
//= type=test
//# A cancellation marker newer than all seen MUST abort its checkpoint before that starts here.
#[test]
fn align_cancellation_before_any_barrier_keeps_the_checkpoint_from_starting() {
    play(
        2,
        &[
            ("c1@0", "give up 1 OnCancellationBarrier"),
            ("b1@1", ""),
            ("b2@0", "block 0"),
            ("c3@1", "give up 2 Subsumed, resume 0, give up 3 OnCancellationBarrier"),
            ("b3@0", ""),
        ],
    );
}

//= spec/alignment.md#align-10-an-old-cancellation-marker-changes-nothing
//= type=test
//# A cancellation marker neither of the pending checkpoint nor newer than all seen MUST change nothing.
#[test]
fn align_cancellation_of_an_old_checkpoint_passes() {
    play(
        2,
        &[("b2@0", "block 0"), ("c1@1", ""), ("b2@1", "block 1, take 2, resume 0, resume 1"), ("c2@0", "")],
    );
}

//= spec/alignment.md#align-2-channels-are-blocked-exactly-while-a-checkpoint-is-pending
//= type=test
//# Channels MUST be blocked exactly while a checkpoint is pending.
#[test]
fn align_missing_and_disordered_cancellations_leave_no_channel_blocked() {
    let aligner = play(
        3,
        &[
            ("b1@0", "block 0"),
            ("c2@1", "give up 1 Subsumed, resume 0, give up 2 OnCancellationBarrier"),
            ("c1@2", ""),
            ("b4@2", "block 2"),
            ("c3@0", ""),
            ("c5@0", "give up 4 Subsumed, resume 2, give up 5 OnCancellationBarrier"),
        ],
    );
    assert!((0..3).all(|channel| !aligner.is_blocked(Channel(channel))));
}

//= spec/alignment.md#align-11-an-ended-channel-counts-as-delivered
//= type=test
//# An ended channel MUST count as one that has delivered its barrier.
#[test]
fn align_ended_channels_count_as_delivered() {
    play(3, &[("end@0", ""), ("b1@1", "block 1"), ("b1@2", "block 2, take 1, resume 1, resume 2")]);
    play(
        2,
        &[
            ("b1@0", "block 0"),
            ("end@1", "take 1, resume 0"),
            ("b2@0", "block 0, take 2, resume 0"),
            ("end@0", ""),
        ],
    );
}

#[test]
fn align_channel_with_barrier_and_end_counts_once() {
    play(
        3,
        &[("b1@0", "block 0"), ("end@1", ""), ("b1@2", "block 2, take 1, resume 0, resume 2"), ("end@0", "")],
    );
}

//= spec/alignment.md#align-12-an-abort-by-the-coordinator-ends-the-pending-alignment
//= type=test
//# An abort by the coordinator MUST end the alignment of exactly the checkpoint that it names.
#[test]
fn align_abort_by_the_coordinator_ends_exactly_the_checkpoint_it_names() {
    play(
        2,
        &[
            ("abort1", ""),
            ("b1@0", "block 0"),
            ("abort2", ""),
            ("abort1", "give up 1 OnCancellationBarrier, resume 0"),
            ("b1@1", ""),
        ],
    );
}

//= spec/alignment.md#align-13-reading-from-a-closed-door-is-misuse
//= type=test
//# An input from a channel that is blocked, ended or unknown MUST be refused without any change.
#[test]
fn align_input_from_a_blocked_ended_or_unknown_channel_is_misuse() {
    play(
        3,
        &[
            ("b1@0", "block 0"),
            ("b1@0", "misuse"),
            ("c1@0", "misuse"),
            ("end@0", "misuse"),
            ("end@1", ""),
            ("b1@1", "misuse"),
            ("end@1", "misuse"),
            ("b1@3", "misuse"),
        ],
    );
}

/// The pairs of Flink's `UnalignedCheckpointsCancellationTest` at an aligned gate of one channel.
#[test]
fn align_pairs_of_barriers_and_cancellations_behave_as_in_flink() {
    for (first, second, taken, given_up) in [
        ("c10", "c20", false, true),
        ("c20", "c10", false, true),
        ("c10", "b10", false, true),
        ("c10", "b20", true, true),
        ("c20", "b10", false, true),
        ("b10", "b10", true, false),
        ("b10", "b20", true, false),
        ("b20", "b10", true, false),
        ("b10", "c10", true, false),
        ("b10", "c20", true, true),
        ("b20", "c10", true, false),
    ] {
        let mut aligner = Aligner::new(1);
        let done = step(&mut aligner, 0, first) + &step(&mut aligner, 0, second);
        assert_eq!((done.contains("take"), done.contains("give up")), (taken, given_up), "{first} {second}");
    }
    play(2, &[("b10@0", "block 0"), ("b20@0", "misuse"), ("c10@0", "misuse")]);
}

fn name(aligner: &Aligner) -> String {
    let channels = aligner.channels.iter().map(|state| match state {
        ChannelState::Open => 'o',
        ChannelState::Blocked => 'B',
        ChannelState::Ended => '.',
    });
    let id = |id: Option<CheckpointId>| id.map_or("-".into(), |id| id.to_string());
    let (newest, pending) = (id(aligner.newest), id(aligner.pending()));
    format!("{} seen {newest} pending {pending}", channels.collect::<String>())
}

fn events(channels: u16, ids: u64) -> Vec<String> {
    let on_channel = |channel: u16| {
        let of_id = move |id: u64| [format!("b{id}@{channel}"), format!("c{id}@{channel}")];
        (1..=ids).flat_map(of_id).chain([format!("end@{channel}")])
    };
    (0..channels).flat_map(on_channel).chain((1..=ids).map(|id| format!("abort{id}"))).collect()
}

/// Every reachable state with what each event does there; each step is checked.
fn table(channels: u16, ids: u64) -> BTreeMap<String, Vec<(String, String, String)>> {
    let mut rows = BTreeMap::new();
    let mut queue = VecDeque::from([Aligner::new(channels)]);
    while let Some(state) = queue.pop_front() {
        if rows.contains_key(&name(&state)) {
            continue;
        }
        let mut row = Vec::new();
        for event in events(channels, ids) {
            let mut next = state.clone();
            let done = step(&mut next, 0, &event);
            row.push((event, done, name(&next)));
            queue.push_back(next);
        }
        rows.insert(name(&state), row);
    }
    rows
}

//= spec/alignment.md#align-5-the-pending-checkpoint-is-the-newest-seen
//= type=test
//# The pending checkpoint MUST be the newest that was started or cancelled at the gate.
#[test]
fn align_every_event_in_every_state_keeps_the_invariants() {
    // Four values of the newest id over eight sets of ended channels; three pending ids over twelve gates.
    assert_eq!(table(3, 3).len(), 4 * 8 + 3 * 12);
}

#[test]
fn align_two_channels_and_two_checkpoints_behave_as_in_the_committed_table() {
    let mut found = String::from("state: event -> what is done (next state)\n");
    for (state, row) in table(2, 2) {
        writeln!(found, "\n{state}").unwrap();
        for (event, done, next) in row {
            let done = if done.is_empty() { "-" } else { &done };
            let next = if next == state { String::new() } else { format!(" ({next})") };
            writeln!(found, "  {event:<7} {done}{next}").unwrap();
        }
    }
    if std::env::var_os("SNAPLINE_BLESS").is_some() {
        #[allow(clippy::disallowed_methods)]
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/align/table.txt"), &found).unwrap();
    } else {
        assert_eq!(found, include_str!("table.txt"), "SNAPLINE_BLESS=1 rewrites the table");
    }
}

/// What flows through one channel.
#[derive(Clone, Debug)]
enum Element {
    Record,
    Barrier(u64),
    Cancellation(u64),
}

/// A channel with the ids that `decisions` give it: each checkpoint comes as a barrier, a marker or not at all.
fn channel(decisions: Vec<(u8, u8)>) -> Vec<Element> {
    let mut elements = Vec::new();
    for (id, (records, decision)) in (1..).zip(decisions) {
        elements.extend(std::iter::repeat_n(Element::Record, usize::from(records)));
        match decision {
            0 => elements.push(Element::Cancellation(id)),
            1 => {}
            _ => elements.push(Element::Barrier(id)),
        }
    }
    elements
}

fn records_before(channel: &[Element], id: u64) -> Option<usize> {
    let barrier = channel.iter().position(|element| matches!(element, Element::Barrier(b) if *b == id));
    barrier.map(|at| channel[..at].iter().filter(|element| matches!(element, Element::Record)).count())
}

proptest! {
    #[test]
    fn align_random_channels_cut_exactly_at_the_barriers(
        decisions in prop::collection::vec(prop::collection::vec((0_u8..3, 0_u8..8), 6), 1..4),
        schedule in prop::collection::vec(any::<u8>(), 200),
    ) {
        let channels: Vec<Vec<Element>> = decisions.into_iter().map(channel).collect();
        let mut aligner = Aligner::new(channels.len() as u16);
        let (mut read, mut records) = (vec![0; channels.len()], vec![0; channels.len()]);
        let mut decided = BTreeSet::new();
        for turn in schedule {
            let readable = (0..channels.len()).filter(|c| {
                !aligner.is_blocked(Channel(*c as u16)) && !aligner.is_ended(Channel(*c as u16))
            });
            let readable: Vec<usize> = readable.collect();
            let Some(&c) = readable.get(usize::from(turn) % readable.len().max(1)) else { break };
            let event = match channels[c].get(read[c]) {
                Some(Element::Record) => { records[c] += 1; read[c] += 1; continue }
                Some(Element::Barrier(id)) => format!("b{id}@{c}"),
                Some(Element::Cancellation(id)) => format!("c{id}@{c}"),
                None => format!("end@{c}"),
            };
            read[c] += 1;
            let mut out = Vec::new();
            aligner.on(Millis(0), input(&event), &mut out).unwrap();
            aligner.check().unwrap();
            for output in out {
                match output {
                    Output::Aligned { checkpoint: id, .. } => {
                        prop_assert!(decided.insert(id), "{id} was decided twice");
                        for (c, channel) in channels.iter().enumerate() {
                            let cut = records_before(channel, id.0);
                            prop_assert!(cut == Some(records[c]) || aligner.is_ended(Channel(c as u16)));
                        }
                    }
                    Output::Aborted { checkpoint, .. } => prop_assert!(decided.insert(checkpoint)),
                    Output::BlockChannel(_) | Output::ResumeChannel(_) => {}
                }
            }
        }
    }
}
