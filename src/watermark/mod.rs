//! Watermarks: how far event time has come.
//!
//! A watermark in a stream says "no record with this time or an earlier one follows"; one that follows all the same is
//! *late*. A source emits watermarks ([`WatermarkStrategy`]), and a subtask with several input channels has come as
//! far as the slowest of them ([`GateWatermarks`]).
//!
//! There is no idleness: a channel that delivers neither records nor watermarks holds event time back until its data
//! ends. A stream without a time of its own, such as one of rules, emits [`EventTime::MAX`] at once.
//!
//! Specification: `spec/watermark.md`. Flink: `StatusWatermarkValve`, `BoundedOutOfOrdernessWatermarks`.

mod strategy;

pub use strategy::{WatermarkGenerator, WatermarkStrategy};

use crate::base::{Channel, EventTime, Misuse, Violation};

const MACHINE: &str = "watermark";

/// The event time at an input gate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GateWatermarks {
    /// The watermark of each channel; at its maximum once its data has ended.
    channels: Vec<EventTime>,
    current: EventTime,
}

impl GateWatermarks {
    /// A gate with `channels` channels that begins at `restored`: the event time of the snapshot from which its subtask
    /// was restored, or the minimum.
    #[must_use]
    pub fn new(channels: u16, restored: EventTime) -> Self {
        //= spec/watermark.md#watermark-4-event-time-goes-on-where-the-snapshot-was-taken
        //# The event time of a gate MUST begin at that of the snapshot from which its subtask was restored.
        GateWatermarks { channels: vec![restored; usize::from(channels)], current: restored }
    }

    /// The event time of the gate.
    #[must_use]
    pub fn current(&self) -> EventTime {
        self.current
    }

    /// Takes in a watermark that was read from `channel`, and says how far event time has come if it has advanced.
    ///
    /// # Errors
    /// [`Misuse`] when there is no such channel; nothing has changed.
    pub fn arrived(&mut self, channel: Channel, watermark: EventTime) -> Result<Option<EventTime>, Misuse> {
        let no_channel = || Misuse::new(MACHINE, format!("there is no channel {channel}"));
        let known = self.channels.get_mut(usize::from(channel.0)).ok_or_else(no_channel)?;
        //= spec/watermark.md#watermark-1-the-watermark-of-a-channel-never-goes-back
        //# A watermark that is not higher than all that its channel has delivered MUST change nothing.
        if watermark <= *known {
            return Ok(None);
        }
        let was_slowest = std::mem::replace(known, watermark) == self.current;
        //= spec/watermark.md#watermark-2-event-time-is-that-of-the-slowest-channel
        //# The event time of a gate MUST be the lowest watermark of its channels.
        let lowest = if was_slowest { self.lowest() } else { self.current };
        Ok((std::mem::replace(&mut self.current, lowest) < lowest).then_some(lowest))
    }

    /// Takes in the end of the data of `channel`, and says how far event time has come if it has advanced.
    ///
    /// # Errors
    /// [`Misuse`] when there is no such channel; nothing has changed.
    pub fn ended(&mut self, channel: Channel) -> Result<Option<EventTime>, Misuse> {
        //= spec/watermark.md#watermark-3-a-channel-without-data-holds-nothing-back
        //# The end of the data of a channel MUST count as the highest of all watermarks.
        self.arrived(channel, EventTime::MAX)
    }

    /// Its invariant.
    ///
    /// # Errors
    /// It does not hold.
    pub fn check(&self) -> Result<(), Violation> {
        Violation::unless(self.current == self.lowest(), MACHINE, "WATERMARK-2", || format!("{self:?}"))
    }

    fn lowest(&self) -> EventTime {
        self.channels.iter().min().copied().unwrap_or(self.current)
    }
}

#[cfg(test)]
mod tests;
