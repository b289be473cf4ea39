use super::{Click, ClickGenerator};
use serde::{Deserialize, Serialize};
use snapline::base::EventTime;
use snapline::runtime::{
    SourceCollector, SourceFunction, SourceStatus, SubtaskContext, Unrecoverable, UserError,
};
use snapline::state::{ListStateDescriptor, OperatorListState, OperatorStateBackend};

/// Into so many splits the clicks are dealt out, one after the other.
const SPLITS: u64 = 16;
/// How many clicks of a split one poll emits.
const CLICKS_PER_POLL: u64 = 256;

/// A split, and the number of its next click. It holds the numbers that leave the same remainder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    generator: ClickGenerator,
    next: u64,
}

/// Emits generated clicks. What comes next in each split is operator state.
///
/// Split `n` is read by subtask `n % parallelism`, the earliest clicks of all splits first.
pub struct GeneratedClicks {
    generator: ClickGenerator,
    /// How many clicks there are.
    clicks: u64,
    splits: Vec<Position>,
    state: Option<OperatorListState<Position>>,
}

impl GeneratedClicks {
    /// The instance of `context` of a source of the first `clicks` clicks.
    pub fn new(context: SubtaskContext, generator: ClickGenerator, clicks: u64) -> Self {
        let (index, parallelism) = (u64::from(context.subtask.index), usize::from(context.parallelism));
        let splits = (index..SPLITS).step_by(parallelism.max(1));
        let splits = splits.map(|next| Position { generator, next }).collect();
        GeneratedClicks { generator, clicks, splits, state: None }
    }
}

impl SourceFunction for GeneratedClicks {
    type Out = Click;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        let positions = state.list_state(&ListStateDescriptor::<Position>::new("positions"))?;
        let restored = positions.get(state)?;
        if restored.iter().any(|position| position.generator != self.generator) {
            let what = "the job began with other clicks; give the same seed, users and disorder again";
            return Err(Unrecoverable(what.into()).into());
        }
        if !restored.is_empty() {
            self.splits = restored.to_vec();
        }
        self.state = Some(positions);
        Ok(())
    }

    fn poll(&mut self, out: &mut dyn SourceCollector<Click>) -> Result<SourceStatus, UserError> {
        let Some(split) = self.splits.iter_mut().min_by_key(|split| split.next) else {
            return Ok(SourceStatus::EndOfInput);
        };
        if split.next >= self.clicks {
            return Ok(SourceStatus::EndOfInput);
        }
        for _ in 0..CLICKS_PER_POLL {
            if split.next < self.clicks {
                out.collect(self.generator.click(split.next));
                split.next += SPLITS;
            }
        }
        if let Some(next) = self.splits.iter().map(|split| split.next).min() {
            let earliest = self.generator.earliest_from(next);
            out.emit_watermark(EventTime(earliest.saturating_sub(1)));
        }
        Ok(SourceStatus::MoreAvailable)
    }

    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        Ok(self.state.ok_or("the source was not initialized")?.update(state, self.splits.clone())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapline::base::{Attempt, SubtaskId};
    use snapline::runtime::Collector;

    #[derive(Default)]
    struct Seen {
        clicks: Vec<Click>,
        watermark: Option<i64>,
    }

    impl Collector<Click> for Seen {
        fn collect(&mut self, click: Click) {
            assert!(self.watermark.is_none_or(|watermark| click.timestamp > watermark), "{click} is late");
            self.clicks.push(click);
        }
    }

    impl SourceCollector<Click> for Seen {
        fn emit_watermark(&mut self, EventTime(watermark): EventTime) {
            self.watermark = Some(watermark);
        }
    }

    fn source(index: u16, parallelism: u16, seed: u64) -> GeneratedClicks {
        let subtask = SubtaskId::new(0, index);
        let context = SubtaskContext { subtask, parallelism, attempt: Attempt(1) };
        GeneratedClicks::new(context, ClickGenerator::new(seed, 50, 300), 3_001)
    }

    #[test]
    fn clicks_of_a_source_that_is_restored_again_and_again_are_each_emitted_once() {
        let mut all = Vec::new();
        for index in 0..3 {
            let (mut state, mut seen, mut reading) = (OperatorStateBackend::new(), Seen::default(), true);
            while reading {
                let mut source = source(index, 3, 1);
                source.initialize_state(&mut state).unwrap();
                for _ in 0..5 {
                    reading = source.poll(&mut seen).unwrap() == SourceStatus::MoreAvailable;
                }
                source.snapshot_state(&mut state).unwrap();
            }
            all.extend(seen.clicks);
        }
        let mut expected: Vec<_> =
            (0..3_001).map(|number| ClickGenerator::new(1, 50, 300).click(number).to_string()).collect();
        let mut found: Vec<_> = all.iter().map(Click::to_string).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn clicks_of_another_seed_are_no_place_to_go_on() {
        let mut state = OperatorStateBackend::new();
        let mut first = source(0, 1, 1);
        first.initialize_state(&mut state).unwrap();
        first.snapshot_state(&mut state).unwrap();
        let refused = source(0, 1, 2).initialize_state(&mut state).unwrap_err();
        assert!(refused.to_string().contains("the same seed"), "{refused}");
    }

    #[test]
    fn clicks_of_a_subtask_without_splits_are_none() {
        let mut idle = source(16, 17, 1);
        assert_eq!(idle.poll(&mut Seen::default()).unwrap(), SourceStatus::EndOfInput);
    }
}
