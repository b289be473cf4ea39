//! Each invariant of a gate is seen failing.

use super::super::Mode;
use super::super::at_least_once::{TRACKED_CHECKPOINTS, Tracker};
use super::super::exactly_once::{ChannelState, Gate};
use super::*;

/// A gate of two channels after the script.
fn gate(setting: Setting, script: &[&str]) -> Aligner {
    let mut aligner = Aligner::new(2, setting.mode);
    for event in script {
        aligner.on(Millis(0), input(setting, event), &mut Vec::new()).unwrap();
    }
    aligner.check().unwrap();
    aligner
}

/// The requirement that an aligning gate breaks after the change.
fn broken(setting: Setting, script: &[&str], change: impl FnOnce(&mut Gate)) -> &'static str {
    let mut aligner = gate(setting, script);
    match &mut aligner.0 {
        Mode::ExactlyOnce(gate) => change(gate),
        Mode::AtLeastOnce(_) => unreachable!("this gate aligns"),
    }
    aligner.check().unwrap_err().requirement
}

/// The requirement that a counting gate breaks after the change.
fn broken_count(script: &[&str], change: impl FnOnce(&mut Tracker)) -> &'static str {
    let mut aligner = gate(AT_LEAST_ONCE, script);
    match &mut aligner.0 {
        Mode::AtLeastOnce(tracker) => change(tracker),
        Mode::ExactlyOnce(_) => unreachable!("this gate counts"),
    }
    aligner.check().unwrap_err().requirement
}

#[test]
fn align_check_finds_a_channel_that_is_blocked_for_nothing() {
    assert_eq!(broken(ALIGNED, &[], |gate| gate.states[0] = ChannelState::Blocked), "ALIGN-2");
    assert_eq!(broken(UNALIGNED, &["a1@0"], |gate| gate.states[1] = ChannelState::Blocked), "ALIGN-2");
}

#[test]
fn align_check_finds_an_alignment_that_waits_for_nothing() {
    assert_eq!(broken(ALIGNED, &["b1@0"], |gate| gate.states[1] = ChannelState::Blocked), "ALIGN-3");
    assert_eq!(broken_count(&["b1@0"], |tracker| tracker.ended.extend([Channel(1)])), "ALIGN-3");
}

#[test]
fn align_check_finds_a_pending_checkpoint_that_is_not_the_newest() {
    assert_eq!(broken(ALIGNED, &["b1@0"], |gate| gate.newest = Some(CheckpointId(2))), "ALIGN-5");
    assert_eq!(broken(ALIGNED, &["b1@0"], |gate| gate.newest = None), "ALIGN-5");
    assert_eq!(broken_count(&["b2@0"], |tracker| tracker.newest = Some(CheckpointId(1))), "ALIGN-5");
}

#[test]
fn align_check_finds_a_barrier_of_no_checkpoint() {
    assert_eq!(broken(ALIGNED, &[], |gate| gate.states[0] = ChannelState::Announced), "ALIGN-18");
    assert_eq!(broken(ALIGNED, &[], |gate| gate.states[0] = ChannelState::Overtaken), "ALIGN-18");
}

#[test]
fn align_check_finds_a_barrier_that_should_have_overtaken() {
    assert_eq!(broken(UNALIGNED, &["a1@0"], |gate| gate.states[1] = ChannelState::Announced), "ALIGN-19");
}

#[test]
fn align_check_finds_too_many_tracked_checkpoints() {
    let most = TRACKED_CHECKPOINTS as u64;
    let script: Vec<String> = (1..=most).map(|id| format!("b{id}@0")).collect();
    let script: Vec<&str> = script.iter().map(String::as_str).collect();
    let one_more = |tracker: &mut Tracker| {
        let first = tracker.tracked[&CheckpointId(1)].clone();
        tracker.tracked.insert(CheckpointId(0), first);
    };
    assert_eq!(broken_count(&script, one_more), "ALIGN-28");
}
