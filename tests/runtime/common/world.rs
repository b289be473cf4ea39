//! What is outside of the test job, and sees and directs what happens in it.

use super::{Counted, NUMBERS_PER_SOURCE, expected};
use snapline::base::{CheckpointingMode, EventTime, SubtaskId};
use snapline::commit::TransactionId;
use snapline::runtime::{Unrecoverable, UserError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Where the user's code can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Initialize,
    Poll,
    SnapshotSource,
    Open,
    Process,
    ProcessBroadcast,
    Finish,
    Unfinished,
    Begin,
    Write,
    PreCommit,
    Durability,
    Commit,
    RollBack,
}

#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Error,
    Unrecoverable,
    Panic,
}

/// The next `times` calls at `place` fail, once `after` checkpoints are complete.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub place: Place,
    pub fault: Fault,
    pub after: u64,
    pub times: u64,
}

/// What is outside of the job, and outlives it.
#[derive(Default)]
pub struct World {
    pub state: Mutex<Outside>,
    pub changed: Condvar,
    pub emitted: AtomicU64,
    pub written: AtomicU64,
    /// Checkpoints of whose completion the first sink was told.
    pub completed: AtomicU64,
}

#[derive(Default)]
pub struct Outside {
    pub open: BTreeMap<TransactionId, Vec<Counted>>,
    pub durable: BTreeSet<TransactionId>,
    pub committed: BTreeMap<TransactionId, Vec<Counted>>,
    pub violations: Vec<String>,
    pub plan: Option<Plan>,
    /// Where calls wait until this is `None`.
    pub closed: Option<Place>,
    /// Whether only the first of those calls waits.
    pub closed_for_one: bool,
    /// How many records sinks may still write before they wait; `None` for any number.
    pub room: Option<u64>,
    /// The only sink that needs room, if it is not every one.
    pub needs_room: Option<u16>,
    /// Calls that wait, or have waited, since the place was closed.
    pub arrived: u64,
    /// The sources from this index on go on without emitting anything.
    pub held_from: Option<u16>,
    /// Whether the sources of rules go on without emitting anything.
    pub rules_are_held: bool,
    /// How many records each keyed subtask and each sink has in its state, independently of keys.
    pub counted: BTreeMap<SubtaskId, u64>,
    /// Records that came behind the watermark.
    pub late: Vec<String>,
    /// The attempt, the subtask and the watermark of each record that found another one than the record before.
    pub watermarks: Vec<(u32, u16, EventTime)>,
    /// Whether all numbers of a key come from one source, in order.
    pub keys_are_in_order: bool,
    /// Whether the sources say that they have fallen behind.
    pub has_backlog: bool,
    /// The attempts in which each source was started.
    pub started: Vec<(u32, u16)>,
}

impl World {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn with(plan: Plan) -> Arc<Self> {
        let world = World::new();
        world.state.lock().unwrap().plan = Some(plan);
        world
    }

    pub fn close(self: &Arc<Self>, place: Place) {
        let mut state = self.state.lock().unwrap();
        (state.closed, state.closed_for_one, state.arrived) = (Some(place), false, 0);
    }

    /// The same, but only for the first call that arrives.
    pub fn close_for_one(self: &Arc<Self>, place: Place) {
        let mut state = self.state.lock().unwrap();
        (state.closed, state.closed_for_one, state.arrived) = (Some(place), true, 0);
    }

    pub fn open_again(&self) {
        self.state.lock().unwrap().closed = None;
        self.changed.notify_all();
    }

    /// Holds the sources from this index on back, or none.
    pub fn hold_from(&self, index: Option<u16>) {
        self.state.lock().unwrap().held_from = index;
    }

    pub fn fail_next(&self, place: Place) {
        self.state.lock().unwrap().plan = Some(Plan { place, fault: Fault::Error, after: 0, times: 1 });
    }

    /// Lets sinks write `records` more records, or any number.
    pub fn give_room(&self, records: Option<u64>) {
        let mut state = self.state.lock().unwrap();
        state.room = records.map(|records| state.room.unwrap_or(0) + records);
        drop(state);
        self.changed.notify_all();
    }

    /// Lets sinks write a record if none may, so that room does not pile up while they do something else.
    pub fn give_room_for_one(&self) {
        let mut state = self.state.lock().unwrap();
        if state.room == Some(0) {
            state.room = Some(1);
            self.changed.notify_all();
        }
    }

    pub fn wait_for_room(&self, sink: u16) {
        let state = self.state.lock().unwrap();
        if state.needs_room.is_some_and(|needing| needing != sink) {
            return;
        }
        let mut state = self.changed.wait_while(state, |state| state.room == Some(0)).unwrap();
        state.room = state.room.map(|room| room - 1);
    }

    /// Lets others go on, for a source that has nothing to emit.
    pub fn leave_the_processor(&self) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_timeout(state, Duration::from_micros(500)).unwrap());
    }

    /// Waits until a call has arrived at the closed place.
    pub fn wait_for_arrival(&self) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| state.arrived == 0).unwrap());
    }

    pub fn at(&self, place: Place) -> Result<(), UserError> {
        let mut state = self.state.lock().unwrap();
        if state.closed == Some(place) && !(state.closed_for_one && state.arrived > 0) {
            state.arrived += 1;
            self.changed.notify_all();
            state = self.changed.wait_while(state, |state| state.closed == Some(place)).unwrap();
        }
        let after = self.completed.load(Ordering::SeqCst);
        let Some(plan) = &mut state.plan else { return Ok(()) };
        if plan.place != place || plan.times == 0 || after < plan.after {
            return Ok(());
        }
        plan.times -= 1;
        let fault = plan.fault;
        drop(state);
        let what = format!("planned at {place:?}");
        match fault {
            Fault::Error => Err(what.into()),
            Fault::Unrecoverable => Err(Unrecoverable(what).into()),
            Fault::Panic => std::panic::panic_any(what),
        }
    }

    pub fn is_plan_over(&self) -> bool {
        self.state.lock().unwrap().plan.is_none_or(|plan| plan.times == 0)
    }

    pub fn committed(&self) -> Vec<Counted> {
        let state = self.state.lock().unwrap();
        let mut all: Vec<_> = state.committed.values().flatten().copied().collect();
        all.sort_unstable();
        all
    }

    /// The output is whole, nothing is in it twice, nothing was committed too early, and nothing is left open.
    #[track_caller]
    pub fn assert_exact(&self, sources: u16) {
        self.assert_output(sources, expected(sources));
    }

    /// The same, for any output of jobs with these sources of numbers.
    #[track_caller]
    pub fn assert_output(&self, sources: u16, mut output: Vec<Counted>) {
        output.sort_unstable();
        let committed = self.committed();
        assert_eq!(committed, output);
        let in_all = committed.len() as u64 + NUMBERS_PER_SOURCE * u64::from(sources);
        let state = self.state.lock().unwrap();
        assert_eq!(state.counted.values().sum::<u64>(), in_all, "{:?}", state.counted);
        assert_eq!(state.late, Vec::<String>::new());
        drop(state);
        let state = self.state.lock().unwrap();
        assert_eq!(state.violations, Vec::<String>::new());
        assert_eq!(state.open.keys().next(), None);
    }

    /// The output holds everything that it must, and nothing was committed too early or is left open.
    #[track_caller]
    pub fn assert_nothing_lost(&self, sources: u16) {
        let committed: BTreeSet<_> = self.committed().into_iter().collect();
        assert!(expected(sources).iter().all(|counted| committed.contains(counted)), "something is lost");
        let state = self.state.lock().unwrap();
        assert_eq!(state.violations, Vec::<String>::new());
        assert_eq!(state.open.keys().next(), None);
    }

    /// What is required of the output in this mode.
    #[track_caller]
    pub fn assert_as_required(&self, mode: CheckpointingMode, sources: u16) {
        match mode {
            CheckpointingMode::ExactlyOnce => self.assert_exact(sources),
            CheckpointingMode::AtLeastOnce => self.assert_nothing_lost(sources),
        }
    }

    /// What is committed is a part of the output, and nothing is in it twice.
    #[track_caller]
    pub fn assert_not_wrong(&self, sources: u16) {
        let committed = self.committed();
        let expected: BTreeSet<_> = expected(sources).into_iter().collect();
        assert!(committed.windows(2).all(|pair| pair[0] < pair[1]), "something is committed twice");
        assert!(committed.iter().all(|counted| expected.contains(counted)));
        assert_eq!(self.state.lock().unwrap().violations, Vec::<String>::new());
    }
}
