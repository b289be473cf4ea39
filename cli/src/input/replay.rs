use super::Event;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use snapline::base::EventTime;
use snapline::runtime::{
    SourceCollector, SourceFunction, SourceStatus, SubtaskContext, Unrecoverable, UserError,
};
use snapline::state::{ListStateDescriptor, OperatorListState, OperatorStateBackend};

/// Into so many splits the events are dealt out, one after the other.
const SPLITS: u64 = 16;
/// How many events of a split one poll emits.
const EVENTS_PER_POLL: u64 = 256;

/// Makes events, each of which depends on nothing but the generator and its number: whoever knows the number can go on
/// from there.
pub trait Generator: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What it makes.
    type Out: Event;

    /// The event with this number.
    fn event(&self, number: u64) -> Self::Out;

    /// No event from this number on is earlier than this, in milliseconds since the epoch.
    fn earliest_from(&self, number: u64) -> i64;
}

/// A split, and the number of its next event. It holds the numbers that leave the same remainder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position<G> {
    generator: G,
    next: u64,
}

/// Emits generated events. What comes next in each split is operator state.
///
/// Split `n` is read by subtask `n % parallelism`, the earliest events of all splits first.
pub struct Replay<G> {
    generator: G,
    /// How many events there are.
    count: u64,
    splits: Vec<Position<G>>,
    state: Option<OperatorListState<Position<G>>>,
}

impl<G: Generator> Replay<G> {
    /// The instance of `context` of a source of the first `count` events.
    pub fn new(context: SubtaskContext, generator: G, count: u64) -> Self {
        let (index, parallelism) = (u64::from(context.subtask.index), usize::from(context.parallelism));
        let splits = (index..SPLITS).step_by(parallelism.max(1));
        let splits = splits.map(|next| Position { generator: generator.clone(), next }).collect();
        Replay { generator, count, splits, state: None }
    }
}

impl<G: Generator> SourceFunction for Replay<G> {
    type Out = G::Out;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        let positions = state.list_state(&ListStateDescriptor::<Position<G>>::new("positions"))?;
        let restored = positions.get(state)?;
        if restored.iter().any(|position| position.generator != self.generator) {
            let what = "the job began with other generated data; give the same seed and the other options of \
                        the generator again";
            return Err(Unrecoverable(what.into()).into());
        }
        if state.is_restored() {
            self.splits = restored.to_vec();
        }
        self.state = Some(positions);
        Ok(())
    }

    fn poll(&mut self, out: &mut dyn SourceCollector<G::Out>) -> Result<SourceStatus, UserError> {
        let Some(split) = self.splits.iter_mut().min_by_key(|split| split.next) else {
            return Ok(SourceStatus::EndOfInput);
        };
        if split.next >= self.count {
            return Ok(SourceStatus::EndOfInput);
        }
        for _ in 0..EVENTS_PER_POLL {
            if split.next < self.count {
                out.collect(self.generator.event(split.next));
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
    use crate::input::{Chance, in_order};
    use snapline::base::{Attempt, SubtaskId};
    use snapline::runtime::Collector;
    use std::str::FromStr;

    const DISORDER_MILLIS: u64 = 300;

    /// An event with a number of its own.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Numbered {
        timestamp: i64,
        number: u64,
    }

    impl FromStr for Numbered {
        type Err = String;

        fn from_str(line: &str) -> Result<Self, String> {
            Err(line.to_owned())
        }
    }

    impl Event for Numbered {
        fn event_time(&self) -> EventTime {
            EventTime(self.timestamp)
        }
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Numbers(Chance);

    impl Generator for Numbers {
        type Out = Numbered;

        fn event(&self, number: u64) -> Numbered {
            let delay = self.0.of(number).below(DISORDER_MILLIS + 1);
            Numbered { timestamp: in_order(number) - delay as i64, number }
        }

        fn earliest_from(&self, number: u64) -> i64 {
            in_order(number) - DISORDER_MILLIS as i64
        }
    }

    #[derive(Default)]
    struct Seen {
        numbers: Vec<u64>,
        watermark: Option<i64>,
    }

    impl Collector<Numbered> for Seen {
        fn collect(&mut self, event: Numbered) {
            assert!(self.watermark.is_none_or(|watermark| event.timestamp > watermark), "{event:?} is late");
            self.numbers.push(event.number);
        }
    }

    impl SourceCollector<Numbered> for Seen {
        fn emit_watermark(&mut self, EventTime(watermark): EventTime) {
            self.watermark = Some(watermark);
        }
    }

    fn source(index: u16, parallelism: u16, seed: u64) -> Replay<Numbers> {
        let subtask = SubtaskId::new(0, index);
        let context = SubtaskContext { subtask, parallelism, attempt: Attempt(1) };
        Replay::new(context, Numbers(Chance::new(seed)), 3_001)
    }

    #[test]
    fn replay_that_is_restored_again_and_again_emits_each_event_once() {
        let mut all = Vec::new();
        for index in 0..3 {
            let (mut state, mut seen, mut reading) = (OperatorStateBackend::new(), Seen::default(), true);
            while reading {
                let mut source = source(index, 3, 1);
                source.initialize_state(&mut state).unwrap();
                state = state.with_restored(true);
                for _ in 0..5 {
                    reading = source.poll(&mut seen).unwrap() == SourceStatus::MoreAvailable;
                }
                source.snapshot_state(&mut state).unwrap();
            }
            all.extend(seen.numbers);
        }
        all.sort();
        assert!(all.into_iter().eq(0..3_001));
    }

    #[test]
    fn replay_of_another_seed_is_no_place_to_go_on() {
        let mut state = OperatorStateBackend::new();
        let mut first = source(0, 1, 1);
        first.initialize_state(&mut state).unwrap();
        first.snapshot_state(&mut state).unwrap();
        let refused = source(0, 1, 2).initialize_state(&mut state).unwrap_err();
        assert!(refused.to_string().contains("the same seed"), "{refused}");
    }

    #[test]
    fn replay_of_a_subtask_without_splits_has_ended() {
        let mut idle = source(16, 17, 1);
        assert_eq!(idle.poll(&mut Seen::default()).unwrap(), SourceStatus::EndOfInput);
    }
}
