use super::super::channel::{ChannelSender, Input as Channels, channel};
use super::super::clock::Clock;
use super::super::function::SubtaskContext;
use super::super::io::IoPool;
use super::super::processing_time::{ManualClock, ProcessingTime};
use super::super::progress::Meters;
use super::super::restore::RestoredFrom;
use super::super::task::{Control, Environment, Marker, Snapshot, SnapshotRequest};
use super::*;
use crate::base::{
    Attempt, CheckpointId, CheckpointKind, CheckpointOptions, CheckpointingMode, JobId, Ownership, SubtaskId,
};
use crate::state::backend::StateBackend;
use crate::state::{ChannelState, StateError, TaskSnapshot};
use crate::store::{CheckpointStorage, JobManagerCheckpointStorage, OutputSizes};
use crossbeam_channel::{Select, Sender, unbounded};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many timers may be fired before the output is full.
const ROOM: usize = 2;

/// An operator that says what happens to it.
struct Telling {
    gate: Gate<u32>,
    tell: Sender<String>,
    event_timers: BTreeSet<i64>,
    processing_timers: BTreeSet<u64>,
    room: usize,
    /// What is sent when the first timer fires.
    barrier: Option<(Sender<Element<u32>>, CheckpointOptions)>,
    control: Sender<Control>,
}

impl Telling {
    fn tell(&self, what: impl Into<String>) {
        // Some tests do not listen to the end.
        let _ = self.tell.send(what.into());
    }

    fn fired(&mut self, what: String) {
        self.room -= 1;
        self.tell(what);
        if let Some((sender, options)) = self.barrier.take() {
            sender.send(Element::Barrier(CheckpointId(1), options)).unwrap();
        }
    }
}

impl Operator for Telling {
    fn emit(&mut self, marker: Marker) {
        self.tell(format!("{marker:?}"));
        if matches!(marker, Marker::EndOfData) {
            self.control.send(Control::Cancel).unwrap();
        }
    }

    fn send(&mut self, _: &mut Vec<(Channel, CheckpointId)>) -> Result<(), TaskError> {
        self.room = ROOM;
        Ok(())
    }

    fn overtake(
        &mut self,
        _: Channel,
        _: CheckpointId,
        _: CheckpointOptions,
        _: &mut ChannelState,
    ) -> Result<(), StateError> {
        Ok(())
    }

    fn register<'a>(&'a self, select: &mut Select<'a>) {
        self.gate.register(select);
    }

    fn snapshot(&mut self, _: CheckpointId, _: SnapshotRequest) -> Result<Snapshot, TaskError> {
        self.tell("snapshot");
        Ok((TaskSnapshot::default(), None))
    }

    fn finish_input(&mut self) -> Result<(), TaskError> {
        self.tell("finish");
        Ok(())
    }
}

impl TimerDriver for Telling {
    fn advance_watermark(&mut self, watermark: EventTime) -> Result<bool, TaskError> {
        while let Some(time) = self.event_timers.first().copied().filter(|time| *time <= watermark.0) {
            if self.is_full() {
                return Ok(false);
            }
            self.event_timers.pop_first();
            self.fired(format!("event timer {time}"));
        }
        Ok(true)
    }

    fn advance_processing_time(&mut self, now: Millis) -> Result<(), TaskError> {
        if let Some(time) = self.processing_timers.pop_first() {
            self.fired(format!("processing timer {time} at {now}"));
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Millis> {
        self.processing_timers.first().copied().map(Millis)
    }
}

impl Receiver for Telling {
    type In = u32;

    fn gate(&mut self) -> &mut Gate<u32> {
        &mut self.gate
    }

    fn records(&mut self, records: Vec<u32>) -> Result<(), TaskError> {
        self.tell(format!("{records:?}"));
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.room == 0
    }

    fn flush(&mut self) -> bool {
        false
    }

    fn forward_watermark(&mut self, watermark: EventTime) {
        self.tell(format!("watermark {watermark}"));
    }
}

struct Test {
    checkpointing: Checkpointing,
    operator: Telling,
    senders: Vec<ChannelSender<u32>>,
    told: crossbeam_channel::Receiver<String>,
    _pool: IoPool,
}

fn test(channels: usize, processing_time: ProcessingTime) -> Test {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..channels).map(|_| channel(8)).unzip();
    let inputs = receivers.into_iter().map(|receiver| Box::new(receiver) as Box<dyn Channels<u32>>);
    let gate = Gate::new(inputs.collect());
    let (control_sender, control) = unbounded();
    let (tell, told) = unbounded();
    let pool = IoPool::start(1).unwrap();
    let operator = Telling {
        gate,
        tell,
        event_timers: BTreeSet::new(),
        processing_timers: BTreeSet::new(),
        room: ROOM,
        barrier: None,
        control: control_sender.clone(),
    };
    let context = SubtaskContext { subtask: SubtaskId::new(1, 0), parallelism: 1, attempt: Attempt(1) };
    let storage: Arc<dyn CheckpointStorage> = Arc::new(JobManagerCheckpointStorage::new(JobId(1)));
    let environment = Environment {
        job: JobId(1),
        context,
        control,
        control_sender,
        reports: unbounded().0,
        io: pool.queue().unwrap(),
        storage: Arc::clone(&storage),
        clock: Clock::start(),
        processing_time,
        meters: Meters::default(),
        mode: CheckpointingMode::ExactlyOnce,
        batch_records: 1,
        state_backend: StateBackend::default(),
        snapshot_compression: false,
        output_sizes: OutputSizes::default(),
        restored: RestoredFrom::nothing(storage),
        ownership: Ownership::Owned,
        restored_checksums: BTreeMap::new(),
        incremental: false,
    };
    let checkpointing = Checkpointing::new(environment, channels as u16, 1, false);
    Test { checkpointing, operator, senders, told, _pool: pool }
}

fn send(sender: &ChannelSender<u32>, elements: Vec<Element<u32>>) {
    for element in elements {
        sender.elements.send(element).unwrap();
    }
}

//= spec/watermark.md#watermark-6-watermarks-are-forwarded-behind-what-they-have-fired
//= type=test
//# A subtask MUST forward an advance of its event time after everything that this has made it emit.
#[test]
fn receive_fires_what_is_due_then_forwards_the_watermark_and_then_ends() {
    use Element::{EndOfData, Records, Watermark};
    let Test { checkpointing, mut operator, senders, told, _pool } = test(2, ProcessingTime::default());
    operator.event_timers = BTreeSet::from([3, 4, 5, 7, 20]);
    send(&senders[0], vec![Records(vec![1]), Watermark(EventTime(10)), Records(vec![2]), EndOfData]);
    send(&senders[1], vec![Watermark(EventTime(5)), Records(vec![3]), EndOfData]);
    let end = run_gate(checkpointing, &mut operator);
    assert!(matches!(end, Err(TaskError::Cancelled)));
    assert_eq!(
        told.try_iter().collect::<Vec<_>>(),
        [
            "[1]",
            "event timer 3",
            "event timer 4",
            "event timer 5",
            "watermark 5 ms since the epoch",
            "[3]",
            "[2]",
            "event timer 7",
            "watermark 10 ms since the epoch",
            "event timer 20",
            "watermark after all event time",
            "finish",
            "EndOfData",
        ]
    );
}

#[test]
fn receive_goes_on_at_the_event_time_of_the_snapshot() {
    let Test { _pool, checkpointing, mut operator, senders, told } = test(1, ProcessingTime::default());
    operator.gate.restore(&ChannelState::default(), EventTime(5)).unwrap();
    let watermarks = [3, 5, 6].map(|time| Element::Watermark(EventTime(time)));
    for watermark in watermarks {
        // Records between them keep the queue from merging watermarks.
        send(&senders[0], vec![Element::Records(vec![0]), watermark]);
    }
    send(&senders[0], vec![Element::EndOfData]);
    assert!(run_gate(checkpointing, &mut operator).is_err());
    let told: Vec<String> = told.try_iter().filter(|told| told.starts_with("watermark")).collect();
    let expected = [5, 6].map(|time| format!("watermark {time} ms since the epoch"));
    assert_eq!(told[..2], expected);
    assert_eq!(told[2..], ["watermark after all event time"]);
}

//= spec/watermark.md#watermark-8-what-was-left-to-fire-is-fired-first
//= type=test
//# A restored subtask MUST fire what is due at the watermark of its snapshot before it reads anything.
//= spec/watermark.md#watermark-7-a-restored-subtask-repeats-its-watermark
//= type=test
//# A restored subtask MUST emit the watermark of its snapshot behind the records that were on their way from
//# it.
#[test]
fn receive_fires_what_was_left_before_it_reads_what_was_on_its_way() {
    let Test { _pool, checkpointing, mut operator, senders, told } = test(1, ProcessingTime::default());
    let mut captured = ChannelState::default();
    captured.append(ChannelSide::Input, Channel(0), &[1_u32]).unwrap();
    operator.gate.restore(&captured, EventTime(5)).unwrap();
    operator.event_timers = BTreeSet::from([3, 4, 5, 6]);
    send(&senders[0], vec![Element::EndOfData]);
    assert!(run_gate(checkpointing, &mut operator).is_err());
    let told: Vec<String> = told.try_iter().collect();
    let fired = [3, 4, 5].map(|time| format!("event timer {time}"));
    assert_eq!(told[..3], fired);
    assert_eq!(told[3..6], ["watermark 5 ms since the epoch", "[1]", "event timer 6"]);
}

#[test]
fn receive_takes_a_checkpoint_among_timers_that_are_fired() {
    let Test { checkpointing, mut operator, senders, told, _pool } = test(1, ProcessingTime::default());
    operator.event_timers = BTreeSet::from([1, 2, 3]);
    send(&senders[0], vec![Element::Watermark(EventTime(3)), Element::EndOfData]);
    let unaligned = CheckpointOptions::new(CheckpointKind::Periodic, Alignment::Unaligned);
    operator.barrier = Some((senders[0].elements.clone(), unaligned));
    // The end of the data is read behind the watermark, and the barrier has overtaken it by then.
    assert!(run_gate(checkpointing, &mut operator).is_err());
    let told: Vec<String> = told.try_iter().filter(|told| !told.starts_with("Barrier")).collect();
    assert_eq!(
        told[..5],
        ["event timer 1", "event timer 2", "snapshot", "event timer 3", "watermark 3 ms since the epoch"]
    );
}

#[test]
fn receive_wakes_up_when_a_timer_of_processing_time_is_due() {
    let clock = ManualClock::new(Millis(50));
    let Test { checkpointing, mut operator, senders, told, _pool } = test(1, ProcessingTime::from(&clock));
    operator.processing_timers = BTreeSet::from([100, 200]);
    let control = operator.control.clone();
    let task = std::thread::spawn(move || run_gate(checkpointing, &mut operator).is_err());
    clock.advance_to(Millis(99));
    clock.advance_to(Millis(150));
    assert_eq!(told.recv().unwrap(), "processing timer 100 at 150 ms");
    clock.advance_to(Millis(120));
    clock.advance_to(Millis(200));
    assert_eq!(told.recv().unwrap(), "processing timer 200 at 200 ms");
    control.send(Control::Cancel).unwrap();
    assert!(task.join().unwrap());
    drop(senders);
}

#[test]
fn receive_wakes_up_by_the_clock_of_the_system() {
    let Test { checkpointing, mut operator, senders, told, _pool } = test(1, ProcessingTime::default());
    let soon = ProcessingTime::default().now() + Millis(20);
    operator.processing_timers = BTreeSet::from([soon.0]);
    let control = operator.control.clone();
    let task = std::thread::spawn(move || run_gate(checkpointing, &mut operator).is_err());
    assert!(told.recv().unwrap().starts_with(&format!("processing timer {} at ", soon.0)));
    control.send(Control::Cancel).unwrap();
    assert!(task.join().unwrap());
    drop(senders);
}

#[test]
fn receive_fires_nothing_behind_the_end_of_the_data() {
    let Test { _pool, mut checkpointing, mut operator, .. } = test(1, ProcessingTime::default());
    operator.processing_timers = BTreeSet::from([0]);
    assert_eq!(deadline(&checkpointing, &operator), Some(Millis(0)));
    checkpointing.on(Input::EndOfDataArrived { channel: Channel(0) }, &mut operator).unwrap();
    assert_eq!(deadline(&checkpointing, &operator), None);
}
