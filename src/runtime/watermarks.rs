use super::function::{Collector, SourceCollector, SourceFunction, SourceStatus, UserError};
use crate::base::EventTime;
use crate::state::OperatorStateBackend;
use crate::watermark::{WatermarkGenerator, WatermarkStrategy};

/// A source whose watermarks follow from the event times of its records, one after each poll
/// ([`SourceFunction::with_watermarks`]).
///
/// Each instance of the source is one stream of time: what it reads one after the other, such as several files, must be
/// in order as a whole, but for what the strategy allows.
pub struct WithWatermarks<S, T> {
    source: S,
    event_time: T,
    generator: WatermarkGenerator,
}

impl<S, T> WithWatermarks<S, T> {
    pub(super) fn new(source: S, strategy: WatermarkStrategy, event_time: T) -> Self {
        WithWatermarks { source, event_time, generator: strategy.generator() }
    }
}

impl<S, T> SourceFunction for WithWatermarks<S, T>
where
    S: SourceFunction,
    T: Fn(&S::Out) -> EventTime + Send,
{
    type Out = S::Out;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.source.initialize_state(state)
    }

    fn poll(&mut self, out: &mut dyn SourceCollector<S::Out>) -> Result<SourceStatus, UserError> {
        let (event_time, generator) = (&self.event_time, &mut self.generator);
        let status = self.source.poll(&mut Observed { out, event_time, generator })?;
        out.emit_watermark(self.generator.watermark());
        Ok(status)
    }

    fn has_backlog(&self) -> bool {
        self.source.has_backlog()
    }

    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.source.snapshot_state(state)
    }
}

/// Looks at the event time of each record that passes.
struct Observed<'a, T, R> {
    out: &'a mut dyn SourceCollector<R>,
    event_time: &'a T,
    generator: &'a mut WatermarkGenerator,
}

impl<T: Fn(&R) -> EventTime, R> Collector<R> for Observed<'_, T, R> {
    fn collect(&mut self, record: R) {
        self.generator.on_event((self.event_time)(&record));
        self.out.collect(record);
    }
}

impl<T: Fn(&R) -> EventTime, R> SourceCollector<R> for Observed<'_, T, R> {
    fn emit_watermark(&mut self, watermark: EventTime) {
        self.out.emit_watermark(watermark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Millis;

    /// Emits these, two a poll behind a watermark of its own, and has a backlog until then.
    struct Times(Vec<i64>);

    impl SourceFunction for Times {
        type Out = i64;

        fn initialize_state(&mut self, _: &mut OperatorStateBackend) -> Result<(), UserError> {
            Ok(())
        }

        fn poll(&mut self, out: &mut dyn SourceCollector<i64>) -> Result<SourceStatus, UserError> {
            out.emit_watermark(EventTime(-1));
            for time in self.0.drain(..self.0.len().min(2)) {
                out.collect(time);
            }
            Ok(if self.0.is_empty() { SourceStatus::EndOfInput } else { SourceStatus::MoreAvailable })
        }

        fn has_backlog(&self) -> bool {
            !self.0.is_empty()
        }

        fn snapshot_state(&mut self, _: &mut OperatorStateBackend) -> Result<(), UserError> {
            Ok(())
        }
    }

    #[derive(Default)]
    struct Seen(Vec<String>);

    impl Collector<i64> for Seen {
        fn collect(&mut self, time: i64) {
            self.0.push(format!("{time}"));
        }
    }

    impl SourceCollector<i64> for Seen {
        fn emit_watermark(&mut self, watermark: EventTime) {
            self.0.push(format!("watermark {}", watermark.0));
        }
    }

    #[test]
    fn watermarks_of_a_strategy_follow_each_poll() {
        let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Millis(4));
        let mut source = Times(vec![10, 20, 15]).with_watermarks(strategy, |time| EventTime(*time));
        let mut seen = Seen::default();
        assert_eq!(source.poll(&mut seen).unwrap(), SourceStatus::MoreAvailable);
        assert!(source.has_backlog());
        assert_eq!(source.poll(&mut seen).unwrap(), SourceStatus::EndOfInput);
        assert!(!source.has_backlog());
        let own = "watermark -1";
        assert_eq!(seen.0, [own, "10", "20", "watermark 15", own, "15", "watermark 15"]);
    }
}
