//! What there is: the processes with their coordinators and tasks, what is on its way, and the storage.

use super::observer::Watch;
use super::scope::{Budgets, SOURCE, TASKS};
use super::store::{How, Store};
use serde::Serialize;
use snapline::base::{Attempt, CheckpointId, DeclineReason, Millis, StateFile, SubtaskId};
use snapline::coordinator::{Coordinator, RequestKind};
use snapline::publish::{Operation, Ticket};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The part of one task in one checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Part {
    /// The attempt of the task.
    pub attempt: Attempt,
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The task.
    pub subtask: SubtaskId,
    /// Whether it belongs to a savepoint.
    pub is_savepoint: bool,
}

impl Part {
    /// The file with its state.
    pub(super) fn file(self) -> StateFile {
        let Part { attempt, checkpoint, subtask, is_savepoint } = self;
        StateFile { checkpoint, subtask, attempt, savepoint: is_savepoint }
    }
}

/// How far the tasks of an attempt have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum Life {
    /// There are none.
    #[default]
    Absent,
    /// They are being started.
    Starting,
    /// They run, or have finished.
    Running,
    /// They were told to end.
    Stopping,
}

/// The tasks of the newest attempt of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Tasks {
    pub attempt: Attempt,
    pub life: Life,
    pub finished: BTreeSet<SubtaskId>,
    /// Whether the source has reported the end of its data.
    pub at_end: bool,
    /// Whether the source is to end its data.
    pub draining: bool,
    /// Whether the source has reported a backlog.
    pub backlog: bool,
    /// The tasks that know of a complete terminal checkpoint, and finish.
    pub dismissed: BTreeSet<SubtaskId>,
}

impl Tasks {
    /// The tasks that have not finished.
    pub(super) fn alive(&self) -> impl Iterator<Item = SubtaskId> + '_ {
        TASKS.into_iter().filter(|task| !self.finished.contains(task))
    }

    pub(super) fn source_has_data(&self) -> bool {
        !self.at_end && !self.finished.contains(&SOURCE)
    }
}

/// A process with a coordinator and its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Process {
    pub coordinator: Coordinator,
    /// The operation that it waits for.
    pub asked: Option<(Ticket, Operation)>,
    pub tasks: Tasks,
    /// Parts that tasks have not reported about.
    pub owed: BTreeSet<Part>,
    /// Acknowledgements that are on their way for the second time.
    pub again: BTreeSet<Part>,
    /// Checkpoints that it is deleting.
    pub cleaning: BTreeSet<CheckpointId>,
    pub watch: Watch,
}

impl Process {
    pub(super) fn new(coordinator: Coordinator) -> Self {
        Process {
            coordinator,
            asked: None,
            tasks: Tasks::default(),
            owed: BTreeSet::new(),
            again: BTreeSet::new(),
            cleaning: BTreeSet::new(),
            watch: Watch::default(),
        }
    }

    /// Whether the coordinator takes in anything.
    pub(super) fn lives(&self) -> bool {
        self.watch.outcome.is_none()
    }

    /// Whether somebody waits for a part.
    pub(super) fn awaits(&self, part: Part) -> bool {
        let is_under_way = self.watch.under_way.contains_key(&part.checkpoint);
        part.attempt == self.tasks.attempt && is_under_way && !self.tasks.finished.contains(&part.subtask)
    }
}

/// One state of everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct World {
    /// Which of the scope's jobs this is.
    pub(super) run: usize,
    /// What may still happen.
    pub(super) left: Budgets,
    pub(super) now: Millis,
    /// How many requests there were.
    pub(super) requests: u64,
    /// Most steps change one of them: clones share the others.
    pub(super) processes: Vec<Arc<Process>>,
    pub(super) store: Arc<Store>,
}

impl World {
    /// A process, to change it.
    pub(super) fn process(&mut self, who: usize) -> &mut Process {
        Arc::make_mut(&mut self.processes[who])
    }

    /// The storage, to change it.
    pub(super) fn store(&mut self) -> &mut Store {
        Arc::make_mut(&mut self.store)
    }
}

/// A message that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// A task acknowledges that the job does not have.
    UnknownTask,
    /// A task acknowledges what was never triggered.
    UnknownCheckpoint,
    /// A task of an attempt that is over fails.
    OldFailure,
    /// A task of an attempt that is over has finished.
    OldEnd,
}

/// What happens next. Processes are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Another process starts.
    Start,
    /// The storage answers.
    Answer(usize, How),
    /// A put arrives late.
    Late(usize),
    /// All tasks run.
    Running(usize),
    /// All tasks have ended.
    Stopped(usize),
    /// A task acknowledges.
    Acknowledge(usize, Part),
    /// A task acknowledges, and will be heard twice.
    AcknowledgeTwice(usize, Part),
    /// An acknowledgement arrives for the second time.
    Again(usize, Part),
    /// A task declines.
    Decline(usize, Part, DeclineReason),
    /// The source reports the end of its data.
    EndOfData(usize),
    /// The source's backlog begins or ends.
    Backlog(usize),
    /// A task finishes.
    Finish(usize, SubtaskId),
    /// A task fails; whether a restart cannot cure that.
    Fail(usize, SubtaskId, bool),
    /// A message arrives that makes no sense.
    Stray(usize, Stray),
    /// A user asks for something.
    Request(usize, RequestKind),
    /// Periodic checkpoints are switched.
    Switch(usize, bool),
    /// A user cancels the job.
    Cancel(usize),
    /// The process gives the job up.
    Suspend(usize),
    /// A checkpoint is deleted.
    Delete(usize, CheckpointId),
    /// A deletion fails.
    DeletionFails(usize, CheckpointId),
    /// Time goes on to the deadline.
    Tick(usize),
}
