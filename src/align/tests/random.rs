//! Random channels in front of the machine: every checkpoint holds exactly what stands before its barriers.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

/// What flows through a channel. Records are numbered in each, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Record(u32),
    Barrier(CheckpointId, CheckpointOptions),
    Cancellation(CheckpointId),
    End,
}

#[derive(Clone, Debug, Default)]
struct QueuedChannel {
    queue: VecDeque<Element>,
    /// How many records were put into the queue.
    put: u32,
    /// How many of them were read.
    read: u32,
    closed: bool,
    /// How many records stand before each barrier.
    cuts: BTreeMap<CheckpointId, u32>,
}

/// What a checkpoint holds of one channel: the effects of the records up to a number, and records.
type Content = (u32, Vec<u32>);

/// A gate that drives the machine as its documentation says, and checks what comes of it.
struct QueuedGate {
    aligner: Aligner,
    mode: CheckpointingMode,
    now: Millis,
    channels: Vec<QueuedChannel>,
    started: Option<(CheckpointId, Vec<Content>)>,
    newest_decided: Option<CheckpointId>,
    taken: u32,
}

impl QueuedGate {
    fn new(channels: u16, mode: CheckpointingMode) -> Self {
        QueuedGate {
            aligner: Aligner::new(channels, mode),
            mode,
            now: Millis(0),
            channels: vec![QueuedChannel::default(); usize::from(channels)],
            started: None,
            newest_decided: None,
            taken: 0,
        }
    }

    fn report(&mut self, input: Input) {
        let mut outputs = Vec::new();
        self.aligner.on(self.now, input, &mut outputs).expect("the gate obeys");
        self.aligner.check().expect("the invariants hold");
        for output in outputs {
            self.carry_out(output);
        }
    }

    fn put(&mut self, index: usize, element: Element) {
        let (channel, queued) = (Channel(index as u16), &mut self.channels[index]);
        queued.queue.push_back(element);
        match element {
            Element::Record(number) => {
                queued.put = number;
                if let Some(checkpoint) = self.aligner.capturing(channel) {
                    let (started, contents) = self.started.as_mut().expect("a capture has been started");
                    assert_eq!(*started, checkpoint);
                    contents[index].1.push(number);
                }
            }
            Element::Barrier(checkpoint, options) => {
                queued.cuts.insert(checkpoint, queued.put);
                self.report(Input::BarrierAnnounced { channel, checkpoint, options });
            }
            Element::Cancellation(_) => {}
            Element::End => queued.closed = true,
        }
    }

    fn close(&mut self, index: usize) {
        if !self.channels[index].closed {
            self.put(index, Element::End);
        }
    }

    fn read(&mut self, index: usize) {
        let channel = Channel(index as u16);
        if self.aligner.is_blocked(channel) {
            return;
        }
        match self.channels[index].queue.pop_front() {
            Some(Element::Record(number)) => self.channels[index].read = number,
            Some(Element::Barrier(checkpoint, options)) => {
                self.report(Input::BarrierArrived { channel, checkpoint, options });
            }
            Some(Element::Cancellation(checkpoint)) => {
                self.report(Input::CancellationArrived { channel, checkpoint });
            }
            Some(Element::End) => self.report(Input::ChannelEnded { channel }),
            None => {}
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Aligned { checkpoint, .. } => {
                let contents: Vec<Content> =
                    self.channels.iter().map(|channel| (channel.read, Vec::new())).collect();
                self.complete(checkpoint, &contents);
            }
            Output::StartUnaligned { checkpoint, .. } => {
                let contents = self.channels.iter().map(|channel| (channel.read, Vec::new())).collect();
                assert!(self.started.replace((checkpoint, contents)).is_none());
            }
            Output::CaptureQueued { checkpoint, channel } => {
                let (started, contents) = self.started.as_mut().expect("a capture has been started");
                assert_eq!(*started, checkpoint);
                let index = usize::from(channel.0);
                let is_barrier =
                    |element: &Element| matches!(element, Element::Barrier(id, _) if *id == checkpoint);
                let ahead = self.channels[index].queue.iter().take_while(|element| !is_barrier(element));
                contents[index].1.extend(ahead.filter_map(|element| match element {
                    Element::Record(number) => Some(*number),
                    _ => None,
                }));
            }
            Output::CaptureFinished { checkpoint, .. } => {
                let (started, contents) = self.started.take().expect("a capture has been started");
                assert_eq!(started, checkpoint);
                self.complete(checkpoint, &contents);
            }
            Output::Aborted { checkpoint, .. } => {
                self.started.take_if(|(started, _)| *started == checkpoint);
                self.decide(checkpoint);
            }
            Output::BlockChannel(_) | Output::ResumeChannel(_) => {}
        }
    }

    /// Every record before the barrier is in the checkpoint once and in order, and no other is.
    fn complete(&mut self, checkpoint: CheckpointId, contents: &[Content]) {
        for (channel, (effects, captured)) in self.channels.iter().zip(contents) {
            let cut = channel.cuts.get(&checkpoint).copied().unwrap_or(channel.put);
            if self.mode == CheckpointingMode::AtLeastOnce {
                assert!(*effects >= cut, "{checkpoint} has lost a record");
                continue;
            }
            let expected: Vec<u32> = (effects + 1..=cut).collect();
            assert!(
                *effects <= cut && *captured == expected,
                "{checkpoint}: {effects} and {captured:?}, not {cut}"
            );
        }
        self.taken += 1;
        self.decide(checkpoint);
    }

    //= spec/alignment.md#align-25-checkpoints-are-decided-in-order
    //= type=test
    //# A gate MUST decide checkpoints in the order of their ids, each at most once.
    fn decide(&mut self, checkpoint: CheckpointId) {
        assert!(self.newest_decided < Some(checkpoint), "{checkpoint} after {:?}", self.newest_decided);
        self.newest_decided = Some(checkpoint);
    }

    /// Everything is read; then nothing may be left.
    fn finish(&mut self) {
        (0..self.channels.len()).for_each(|index| self.close(index));
        while self.channels.iter().any(|channel| !channel.queue.is_empty()) {
            let left: usize = self.channels.iter().map(|channel| channel.queue.len()).sum();
            (0..self.channels.len()).for_each(|index| self.read(index));
            let now_left: usize = self.channels.iter().map(|channel| channel.queue.len()).sum();
            assert!(now_left < left, "the gate stands still");
        }
        assert!(self.started.is_none());
        assert!(self.channels.iter().all(|channel| channel.read == channel.put));
    }
}

/// What comes next on a channel: mostly records, barriers in order, some of them cancelled or left out.
fn element(gate: &QueuedGate, index: usize, next: &mut [u64], choice: u8, setting: Setting) -> Element {
    match choice {
        0..5 => Element::Record(gate.channels[index].put + 1),
        _ => {
            next[index] += 1 + u64::from(choice == 9);
            let id = CheckpointId(next[index]);
            let alignment = match setting.alignment {
                Alignment::AlignedUntil(_) => Alignment::AlignedUntil(Millis(id.0 * 10)),
                // Every third checkpoint is a savepoint.
                _ if id.0.is_multiple_of(3) => Alignment::Aligned,
                other => other,
            };
            let switched =
                gate.now >= Millis(id.0 * 10) && setting.alignment == UNTIL_10.alignment && choice == 6;
            let alignment = if switched { Alignment::Unaligned } else { alignment };
            match choice {
                8 => Element::Cancellation(id),
                _ => Element::Barrier(id, CheckpointOptions::new(CheckpointKind::Periodic, alignment)),
            }
        }
    }
}

const EVERY_SETTING: [Setting; 4] = [ALIGNED, UNALIGNED, UNTIL_10, AT_LEAST_ONCE];

proptest! {
    #[test]
    fn align_random_channels_are_cut_exactly_at_the_barriers(
        setting in prop::sample::select(&EVERY_SETTING),
        channels in 1_u16..4,
        schedule in prop::collection::vec((0_u8..20, any::<u8>(), 0_u8..10), 0..300),
    ) {
        let mut gate = QueuedGate::new(channels, setting.mode);
        let mut next = vec![0; usize::from(channels)];
        for (turn, which, choice) in schedule {
            let index = usize::from(which) % usize::from(channels);
            match turn {
                0..9 if !gate.channels[index].closed => {
                    let element = element(&gate, index, &mut next, choice, setting);
                    gate.put(index, element);
                }
                9..17 => gate.read(index),
                17 => gate.now = Millis(gate.now.0 + u64::from(choice)),
                18 => gate.report(Input::Tick),
                // Seldom, or there would be few channels left.
                19 if which < 20 => gate.close(index),
                19 => gate.report(Input::CheckpointAborted { checkpoint: CheckpointId(next[index]) }),
                _ => {}
            }
        }
        gate.finish();
    }
}

/// As Flink's `AlignedCheckpointsMassiveRandomTest`, in every way.
#[test]
fn align_two_million_events_on_misaligned_channels_keep_every_cut() {
    for setting in EVERY_SETTING {
        let (mut gate, mut next, mut random) = (QueuedGate::new(2, setting.mode), [0, 0], 1_u64);
        for _ in 0..2_000_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (index, turn, choice) =
                ((random >> 40) as usize % 2, (random >> 45) % 100, (random >> 55) as u8);
            match turn {
                0..49 if gate.channels[index].queue.len() < 50 => {
                    // One in a hundred is a barrier.
                    let choice = if turn == 0 { 7 } else { choice % 5 };
                    let element = element(&gate, index, &mut next, choice, setting);
                    gate.put(index, element);
                }
                99 => {
                    gate.now = Millis(next[0].min(next[1]) * 10);
                    gate.report(Input::Tick);
                }
                _ => gate.read(index),
            }
        }
        assert!(gate.taken > 1_000, "{} were taken with {setting:?}", gate.taken);
        gate.finish();
    }
}
