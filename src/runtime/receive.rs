//! What operators with inputs have in common: they read a gate, and time passes in them.

use super::channel::{Element, try_receive};
use super::error::TaskError;
use super::function::Record;
use super::gate::Gate;
use super::task::{Checkpointing, Operator};
use crate::base::{Alignment, Channel, EventTime, Millis};
use crate::state::ChannelSide;
use crate::subtask::Input;

/// An operator that reads an input gate.
pub(super) trait Receiver: Operator + TimerDriver {
    type In: Record;

    fn gate(&mut self) -> &mut Gate<Self::In>;

    fn records(&mut self, records: Vec<Self::In>) -> Result<(), TaskError>;

    /// Whether output waits for room, so that no more input should be processed.
    fn is_full(&self) -> bool;

    /// Queues what is buffered, and says whether there was anything: it should not wait while nothing is processed.
    fn flush(&mut self) -> bool;

    /// Event time has come to `watermark`, and all that was due has been fired: emits it.
    fn forward_watermark(&mut self, watermark: EventTime);
}

/// Fires the timers of an operator. What has none does nothing.
///
/// Firing stops when the output is full and goes on later, so that checkpoints can be taken among many timers: those
/// that are still to be fired are in the snapshot.
pub(super) trait TimerDriver {
    /// Fires what is due at `watermark`, one timer after the other, until the output is full. Says whether nothing is
    /// left.
    fn advance_watermark(&mut self, watermark: EventTime) -> Result<bool, TaskError> {
        let _ = watermark;
        Ok(true)
    }

    /// Fires what is due at `now` in processing time, one timer after the other, until the output is full.
    fn advance_processing_time(&mut self, now: Millis) -> Result<(), TaskError> {
        let _ = now;
        Ok(())
    }

    /// The time of the first timer of processing time.
    fn deadline(&self) -> Option<Millis> {
        None
    }
}

/// Event time that the gate has come to and the operator has not yet.
struct Advance {
    watermark: EventTime,
    /// The channel whose end of data has made event time advance: it counts when all timers have been fired.
    ended: Option<Channel>,
}

/// Reads the gate until the subtask finishes or the attempt ends.
pub(super) fn run_gate<R: Receiver>(
    mut checkpointing: Checkpointing,
    receiver: &mut R,
) -> Result<(), TaskError> {
    let mut advance = restored(receiver);
    while !checkpointing.machine().is_finished() {
        if let Some(message) = try_receive(&checkpointing.environment().control)? {
            checkpointing.control(message, receiver)?;
            continue;
        }
        put_all(&mut checkpointing, receiver)?;
        // After this nothing may change until the task waits: what it looks at is what it waits for.
        checkpointing.advance(receiver)?;
        let is_full = receiver.is_full();
        let timer = if is_full { None } else { deadline(&checkpointing, receiver) };
        if (is_full || !work(&mut checkpointing, receiver, &mut advance, timer)?) && !receiver.flush() {
            checkpointing.wait(receiver, timer);
        }
    }
    Ok(())
}

/// The event time of the snapshot, if it had one. It may have been taken among timers that were due.
fn restored<R: Receiver>(receiver: &mut R) -> Option<Advance> {
    //= spec/watermark.md#watermark-8-what-was-left-to-fire-is-fired-first
    //# A restored subtask MUST fire what is due at the watermark of its snapshot before it reads anything.
    //= spec/watermark.md#watermark-7-a-restored-subtask-repeats-its-watermark
    //# A restored subtask MUST emit the watermark of its snapshot behind the records that were on their way from
    //# it.
    let watermark = receiver.gate().watermarks.current();
    (watermark > EventTime::MIN).then_some(Advance { watermark, ended: None })
}

/// When a timer is due. Nothing may be emitted behind the last checkpoint, nor behind the end of the data.
fn deadline<R: Receiver>(checkpointing: &Checkpointing, receiver: &R) -> Option<Millis> {
    let machine = checkpointing.machine();
    let is_over = machine.is_holding() || machine.has_reached_end_of_data();
    if is_over { None } else { receiver.deadline() }
}

/// Does the next piece of work, if there is any.
fn work<R: Receiver>(
    checkpointing: &mut Checkpointing,
    receiver: &mut R,
    advance: &mut Option<Advance>,
    timer: Option<Millis>,
) -> Result<bool, TaskError> {
    if let Some(Advance { watermark, ended }) = *advance {
        if receiver.advance_watermark(watermark)? {
            //= spec/watermark.md#watermark-6-watermarks-are-forwarded-behind-what-they-have-fired
            //# A subtask MUST forward an advance of its event time after everything that this has made it emit.
            receiver.forward_watermark(watermark);
            *advance = None;
            if let Some(channel) = ended {
                checkpointing.on(Input::EndOfDataArrived { channel }, receiver)?;
            }
        }
        return Ok(true);
    }
    if let Some(timer) = timer {
        let now = checkpointing.environment().processing_time.now();
        if now >= timer {
            receiver.advance_processing_time(now)?;
            return Ok(true);
        }
    }
    let machine = checkpointing.machine();
    let Some((channel, element)) = receiver.gate().take(|channel| machine.is_blocked(channel)) else {
        return Ok(false);
    };
    let input = match element {
        Element::Records(records) => return receiver.records(records).map(|()| true),
        Element::Watermark(watermark) => {
            let advanced = receiver.gate().watermarks.arrived(channel, watermark)?;
            *advance = advanced.map(|watermark| Advance { watermark, ended: None });
            return Ok(true);
        }
        Element::EndOfData => match receiver.gate().watermarks.ended(channel)? {
            Some(watermark) => {
                *advance = Some(Advance { watermark, ended: Some(channel) });
                return Ok(true);
            }
            None => Input::EndOfDataArrived { channel },
        },
        Element::Barrier(checkpoint, options) => Input::BarrierArrived { channel, checkpoint, options },
        Element::Cancellation(checkpoint) => Input::CancellationArrived { channel, checkpoint },
        Element::ChannelEnd => Input::ChannelEnded { channel },
    };
    checkpointing.on(input, receiver)?;
    Ok(true)
}

/// Puts what has arrived into the queues, announces the barriers in it, and captures what belongs to a checkpoint.
fn put_all<R: Receiver>(checkpointing: &mut Checkpointing, receiver: &mut R) -> Result<(), TaskError> {
    let record_type = receiver.gate().record_type();
    for channel in (0..receiver.gate().channels()).map(Channel) {
        while let Some(element) = receiver.gate().put_next(channel)? {
            match element {
                Element::Records(records) => {
                    if let Some(checkpoint) = checkpointing.machine().capturing(channel) {
                        checkpointing.capture(checkpoint, |captured| {
                            captured.append_as(ChannelSide::Input, channel, &record_type, records)
                        });
                    }
                }
                Element::Barrier(checkpoint, options) if options.alignment() != Alignment::Aligned => {
                    let (checkpoint, options) = (*checkpoint, *options);
                    checkpointing.on(Input::BarrierAnnounced { channel, checkpoint, options }, receiver)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
