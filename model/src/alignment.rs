//! One input gate, and everything its upstreams can do to it.
//!
//! The gate of a subtask reads several channels. Barriers of one checkpoint after another arrive on each of
//! them, some replaced by a cancellation marker and some left out, with records in between, until the channel
//! ends. The [`Aligner`] says which channels must wait and when to take the snapshot. This model tries every
//! order of everything that can be read, so that the machine that ships is seen in every state that it can reach.
//!
//! **What is checked.** Channels are blocked exactly while a checkpoint is pending. A snapshot is taken when every
//! open channel has delivered its barrier, and nothing behind it has been read. It is taken at most once for a
//! checkpoint, never for one that was cancelled here before, and never after that of a newer one. What the
//! coordinator aborts is not waited for. When no channel has anything more to deliver, nothing is blocked.
//!
//! **Its bounds.** The number of channels, of checkpoints, and of records on each channel: see [`Scope`].
//! An upstream chooses what it has sent at the moment when that is read. The gate cannot tell the difference, and
//! no queues are needed.
//!
//! **What it leaves out.** The rest of the subtask, time, and failures: a restart builds a new gate.
//!
//! | scope | channels | checkpoints | records | unique states |
//! | --- | --- | --- | --- | --- |
//! | small | 2 | 3 | 1 | 6,900 |
//! | medium | 3 | 3 | 1 | 235,404 |
//! | large | 4 | 3 | 1 | 7,667,696 |

use crate::check::ScopeName;
use serde::Serialize;
use snapline::align::{Aligner, Input, Output};
use snapline::base::{Channel, CheckpointId, CheckpointKind, CheckpointOptions, CheckpointingMode, Millis};
use stateright::{Model, Path, Property};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The bounds of a run: everything is tried within them, nothing beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Scope {
    /// Input channels of the gate.
    pub channels: u16,
    /// Checkpoints, numbered from 1.
    pub checkpoints: u64,
    /// Records on each channel.
    pub records: u8,
}

impl Scope {
    /// Checked in a second.
    pub const SMALL: Scope = Scope { channels: 2, checkpoints: 3, records: 1 };
    /// Checked in a second.
    pub const MEDIUM: Scope = Scope { channels: 3, checkpoints: 3, records: 1 };
    /// Checked in a minute.
    pub const LARGE: Scope = Scope { channels: 4, checkpoints: 3, records: 1 };

    /// The scope of that name.
    pub fn named(name: ScopeName) -> Scope {
        match name {
            ScopeName::Small => Scope::SMALL,
            ScopeName::Medium => Scope::MEDIUM,
            ScopeName::Large => Scope::LARGE,
        }
    }
}

/// A bug planted between the gate and its machine, which stays as it ships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Fault {
    /// A cancellation marker is lost, so that its channel is waited for.
    CancellationDropped,
    /// The end of a channel does not count as its barrier.
    EndNotCounted,
    /// A barrier is accepted although a newer one, or its cancellation, was seen.
    OlderBarrierAccepted,
    /// The gate reads on from blocked channels.
    BlockedChannelRead,
    /// A channel is not read again after the alignment.
    ResumeDropped,
    /// The snapshot is taken at the first barrier.
    TriggeredAtFirstBarrier,
    /// What the coordinator aborts is still waited for.
    AbortDropped,
    /// A cancellation marker is taken for the barrier in whose place it stands.
    CancellationTakenForBarrier,
}

impl Fault {
    /// Every planted bug.
    pub const ALL: [Fault; 8] = [
        Fault::CancellationDropped,
        Fault::EndNotCounted,
        Fault::OlderBarrierAccepted,
        Fault::BlockedChannelRead,
        Fault::ResumeDropped,
        Fault::TriggeredAtFirstBarrier,
        Fault::AbortDropped,
        Fault::CancellationTakenForBarrier,
    ];

    /// Where a bug of this kind happened.
    pub fn source(self) -> &'static str {
        match self {
            Fault::CancellationDropped | Fault::AbortDropped => "FLINK-18238",
            Fault::EndNotCounted => "FLINK-1775",
            Fault::OlderBarrierAccepted => "FLINK-21104",
            Fault::BlockedChannelRead => "FLINK-2427",
            Fault::ResumeDropped => "FLINK-23938",
            Fault::TriggeredAtFirstBarrier => "FLINK-18641",
            Fault::CancellationTakenForBarrier => "FLINK-17869",
        }
    }
}

/// What was read last from a channel about checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
enum Said {
    #[default]
    Nothing,
    Barrier(CheckpointId),
    Cancellation(CheckpointId),
}

/// One channel, as an observer beside the machine sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Upstream {
    records_left: u8,
    said: Said,
    /// Whether a record that follows the barrier was read.
    read_on: bool,
    /// Whether the gate was told to wait and not yet to go on.
    waits: bool,
    ended: bool,
}

impl Upstream {
    fn next_checkpoint(&self) -> CheckpointId {
        match self.said {
            Said::Nothing => CheckpointId::FIRST,
            Said::Barrier(id) | Said::Cancellation(id) => id.next(),
        }
    }
}

/// What the observer has seen and must never see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
struct Wrong {
    /// A snapshot without the barrier of an open channel, or with a record behind one.
    cut: bool,
    /// A second snapshot of one checkpoint, or one after a newer one.
    order: bool,
    /// A snapshot of a checkpoint that was cancelled here before.
    cancelled: bool,
}

/// One state of the gate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Gate {
    aligner: Aligner,
    upstreams: Vec<Upstream>,
    /// The newest checkpoint whose snapshot was taken.
    newest_taken: Option<CheckpointId>,
    /// Checkpoints of which a cancellation marker was read, or that the coordinator aborted.
    cancelled: BTreeSet<CheckpointId>,
    wrong: Wrong,
}

/// What happens next at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A record is read.
    Record(Channel),
    /// A barrier is read.
    Barrier(Channel, CheckpointId),
    /// A cancellation marker is read.
    Cancellation(Channel, CheckpointId),
    /// A channel ends.
    End(Channel),
    /// The coordinator aborts what is being aligned.
    Abort(CheckpointId),
}

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

    /// Translates a step for the machine; `None` is a step that it does not see.
    fn input(&self, step: Step) -> Option<Input> {
        let options = CheckpointOptions::aligned(CheckpointKind::Periodic);
        match step {
            Step::Record(_) => None,
            Step::Barrier(channel, checkpoint) => {
                Some(Input::BarrierArrived { channel, checkpoint, options })
            }
            Step::Cancellation(..) if self.plants(Fault::CancellationDropped) => None,
            Step::Cancellation(channel, checkpoint) if self.plants(Fault::CancellationTakenForBarrier) => {
                Some(Input::BarrierArrived { channel, checkpoint, options })
            }
            Step::Cancellation(channel, checkpoint) => {
                Some(Input::CancellationArrived { channel, checkpoint })
            }
            Step::End(_) if self.plants(Fault::EndNotCounted) => None,
            Step::End(channel) => Some(Input::ChannelEnded { channel }),
            Step::Abort(_) if self.plants(Fault::AbortDropped) => None,
            Step::Abort(checkpoint) => Some(Input::CheckpointAborted { checkpoint }),
        }
    }

    fn carry_out(&self, gate: &mut Gate, output: Output) {
        match output {
            Output::BlockChannel(Channel(channel)) => {
                gate.upstreams[usize::from(channel)].waits = true;
                if self.plants(Fault::TriggeredAtFirstBarrier)
                    && let Some(pending) = gate.aligner.pending()
                {
                    gate.take_snapshot(pending);
                }
            }
            Output::ResumeChannel(Channel(channel)) => {
                gate.upstreams[usize::from(channel)].waits = self.plants(Fault::ResumeDropped);
            }
            Output::Aligned { checkpoint, .. } => gate.take_snapshot(checkpoint),
            Output::Aborted { .. }
            | Output::StartUnaligned { .. }
            | Output::CaptureQueued { .. }
            | Output::CaptureFinished { .. } => {}
        }
    }

    /// A machine that has forgotten which checkpoints it has seen.
    fn forget(gate: &mut Gate) {
        let mut fresh = Aligner::new(gate.aligner.channels(), CheckpointingMode::ExactlyOnce);
        for (channel, upstream) in gate.upstreams.iter().enumerate() {
            if upstream.ended {
                let ended = Input::ChannelEnded { channel: Channel(channel as u16) };
                fresh.on(Millis(0), ended, &mut Vec::new()).expect("a new gate has open channels");
            }
        }
        gate.aligner = fresh;
    }
}

impl Gate {
    /// What the observer notes when something is read.
    fn observe(&mut self, step: Step) {
        match step {
            Step::Record(Channel(channel)) => {
                let upstream = &mut self.upstreams[usize::from(channel)];
                upstream.records_left -= 1;
                upstream.read_on = true;
            }
            Step::Barrier(Channel(channel), id) => {
                let upstream = &mut self.upstreams[usize::from(channel)];
                upstream.said = Said::Barrier(id);
                upstream.read_on = false;
            }
            Step::Cancellation(Channel(channel), id) => {
                self.upstreams[usize::from(channel)].said = Said::Cancellation(id);
                self.cancelled.insert(id);
            }
            Step::End(Channel(channel)) => self.upstreams[usize::from(channel)].ended = true,
            Step::Abort(id) => {
                self.cancelled.insert(id);
            }
        }
    }

    /// What the observer notes when the snapshot of a checkpoint is taken.
    fn take_snapshot(&mut self, checkpoint: CheckpointId) {
        let delivered = |upstream: &Upstream| {
            upstream.waits && !upstream.read_on && upstream.said == Said::Barrier(checkpoint)
        };
        self.wrong.cut |= !self.upstreams.iter().all(|upstream| upstream.ended || delivered(upstream));
        self.wrong.order |= self.newest_taken >= Some(checkpoint);
        self.wrong.cancelled |= self.cancelled.contains(&checkpoint);
        self.newest_taken = self.newest_taken.max(Some(checkpoint));
    }

    fn waits(&self) -> bool {
        self.upstreams.iter().any(|upstream| upstream.waits)
    }

    fn any_barrier(&self, condition: impl Fn(&Upstream, CheckpointId) -> bool) -> bool {
        self.upstreams.iter().any(|upstream| match upstream.said {
            Said::Barrier(id) => condition(upstream, id),
            Said::Nothing | Said::Cancellation(_) => false,
        })
    }
}

impl Model for Alignment {
    type State = Gate;
    type Action = Step;

    fn init_states(&self) -> Vec<Gate> {
        let records_left = self.scope.records;
        let upstream =
            Upstream { records_left, said: Said::Nothing, read_on: false, waits: false, ended: false };
        vec![Gate {
            aligner: Aligner::new(self.scope.channels, CheckpointingMode::ExactlyOnce),
            upstreams: vec![upstream; usize::from(self.scope.channels)],
            newest_taken: None,
            cancelled: BTreeSet::new(),
            wrong: Wrong::default(),
        }]
    }

    fn actions(&self, gate: &Gate, steps: &mut Vec<Step>) {
        for (channel, upstream) in gate.upstreams.iter().enumerate() {
            let waits = upstream.waits && !self.plants(Fault::BlockedChannelRead);
            if upstream.ended || waits {
                continue;
            }
            let channel = Channel(channel as u16);
            if upstream.records_left > 0 {
                steps.push(Step::Record(channel));
            }
            for id in (upstream.next_checkpoint().0..=self.scope.checkpoints).map(CheckpointId) {
                steps.push(Step::Barrier(channel, id));
                steps.push(Step::Cancellation(channel, id));
            }
            steps.push(Step::End(channel));
        }
        steps.extend(gate.aligner.pending().filter(|id| !gate.cancelled.contains(id)).map(Step::Abort));
    }

    fn next_state(&self, gate: &Gate, step: Step) -> Option<Gate> {
        let mut gate = gate.clone();
        gate.observe(step);
        let mut outputs = Vec::new();
        if let Some(input) = self.input(step) {
            // Only a planted bug can make the gate misuse its machine; nothing has happened then.
            let misuse = gate.aligner.on(Millis(0), input, &mut outputs);
            assert!(misuse.is_ok() || self.fault.is_some(), "{misuse:?}");
        }
        for output in outputs {
            self.carry_out(&mut gate, output);
        }
        if self.plants(Fault::OlderBarrierAccepted) && gate.aligner.pending().is_none() {
            Self::forget(&mut gate);
        }
        Some(gate)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties()
    }

    fn format_action(&self, step: &Step) -> String {
        match step {
            Step::Record(channel) => format!("channel {channel} delivers a record"),
            Step::Barrier(channel, id) => format!("channel {channel} delivers barrier {id}"),
            Step::Cancellation(channel, id) => format!("channel {channel} delivers cancellation {id}"),
            Step::End(channel) => format!("channel {channel} ends"),
            Step::Abort(id) => format!("the coordinator aborts checkpoint {id}"),
        }
    }

    fn format_step(&self, gate: &Gate, step: Step) -> Option<String> {
        self.next_state(gate, step).map(|next| describe(&next))
    }

    fn as_svg(&self, path: Path<Gate, Step>) -> Option<String> {
        Some(format!("<pre>{}</pre>", describe(path.last_state())))
    }
}

fn properties() -> Vec<Property<Alignment>> {
    type P = Property<Alignment>;
    vec![
        P::always("the machine keeps its invariants", |_, gate| gate.aligner.check().is_ok()),
        //= spec/alignment.md#align-2-channels-are-blocked-only-while-a-checkpoint-is-pending
        //= type=test
        //# A channel MUST be blocked only while an aligned checkpoint is pending.
        P::always("ALIGN-2 channels wait exactly while a checkpoint is pending", |_, gate| {
            let told = |(channel, upstream): (usize, &Upstream)| {
                upstream.waits == gate.aligner.is_blocked(Channel(channel as u16))
            };
            gate.waits() == gate.aligner.pending().is_some() && gate.upstreams.iter().enumerate().all(told)
        }),
        P::sometimes("a channel waits", |_, gate| gate.waits()),
        //= spec/alignment.md#align-4-the-snapshot-comes-before-reading-on
        //= type=test
        //# The snapshot of an aligned checkpoint MUST be asked for before any channel is resumed.
        P::always("ALIGN-4 a snapshot is taken behind every barrier and before anything else", |_, gate| {
            !gate.wrong.cut
        }),
        P::sometimes("a snapshot is taken", |_, gate| gate.newest_taken.is_some()),
        //= spec/alignment.md#align-6-an-old-barrier-changes-nothing
        //= type=test
        //# A barrier that is neither of the pending checkpoint nor newer than all seen MUST change nothing.
        P::always("ALIGN-6 a snapshot is taken once, and none after a newer one", |_, gate| {
            !gate.wrong.order
        }),
        P::sometimes("a barrier arrives when a newer checkpoint is decided", |_, gate| {
            gate.any_barrier(|upstream, id| !upstream.waits && Some(id) < gate.newest_taken)
        }),
        //= spec/alignment.md#align-7-a-newer-barrier-subsumes-the-pending-checkpoint
        //= type=test
        //# Where exactly once is promised, a barrier newer than the pending checkpoint MUST abort it as subsumed and
        //# start its own alignment.
        P::sometimes("ALIGN-7 a newer barrier has subsumed a checkpoint", |_, gate| {
            let undecided = |id| Some(id) > gate.newest_taken && !gate.cancelled.contains(&id);
            gate.any_barrier(|upstream, id| {
                !upstream.waits && undecided(id) && gate.aligner.pending() > Some(id)
            })
        }),
        //= spec/alignment.md#align-8-a-cancellation-marker-ends-the-pending-alignment
        //= type=test
        //# A cancellation marker of the pending checkpoint MUST abort it.
        P::always("ALIGN-8 what was cancelled or aborted is not waited for", |_, gate| {
            gate.aligner.pending().is_none_or(|pending| !gate.cancelled.contains(&pending))
        }),
        //= spec/alignment.md#align-9-a-cancellation-marker-ahead-of-its-barriers-is-remembered
        //= type=test
        //# A cancellation marker newer than all seen MUST abort its checkpoint before that starts here.
        P::always("ALIGN-9 no snapshot is taken of what was cancelled before", |_, gate| {
            !gate.wrong.cancelled
        }),
        P::sometimes("a barrier arrives after its cancellation", |_, gate| {
            gate.any_barrier(|upstream, id| !upstream.waits && gate.cancelled.contains(&id))
        }),
        //= spec/alignment.md#align-11-an-ended-channel-counts-as-delivered
        //= type=test
        //# An ended channel MUST count as one that has delivered its barrier.
        P::always("ALIGN-11 when nothing more arrives no channel waits", |_, gate| {
            let stands_still = gate.upstreams.iter().all(|upstream| upstream.ended || upstream.waits);
            !stands_still || !gate.waits()
        }),
        P::sometimes("nothing more arrives", |_, gate| gate.upstreams.iter().all(|upstream| upstream.ended)),
        P::sometimes("a snapshot is taken without a barrier from an ended channel", |_, gate| {
            let taken = gate.newest_taken;
            let without = |upstream: &Upstream| upstream.ended && upstream.said == Said::Nothing;
            taken.is_some() && gate.upstreams.iter().any(without)
        }),
    ]
}

/// A state, one line for each channel.
fn describe(gate: &Gate) -> String {
    let mut text = match (gate.aligner.pending(), gate.newest_taken) {
        (Some(pending), _) => format!("checkpoint {pending} is pending\n"),
        (None, Some(taken)) => format!("snapshot {taken} was taken\n"),
        (None, None) => "nothing is pending\n".to_owned(),
    };
    for (channel, upstream) in gate.upstreams.iter().enumerate() {
        let said = match upstream.said {
            Said::Nothing => "no barrier yet".to_owned(),
            Said::Barrier(id) => format!("barrier {id}"),
            Said::Cancellation(id) => format!("cancellation {id}"),
        };
        let now = if upstream.ended {
            ", ended"
        } else if upstream.waits {
            ", waits"
        } else {
            ""
        };
        writeln!(text, "channel {channel}: {said}{now}").expect("text can be written");
    }
    text
}
