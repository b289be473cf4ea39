use crate::base::{EventTime, Millis};

/// How a source knows how far event time has come (Flink: `WatermarkStrategy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WatermarkStrategy {
    out_of_orderness: Millis,
}

impl WatermarkStrategy {
    /// The event times of each instance of the source never go back.
    #[must_use]
    pub fn for_monotonous_timestamps() -> Self {
        WatermarkStrategy::for_bounded_out_of_orderness(Millis(0))
    }

    /// A record comes at most `bound` of event time after the newest one; what comes later than that is late.
    #[must_use]
    pub fn for_bounded_out_of_orderness(bound: Millis) -> Self {
        WatermarkStrategy { out_of_orderness: bound }
    }

    /// Generates the watermarks of one instance.
    #[must_use]
    pub fn generator(self) -> WatermarkGenerator {
        WatermarkGenerator { strategy: self, newest: None }
    }
}

/// Generates watermarks from the event times of the records that are emitted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WatermarkGenerator {
    strategy: WatermarkStrategy,
    newest: Option<EventTime>,
}

impl WatermarkGenerator {
    /// A record with this event time is emitted.
    pub fn on_event(&mut self, time: EventTime) {
        self.newest = self.newest.max(Some(time));
    }

    /// The watermark behind the records so far; the minimum as long as there were none.
    #[must_use]
    pub fn watermark(&self) -> EventTime {
        //= spec/watermark.md#watermark-5-no-record-within-the-bound-is-late
        //# The watermark of a strategy of bounded out-of-orderness MUST be one millisecond and the bound before the
        //# newest event time.
        let newest = self.newest.unwrap_or(EventTime::MIN);
        newest.saturating_sub(self.strategy.out_of_orderness).saturating_sub(Millis(1))
    }
}
