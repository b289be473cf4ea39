//! Who sends to whom, and which key goes where.

use super::node::{OPERATOR, SINK, SOURCES, TASKS};
use super::scope::Scope;
use snapline::base::Channel;
use stateright::actor::Id;
use std::ops::Range;

impl Scope {
    /// The actors of the operator's subtasks.
    pub fn counters(&self) -> Range<usize> {
        OPERATOR..OPERATOR + usize::from(self.counters)
    }

    /// The actors of all tasks.
    pub fn tasks(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        let counters = self.counters();
        (0..TASKS).filter(move |task| *task < SOURCES || *task == SINK || counters.contains(task))
    }

    /// The key of a source's record: always its own where there is one counter, else each key in turn, so that
    /// records of both sources go to both.
    pub fn key(&self, source: usize, record: u8) -> u8 {
        let turn = if self.counters > 1 { usize::from(record) } else { 0 };
        ((source + turn) % SOURCES) as u8
    }

    /// The counter that owns a key.
    pub fn owner(&self, key: u8) -> usize {
        OPERATOR + usize::from(key % self.counters)
    }

    /// How many of a source's first `records` records are of a key.
    pub fn records_of_key(&self, source: usize, records: u8, key: u8) -> u8 {
        (0..records).filter(|record| self.key(source, *record) == key).count() as u8
    }

    /// The tasks that read what a task emits.
    pub fn downstream(&self, task: usize) -> Range<usize> {
        match task {
            SINK => TASKS..TASKS,
            _ if task < SOURCES => self.counters(),
            _ => SINK..TASKS,
        }
    }

    /// The tasks whose output a task reads, in the order of its channels.
    pub fn upstream(&self, task: usize) -> Range<usize> {
        match task {
            SINK => self.counters(),
            _ if task < SOURCES => 0..0,
            _ => 0..SOURCES,
        }
    }
}

/// The input channel of a task that a neighbour's elements arrive at.
pub fn channel_of(task: usize, src: Id) -> Channel {
    let first = if task == SINK { OPERATOR } else { 0 };
    Channel(usize::from(src).saturating_sub(first) as u16)
}
