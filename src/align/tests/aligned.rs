//! Aligned checkpoints.

use super::*;

//= spec/alignment.md#align-1-a-delivered-barrier-blocks-its-channel
//= type=test
//# A channel that delivers the barrier of the pending checkpoint MUST be blocked while that is
//# aligned.
//= spec/alignment.md#align-3-a-fully-arrived-checkpoint-is-not-pending
//= type=test
//# A checkpoint whose barriers have arrived on all open channels MUST NOT stay pending.
//= spec/alignment.md#align-4-the-snapshot-comes-before-reading-on
//= type=test
//# The snapshot of an aligned checkpoint MUST be asked for before any channel is resumed.
#[test]
fn align_barriers_on_all_channels_take_the_snapshot_before_reading_on() {
    play(ALIGNED, 1, &[("b1@0", "block 0, take 1, resume 0"), ("b2@0", "block 0, take 2, resume 0")]);
    let aligner = play(ALIGNED, 3, &[("b1@2", "block 2"), ("b1@0", "block 0")]);
    assert_eq!(blocked(&aligner), [0, 2]);
    play(
        ALIGNED,
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
//# A checkpoint MUST report the time from its first barrier to its last.
#[test]
fn align_duration_runs_from_the_first_barrier_to_the_last() {
    for (last, expected) in [(17, 7), (4, 0)] {
        let (mut aligner, mut out) = (Aligner::new(2, ALIGNED.mode), Vec::new());
        aligner.on(Millis(10), input(ALIGNED, "b1@0"), &mut out).unwrap();
        aligner.on(Millis(last), input(ALIGNED, "b1@1"), &mut out).unwrap();
        assert!(matches!(out[2], Output::Aligned { alignment: Millis(time), .. } if time == expected));
    }
}

//= spec/alignment.md#align-6-an-old-barrier-changes-nothing
//= type=test
//# A barrier that is neither of the pending checkpoint nor newer than all seen MUST change nothing.
#[test]
fn align_barrier_of_an_old_checkpoint_passes() {
    play(
        ALIGNED,
        2,
        &[("b2@0", "block 0"), ("b1@1", ""), ("b2@1", "block 1, take 2, resume 0, resume 1"), ("b2@0", "")],
    );
}

//= spec/alignment.md#align-7-a-newer-barrier-subsumes-the-pending-checkpoint
//= type=test
//# Where exactly once is promised, a barrier newer than the pending checkpoint MUST abort it as subsumed and
//# start its own alignment.
#[test]
fn align_newer_barrier_subsumes_the_pending_checkpoint() {
    play(
        ALIGNED,
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
        ALIGNED,
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
        ALIGNED,
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
        ALIGNED,
        2,
        &[("b2@0", "block 0"), ("c1@1", ""), ("b2@1", "block 1, take 2, resume 0, resume 1"), ("c2@0", "")],
    );
}

//= spec/alignment.md#align-2-channels-are-blocked-only-while-a-checkpoint-is-pending
//= type=test
//# A channel MUST be blocked only while an aligned checkpoint is pending.
#[test]
fn align_missing_and_disordered_cancellations_leave_no_channel_blocked() {
    let aligner = play(
        ALIGNED,
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
    assert_eq!(blocked(&aligner), NONE);
}

//= spec/alignment.md#align-11-an-ended-channel-counts-as-delivered
//= type=test
//# An ended channel MUST count as one that has delivered its barrier.
#[test]
fn align_ended_channels_count_as_delivered() {
    play(ALIGNED, 3, &[("end@0", ""), ("b1@1", "block 1"), ("b1@2", "block 2, take 1, resume 1, resume 2")]);
    play(
        ALIGNED,
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
        ALIGNED,
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
        ALIGNED,
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
        ALIGNED,
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
