use super::Alignment;
use super::gate::{Element, Gate, Upstream};
use super::scope::Mode;
use snapline::base::{Channel, CheckpointId};
use stateright::Property;
use std::collections::BTreeSet;

type P = Property<Alignment>;

pub(super) fn all() -> Vec<P> {
    let mut all = vec![P::always("the machine keeps its invariants", |_, gate| gate.aligner.check().is_ok())];
    all.extend(cut());
    all.extend(waiting());
    all.extend(decisions());
    all.extend(end());
    all
}

fn any_queued(gate: &Gate, condition: impl Fn(&Upstream, &Element) -> bool) -> bool {
    gate.upstreams.iter().any(|upstream| upstream.queue.iter().any(|element| condition(upstream, element)))
}

/// A completed checkpoint holds what stands before its barriers.
fn cut() -> Vec<P> {
    vec![
        //= spec/alignment.md#align-4-the-snapshot-comes-before-reading-on
        //= type=test
        //# The snapshot of an aligned checkpoint MUST be asked for before any channel is resumed.
        //= spec/alignment.md#align-17-what-is-queued-ahead-of-a-barrier-is-captured
        //= type=test
        //# When a checkpoint becomes unaligned, what is queued in each channel whose barrier was not read MUST be
        //# captured up to that barrier.
        //= spec/alignment.md#align-18-what-arrives-is-captured-until-the-barrier
        //= type=test
        //# A record that is put into a channel's queue MUST be captured exactly while the pending checkpoint is
        //# unaligned and its barrier has not been seen on that channel.
        P::always("ALIGN-4, 17, 18 a checkpoint holds exactly what stands before its barriers", |_, gate| {
            !gate.observer.wrong.cut
        }),
        P::sometimes("an aligned checkpoint is taken", |_, gate| {
            gate.run.mode == Mode::Aligned && gate.observer.newest_taken.is_some()
        }),
        P::sometimes("at least once, a checkpoint is taken", |_, gate| {
            gate.run.mode == Mode::AtLeastOnce && gate.observer.newest_taken.is_some()
        }),
        P::sometimes("at least once, a record behind the barrier is read before the snapshot", |_, gate| {
            let is_behind = |upstream: &Upstream| upstream.cuts.values().any(|cut| upstream.read > *cut);
            gate.run.mode == Mode::AtLeastOnce && gate.upstreams.iter().any(is_behind)
        }),
        P::sometimes("an unaligned checkpoint is taken", |_, gate| {
            gate.run.mode == Mode::Unaligned && gate.observer.newest_taken == Some(CheckpointId(1))
        }),
        P::sometimes("a record is captured", |_, gate| {
            let started = gate.observer.started.as_ref();
            started.is_some_and(|(_, contents)| contents.iter().any(|content| !content.captured.is_empty()))
        }),
        P::sometimes("a record behind the barrier is queued during a capture", |_, gate| {
            let started = gate.observer.started.as_ref().map(|(checkpoint, _)| *checkpoint);
            any_queued(gate, |upstream, element| match (element, started) {
                (Element::Record(number), Some(started)) => {
                    upstream.cuts.get(&started).is_some_and(|cut| number > cut)
                }
                _ => false,
            })
        }),
        P::always("ALIGN-16 nothing is captured before the snapshot or after the end", |_, gate| {
            !gate.observer.wrong.capture
        }),
        //= spec/alignment.md#align-21-an-alignment-ends-at-its-deadline
        //= type=test
        //# An alignment that is still pending at its deadline MUST become unaligned.
        P::sometimes("ALIGN-21 an alignment has become unaligned at its deadline", |_, gate| {
            let is_waiting_kind = |element: &Element| matches!(element, Element::Barrier(_, options) if *options != options.overtaking());
            // Every barrier so far stands in line and none of them asks to overtake.
            let mut upstreams = gate.upstreams.iter();
            gate.run.mode == Mode::AlignedUntil
                && gate.observer.started.is_some()
                && upstreams.all(|upstream| {
                    upstream.next == CheckpointId::FIRST || upstream.queue.iter().any(is_waiting_kind)
                })
        }),
    ]
}

/// Channels wait as long as they must.
fn waiting() -> Vec<P> {
    vec![
        //= spec/alignment.md#align-2-channels-are-blocked-only-while-a-checkpoint-is-pending
        //= type=test
        //# A channel MUST be blocked only while an aligned checkpoint is pending.
        //= spec/alignment.md#align-20-no-channel-waits-for-an-unaligned-checkpoint
        //= type=test
        //# A channel MUST NOT stay blocked when its checkpoint becomes unaligned.
        P::always("ALIGN-2, 20 channels wait only while an aligned checkpoint is pending", |_, gate| {
            let told = |(index, upstream): (usize, &Upstream)| {
                upstream.waits == gate.aligner.is_blocked(Channel(index as u16))
            };
            let started = gate.observer.started.as_ref().map(|(checkpoint, _)| *checkpoint);
            let is_aligned = gate.aligner.pending().is_some() && gate.aligner.pending() != started;
            (!gate.waits() || is_aligned) && gate.upstreams.iter().enumerate().all(told)
        }),
        P::sometimes("a channel waits", |_, gate| gate.waits()),
        //= spec/alignment.md#align-26-at-least-once-no-channel-waits
        //= type=test
        //# A gate that promises at least once MUST NOT block a channel.
        P::always("ALIGN-26 at least once no channel waits", |_, gate| {
            gate.run.mode != Mode::AtLeastOnce || !gate.waits()
        }),
        P::sometimes("at least once, several checkpoints are pending", |_, gate| {
            gate.run.mode == Mode::AtLeastOnce
                && gate.aligner.is_pending(CheckpointId(1))
                && gate.aligner.is_pending(CheckpointId(2))
        }),
    ]
}

/// Every checkpoint is decided once, in order, and not against a cancellation.
fn decisions() -> Vec<P> {
    vec![
        //= spec/alignment.md#align-6-an-old-barrier-changes-nothing
        //= type=test
        //# A barrier that is neither of the pending checkpoint nor newer than all seen MUST change nothing.
        //= spec/alignment.md#align-25-checkpoints-are-decided-in-order
        //= type=test
        //# A gate MUST decide checkpoints in the order of their ids, each at most once.
        P::always("ALIGN-6, 25 checkpoints are decided in order, once each", |_, gate| {
            !gate.observer.wrong.order
        }),
        P::sometimes("a barrier is queued whose checkpoint is decided", |_, gate| {
            let decided = gate.observer.newest_decided;
            any_queued(gate, |_, element| matches!(element, Element::Barrier(id, _) if Some(*id) <= decided))
        }),
        //= spec/alignment.md#align-7-a-newer-barrier-subsumes-the-pending-checkpoint
        //= type=test
        //# Where exactly once is promised, a barrier newer than the pending checkpoint MUST abort it as subsumed and
        //# start its own alignment.
        P::sometimes("ALIGN-7 a newer barrier has subsumed a checkpoint", |_, gate| {
            let (pending, observer) = (gate.aligner.pending(), &gate.observer);
            gate.run.mode == Mode::Aligned
                && observer.newest_decided > observer.newest_taken
                && pending > observer.newest_decided
                && pending == observer.newest_decided.map(CheckpointId::next)
        }),
        //= spec/alignment.md#align-8-a-cancellation-marker-ends-the-pending-alignment
        //= type=test
        //# A cancellation marker of the pending checkpoint MUST abort it.
        P::always("ALIGN-8, 12 exactly once, what was cancelled or aborted is not waited for", |_, gate| {
            let mut cancelled = gate.observer.cancelled.iter();
            gate.run.mode == Mode::AtLeastOnce || !cancelled.any(|id| gate.aligner.is_pending(*id))
        }),
        P::sometimes("at least once, an aborted checkpoint awaits its turn", |_, gate| {
            gate.run.mode == Mode::AtLeastOnce && !gate.observer.cancelled.is_empty()
        }),
        //= spec/alignment.md#align-9-a-cancellation-marker-ahead-of-its-barriers-is-remembered
        //= type=test
        //# A cancellation marker newer than all seen MUST abort its checkpoint before that starts here.
        P::always("ALIGN-9 no snapshot is taken of what was cancelled before", |_, gate| {
            !gate.observer.wrong.cancelled
        }),
        P::sometimes("a checkpoint is given up", |_, gate| {
            gate.observer.newest_decided > gate.observer.newest_taken
        }),
    ]
}

/// When nothing more comes, nothing is left.
fn end() -> Vec<P> {
    vec![
        //= spec/alignment.md#align-11-an-ended-channel-counts-as-delivered
        //= type=test
        //# An ended channel MUST count as one that has delivered its barrier.
        //= spec/alignment.md#align-19-the-capture-ends-with-the-last-barrier
        //= type=test
        //# An unaligned checkpoint MUST report the end of its capture when the barriers of all open channels have
        //# been seen.
        P::always("ALIGN-11, 19 when nothing can move all is read and decided", |_, gate| {
            let nothing_left = gate.is_exhausted()
                && gate.aligner.pending().is_none()
                && gate.observer.started.is_none()
                && gate.upstreams.iter().all(|upstream| upstream.read == upstream.put);
            !gate.stands_still() || nothing_left
        }),
        P::sometimes("nothing more comes", |_, gate| gate.stands_still()),
        P::always("ALIGN-3 what has a barrier on every channel is decided in the end", |_, gate| {
            let mut in_all: BTreeSet<CheckpointId> = gate.upstreams[0].cuts.keys().copied().collect();
            in_all.retain(|id| gate.upstreams.iter().all(|upstream| upstream.cuts.contains_key(id)));
            !gate.stands_still() || in_all.is_empty()
        }),
        P::sometimes("a checkpoint is taken without a barrier from an ended channel", |_, gate| {
            let without = |upstream: &Upstream| upstream.closed && upstream.next == CheckpointId::FIRST;
            gate.observer.newest_taken.is_some() && gate.upstreams.iter().any(without)
        }),
    ]
}
