//! Alignments that turn into unaligned checkpoints, and both kinds in turn.

use super::*;

//= spec/alignment.md#align-21-an-alignment-ends-at-its-deadline
//= type=test
//# An alignment that is still pending at its deadline MUST become unaligned.
//= spec/alignment.md#align-20-no-channel-waits-for-an-unaligned-checkpoint
//= type=test
//# A channel MUST NOT stay blocked when its checkpoint becomes unaligned.
#[test]
fn align_deadline_during_the_alignment_opens_the_channels_and_captures_the_others() {
    let waiting = play(UNTIL_10, 3, &[("3: b1@1", "block 1"), ("a1@0", ""), ("9: tick", "")]);
    assert_eq!((waiting.deadline(), blocked(&waiting)), (Some(Millis(10)), vec![1]));
    let switched = play(
        UNTIL_10,
        3,
        &[
            ("3: b1@1", "block 1"),
            ("a1@0", ""),
            ("10: tick", "start 1, capture 1@0, resume 1, capture 1@2"),
            ("tick", ""),
        ],
    );
    assert_eq!((switched.deadline(), blocked(&switched), captured(&switched)), (None, vec![], vec![2]));
}

#[test]
fn align_deadline_before_any_barrier_was_read_lets_the_announced_ones_overtake() {
    play(
        UNTIL_10,
        2,
        &[
            ("a1@0", ""),
            ("a1@1", ""),
            ("10: tick", "start 1, capture 1@0, capture 1@1, finish 1"),
            ("b1@0", ""),
        ],
    );
}

#[test]
fn align_barrier_that_comes_after_its_deadline_overtakes_at_once() {
    let first = "block 0, start 1, resume 0, capture 1@1";
    play(UNTIL_10, 2, &[("11: b1@0", first), ("a1@1", "finish 1"), ("b1@1", "")]);
    play(UNTIL_10, 2, &[("11: a1@0", "start 1, capture 1@0, capture 1@1"), ("b1@1", "finish 1")]);
}

//= spec/alignment.md#align-22-the-fact-comes-before-its-time
//= type=test
//# An input MUST be taken in before the time at which it comes can change the alignment.
#[test]
fn align_last_barrier_after_the_deadline_ends_the_alignment_as_aligned() {
    let script = [("b1@0", "block 0"), ("15: b1@1", "block 1, take 1, resume 0, resume 1"), ("tick", "")];
    assert_eq!(captured(&play(UNTIL_10, 2, &script)), NONE);
    play(
        UNTIL_10,
        3,
        &[
            ("b1@0", "block 0"),
            ("15: b1@1", "block 1, start 1, resume 0, resume 1, capture 1@2"),
            ("c1@2", "give up 1 OnCancellationBarrier"),
        ],
    );
    play(UNTIL_10, 2, &[("b1@0", "block 0"), ("15: abort1", "give up 1 OnCancellationBarrier, resume 0")]);
    play(UNTIL_10, 2, &[("b1@0", "block 0"), ("15: c1@1", "give up 1 OnCancellationBarrier, resume 0")]);
}

#[test]
fn align_deadline_that_is_noticed_late_switches_once() {
    // Noticed with the announcement of another channel, and with the end of one.
    play(
        UNTIL_10,
        2,
        &[
            ("b1@0", "block 0"),
            ("12: a1@1", "start 1, resume 0, capture 1@1, finish 1"),
            ("tick", ""),
            ("b1@1", ""),
        ],
    );
    play(
        UNTIL_10,
        3,
        &[
            ("b1@0", "block 0"),
            ("12: end@1", "start 1, resume 0, capture 1@2"),
            ("tick", ""),
            ("b1@2", "finish 1"),
        ],
    );
}

#[test]
fn align_deadline_after_the_last_barrier_an_abort_or_the_end_does_nothing() {
    play(
        UNTIL_10,
        2,
        &[("b1@0", "block 0"), ("b1@1", "block 1, take 1, resume 0, resume 1"), ("10: tick", "")],
    );
    play(
        UNTIL_10,
        2,
        &[("b1@0", "block 0"), ("abort1", "give up 1 OnCancellationBarrier, resume 0"), ("10: tick", "")],
    );
    let ended = [("b1@0", "block 0"), ("end@1", "take 1, resume 0"), ("end@0", ""), ("10: tick", "")];
    assert_eq!(play(UNTIL_10, 2, &ended).deadline(), None);
}

#[test]
fn align_checkpoint_after_one_that_switched_is_aligned_again() {
    let mut aligner = play(
        UNTIL_10,
        2,
        &[("b1@0", "block 0"), ("10: tick", "start 1, resume 0, capture 1@1"), ("b1@1", "finish 1")],
    );
    let later = exactly_once(Alignment::AlignedUntil(Millis(30)));
    assert_eq!(step(&mut aligner, later, Millis(20), "a2@1"), "");
    assert_eq!(step(&mut aligner, later, Millis(20), "b2@0"), "block 0");
    assert_eq!(step(&mut aligner, later, Millis(29), "b2@1"), "block 1, take 2, resume 0, resume 1");
}

#[test]
fn align_without_a_deadline_never_switches() {
    let aligner = play(
        ALIGNED,
        2,
        &[("b1@0", "block 0"), ("99999: tick", ""), ("b1@1", "block 1, take 1, resume 0, resume 1")],
    );
    assert_eq!(aligner.deadline(), None);
}

//= spec/alignment.md#align-23-an-announced-barrier-counts-once-it-overtakes
//= type=test
//# An announced barrier MUST count as delivered exactly when its checkpoint is unaligned.
#[test]
fn align_announced_barriers_do_not_end_an_alignment() {
    let announced = play(UNTIL_10, 2, &[("a1@0", ""), ("a1@1", ""), ("a1@1", "")]);
    assert!(announced.is_pending(CheckpointId(1)));
    assert_eq!(blocked(&announced), NONE);
    play(
        UNTIL_10,
        3,
        &[
            ("a1@0", ""),
            ("end@1", ""),
            ("a1@2", ""),
            ("b1@0", "block 0"),
            ("b1@2", "block 2, take 1, resume 0, resume 2"),
        ],
    );
}

#[test]
fn align_barrier_that_was_switched_upstream_switches_the_gate() {
    let captured_0 = "start 1, capture 1@0, capture 1@1, finish 1";
    play(UNTIL_10, 2, &[("a1@0", ""), ("au1@1", captured_0), ("b1@0", ""), ("bu1@1", "")]);
    play(UNTIL_10, 2, &[("b1@0", "block 0"), ("au1@1", "start 1, resume 0, capture 1@1, finish 1")]);
    play(UNTIL_10, 2, &[("b1@0", "block 0"), ("bu1@1", "start 1, resume 0, finish 1")]);
    play(UNTIL_10, 2, &[("bu1@1", "start 1, capture 1@0"), ("b1@0", "finish 1")]);
}

#[test]
fn align_announcement_of_a_newer_checkpoint_subsumes_the_pending_one() {
    play(
        UNTIL_10,
        2,
        &[("b1@0", "block 0"), ("a2@1", "give up 1 Subsumed, resume 0"), ("b1@1", ""), ("b2@0", "block 0")],
    );
}

#[test]
fn align_aligned_and_unaligned_checkpoints_may_alternate() {
    let taken = "block 1, take 1, resume 0, resume 1";
    let aligner = play(
        UNALIGNED,
        2,
        &[
            ("bs1@0", "block 0"),
            ("bs1@1", taken),
            ("a2@1", "start 2, capture 2@0, capture 2@1"),
            ("b2@0", "finish 2"),
            ("as3@0", ""),
            ("bs3@0", "block 0"),
            ("b2@1", ""),
            ("bs3@1", "block 1, take 3, resume 0, resume 1"),
        ],
    );
    assert_eq!(captured(&aligner), NONE);
}

#[test]
fn align_unaligned_checkpoint_after_an_incomplete_aligned_one_captures_its_channels() {
    let aligner = play(
        UNALIGNED,
        2,
        &[("bs1@0", "block 0"), ("a2@1", "give up 1 Subsumed, resume 0, start 2, capture 2@0, capture 2@1")],
    );
    assert_eq!((captured(&aligner), blocked(&aligner)), (vec![0], vec![]));
}

#[test]
fn align_duration_after_an_overtaken_cancellation_is_that_of_the_newer_checkpoint() {
    for (setting, expected) in [(ALIGNED, 2), (AT_LEAST_ONCE, 2)] {
        let mut aligner = Aligner::new(2, setting.mode);
        let events = match setting.mode {
            // Its channel was opened again by the cancellation of checkpoint 1 on the other one.
            CheckpointingMode::ExactlyOnce => ["b1@1", "b2@0", "c1@1", "b2@1"],
            CheckpointingMode::AtLeastOnce => ["b1@1", "b2@1", "c1@0", "b2@0"],
        };
        let mut found = Vec::new();
        for (now, event) in events.into_iter().enumerate() {
            aligner.on(Millis(now as u64), input(setting, event), &mut found).unwrap();
        }
        let taken = found.iter().find_map(|output| match output {
            Output::Aligned { alignment, .. } => Some(*alignment),
            _ => None,
        });
        assert_eq!(taken, Some(Millis(expected)), "{setting:?}");
    }
}

#[test]
fn align_duration_does_not_count_the_time_in_line() {
    let (mut aligner, mut out) = (Aligner::new(2, UNTIL_10.mode), Vec::new());
    for (now, event) in [(1, "a1@0"), (4, "a1@1"), (5, "b1@1"), (7, "b1@0")] {
        aligner.on(Millis(now), input(UNTIL_10, event), &mut out).unwrap();
    }
    assert!(matches!(out[2], Output::Aligned { alignment: Millis(2), .. }), "{out:?}");
}
