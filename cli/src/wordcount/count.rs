use super::Emit;
use super::word::Word;
use serde::{Deserialize, Serialize};
use snapline::runtime::{Collector, KeyedContext, KeyedProcessFunction, UserError};
use snapline::state::{KeyedStateStore, StateError, ValueState, ValueStateDescriptor};
use std::io::Write;

/// How often a word was seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WordCount {
    word: Word,
    count: u64,
}

impl WordCount {
    /// Appends the word, a tab and the count.
    pub fn write_to(&self, line: &mut Vec<u8>) {
        // Writing into memory cannot fail.
        let _ = write!(line, "{}\t{}", self.word.0, self.count);
    }
}

/// Counts each word in keyed state.
pub struct Count {
    emit: Emit,
    counts: Option<ValueState<u64>>,
}

impl Count {
    pub fn new(emit: Emit) -> Self {
        Count { emit, counts: None }
    }
}

impl KeyedProcessFunction for Count {
    type Key = Word;
    type In = Word;
    type Out = WordCount;

    fn open(&mut self, state: &mut KeyedStateStore<Word>) -> Result<(), StateError> {
        self.counts = Some(state.open(&ValueStateDescriptor::new("count"))?);
        Ok(())
    }

    fn process(
        &mut self,
        word: Word,
        context: &mut KeyedContext<'_, Word>,
        out: &mut dyn Collector<WordCount>,
    ) -> Result<(), UserError> {
        let counts = self.counts.ok_or("the function was not opened")?;
        let count = counts.with_mut(
            context.state(),
            || 0,
            |count| {
                *count += 1;
                *count
            },
        )?;
        if self.emit == Emit::Updates {
            out.collect(WordCount { word, count });
        }
        Ok(())
    }

    fn finish(
        &mut self,
        state: &mut KeyedStateStore<Word>,
        out: &mut dyn Collector<WordCount>,
    ) -> Result<(), UserError> {
        if self.emit == Emit::Final
            && let Some(counts) = self.counts
        {
            for (word, count) in counts.entries(state)? {
                out.collect(WordCount { word: word.into_owned(), count: *count });
            }
        }
        Ok(())
    }
}
