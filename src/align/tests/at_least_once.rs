//! Counting barriers without blocking.

use super::super::at_least_once::TRACKED_CHECKPOINTS;
use super::*;

//= spec/alignment.md#align-26-at-least-once-no-channel-waits
//= type=test
//# A gate that promises at least once MUST NOT block a channel.
#[test]
fn align_at_least_once_takes_the_snapshot_with_the_last_barrier_and_blocks_nothing() {
    let pending = play(AT_LEAST_ONCE, 3, &[("b1@0", ""), ("b1@0", ""), ("b1@2", "")]);
    assert_eq!((blocked(&pending), captured(&pending), pending.deadline()), (vec![], vec![], None));
    assert!(pending.is_pending(CheckpointId(1)));
    play(AT_LEAST_ONCE, 3, &[("b1@0", ""), ("b1@2", ""), ("b1@1", "take 1"), ("b1@1", "")]);
}

#[test]
fn align_at_least_once_skipped_checkpoints_are_tolerated() {
    play(AT_LEAST_ONCE, 1, &[("b1@0", "take 1"), ("b3@0", "take 3"), ("b4@0", "take 4"), ("b9@0", "take 9")]);
    play(
        AT_LEAST_ONCE,
        2,
        &[("b2@0", ""), ("b3@1", ""), ("b3@0", "give up 2 Subsumed, take 3"), ("b2@1", "")],
    );
}

#[test]
fn align_at_least_once_later_barrier_leaves_an_earlier_checkpoint_pending() {
    play(
        AT_LEAST_ONCE,
        3,
        &[
            ("b3@1", ""),
            ("b3@2", ""),
            ("b4@2", ""),
            ("b4@1", ""),
            ("b5@1", ""),
            ("b3@0", "take 3"),
            ("b4@0", "take 4"),
            ("b5@0", ""),
            ("b5@2", "take 5"),
        ],
    );
}

//= spec/alignment.md#align-27-a-decided-checkpoint-subsumes-the-older-ones
//= type=test
//# A checkpoint that is aligned or cancelled at a gate MUST first abort every older one that is pending there.
#[test]
fn align_at_least_once_decision_gives_up_the_older_ones_in_order() {
    play(
        AT_LEAST_ONCE,
        3,
        &[
            ("b1@0", ""),
            ("b2@0", ""),
            ("b2@1", ""),
            ("b3@0", ""),
            ("b4@0", ""),
            ("b4@1", ""),
            ("b5@1", ""),
            ("end@2", "give up 1 Subsumed, give up 2 Subsumed, give up 3 Subsumed, take 4"),
            ("b5@0", "take 5"),
        ],
    );
    let given_up = "give up 5 Subsumed, give up 6 OnCancellationBarrier";
    play(
        AT_LEAST_ONCE,
        3,
        &[
            ("end@2", ""),
            ("b5@0", ""),
            ("b6@0", ""),
            ("c6@1", given_up),
            ("end@1", ""),
            ("c7@0", "give up 7 OnCancellationBarrier"),
        ],
    );
}

#[test]
fn align_at_least_once_cancellation_on_one_channel_gives_up_at_once() {
    play(
        AT_LEAST_ONCE,
        1,
        &[
            ("b1@0", "take 1"),
            ("c4@0", "give up 4 OnCancellationBarrier"),
            ("b5@0", "take 5"),
            ("c6@0", "give up 6 OnCancellationBarrier"),
        ],
    );
}

#[test]
fn align_at_least_once_cancellation_on_several_channels_gives_up_once() {
    play(
        AT_LEAST_ONCE,
        3,
        &[
            ("b2@0", ""),
            ("b2@2", ""),
            ("c2@1", "give up 2 OnCancellationBarrier"),
            ("b3@1", ""),
            ("b3@2", ""),
            ("b3@0", "take 3"),
            ("c4@1", "give up 4 OnCancellationBarrier"),
            ("b4@2", ""),
            ("b4@0", ""),
            ("c5@1", "give up 5 OnCancellationBarrier"),
            ("c5@2", ""),
            ("b5@0", ""),
        ],
    );
}

#[test]
fn align_at_least_once_interleaved_cancellations_give_up_each_checkpoint_once() {
    play(
        AT_LEAST_ONCE,
        3,
        &[
            ("b1@0", ""),
            ("c2@0", "give up 1 Subsumed, give up 2 OnCancellationBarrier"),
            ("c1@1", ""),
            ("c2@1", ""),
            ("c1@2", ""),
            ("c2@2", ""),
        ],
    );
}

#[test]
fn align_at_least_once_ended_channels_count_as_delivered_once() {
    play(AT_LEAST_ONCE, 3, &[("b2@0", ""), ("b2@1", ""), ("end@1", ""), ("b2@2", "take 2")]);
    play(
        AT_LEAST_ONCE,
        3,
        &[
            ("end@2", ""),
            ("b5@0", ""),
            ("b6@0", ""),
            ("b6@1", "give up 5 Subsumed, take 6"),
            ("end@1", ""),
            ("b7@0", "take 7"),
        ],
    );
}

#[test]
fn align_at_least_once_last_open_channel_finishes_what_is_pending() {
    play(AT_LEAST_ONCE, 2, &[("b1@0", ""), ("end@0", ""), ("b1@1", "take 1")]);
    let cancelled =
        play(AT_LEAST_ONCE, 2, &[("b1@0", ""), ("end@0", ""), ("c1@1", "give up 1 OnCancellationBarrier")]);
    assert!(!cancelled.is_pending(CheckpointId(1)));
}

#[test]
fn align_at_least_once_cancelled_checkpoint_is_not_decided_again_by_an_end() {
    let aligner = play(
        AT_LEAST_ONCE,
        3,
        &[("c4@0", "give up 4 OnCancellationBarrier"), ("b4@1", ""), ("b5@1", ""), ("end@2", "")],
    );
    assert!(aligner.is_pending(CheckpointId(5)) && !aligner.is_pending(CheckpointId(4)));
}

#[test]
fn align_at_least_once_aborted_checkpoint_is_given_up_in_its_turn() {
    play(
        AT_LEAST_ONCE,
        2,
        &[
            ("b1@0", ""),
            ("b2@0", ""),
            ("abort2", ""),
            ("abort3", ""),
            ("b1@1", "take 1"),
            ("b2@1", "give up 2 OnCancellationBarrier"),
        ],
    );
}

//= spec/alignment.md#align-28-the-number-of-tracked-checkpoints-is-bounded
//= type=test
//# A gate that promises at least once MUST track at most 50 checkpoints, and give up the oldest for a newer one.
#[test]
fn align_at_least_once_tracked_checkpoints_are_bounded() {
    let mut aligner = Aligner::new(2, AT_LEAST_ONCE.mode);
    for id in 1..=TRACKED_CHECKPOINTS {
        assert_eq!(step(&mut aligner, AT_LEAST_ONCE, Millis(0), &format!("b{id}@0")), "");
    }
    let given_up = step(&mut aligner, AT_LEAST_ONCE, Millis(0), "b51@0");
    assert_eq!((TRACKED_CHECKPOINTS, given_up.as_str()), (50, "give up 1 Subsumed"));
    assert_eq!(step(&mut aligner, AT_LEAST_ONCE, Millis(0), "b1@1"), "");
    assert_eq!(step(&mut aligner, AT_LEAST_ONCE, Millis(0), "b2@1"), "take 2");
}

#[test]
fn align_at_least_once_duration_of_two_checkpoints_in_a_row_is_that_of_each() {
    let (mut aligner, mut out) = (Aligner::new(2, AT_LEAST_ONCE.mode), Vec::new());
    for (now, event) in ["b1@1", "b2@1", "b1@0", "b2@0"].into_iter().enumerate() {
        aligner.on(Millis(now as u64), input(AT_LEAST_ONCE, event), &mut out).unwrap();
    }
    let of = |output: &Output| matches!(output, Output::Aligned { alignment: Millis(2), .. });
    assert!(out.len() == 2 && out.iter().all(of), "{out:?}");
}
