use super::channel::{Element, Input};
use super::error::TaskError;
use super::function::Record;
use super::restore::HandedOut;
use crate::base::{Channel, CheckpointId, EventTime};
use crate::state::{ChannelSide, ChannelState, StateError};
use crate::watermark::GateWatermarks;
use crossbeam_channel::Select;
use std::any::type_name;
use std::collections::VecDeque;
use std::sync::Arc;

/// The input channels of a subtask.
///
/// The task's thread puts what arrives into queues and reads from them: a barrier is seen when it arrives, and
/// what it overtakes stands in the queue.
pub(super) struct Gate<T> {
    inputs: Vec<InputChannel<T>>,
    /// By what name the type of its records is known.
    record_type: Arc<str>,
    /// As far as it was read.
    pub(super) watermarks: GateWatermarks,
    /// Where the search for input begins, so that no channel starves.
    next: usize,
}

struct InputChannel<T> {
    channel: Box<dyn Input<T>>,
    queue: VecDeque<Element<T>>,
    /// How many batches at the head of the queue were restored: their sender gets no room for them.
    restored: usize,
    /// Whether the end of the channel has arrived.
    is_complete: bool,
}

impl<T> Gate<T> {
    pub(super) fn new(channels: Vec<Box<dyn Input<T>>>) -> Self {
        let watermarks = GateWatermarks::new(channels.len() as u16, EventTime::MIN);
        let open =
            |channel| InputChannel { channel, queue: VecDeque::new(), restored: 0, is_complete: false };
        let inputs = channels.into_iter().map(open).collect();
        Gate { inputs, record_type: type_name::<T>().into(), watermarks, next: 0 }
    }

    /// The same whose records have a type of that name, if it has one of its own.
    pub(super) fn with_record_type(mut self, record_type: Option<Arc<str>>) -> Self {
        self.record_type = record_type.unwrap_or(self.record_type);
        self
    }

    pub(super) fn record_type(&self) -> Arc<str> {
        Arc::clone(&self.record_type)
    }

    pub(super) fn channels(&self) -> u16 {
        self.inputs.len() as u16
    }

    /// Puts the next thing that has arrived into the queue of its channel, and shows it.
    pub(super) fn put_next(&mut self, channel: Channel) -> Result<Option<&Element<T>>, TaskError> {
        let input = &mut self.inputs[usize::from(channel.0)];
        if input.is_complete {
            return Ok(None);
        }
        let Some(element) = input.channel.try_receive()? else { return Ok(None) };
        input.is_complete = matches!(element, Element::ChannelEnd);
        if let (Element::Watermark(later), Some(Element::Watermark(last))) =
            (&element, input.queue.back_mut())
        {
            // Nothing stands between the two, so nobody needs the earlier one, and the queue stays bounded.
            *last = (*last).max(*later);
        } else {
            input.queue.push_back(element);
        }
        Ok(input.queue.back())
    }

    /// Takes the head of a queue, unless `closed` holds for its channel. What was restored comes first.
    pub(super) fn take(&mut self, closed: impl Fn(Channel) -> bool) -> Option<(Channel, Element<T>)> {
        //= spec/rescale.md#rescale-14-records-on-their-way-come-first
        //# A subtask MUST process the records that were given to it before it processes any that comes after the restore, and
        //# those of an old channel in their order.
        let first = self.inputs.iter().position(|input| input.restored > 0).unwrap_or(self.next);
        for offset in 0..self.inputs.len() {
            let index = (first + offset) % self.inputs.len();
            let channel = Channel(index as u16);
            let input = &mut self.inputs[index];
            if input.queue.is_empty() || closed(channel) {
                continue;
            }
            let element = input.queue.pop_front()?;
            if matches!(element, Element::Records(_)) {
                if input.restored > 0 {
                    input.restored -= 1;
                } else {
                    input.channel.give_room();
                }
            }
            self.next = index + 1;
            return Some((channel, element));
        }
        None
    }

    /// Makes a wait end when something arrives.
    pub(super) fn register<'a>(&'a self, select: &mut Select<'a>) {
        for input in self.inputs.iter().filter(|input| !input.is_complete) {
            input.channel.register(select);
        }
    }
}

impl<T: Record> Gate<T> {
    /// Queues what was on its way when the snapshot was taken, ahead of everything, and begins at the event time of
    /// that moment.
    pub(super) fn restore(
        &mut self,
        captured: &ChannelState,
        watermark: EventTime,
    ) -> Result<(), StateError> {
        self.watermarks = GateWatermarks::new(self.channels(), watermark);
        for (channel, records) in captured.channels(ChannelSide::Input) {
            let missing = || StateError::Incompatible(format!("there is no input channel {channel}"));
            let input = self.inputs.get_mut(usize::from(channel.0)).ok_or_else(missing)?;
            input.queue.push_back(Element::Records(records.decode_as(&self.record_type)?));
            input.restored += 1;
        }
        Ok(())
    }

    /// Queues records, ahead of everything, that were on their way to an old subtask: those that it had in its channel already,
    /// and those that the sender still had. `keep` says which of them are for this one.
    pub(super) fn restore_handed_out(
        &mut self,
        handed_out: &[HandedOut],
        keep: impl Fn(&T) -> bool,
    ) -> Result<(), StateError> {
        for HandedOut { channel, received, unsent } in handed_out {
            let missing = || StateError::Incompatible(format!("there is no input channel {channel}"));
            let input = self.inputs.get_mut(usize::from(channel.0)).ok_or_else(missing)?;
            let received = received.as_ref().map(|records| records.decode_as(&self.record_type));
            let unsent = unsent.as_ref().map(|records| input.channel.decode(records));
            for records in received.into_iter().chain(unsent) {
                let mut records: Vec<T> = records?;
                records.retain(|record| keep(record));
                if !records.is_empty() {
                    input.queue.push_back(Element::Records(records));
                    input.restored += 1;
                }
            }
        }
        Ok(())
    }

    /// Copies the records that are queued ahead of the checkpoint's barrier.
    pub(super) fn capture(
        &self,
        channel: Channel,
        checkpoint: CheckpointId,
        captured: &mut ChannelState,
    ) -> Result<(), StateError> {
        let is_barrier =
            |element: &Element<T>| matches!(element, Element::Barrier(id, _) if *id == checkpoint);
        let queue = &self.inputs[usize::from(channel.0)].queue;
        for element in queue.iter().take_while(|element| !is_barrier(element)) {
            if let Element::Records(records) = element {
                captured.append_as(ChannelSide::Input, channel, &self.record_type, records)?;
            }
        }
        Ok(())
    }
}
