//! The outputs of one subtask, and the barriers in their queues.
//!
//! A subtask puts records into the queue of one output and barriers into those of all, and each queue is sent at its own
//! speed. A barrier may overtake what is queued, at once or at its deadline; [`OutputBarriers`] says where. This model
//! puts queues under the machine that ships, does what it says, and tries every order.
//!
//! # What is checked
//!
//! - The *cut*: the records that were put before a barrier are, on every channel, those that are sent before it and then
//!   those that were captured, each once and in order.
//! - The part of the outputs is complete once, and nothing is captured after that. What was aborted is not captured.
//! - No barrier overtakes before its deadline. In the end every barrier is sent and every checkpoint is decided.
//!
//! # Bounds
//!
//! See [`Scope`]. A clock tick is one unit, and checkpoint *n* has the deadline *n*. What comes of a barrier in the next
//! gate is the subject of [`align`](crate::align), where barriers may stand anywhere and change their kind from their
//! deadline on, as they do here.
//!
//! | scope | channels | checkpoints | records | queue | unique states |
//! | --- | --- | --- | --- | --- | --- |
//! | small | 2 | 2 | 2 | 2 | 21,492 |
//! | medium | 2 | 3 | 2 | 3 | 398,800 |

use crate::check::ScopeName;
use serde::Serialize;
use snapline::align::outputs::{Input, Output, OutputBarriers};
use snapline::base::{Alignment, Channel, CheckpointId, CheckpointKind, CheckpointOptions, Millis};
use stateright::{Model, Property};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The bounds of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Scope {
    /// Output channels.
    pub channels: u16,
    /// Checkpoints, numbered from 1.
    pub checkpoints: u64,
    /// Records on each channel.
    pub records: u8,
    /// How many elements a queue holds before no further record is put into it.
    pub queue: usize,
}

impl Scope {
    /// Checked in a second.
    pub const SMALL: Scope = Scope { channels: 2, checkpoints: 2, records: 2, queue: 2 };
    /// Checked in seconds.
    pub const MEDIUM: Scope = Scope { channels: 2, checkpoints: 3, records: 2, queue: 3 };
    /// Checked in minutes.
    pub const LARGE: Scope = Scope { channels: 3, checkpoints: 3, records: 2, queue: 2 };

    /// The scope of that name.
    pub fn named(name: ScopeName) -> Scope {
        match name {
            ScopeName::Small => Scope::SMALL,
            ScopeName::Medium => Scope::MEDIUM,
            ScopeName::Large => Scope::LARGE,
        }
    }
}

/// A bug planted between the queues and their machine, which stays as it ships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Fault {
    /// A barrier overtakes records and nobody copies them.
    PassedNotCaptured,
    /// Records behind the barrier are copied as well.
    BehindCaptured,
    /// The checkpoint is acknowledged while its barrier may still overtake.
    CompleteTooEarly,
    /// Nobody notices that a barrier was sent.
    SentNotReported,
    /// The abort does not reach the outputs.
    AbortDropped,
}

impl Fault {
    /// Every planted bug.
    pub const ALL: [Fault; 5] = [
        Fault::PassedNotCaptured,
        Fault::BehindCaptured,
        Fault::CompleteTooEarly,
        Fault::SentNotReported,
        Fault::AbortDropped,
    ];

    /// Where a bug of this kind happened.
    pub fn source(self) -> &'static str {
        match self {
            Fault::PassedNotCaptured | Fault::BehindCaptured => {
                "Flink, testPartialResultSubpartitionStateWrite"
            }
            Fault::CompleteTooEarly => "FLINK-36421",
            Fault::SentNotReported => "FLINK-19681",
            Fault::AbortDropped => "FLINK-18238",
        }
    }
}

/// What is queued at an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
enum Element {
    Record(u8),
    Barrier(CheckpointId, CheckpointOptions),
}

impl Element {
    fn is_barrier_of(&self, checkpoint: CheckpointId) -> bool {
        matches!(self, Element::Barrier(id, _) if *id == checkpoint)
    }
}

/// One output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
struct Queue {
    elements: VecDeque<Element>,
    /// How many records were put into it.
    put: u8,
    /// How many of them were sent.
    sent: u8,
    /// The newest checkpoint of which a barrier was sent.
    newest_sent: Option<CheckpointId>,
    /// How many records were put before the barrier of each checkpoint that was not sent.
    cuts: BTreeMap<CheckpointId, u8>,
    /// The records that its barrier has passed, of each checkpoint that was not sent.
    captured: BTreeMap<CheckpointId, Vec<u8>>,
}

/// What must never be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
struct Wrong {
    /// What was sent before a barrier, and what was captured, are not what was put before it.
    cut: bool,
    /// Completed twice, or captured after the completion or an abort, or sent without a decision.
    order: bool,
    /// Overtaken before the deadline.
    early: bool,
}

/// One state of the outputs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Outputs {
    machine: OutputBarriers,
    now: Millis,
    next: CheckpointId,
    queues: Vec<Queue>,
    complete: BTreeSet<CheckpointId>,
    aborted: BTreeSet<CheckpointId>,
    wrong: Wrong,
}

/// What happens next at the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A record is put into a queue.
    Record(Channel),
    /// The barrier of the next checkpoint is put into every queue.
    Barrier(CheckpointOptions),
    /// The head of a queue is sent.
    Send(Channel),
    /// The checkpoint is aborted.
    Abort(CheckpointId),
    /// Time passes.
    Clock,
    /// The timer is served.
    Tick,
}

/// The checked system: the outputs of one subtask.
#[derive(Clone, Debug)]
pub struct OutputSystem {
    /// Its bounds.
    pub scope: Scope,
    /// The planted bug.
    pub fault: Option<Fault>,
}

impl OutputSystem {
    /// Outputs within `scope`.
    pub fn new(scope: Scope, fault: Option<Fault>) -> Self {
        OutputSystem { scope, fault }
    }

    fn plants(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn report(&self, outputs: &mut Outputs, input: Input) {
        let mut orders = Vec::new();
        outputs.machine.on(outputs.now, input, &mut orders).expect("the outputs obey");
        for order in orders {
            match order {
                Output::Overtake { checkpoint, channel, options } => {
                    self.overtake(outputs, checkpoint, channel, options);
                }
                Output::OutputsComplete { checkpoint } => {
                    outputs.wrong.order |= !outputs.complete.insert(checkpoint);
                }
                Output::Aborted { checkpoint, .. } => {
                    outputs.aborted.insert(checkpoint);
                }
            }
        }
    }

    fn overtake(
        &self,
        outputs: &mut Outputs,
        checkpoint: CheckpointId,
        channel: Channel,
        options: CheckpointOptions,
    ) {
        let is_over = outputs.complete.contains(&checkpoint) || outputs.aborted.contains(&checkpoint);
        outputs.wrong.order |= is_over;
        let queue = &mut outputs.queues[usize::from(channel.0)];
        let at = queue.elements.iter().position(|element| element.is_barrier_of(checkpoint));
        let until = if self.plants(Fault::BehindCaptured) { None } else { at };
        let passed = queue.elements.iter().take(until.unwrap_or(queue.elements.len()));
        let records: Vec<u8> = passed
            .filter_map(|element| match element {
                Element::Record(number) => Some(*number),
                Element::Barrier(..) => None,
            })
            .collect();
        if !self.plants(Fault::PassedNotCaptured) {
            queue.captured.entry(checkpoint).or_default().extend(records);
        }
        if let Some(Element::Barrier(_, before)) = at.and_then(|at| queue.elements.remove(at)) {
            let is_due = match before.alignment() {
                Alignment::Aligned => false,
                Alignment::AlignedUntil(deadline) => deadline <= outputs.now,
                Alignment::Unaligned => true,
            };
            outputs.wrong.early |= !is_due;
            queue.elements.push_front(Element::Barrier(checkpoint, options));
        }
    }

    fn send(&self, outputs: &mut Outputs, channel: Channel) {
        let queue = &mut outputs.queues[usize::from(channel.0)];
        match queue.elements.pop_front() {
            Some(Element::Record(number)) => {
                outputs.wrong.cut |= number != queue.sent + 1;
                queue.sent = number;
            }
            Some(Element::Barrier(checkpoint, _)) => {
                if !self.plants(Fault::SentNotReported) {
                    self.report(outputs, Input::BarrierSent { channel, checkpoint });
                }
                outputs.observe_sent(channel, checkpoint);
            }
            None => {}
        }
    }
}

impl Outputs {
    /// Compares what went before a barrier with what was put before it.
    fn observe_sent(&mut self, channel: Channel, checkpoint: CheckpointId) {
        let queue = &mut self.queues[usize::from(channel.0)];
        let cut = queue.cuts.remove(&checkpoint).unwrap_or_default();
        let captured = queue.captured.remove(&checkpoint).unwrap_or_default();
        // The next gate finds a barrier old that was passed by a newer one.
        let counts = queue.newest_sent < Some(checkpoint) && !self.aborted.contains(&checkpoint);
        self.wrong.cut |= counts && !captured.into_iter().eq(queue.sent + 1..=cut);
        queue.newest_sent = queue.newest_sent.max(Some(checkpoint));
    }

    /// Whether the barrier of a checkpoint stands in a queue and may still overtake.
    fn may_overtake(&self, checkpoint: CheckpointId) -> bool {
        let is_waiting = |element: &Element| match element {
            Element::Barrier(id, options) => {
                *id == checkpoint && matches!(options.alignment(), Alignment::AlignedUntil(_))
            }
            Element::Record(_) => false,
        };
        self.queues.iter().any(|queue| queue.elements.iter().any(is_waiting))
    }

    fn is_decided(&self, checkpoint: CheckpointId) -> bool {
        self.complete.contains(&checkpoint) || self.aborted.contains(&checkpoint)
    }

    fn all_captured(&self) -> impl Iterator<Item = (&Queue, &CheckpointId, &Vec<u8>)> {
        self.queues.iter().flat_map(Queue::all_captured)
    }
}

impl Queue {
    fn all_captured(&self) -> impl Iterator<Item = (&Queue, &CheckpointId, &Vec<u8>)> {
        self.captured.iter().map(move |(checkpoint, records)| (self, checkpoint, records))
    }
}

impl Model for OutputSystem {
    type State = Outputs;
    type Action = Step;

    fn init_states(&self) -> Vec<Outputs> {
        vec![Outputs {
            machine: OutputBarriers::new(self.scope.channels),
            now: Millis(0),
            next: CheckpointId::FIRST,
            queues: vec![Queue::default(); usize::from(self.scope.channels)],
            complete: BTreeSet::new(),
            aborted: BTreeSet::new(),
            wrong: Wrong::default(),
        }]
    }

    fn actions(&self, outputs: &Outputs, steps: &mut Vec<Step>) {
        for (index, queue) in outputs.queues.iter().enumerate() {
            let channel = Channel(index as u16);
            if queue.put < self.scope.records && queue.elements.len() < self.scope.queue {
                steps.push(Step::Record(channel));
            }
            if !queue.elements.is_empty() {
                steps.push(Step::Send(channel));
            }
        }
        if outputs.next.0 <= self.scope.checkpoints {
            let until = Alignment::AlignedUntil(Millis(outputs.next.0));
            let alignments = [Alignment::Aligned, until, Alignment::Unaligned];
            let options =
                alignments.map(|alignment| CheckpointOptions::new(CheckpointKind::Periodic, alignment));
            steps.extend(options.map(Step::Barrier));
        }
        let waiting = outputs.machine.waiting().filter(|id| !outputs.aborted.contains(id));
        steps.extend(waiting.map(Step::Abort));
        if outputs.now.0 < self.scope.checkpoints {
            steps.push(Step::Clock);
        }
        if outputs.machine.deadline().is_some_and(|deadline| deadline <= outputs.now) {
            steps.push(Step::Tick);
        }
    }

    fn next_state(&self, outputs: &Outputs, step: Step) -> Option<Outputs> {
        let mut outputs = outputs.clone();
        match step {
            Step::Record(Channel(channel)) => {
                let queue = &mut outputs.queues[usize::from(channel)];
                queue.put += 1;
                queue.elements.push_back(Element::Record(queue.put));
            }
            Step::Barrier(options) => {
                let checkpoint = outputs.next;
                outputs.next = checkpoint.next();
                for queue in &mut outputs.queues {
                    queue.elements.push_back(Element::Barrier(checkpoint, options));
                    queue.cuts.insert(checkpoint, queue.put);
                }
                self.report(&mut outputs, Input::BarrierQueued { checkpoint, options });
                if self.plants(Fault::CompleteTooEarly) {
                    outputs.complete.insert(checkpoint);
                }
            }
            Step::Send(channel) => self.send(&mut outputs, channel),
            Step::Abort(checkpoint) => {
                outputs.aborted.insert(checkpoint);
                if !self.plants(Fault::AbortDropped) {
                    self.report(&mut outputs, Input::CheckpointAborted { checkpoint });
                }
            }
            Step::Clock => outputs.now.0 += 1,
            Step::Tick => self.report(&mut outputs, Input::Tick),
        }
        Some(outputs)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties()
    }

    fn format_action(&self, step: &Step) -> String {
        match step {
            Step::Record(channel) => format!("a record is put to output {channel}"),
            Step::Barrier(options) => format!("a barrier is put to every output, {:?}", options.alignment()),
            Step::Send(channel) => format!("the head of output {channel} is sent"),
            Step::Abort(id) => format!("checkpoint {id} is aborted"),
            Step::Clock => "time passes".to_owned(),
            Step::Tick => "the timer is served".to_owned(),
        }
    }
}

fn properties() -> Vec<Property<OutputSystem>> {
    type P = Property<OutputSystem>;
    vec![
        P::always("the machine keeps its invariants", |_, outputs| outputs.machine.check().is_ok()),
        //= spec/alignment.md#align-29-an-overtaking-barrier-captures-the-outputs
        //= type=test
        //# When a barrier overtakes at the outputs, the records before it MUST be captured in each queue in which it
        //# still stands.
        P::always("ALIGN-29 what is put before a barrier is sent before it or captured", |_, outputs| {
            !outputs.wrong.cut
        }),
        P::sometimes("a record is captured and another one was sent before the barrier", |_, outputs| {
            outputs.all_captured().any(|(queue, _, records)| !records.is_empty() && queue.sent > 0)
        }),
        //= spec/alignment.md#align-30-a-barrier-at-an-output-overtakes-at-its-deadline
        //= type=test
        //# A barrier that still stands in an output queue at its deadline MUST overtake there.
        P::always("ALIGN-30 no barrier overtakes before its deadline", |_, outputs| !outputs.wrong.early),
        P::sometimes("a barrier overtakes in one queue and was sent from another", |_, outputs| {
            outputs.all_captured().any(|(_, id, _)| {
                outputs
                    .queues
                    .iter()
                    .any(|queue| queue.newest_sent == Some(*id) && !queue.cuts.contains_key(id))
            })
        }),
        //= spec/alignment.md#align-31-the-outputs-are-complete-once
        //= type=test
        //# The part of the outputs MUST be reported as complete once, when the barrier has overtaken or left every
        //# output queue.
        P::always("ALIGN-31 complete means that the barrier overtakes no more", |_, outputs| {
            !outputs.complete.iter().any(|id| outputs.may_overtake(*id))
        }),
        P::sometimes("a barrier waits to overtake", |_, outputs| outputs.machine.waiting().is_some()),
        //= spec/alignment.md#align-32-an-aborted-barrier-stays-in-line
        //= type=test
        //# The barrier of an aborted checkpoint MUST NOT overtake at the outputs.
        P::always("ALIGN-31, 32 nothing is captured or completed after the end", |_, outputs| {
            !outputs.wrong.order
        }),
        P::sometimes("an aborted barrier stands in line after its deadline", |_, outputs| {
            let is_due = |id: &CheckpointId| outputs.now.0 >= id.0 && outputs.may_overtake(*id);
            outputs.aborted.iter().any(is_due)
        }),
        P::always("when all is sent every checkpoint is decided", |model, outputs| {
            let is_sent = outputs.queues.iter().all(|queue| queue.elements.is_empty());
            let all_put = outputs.next.0 > model.scope.checkpoints;
            let ids = (1..=model.scope.checkpoints).map(CheckpointId);
            !(is_sent && all_put) || ids.clone().all(|id| outputs.is_decided(id))
        }),
        P::sometimes("all is sent and no checkpoint was aborted", |model, outputs| {
            let is_sent = |queue: &Queue| queue.elements.is_empty() && queue.put == model.scope.records;
            outputs.next.0 > model.scope.checkpoints
                && outputs.queues.iter().all(is_sent)
                && outputs.aborted.is_empty()
        }),
    ]
}
