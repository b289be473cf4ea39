//! Going through a script.

use super::super::checkpoint::Checkpoint;
use super::lane::{Clocks, Lane};
use super::reference::Reference;
use super::{Answer, Operation, PARALLELISMS, Step};
use crate::base::TimeDomain;
use crate::state::backend::StateBackend;
use crate::state::{KeyedStateSnapshot, StateError, TtlMetrics};
use crate::ttl::StateTtlConfig;
use std::ops::AddAssign;

/// So many snapshots may wait to be written. For one more, the first is given up.
const MAX_OPEN: usize = 3;

/// How often things have happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Steps.
    pub operations: u64,
    /// Full snapshots of all subtasks.
    pub snapshots: u64,
    /// Snapshots of all subtasks that are in files, as far as backends have such.
    pub snapshots_in_files: u64,
    /// Restores on the backend that has taken the snapshot, or on another one.
    pub restores: u64,
    /// Those of them that were from files.
    pub restores_from_files: u64,
    /// Those of them that were on another backend.
    pub exchanges: u64,
    /// Those of them by another number of subtasks than before.
    pub rescales: u64,
    /// Values that were removed because they had expired.
    pub removed: TtlMetrics,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.operations += other.operations;
        self.snapshots += other.snapshots;
        self.snapshots_in_files += other.snapshots_in_files;
        self.restores += other.restores;
        self.restores_from_files += other.restores_from_files;
        self.exchanges += other.exchanges;
        self.rescales += other.rescales;
        self.removed += other.removed;
    }
}

/// What there must be.
#[derive(Clone)]
struct Expected {
    plain: Reference,
    expiring: Reference,
}

impl Expected {
    fn perform(&mut self, step: Step, ttl: &StateTtlConfig, clocks: Clocks) -> Answer {
        let now = match ttl.time_domain() {
            TimeDomain::ProcessingTime => clocks.processing,
            TimeDomain::EventTime => clocks.event,
        };
        if step.expires { self.expiring.perform(step, now) } else { self.plain.perform(step, now) }
    }
}

/// A snapshot that each of the lanes has taken.
struct Taken {
    of_lanes: Vec<Vec<KeyedStateSnapshot>>,
    in_files: bool,
    expected: Expected,
}

impl Taken {
    fn write(self, lanes: &[Lane<'_>]) -> Result<Written, StateError> {
        let write = |(snapshots, lane): (Vec<KeyedStateSnapshot>, &Lane<'_>)| {
            let written = snapshots.into_iter().map(|one| Checkpoint::of(one, lane.backend.name()));
            written.collect::<Result<_, _>>()
        };
        let of_lanes = self.of_lanes.into_iter().zip(lanes).map(write).collect::<Result<_, _>>()?;
        Ok(Written { of_lanes, in_files: self.in_files, expected: self.expected })
    }
}

struct Written {
    of_lanes: Vec<Vec<Checkpoint>>,
    in_files: bool,
    expected: Expected,
}

/// All backends on their way through a script.
struct Script<'a> {
    ttl: StateTtlConfig,
    clocks: Clocks,
    lanes: Vec<Lane<'a>>,
    expected: Expected,
    taken: Vec<Taken>,
    newest: Option<Written>,
    tally: Tally,
}

/// Goes through the steps with all `backends` side by side, and panics as soon as one of them answers something else than
/// the reference does. States with a time to live have `ttl`, one of [`times_to_live`](super::times_to_live).
///
/// A restore goes to another parallelism, and, if the snapshot is a full one, to another of the `backends`.
///
/// # Errors
/// A backend failed.
pub fn run(backends: &[StateBackend], ttl: StateTtlConfig, steps: &[Step]) -> Result<Tally, StateError> {
    let clocks = Clocks { processing: 1_000, event: 300 };
    let lanes = backends.iter().map(|backend| Lane::begin(backend, ttl, clocks)).collect::<Result<_, _>>()?;
    let expected = Expected { plain: Reference::new(None), expiring: Reference::new(Some(ttl)) };
    let (taken, newest, tally) = (Vec::new(), None, Tally::default());
    let mut script = Script { ttl, clocks, lanes, expected, taken, newest, tally };
    for (number, step) in steps.iter().enumerate() {
        script.take(*step, number)?;
    }
    script.end()?;
    Ok(script.tally)
}

impl Script<'_> {
    fn take(&mut self, step: Step, number: usize) -> Result<(), StateError> {
        self.tally.operations += 1;
        match step.operation {
            Operation::Pass => {
                self.clocks.processing += step.millis();
                self.clocks.event += step.millis();
                self.lanes.iter_mut().for_each(|lane| lane.set_time(self.clocks));
            }
            Operation::Snapshot | Operation::SnapshotInFiles => {
                let in_files = step.operation == Operation::SnapshotInFiles;
                let of_lanes = self.lanes.iter_mut().map(|lane| lane.snapshot(in_files));
                let (of_lanes, expected) = (of_lanes.collect::<Result<_, _>>()?, self.expected.clone());
                self.taken.push(Taken { of_lanes, in_files, expected });
                if self.taken.len() > MAX_OPEN {
                    drop(self.taken.remove(0));
                }
                self.tally.snapshots += u64::from(!in_files);
                self.tally.snapshots_in_files += u64::from(in_files);
            }
            Operation::Write if !self.taken.is_empty() => {
                let taken = self.taken.remove(usize::from(step.argument) % self.taken.len());
                self.newest = Some(taken.write(&self.lanes)?);
            }
            Operation::Restore => self.restore(step, number)?,
            Operation::Write => {}
            _ => {
                self.perform(step, number)?;
                if step.is_read {
                    self.perform(Step { operation: step.operation.reading(), ..step }, number)?;
                }
            }
        }
        Ok(())
    }

    fn perform(&mut self, step: Step, number: usize) -> Result<(), StateError> {
        let expected = self.expected.perform(step, &self.ttl, self.clocks);
        for lane in &mut self.lanes {
            let found = lane.perform(step)?;
            assert_eq!(found, expected, "of {:?} in step {number}, {step:?}", lane.backend);
        }
        Ok(())
    }

    fn restore(&mut self, step: Step, number: usize) -> Result<(), StateError> {
        let Some(written) = self.newest.take() else { return Ok(()) };
        let parallelism = PARALLELISMS[step.key as usize % PARALLELISMS.len()];
        self.tally.rescales += u64::from(parallelism != self.lanes[0].parallelism());
        let shift = if written.in_files { 0 } else { usize::from(step.argument) % self.lanes.len() };
        for (place, lane) in self.lanes.iter_mut().enumerate() {
            let from = (place + shift) % written.of_lanes.len();
            lane.restore(&written.of_lanes[from], parallelism, self.clocks)?;
        }
        self.expected = written.expected.clone();
        self.newest = Some(written);
        self.tally.restores += 1;
        self.tally.restores_from_files +=
            u64::from(self.newest.as_ref().is_some_and(|newest| newest.in_files));
        self.tally.exchanges += u64::from(shift != 0);
        // Sometimes the states are not opened before the next snapshot.
        if step.namespace == 0 { self.compare(number) } else { Ok(()) }
    }

    /// Reads everything.
    fn compare(&mut self, number: usize) -> Result<(), StateError> {
        let content = self.expected.plain.content();
        for lane in &mut self.lanes {
            assert_eq!(lane.content()?, content, "of {:?} after step {number}", lane.backend);
        }
        for key in 0..Step::KEYS {
            for namespace in 0..Step::NAMESPACES {
                for operation in Operation::READING {
                    let (argument, expires, is_read) = (0, true, false);
                    let step = Step { operation, key, namespace, argument, expires, is_read };
                    self.perform(step, number)?;
                }
            }
        }
        Ok(())
    }

    /// What is there in the end, and in each snapshot that nobody has written.
    fn end(&mut self) -> Result<(), StateError> {
        let end = self.tally.operations as usize;
        self.compare(end)?;
        for taken in std::mem::take(&mut self.taken) {
            let written = taken.write(&self.lanes)?;
            for (lane, checkpoints) in self.lanes.iter_mut().zip(&written.of_lanes) {
                lane.restore(checkpoints, PARALLELISMS[0], self.clocks)?;
            }
            self.expected = written.expected;
            self.compare(end)?;
        }
        self.lanes.iter().for_each(|lane| self.tally.removed += lane.removed());
        Ok(())
    }
}
