use super::channel::{ChannelSender, Element, Partitioner, Target};
use super::error::TaskError;
use super::function::{Collector, Record, SourceCollector};
use crate::base::{Alignment, Channel, CheckpointId, CheckpointOptions, EventTime};
use crate::state::{ChannelSide, ChannelState, StateError};
use crossbeam_channel::{Select, TryRecvError};
use std::any::type_name;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The output channels of a subtask.
///
/// What is emitted is queued here and sent when the receiver has room, so that nothing waits inside the user's code
/// and a barrier can overtake what waits. One call of the user's code may queue more than there is room for.
pub(super) struct Outputs<T> {
    channels: Vec<OutputChannel<T>>,
    partitioner: Partitioner<T>,
    /// By what name the type of its records is known.
    record_type: Arc<str>,
    batch_records: usize,
    emitted: Arc<AtomicU64>,
    /// The last watermark that was emitted.
    watermark: EventTime,
    /// Set once a receiver is gone before the end of the data: the attempt is being cancelled.
    closed: bool,
    /// After the end of the data a receiver may be gone because it has finished.
    has_ended: bool,
}

struct OutputChannel<T> {
    sender: ChannelSender<T>,
    /// Records that are not queued yet, so that they go in batches.
    batch: Vec<T>,
    queue: VecDeque<Element<T>>,
}

impl<T> OutputChannel<T> {
    fn push(&mut self, record: T, batch_records: usize) {
        self.batch.push(record);
        if self.batch.len() >= batch_records {
            self.flush(batch_records);
        }
    }

    fn flush(&mut self, batch_records: usize) -> bool {
        if self.batch.is_empty() {
            return false;
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(batch_records));
        self.queue.push_back(Element::Records(batch));
        true
    }
}

impl<T> Outputs<T> {
    pub(super) fn new(
        senders: Vec<ChannelSender<T>>,
        partitioner: Partitioner<T>,
        batch_records: usize,
        emitted: Arc<AtomicU64>,
    ) -> Self {
        let open = |sender| {
            let (batch, queue) = (Vec::with_capacity(batch_records), VecDeque::new());
            OutputChannel { sender, batch, queue }
        };
        let channels = senders.into_iter().map(open).collect();
        let (watermark, closed, has_ended) = (EventTime::MIN, false, false);
        let record_type = type_name::<T>().into();
        Outputs { channels, partitioner, record_type, batch_records, emitted, watermark, closed, has_ended }
    }

    /// The same whose records have a type of that name, if it has one of its own.
    pub(super) fn with_record_type(mut self, record_type: Option<Arc<str>>) -> Self {
        self.record_type = record_type.unwrap_or(self.record_type);
        self
    }

    pub(super) fn channels(&self) -> u16 {
        self.channels.len() as u16
    }

    /// The last watermark that was emitted.
    pub(super) fn watermark(&self) -> EventTime {
        self.watermark
    }

    /// Queues every batch that holds anything, and says whether one did.
    pub(super) fn flush(&mut self) -> bool {
        let mut flushed = false;
        for channel in &mut self.channels {
            flushed |= channel.flush(self.batch_records);
        }
        flushed
    }

    /// Queues every batch, and then for each channel what `element` makes.
    pub(super) fn broadcast(&mut self, element: impl Fn() -> Element<T>) {
        self.flush();
        for channel in &mut self.channels {
            let element = element();
            self.has_ended |= matches!(element, Element::EndOfData);
            channel.queue.push_back(element);
        }
    }

    /// Whether something waits for room, so that nothing more should be emitted.
    pub(super) fn is_full(&self) -> bool {
        self.channels.iter().any(|channel| !channel.queue.is_empty())
    }

    /// Sends what there is room for, and tells of each barrier that has left its queue and might have overtaken.
    ///
    /// A receiver that is gone keeps nothing from the others: when a job ends, some finish before others, and a
    /// channel that closes without its end would look like a failure.
    pub(super) fn send(&mut self, sent: &mut Vec<(Channel, CheckpointId)>) -> Result<(), TaskError> {
        let is_broadcast = matches!(self.partitioner, Partitioner::Broadcast { .. });
        for (index, OutputChannel { sender, queue, .. }) in self.channels.iter_mut().enumerate() {
            while let Some(element) = queue.front() {
                if let Element::Records(records) = element {
                    match sender.room.try_recv() {
                        // Of the copies of a record one counts.
                        Ok(()) if index > 0 && is_broadcast => {}
                        Ok(()) => {
                            self.emitted.fetch_add(records.len() as u64, Ordering::Relaxed);
                        }
                        Err(TryRecvError::Empty) => break,
                        Err(TryRecvError::Disconnected) => {
                            queue.clear();
                            self.closed |= !self.has_ended;
                            break;
                        }
                    }
                } else if let Element::Barrier(checkpoint, options) = element
                    && options.alignment() != Alignment::Aligned
                {
                    sent.push((Channel(index as u16), *checkpoint));
                }
                if let Some(element) = queue.pop_front()
                    && sender.elements.send(element).is_err()
                {
                    queue.clear();
                    self.closed |= !self.has_ended;
                }
            }
        }
        if self.closed { Err(TaskError::Cancelled) } else { Ok(()) }
    }

    /// Makes a wait end when there is room for something that waits for it.
    pub(super) fn register<'a>(&'a self, select: &mut Select<'a>) {
        for channel in self.channels.iter().filter(|channel| !channel.queue.is_empty()) {
            select.recv(&channel.sender.room);
        }
    }
}

impl<T: Record> Outputs<T> {
    /// Queues what was on its way when the snapshot was taken, ahead of everything.
    pub(super) fn restore(&mut self, captured: &ChannelState) -> Result<(), StateError> {
        for (channel, records) in captured.channels(ChannelSide::Output) {
            let output = self.channels.get_mut(usize::from(channel.0));
            let missing = || StateError::Incompatible(format!("there is no output channel {channel}"));
            output
                .ok_or_else(missing)?
                .queue
                .push_back(Element::Records(records.decode_as(&self.record_type)?));
        }
        Ok(())
    }

    /// Moves the barrier to the head of its queue and copies what it passes into `captured`.
    pub(super) fn overtake(
        &mut self,
        channel: Channel,
        checkpoint: CheckpointId,
        options: CheckpointOptions,
        captured: &mut ChannelState,
    ) -> Result<(), StateError> {
        let Some(OutputChannel { queue, .. }) = self.channels.get_mut(usize::from(channel.0)) else {
            return Ok(());
        };
        let is_barrier =
            |element: &Element<T>| matches!(element, Element::Barrier(id, _) if *id == checkpoint);
        let Some(position) = queue.iter().position(is_barrier) else { return Ok(()) };
        queue.remove(position);
        queue.push_front(Element::Barrier(checkpoint, options));
        for element in queue.range(1..=position) {
            if let Element::Records(records) = element {
                captured.append_as(ChannelSide::Output, channel, &self.record_type, records)?;
            }
        }
        Ok(())
    }
}

impl<T> Collector<T> for Outputs<T> {
    fn collect(&mut self, record: T) {
        match self.partitioner.select(&record) {
            Target::One(channel) => self.channels[channel].push(record, self.batch_records),
            Target::All(copy) => {
                for channel in &mut self.channels {
                    channel.push(copy(&record), self.batch_records);
                }
            }
        }
    }
}

impl<T> SourceCollector<T> for Outputs<T> {
    fn emit_watermark(&mut self, watermark: EventTime) {
        if watermark <= self.watermark {
            return;
        }
        self.watermark = watermark;
        self.flush();
        for OutputChannel { queue, .. } in &mut self.channels {
            match queue.back_mut() {
                // Nothing stands between the two, so nobody needs the earlier one.
                Some(Element::Watermark(last)) => *last = watermark,
                _ => queue.push_back(Element::Watermark(watermark)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::channel::{ChannelReceiver, channel};
    use super::*;
    use crate::base::CheckpointKind;

    fn outputs(channels: usize, room: usize) -> (Outputs<u8>, Vec<ChannelReceiver<u8>>) {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..channels).map(|_| channel(room)).unzip();
        (Outputs::new(senders, Partitioner::Forward, 1, Arc::default()), receivers)
    }

    fn texts(receiver: &ChannelReceiver<u8>) -> Vec<String> {
        let text = |element| match element {
            Element::Records(records) => format!("{records:?}"),
            Element::Barrier(checkpoint, _) => format!("barrier {checkpoint}"),
            other => format!("{other:?}"),
        };
        receiver.elements.try_iter().map(text).collect()
    }

    #[test]
    fn output_receiver_that_is_gone_keeps_nothing_from_the_others() {
        let (mut outputs, mut receivers) = outputs(3, 1);
        drop(receivers.remove(0));
        outputs.broadcast(|| Element::ChannelEnd);
        assert!(outputs.send(&mut Vec::new()).is_err());
        for receiver in receivers {
            assert_eq!(texts(&receiver), ["ChannelEnd"]);
        }
    }

    #[test]
    fn output_barrier_overtakes_what_waits_for_room_and_captures_it() {
        let (mut outputs, receivers) = outputs(1, 1);
        let (checkpoint, kind) = (CheckpointId(5), CheckpointKind::Periodic);
        (1..=3).for_each(|record| outputs.collect(record));
        let mut sent = Vec::new();
        outputs.send(&mut sent).unwrap();
        assert!(outputs.is_full());
        let waiting = CheckpointOptions::new(kind, Alignment::AlignedUntil(crate::base::Millis(9)));
        outputs.broadcast(|| Element::Barrier(checkpoint, waiting));
        outputs.collect(4);
        outputs.send(&mut sent).unwrap();
        assert_eq!((texts(&receivers[0]), sent.len()), (vec!["[1]".to_owned()], 0));
        let mut captured = ChannelState::default();
        outputs.overtake(Channel(0), checkpoint, waiting.overtaking(), &mut captured).unwrap();
        let records = &captured.channels(ChannelSide::Output)[&Channel(0)];
        assert_eq!(records.decode::<u8>().unwrap(), [2, 3]);
        outputs.send(&mut sent).unwrap();
        assert_eq!(
            (texts(&receivers[0]), sent),
            (vec!["barrier 5".to_owned()], vec![(Channel(0), checkpoint)])
        );
        for expected in ["[2]", "[3]", "[4]"] {
            receivers[0].room.send(()).unwrap();
            outputs.send(&mut Vec::new()).unwrap();
            assert_eq!(texts(&receivers[0]), [expected]);
        }
        assert!(!outputs.is_full());
    }

    #[test]
    fn output_watermarks_stay_in_line_behind_records_and_never_go_back() {
        let (mut outputs, receivers) = outputs(1, 1);
        outputs.collect(1);
        outputs.emit_watermark(EventTime(5));
        outputs.collect(2);
        for time in [6, 8, 7] {
            outputs.emit_watermark(EventTime(time));
        }
        outputs.send(&mut Vec::new()).unwrap();
        assert_eq!(texts(&receivers[0]), ["[1]", "Watermark(EventTime(5))"]);
        receivers[0].room.send(()).unwrap();
        outputs.send(&mut Vec::new()).unwrap();
        assert_eq!(texts(&receivers[0]), ["[2]", "Watermark(EventTime(8))"]);
        assert_eq!(outputs.watermark(), EventTime(8));
    }

    #[test]
    fn output_broadcast_records_go_to_everyone_and_count_once() {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| channel(8)).unzip();
        let emitted = Arc::new(AtomicU64::new(0));
        let partitioner = Partitioner::Broadcast { copy: u8::clone };
        let mut outputs = Outputs::new(senders, partitioner, 2, Arc::clone(&emitted));
        (1..=3).for_each(|record| outputs.collect(record));
        outputs.flush();
        outputs.send(&mut Vec::new()).unwrap();
        for receiver in receivers {
            assert_eq!(texts(&receiver), ["[1, 2]", "[3]"]);
        }
        assert_eq!(emitted.load(Ordering::Relaxed), 3);
    }

    //= spec/watermark.md#watermark-7-a-restored-subtask-repeats-its-watermark
    //= type=test
    //# A restored subtask MUST emit the watermark of its snapshot behind the records that were on their way from
    //# it.
    #[test]
    fn output_restored_records_are_sent_before_anything_new() {
        let (mut outputs, receivers) = outputs(2, 8);
        let mut captured = ChannelState::default();
        captured.append(ChannelSide::Output, Channel(0), &[1_u8, 2]).unwrap();
        outputs.restore(&captured).unwrap();
        outputs.emit_watermark(EventTime(7));
        outputs.collect(3);
        outputs.send(&mut Vec::new()).unwrap();
        assert_eq!(texts(&receivers[0]), ["[1, 2]", "Watermark(EventTime(7))", "[3]"]);
        assert_eq!(texts(&receivers[1]), ["Watermark(EventTime(7))"]);
        captured.append(ChannelSide::Output, Channel(2), &[1_u8]).unwrap();
        assert!(outputs.restore(&captured).is_err());
    }
}
