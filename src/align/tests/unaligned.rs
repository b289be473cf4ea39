//! Unaligned checkpoints.

use super::*;

//= spec/alignment.md#align-16-the-first-barrier-that-overtakes-takes-the-snapshot
//= type=test
//# An overtaking barrier of a checkpoint that is not yet unaligned MUST make it unaligned and ask for its
//# snapshot at once.
//= spec/alignment.md#align-17-what-is-queued-ahead-of-a-barrier-is-captured
//= type=test
//# When a checkpoint becomes unaligned, what is queued in each channel whose barrier was not read MUST be
//# captured up to that barrier.
//= spec/alignment.md#align-18-what-arrives-is-captured-until-the-barrier
//= type=test
//# A record that is put into a channel's queue MUST be captured exactly while the pending checkpoint is
//# unaligned and its barrier has not been seen on that channel.
//= spec/alignment.md#align-19-the-capture-ends-with-the-last-barrier
//= type=test
//# An unaligned checkpoint MUST report the end of its capture when the barriers of all open channels have
//# been seen.
#[test]
fn align_unaligned_first_barrier_starts_and_the_last_ends_the_capture() {
    let first = "start 1, capture 1@0, capture 1@1, capture 1@2";
    let started = play(UNALIGNED, 3, &[("a1@1", first)]);
    assert_eq!((captured(&started), blocked(&started)), (vec![0, 2], vec![]));
    assert_eq!(started.capturing(Channel(0)), Some(CheckpointId(1)));
    let finished = play(
        UNALIGNED,
        3,
        &[("a1@1", first), ("b1@1", ""), ("a1@0", ""), ("b1@2", "finish 1"), ("b1@0", "")],
    );
    assert_eq!(captured(&finished), NONE);
    assert!(!finished.is_pending(CheckpointId(1)));
}

#[test]
fn align_unaligned_barrier_that_is_read_has_nothing_queued_before_it() {
    play(UNALIGNED, 1, &[("b1@0", "start 1, finish 1"), ("a2@0", "start 2, capture 2@0, finish 2")]);
    play(UNALIGNED, 2, &[("b1@1", "start 1, capture 1@0"), ("b1@0", "finish 1")]);
}

#[test]
fn align_unaligned_barriers_that_come_twice_count_once() {
    play(
        UNALIGNED,
        2,
        &[("b1@0", "start 1, capture 1@1"), ("b1@0", ""), ("a1@0", ""), ("a1@1", "finish 1"), ("a1@1", "")],
    );
}

#[test]
fn align_unaligned_ended_channels_are_not_captured() {
    play(
        UNALIGNED,
        3,
        &[("end@0", ""), ("a1@1", "start 1, capture 1@1, capture 1@2"), ("end@2", "finish 1"), ("b1@1", "")],
    );
    let last =
        play(UNALIGNED, 2, &[("end@0", ""), ("b1@1", "start 1, finish 1"), ("b2@1", "start 2, finish 2")]);
    assert_eq!(captured(&last), NONE);
    play(UNALIGNED, 2, &[("b1@0", "start 1, capture 1@1"), ("end@0", ""), ("end@1", "finish 1")]);
}

#[test]
fn align_unaligned_checkpoint_that_is_cancelled_ends_its_capture() {
    for end in ["c1@0", "c1@1", "abort1"] {
        let script = [
            ("b1@0", "start 1, capture 1@1"),
            (end, "give up 1 OnCancellationBarrier"),
            ("b1@1", ""),
            ("c1@1", ""),
        ];
        let aligner = play(UNALIGNED, 2, &script);
        assert_eq!(captured(&aligner), NONE, "{end}");
        assert!(!aligner.is_pending(CheckpointId(1)), "{end}");
    }
}

#[test]
fn align_unaligned_abort_ends_exactly_the_capture_it_names() {
    let script = [("abort1", ""), ("b1@0", "start 1, capture 1@1"), ("abort2", ""), ("abort0", "")];
    assert_eq!(captured(&play(UNALIGNED, 2, &script)), [1]);
}

#[test]
fn align_unaligned_cancellation_before_the_barrier_keeps_the_checkpoint_from_starting() {
    play(
        UNALIGNED,
        2,
        &[
            ("c1@0", "give up 1 OnCancellationBarrier"),
            ("a1@1", ""),
            ("b1@1", ""),
            ("b1@0", ""),
            ("c1@1", ""),
        ],
    );
}

#[test]
fn align_unaligned_missing_and_disordered_cancellations_capture_nothing() {
    let aligner = play(
        UNALIGNED,
        2,
        &[
            ("b1@0", "start 1, capture 1@1"),
            ("c3@1", "give up 1 Subsumed, give up 3 OnCancellationBarrier"),
            ("c2@0", ""),
            ("b2@0", ""),
            ("c4@0", "give up 4 OnCancellationBarrier"),
        ],
    );
    assert_eq!(captured(&aligner), NONE);
}

#[test]
fn align_unaligned_newer_barrier_starts_a_capture_of_its_own() {
    let aligner = play(
        UNALIGNED,
        3,
        &[
            ("b1@0", "start 1, capture 1@1, capture 1@2"),
            ("a1@1", ""),
            ("a2@1", "give up 1 Subsumed, start 2, capture 2@0, capture 2@1, capture 2@2"),
            ("b1@1", ""),
            ("a1@2", ""),
        ],
    );
    assert_eq!(aligner.capturing(Channel(2)), Some(CheckpointId(2)));
    assert_eq!(captured(&aligner), [0, 2]);
}

#[test]
fn align_unaligned_duration_runs_from_the_first_barrier_to_the_last() {
    let (mut aligner, mut out) = (Aligner::new(2, UNALIGNED.mode), Vec::new());
    aligner.on(Millis(10), input(UNALIGNED, "a1@0"), &mut out).unwrap();
    aligner.on(Millis(17), input(UNALIGNED, "a1@1"), &mut out).unwrap();
    assert!(matches!(out.last(), Some(Output::CaptureFinished { alignment: Millis(7), .. })));
}

#[test]
fn align_unaligned_barrier_goes_on_as_one_that_overtakes() {
    for (setting, event) in [(UNALIGNED, "a1@0"), (UNTIL_10, "a1@0"), (UNTIL_10, "au1@0")] {
        let (mut aligner, mut out) = (Aligner::new(2, setting.mode), Vec::new());
        aligner.on(Millis(10), input(setting, event), &mut out).unwrap();
        let Some(Output::StartUnaligned { options, .. }) = out.first() else { panic!("{out:?}") };
        assert_eq!(options.alignment(), Alignment::Unaligned);
    }
}

//= spec/alignment.md#align-15-savepoints-and-last-checkpoints-are-aligned
//= type=test
//# A savepoint, or a checkpoint after which tasks finish, MUST be aligned whatever its barriers ask for.
#[test]
fn align_checkpoint_that_is_not_periodic_never_overtakes() {
    for kind in [CheckpointKind::Final, CheckpointKind::Stop] {
        for requested in [Alignment::Unaligned, Alignment::AlignedUntil(Millis(0))] {
            let options = CheckpointOptions::new(kind, requested);
            let (mut aligner, mut out) = (Aligner::new(2, CheckpointingMode::ExactlyOnce), Vec::new());
            let (channel, checkpoint) = (Channel(0), CheckpointId(1));
            aligner
                .on(Millis(9), Input::BarrierAnnounced { channel, checkpoint, options }, &mut out)
                .unwrap();
            aligner.on(Millis(9), Input::BarrierArrived { channel, checkpoint, options }, &mut out).unwrap();
            aligner.on(Millis(9), Input::Tick, &mut out).unwrap();
            assert_eq!(out, [Output::BlockChannel(channel)], "{options:?}");
        }
    }
}

//= spec/alignment.md#align-24-an-announcement-of-a-barrier-that-waits-changes-nothing
//= type=test
//# The announcement of a barrier that may not overtake MUST change nothing.
#[test]
fn align_announcement_of_an_aligned_barrier_changes_nothing() {
    let announced = play(ALIGNED, 2, &[("b1@0", "block 0"), ("a2@0", ""), ("a2@1", ""), ("a1@1", "")]);
    assert_eq!(announced, play(ALIGNED, 2, &[("b1@0", "block 0")]));
    assert_eq!(play(UNALIGNED, 2, &[("as1@0", "")]), play(UNALIGNED, 2, &[]));
}

#[test]
fn align_announcement_for_an_ended_or_unknown_channel_is_misuse() {
    for setting in [UNALIGNED, AT_LEAST_ONCE] {
        play(setting, 2, &[("end@0", ""), ("a1@0", "misuse"), ("a1@2", "misuse"), ("b1@0", "misuse")]);
    }
}

/// Conformance 4.1: the outcomes of Flink's `UnalignedCheckpointsCancellationTest`, both events on channel 0.
#[test]
fn align_pairs_of_barriers_and_cancellations_behave_as_in_flink() {
    for (first, second, channels, taken, given_up) in [
        ("c10", "c20", 1, false, true),
        ("c20", "c10", 1, false, true),
        ("c10", "b10", 1, false, true),
        ("c10", "b20", 1, true, true),
        ("c20", "b10", 1, false, true),
        ("b10", "b10", 1, true, false),
        ("b10", "b20", 1, true, false),
        ("b10", "b20", 2, true, true),
        ("b20", "b10", 1, true, false),
        ("b10", "c10", 1, true, false),
        ("b10", "c10", 2, true, true),
        ("b10", "c20", 1, true, true),
        ("b20", "c10", 1, true, false),
    ] {
        let mut aligner = Aligner::new(channels, UNALIGNED.mode);
        let done = [first, second].map(|event| step(&mut aligner, UNALIGNED, Millis(0), event)).concat();
        let found = (done.contains("start"), done.contains("give up"));
        assert_eq!(found, (taken, given_up), "{first} {second} on {channels} channels");
    }
}
