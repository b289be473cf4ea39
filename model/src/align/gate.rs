//! Queues in front of the machine, and the driver that does what the machine says.

use super::faults::Fault;
use super::observer::{Content, Observer};
use super::scope::{Mode, Run};
use serde::Serialize;
use snapline::align::{Aligner, Input, Output};
use snapline::base::{Channel, CheckpointId, CheckpointOptions, Millis};
use std::collections::{BTreeMap, VecDeque};

/// What flows through a channel. Its records are numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Element {
    /// A record.
    Record(u8),
    /// A barrier.
    Barrier(CheckpointId, CheckpointOptions),
    /// A cancellation marker.
    Cancellation(CheckpointId),
    /// The last element.
    End,
}

/// What happens next at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Upstream puts something into the queue of a channel. Without queues it is read in the same step.
    Put(Channel, Element),
    /// The head of a queue is read.
    Read(Channel),
    /// The coordinator aborts a checkpoint.
    Abort(CheckpointId),
    /// Time passes.
    Clock,
    /// The timer is served.
    Tick,
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Upstream {
    pub(super) queue: VecDeque<Element>,
    /// The oldest checkpoint of which a barrier may still come.
    pub(super) next: CheckpointId,
    /// How many records were put into the queue.
    pub(super) put: u8,
    /// How many of them were read.
    pub(super) read: u8,
    /// Whether the gate was told to wait and not yet to go on.
    pub(super) waits: bool,
    /// Whether the end was put into the queue.
    pub(super) closed: bool,
    /// How many records stand before the barrier of each undecided checkpoint.
    pub(super) cuts: BTreeMap<CheckpointId, u8>,
}

impl Default for Upstream {
    fn default() -> Self {
        Upstream {
            queue: VecDeque::new(),
            next: CheckpointId::FIRST,
            put: 0,
            read: 0,
            waits: false,
            closed: false,
            cuts: BTreeMap::new(),
        }
    }
}

/// One state of the gate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Gate {
    pub(super) run: Run,
    pub(super) now: Millis,
    pub(super) aligner: Aligner,
    pub(super) upstreams: Vec<Upstream>,
    /// Irregular events that may still come; `None` for any number.
    pub(super) irregular_left: Option<u8>,
    pub(super) observer: Observer,
}

impl Gate {
    pub(super) fn new(run: Run) -> Self {
        Gate {
            run,
            now: Millis(0),
            aligner: Aligner::new(run.channels, run.mode.promise()),
            upstreams: vec![Upstream::default(); usize::from(run.channels)],
            irregular_left: run.irregular,
            observer: Observer::default(),
        }
    }

    /// Whether so many irregular events may still come.
    pub(super) fn allows(&self, irregular: u8) -> bool {
        self.irregular_left.is_none_or(|left| irregular <= left)
    }

    pub(super) fn spend(&mut self, irregular: u8) {
        self.irregular_left = self.irregular_left.map(|left| left - irregular);
    }

    pub(super) fn waits(&self) -> bool {
        self.upstreams.iter().any(|upstream| upstream.waits)
    }

    /// Whether nothing can come any more and everything that came was read.
    pub(super) fn is_exhausted(&self) -> bool {
        self.upstreams.iter().all(|upstream| upstream.closed && upstream.queue.is_empty())
    }

    /// Whether no channel can move, and no timer will change that.
    pub(super) fn stands_still(&self) -> bool {
        let can_move = |upstream: &Upstream| {
            let can_read = !upstream.queue.is_empty() && !upstream.waits;
            let has_room = if self.run.mode.has_queues() {
                upstream.queue.len() < self.run.queue
            } else {
                !upstream.waits
            };
            can_read || (!upstream.closed && has_room)
        };
        self.aligner.deadline().is_none() && !self.upstreams.iter().any(can_move)
    }

    /// Whether the coordinator may abort a checkpoint: it is pending here.
    pub(super) fn is_undecided_at_coordinator(&self, checkpoint: CheckpointId) -> bool {
        self.aligner.is_pending(checkpoint) && !self.observer.cancelled.contains(&checkpoint)
    }

    pub(super) fn put(&mut self, fault: Option<Fault>, channel: Channel, element: Element) {
        let index = usize::from(channel.0);
        let upstream = &mut self.upstreams[index];
        let overtakes_a_record = fault == Some(Fault::BarrierBeforeRecord)
            && matches!(element, Element::Barrier(..))
            && matches!(upstream.queue.back(), Some(Element::Record(_)));
        upstream.queue.insert(upstream.queue.len() - usize::from(overtakes_a_record), element);
        match element {
            Element::Record(number) => {
                upstream.put = number;
                if let Some(checkpoint) = self.aligner.capturing(channel)
                    && fault != Some(Fault::ArrivalsNotCaptured)
                {
                    let is_reversed = fault == Some(Fault::TwoWriters);
                    self.observer.capture_arrival(checkpoint, index, number, is_reversed);
                }
            }
            Element::Barrier(checkpoint, options) => {
                upstream.cuts.insert(checkpoint, upstream.put);
                upstream.next = checkpoint.next();
                self.report(fault, Input::BarrierAnnounced { channel, checkpoint, options });
            }
            Element::Cancellation(checkpoint) => upstream.next = checkpoint.next(),
            Element::End => upstream.closed = true,
        }
    }

    pub(super) fn read(&mut self, fault: Option<Fault>, channel: Channel) {
        let upstream = &mut self.upstreams[usize::from(channel.0)];
        let Some(element) = upstream.queue.pop_front() else { return };
        match element {
            Element::Record(number) => upstream.read = number,
            Element::Barrier(checkpoint, options) => {
                if fault == Some(Fault::TimerBeforeBarrier) {
                    self.report(fault, Input::Tick);
                }
                self.report(fault, Input::BarrierArrived { channel, checkpoint, options });
            }
            Element::Cancellation(checkpoint) => {
                self.observer.cancel(checkpoint);
                match fault {
                    Some(Fault::CancellationDropped) => {}
                    Some(Fault::CancellationTakenForBarrier) => {
                        let options = self.run.mode.options(checkpoint, self.now)[0];
                        self.report(fault, Input::BarrierArrived { channel, checkpoint, options });
                    }
                    _ => self.report(fault, Input::CancellationArrived { channel, checkpoint }),
                }
            }
            Element::End if fault == Some(Fault::EndNotCounted) => {}
            Element::End => self.report(fault, Input::ChannelEnded { channel }),
        }
    }

    pub(super) fn report(&mut self, fault: Option<Fault>, input: Input) {
        let mut outputs = Vec::new();
        // Only a planted bug can make the gate misuse its machine; nothing has happened then.
        let misuse = self.aligner.on(self.now, input, &mut outputs);
        assert!(misuse.is_ok() || fault.is_some(), "{misuse:?}");
        for output in outputs {
            self.carry_out(fault, output);
        }
        if fault == Some(Fault::OlderBarrierAccepted) && self.aligner.pending().is_none() {
            self.forget();
        }
    }

    fn carry_out(&mut self, fault: Option<Fault>, output: Output) {
        match output {
            Output::BlockChannel(Channel(channel)) => {
                self.upstreams[usize::from(channel)].waits = true;
                if fault == Some(Fault::TriggeredAtFirstBarrier)
                    && let Some(pending) = self.aligner.pending()
                {
                    self.complete(pending, self.contents());
                }
            }
            Output::ResumeChannel(Channel(channel)) => {
                self.upstreams[usize::from(channel)].waits = fault == Some(Fault::ResumeDropped);
            }
            Output::Aligned { checkpoint, .. } => self.complete(checkpoint, self.contents()),
            Output::StartUnaligned { checkpoint, .. } => {
                if fault == Some(Fault::SnapshotDelayed) {
                    self.process_one_record();
                }
                let contents = self.contents();
                self.observer.start(checkpoint, contents);
                if fault == Some(Fault::CaptureFinishedAtStart) {
                    self.finish_capture(checkpoint);
                }
            }
            Output::CaptureQueued { checkpoint, channel } => {
                let index = usize::from(channel.0);
                let ends_here = |element: &Element| match (fault, element) {
                    (Some(Fault::BehindBarrierCaptured), _) => false,
                    (Some(Fault::CaptureNotKeyed), Element::Barrier(..)) => true,
                    (_, Element::Barrier(id, _)) => *id == checkpoint,
                    _ => false,
                };
                let ahead = self.upstreams[index].queue.iter().take_while(|element| !ends_here(element));
                let records = ahead.filter_map(|element| match element {
                    Element::Record(number) => Some(*number),
                    _ => None,
                });
                self.observer.capture_queued(checkpoint, index, records);
            }
            Output::CaptureFinished { checkpoint, .. } => self.finish_capture(checkpoint),
            Output::Aborted { checkpoint, .. } => {
                self.observer.abort(checkpoint, fault == Some(Fault::CaptureKept));
                if fault == Some(Fault::CancelledForgotten) {
                    self.forget();
                }
            }
        }
    }

    /// The state that a snapshot would hold now: the effects of all records that were read.
    fn contents(&self) -> Vec<Content> {
        self.upstreams.iter().map(|upstream| Content::effects_up_to(upstream.read)).collect()
    }

    fn finish_capture(&mut self, checkpoint: CheckpointId) {
        let contents = self.observer.finish(checkpoint);
        self.complete(checkpoint, contents);
    }

    /// Compares a completed checkpoint with what stands before its barriers.
    fn complete(&mut self, checkpoint: CheckpointId, contents: Vec<Content>) {
        for (upstream, content) in self.upstreams.iter().zip(contents) {
            let cut = upstream.cuts.get(&checkpoint).copied().unwrap_or(upstream.put);
            let is_right = match self.run.mode {
                Mode::AtLeastOnce => content.holds_all_up_to(cut),
                Mode::Aligned | Mode::Unaligned | Mode::AlignedUntil => content.holds_exactly_up_to(cut),
            };
            let delivers_no_more = upstream.closed && upstream.queue.is_empty();
            let has_barrier = upstream.cuts.contains_key(&checkpoint) || delivers_no_more;
            self.observer.wrong.cut |= !is_right || !has_barrier;
        }
        self.observer.complete(checkpoint);
    }

    /// Drops what can make no difference any more, so that states do not differ in it.
    pub(super) fn forget_what_is_decided(&mut self) {
        let Some(decided) = self.observer.newest_decided else { return };
        for upstream in &mut self.upstreams {
            upstream.cuts = upstream.cuts.split_off(&decided.next());
        }
    }

    /// A task that goes on with a record before it takes the snapshot that it was asked for.
    fn process_one_record(&mut self) {
        let is_record = |upstream: &&mut Upstream| matches!(upstream.queue.front(), Some(Element::Record(_)));
        if let Some(upstream) = self.upstreams.iter_mut().find(is_record)
            && let Some(Element::Record(number)) = upstream.queue.pop_front()
        {
            upstream.read = number;
        }
    }

    /// A machine that has forgotten which checkpoints it has seen.
    fn forget(&mut self) {
        let mut fresh = Aligner::new(self.aligner.channels(), self.run.mode.promise());
        for channel in (0..self.aligner.channels()).map(Channel) {
            if self.aligner.is_ended(channel) {
                let ended = Input::ChannelEnded { channel };
                fresh.on(self.now, ended, &mut Vec::new()).expect("a new gate has open channels");
            }
        }
        self.aligner = fresh;
    }
}
