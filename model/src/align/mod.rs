//! One input gate, and everything its upstreams, its coordinator and the clock can do to it.
//!
//! The gate of a subtask reads several channels. On each of them come barriers of one checkpoint after another,
//! some replaced by a cancellation marker and some left out, with records in between, until the channel ends.
//! The [`Aligner`](snapline::align::Aligner) says which channels must wait, when to take the snapshot, and which records to copy into it. This
//! model puts queues in front of the machine that ships, does what it says, and tries every order.
//!
//! # The four ways of taking a checkpoint
//!
//! Each run begins in one of four [`Mode`]s, which are all in one state space:
//!
//! - *aligned*: a channel waits from its barrier on until all barriers are there;
//! - *at least once*: nothing waits, barriers are counted;
//! - *unaligned*: the first barrier overtakes what is queued, which is copied;
//! - *aligned until*: aligned until a deadline, then unaligned. The clock moves at any time, the timer may be late,
//!   and an upstream may have switched before.
//!
//! In the last two, checkpoint 2 is a savepoint: its barriers never overtake.
//!
//! # What is checked
//!
//! - The *cut*: a completed checkpoint holds exactly the records before its barrier on every channel, each once
//!   and in order, as an effect on the state or as a copy. At least once: none of them is missing.
//! - Channels wait only while an aligned checkpoint is pending; when nothing more comes, nothing waits, nothing is
//!   pending, nothing is being copied, and every record was read.
//! - Checkpoints are decided in order, once each. What was cancelled or aborted is not taken and not waited for.
//!   What has a barrier on every channel is decided.
//!
//! # Bounds
//!
//! See [`Scope`]. Queues are bounded, records are few, and the number of *irregular* events (a barrier left out or
//! replaced by a marker, an abort, an early end) is limited; within that everything is tried. With *aligned* and *at
//! least once* an element is put and read in one step: the machine never looks past the head of a queue there, so it
//! cannot tell the difference. A clock tick is one unit, and checkpoint *n* has the deadline *n*.
//!
//! Left out: the rest of the subtask, output queues, and failures (a restart builds a new gate).
//!
//! | scope | mode | channels | records | queue | irregular | unique states |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | small | aligned | 2 | 1 | | any | 908 |
//! | | at least once | 2 | 1 | | any | 5,248 |
//! | | unaligned | 2 | 1 | 2 | 2 | 66,558 |
//! | | aligned until | 2 | 1 | 1 | 2 | 95,914 |
//! | medium | aligned | 3 | 2 | | any | 137,610 |
//! | | at least once | 3 | 1 | | any | 784,168 |
//! | | unaligned | 3 | 1 | 1 | any | 2,827,401 |
//! | | unaligned | 2 | 2 | 3 | 2 | 939,991 |
//! | | aligned until | 3 | 1 | 1 | 1 | 2,367,364 |
//! | | aligned until | 2 | 1 | 2 | 2 | 585,418 |
//!
//! There are always three checkpoints. All in all: small 168,628, medium 7,641,952.

mod faults;
mod gate;
mod observer;
mod properties;
mod scope;
mod text;

pub use faults::Fault;
pub use gate::{Element, Gate, Step};
pub use scope::{Mode, Run, Scope};

use gate::Upstream;
use snapline::align::Input;
use snapline::base::{Channel, CheckpointId};
use stateright::{Model, Path, Property};

/// The checked system: one gate.
#[derive(Clone, Debug)]
pub struct Alignment {
    /// Its bounds.
    pub scope: Scope,
    /// The planted bug.
    pub fault: Option<Fault>,
}

impl Alignment {
    /// One gate within `scope`.
    pub fn new(scope: Scope, fault: Option<Fault>) -> Self {
        Alignment { scope, fault }
    }

    fn plants(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// How many irregular events it is that an element follows what the channel has got.
    fn irregular(run: Run, upstream: &Upstream, element: Element) -> u8 {
        match element {
            Element::Record(_) => 0,
            Element::Barrier(id, _) => (id.0 - upstream.next.0) as u8,
            Element::Cancellation(id) => (id.0 - upstream.next.0) as u8 + 1,
            Element::End => u8::from(upstream.next.0 <= run.checkpoints),
        }
    }

    /// Everything that a channel may get next.
    fn elements(gate: &Gate, upstream: &Upstream) -> Vec<Element> {
        let mut elements = Vec::new();
        if upstream.put < gate.run.records {
            elements.push(Element::Record(upstream.put + 1));
        }
        for id in (upstream.next.0..=gate.run.checkpoints).map(CheckpointId) {
            let options = gate.run.mode.options(id, gate.now);
            elements.extend(options.into_iter().map(|options| Element::Barrier(id, options)));
            elements.push(Element::Cancellation(id));
        }
        elements.push(Element::End);
        elements.retain(|element| gate.allows(Self::irregular(gate.run, upstream, *element)));
        elements
    }
}

impl Model for Alignment {
    type State = Gate;
    type Action = Step;

    fn init_states(&self) -> Vec<Gate> {
        self.scope.runs.iter().map(|run| Gate::new(*run)).collect()
    }

    fn actions(&self, gate: &Gate, steps: &mut Vec<Step>) {
        for (index, upstream) in gate.upstreams.iter().enumerate() {
            let channel = Channel(index as u16);
            let waits = upstream.waits && !self.plants(Fault::BlockedChannelRead);
            let has_room = match gate.run.mode.has_queues() {
                true => upstream.queue.len() < gate.run.queue,
                false => !waits,
            };
            if has_room && !upstream.closed {
                let elements = Self::elements(gate, upstream);
                steps.extend(elements.into_iter().map(|element| Step::Put(channel, element)));
            }
            if !upstream.queue.is_empty() && !waits {
                steps.push(Step::Read(channel));
            }
        }
        if gate.allows(1) {
            let ids = (1..=gate.run.checkpoints).map(CheckpointId);
            steps.extend(ids.filter(|id| gate.is_undecided_at_coordinator(*id)).map(Step::Abort));
        }
        if gate.run.mode == Mode::AlignedUntil && gate.now.0 < gate.run.checkpoints {
            steps.push(Step::Clock);
        }
        if gate.aligner.deadline().is_some_and(|deadline| deadline <= gate.now) {
            steps.push(Step::Tick);
        }
    }

    fn next_state(&self, gate: &Gate, step: Step) -> Option<Gate> {
        let mut gate = gate.clone();
        match step {
            Step::Put(channel, element) => {
                let upstream = &gate.upstreams[usize::from(channel.0)];
                gate.spend(Self::irregular(gate.run, upstream, element));
                gate.put(self.fault, channel, element);
                if !gate.run.mode.has_queues() {
                    gate.read(self.fault, channel);
                }
            }
            Step::Read(channel) => gate.read(self.fault, channel),
            Step::Abort(checkpoint) => {
                gate.spend(1);
                gate.observer.cancel(checkpoint);
                if !self.plants(Fault::AbortDropped) {
                    gate.report(self.fault, Input::CheckpointAborted { checkpoint });
                }
            }
            Step::Clock => gate.now.0 += 1,
            Step::Tick => gate.report(self.fault, Input::Tick),
        }
        gate.forget_what_is_decided();
        Some(gate)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }

    fn format_action(&self, step: &Step) -> String {
        step.to_string()
    }

    fn format_step(&self, gate: &Gate, step: Step) -> Option<String> {
        self.next_state(gate, step).map(|next| next.to_string())
    }

    fn as_svg(&self, path: Path<Gate, Step>) -> Option<String> {
        Some(format!("<pre>{}</pre>", path.last_state()))
    }
}
