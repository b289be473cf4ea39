//! Whose state of a checkpoint each subtask of a job starts from (Flink: `StateAssignmentOperation`).

use super::Misfit;
use crate::base::{CompletedCheckpoint, SharedObject, StateHandle, SubtaskId};
use crate::codec::{CheckpointMetadata, OperatorMetadata};
use crate::keygroup::{KeyGroupRangeAssignment, MaxParallelism};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// An operator of a job that does not say what its maximum parallelism is, as it goes on from a checkpoint of the operators `before`.
#[must_use]
//= spec/rescale.md#rescale-18-a-maximum-parallelism-that-nobody-has-set-is-that-of-the-checkpoint
//# An operator whose maximum parallelism the job does not set MUST take that of its state, if it is not below its parallelism.
pub fn adopt_max_parallelism(operator: &OperatorMetadata, before: &[OperatorMetadata]) -> OperatorMetadata {
    let before = before.iter().find(|before| before.uid == operator.uid);
    let adopted = before.map(|before| before.max_parallelism).filter(|max| *max >= operator.parallelism);
    OperatorMetadata { max_parallelism: adopted.unwrap_or(operator.max_parallelism), ..operator.clone() }
}

/// What the subtasks of a job start from. It can be looked at before anything has started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateAssignment {
    /// For each operator of the job, in its order.
    pub operators: Vec<OperatorAssignment>,
    /// The operators of the checkpoint that have state and are not in the job: it is left out.
    pub unclaimed: Vec<String>,
    /// The checkpoint as it was taken.
    taken: CompletedCheckpoint,
    /// Subtasks that have state there although the operators are said not to have them.
    strangers: Vec<SubtaskId>,
}

/// What the subtasks of an operator start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorAssignment {
    /// The operator in the job that is to start.
    pub operator: OperatorMetadata,
    /// Its state in the checkpoint; `None` for an operator that is new.
    pub restored: Option<RestoredOperator>,
}

/// The state of an operator in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredOperator {
    /// The operator in the job that took the checkpoint.
    pub operator: OperatorMetadata,
    /// The state files of its subtasks, by their index; `None` for one without state, or one that had finished.
    pub states: Vec<Option<StateHandle>>,
    /// The subtasks that had not finished when the checkpoint was triggered.
    pub unfinished: BTreeSet<u16>,
    /// The shared files of each subtask.
    shared: Vec<BTreeSet<SharedObject>>,
}

impl StateAssignment {
    /// Assigns the state of a checkpoint to the operators of a job, by their uids. Whether it fits is another question:
    /// [`check`](Self::check).
    #[must_use]
    pub fn new(metadata: &CheckpointMetadata, job: &[OperatorMetadata]) -> Self {
        let CheckpointMetadata { operators, checkpoint, .. } = metadata;
        let before = || {
            (0..=u16::MAX).zip(operators).map(|(number, one)| RestoredOperator::new(number, one, checkpoint))
        };
        let assign = |operator: &OperatorMetadata| OperatorAssignment {
            operator: operator.clone(),
            restored: before().find(|restored| restored.operator.uid == operator.uid),
        };
        let is_claimed = |uid: &str| job.iter().any(|operator| operator.uid == uid);
        let unclaimed =
            before().filter(|restored| restored.has_state() && !is_claimed(&restored.operator.uid));
        let is_known = |subtask: &&SubtaskId| {
            let operator = operators.get(usize::from(subtask.operator));
            operator.is_some_and(|operator| subtask.index < operator.parallelism)
        };
        StateAssignment {
            operators: job.iter().map(assign).collect(),
            unclaimed: unclaimed.map(|restored| restored.operator.uid).collect(),
            taken: checkpoint.clone(),
            strangers: checkpoint.states.keys().filter(|subtask| !is_known(subtask)).copied().collect(),
        }
    }

    /// Whether a job may start so; `is_keyed` says which of its operators, by their uids, have keyed state, and `edges` which
    /// of them, by their numbers, are connected, and whether only subtasks of the same index are.
    ///
    /// # Errors
    /// An operator with keyed state has another maximum parallelism than it had, one that had finished reads from one that had
    /// not, or nobody claims a state and `allow_unclaimed` is not set (`execution.state-recovery.ignore-unclaimed-state`).
    pub fn check(
        &self,
        is_keyed: impl Fn(&str) -> bool,
        edges: &[(u16, u16, bool)],
        allow_unclaimed: bool,
    ) -> Result<(), Misfit> {
        let mut misfits: Vec<String> =
            self.operators.iter().filter_map(OperatorAssignment::impossible).collect();
        let keyed = self.operators.iter().filter(|assigned| is_keyed(&assigned.operator.uid));
        misfits.extend(keyed.filter_map(OperatorAssignment::misfit));
        let strangers = self.strangers.iter();
        misfits.extend(
            strangers.map(|subtask| format!("it has state of subtask {subtask}, which there was not")),
        );
        misfits.extend(edges.iter().filter_map(|edge| self.unfinished_sender(*edge)));
        //= spec/rescale.md#rescale-7-unclaimed-state-is-an-error
        //# State of an operator that the job does not have MUST be refused, unless the job allows it to be left out.
        if !allow_unclaimed {
            misfits.extend(self.unclaimed.iter().map(|uid| {
                format!(
                    "it has state of operator `{uid}`, which the job does not have; give an operator this uid, or \
                     allow that its state is left out (execution.state-recovery.ignore-unclaimed-state)"
                )
            }));
        }
        if misfits.is_empty() { Ok(()) } else { Err(Misfit(misfits)) }
    }

    /// The checkpoint as if the job had taken it: every subtask that has to start has an entry, with the file that is its own
    /// alone, if there is one.
    #[must_use]
    pub fn for_job(&self) -> CompletedCheckpoint {
        let (mut states, mut shared) = (BTreeMap::new(), BTreeMap::new());
        for (number, assigned) in (0..=u16::MAX).zip(&self.operators) {
            for index in (0..assigned.operator.parallelism).filter(|index| !assigned.had_finished(*index)) {
                let subtask = SubtaskId::new(number, index);
                states.insert(subtask, assigned.own_state(index));
                let objects = assigned.shared_objects(index);
                if !objects.is_empty() {
                    shared.insert(subtask, objects);
                }
            }
        }
        CompletedCheckpoint { states, shared, ..self.taken.clone() }
    }

    /// Who sends to whom, who had finished and would read nothing of it.
    fn unfinished_sender(&self, (from, to, is_one_to_one): (u16, u16, bool)) -> Option<String> {
        let operator = |number: u16| self.operators.get(usize::from(number));
        let (from, to) = (operator(from)?, operator(to)?);
        let has_finished_senders = |index| match is_one_to_one {
            true => from.had_finished(index),
            false => (0..from.operator.parallelism).all(|sender| from.had_finished(sender)),
        };
        let mut finished = (0..to.operator.parallelism).filter(|index| to.had_finished(*index));
        //= spec/rescale.md#rescale-17-what-had-finished-reads-from-nobody
        //# An operator that had finished MUST be refused behind one that had not.
        finished.any(|index| !has_finished_senders(index)).then(|| {
            let (from, to) = (&from.operator.uid, &to.operator.uid);
            format!("operator `{to}` had finished, and now operator `{from}` before it has not")
        })
    }
}

impl RestoredOperator {
    fn new(number: u16, operator: &OperatorMetadata, checkpoint: &CompletedCheckpoint) -> Self {
        let subtasks = || (0..operator.parallelism).map(|index| SubtaskId::new(number, index));
        let state = |subtask| checkpoint.states.get(&subtask).cloned();
        RestoredOperator {
            operator: operator.clone(),
            states: subtasks().map(|subtask| state(subtask).flatten()).collect(),
            unfinished: subtasks().filter(|one| state(*one).is_some()).map(|one| one.index).collect(),
            shared: subtasks().map(|one| checkpoint.shared.get(&one).cloned().unwrap_or_default()).collect(),
        }
    }

    /// The bytes of the shared files of all subtasks, each counted once.
    #[must_use]
    pub fn shared_bytes(&self) -> u64 {
        let objects: BTreeSet<_> = self.shared.iter().flatten().collect();
        objects.into_iter().map(|object| object.file.content.bytes).sum()
    }

    fn has_state(&self) -> bool {
        self.states.iter().any(Option::is_some)
    }
}

impl OperatorAssignment {
    /// Whether the operator has another number of subtasks than it had.
    #[must_use]
    pub fn is_rescaled(&self) -> bool {
        let before = self.restored.as_ref().map(|restored| restored.operator.parallelism);
        before.is_some_and(|before| before != self.operator.parallelism)
    }

    /// Whether the subtask has nothing to do any more.
    #[must_use]
    //= spec/rescale.md#rescale-8-an-operator-that-had-finished-stays-finished
    //# With another parallelism, the subtasks of an operator MUST count as finished exactly if all of them had finished.
    pub fn had_finished(&self, index: u16) -> bool {
        self.restored.as_ref().is_some_and(|restored| match self.is_rescaled() {
            true => restored.unfinished.is_empty(),
            false => !restored.unfinished.contains(&index),
        })
    }

    /// The old subtasks, in their order, that had key groups of subtask `index`.
    #[must_use]
    //= spec/rescale.md#rescale-9-key-groups-go-to-their-new-owners
    //# A subtask MUST get the keyed state of exactly those old subtasks that had one of its key groups.
    pub fn keyed_sources(&self, index: u16) -> Vec<u16> {
        let Some(RestoredOperator { operator, .. }) = &self.restored else { return Vec::new() };
        if !self.is_rescaled() {
            return vec![index];
        }
        let range_of = |parallelism, index| {
            let max = MaxParallelism::new(operator.max_parallelism)?;
            KeyGroupRangeAssignment::new(max, parallelism)?.range_of(index)
        };
        // There is no such subtask.
        let Ok(own) = range_of(self.operator.parallelism, index) else { return Vec::new() };
        let has_some =
            |old: &u16| range_of(operator.parallelism, *old).is_ok_and(|range| range.overlaps(own));
        (0..operator.parallelism).filter(has_some).collect()
    }

    /// The shared files of the old subtasks that had key groups of subtask `index`.
    #[must_use]
    pub fn shared_objects(&self, index: u16) -> BTreeSet<SharedObject> {
        let Some(restored) = &self.restored else { return BTreeSet::new() };
        let of = |old: u16| restored.shared.get(usize::from(old));
        self.keyed_sources(index).into_iter().filter_map(of).flatten().copied().collect()
    }

    /// The old subtasks that had not finished.
    #[must_use]
    pub fn unfinished_before(&self) -> Vec<u16> {
        self.restored.iter().flat_map(|restored| restored.unfinished.iter().copied()).collect()
    }

    /// The file that holds the state of subtask `index` alone.
    fn own_state(&self, index: u16) -> Option<StateHandle> {
        let restored = self.restored.as_ref().filter(|_| !self.is_rescaled())?;
        restored.states.get(usize::from(index)).cloned().flatten()
    }

    /// What no checkpoint says of an operator.
    fn impossible(&self) -> Option<String> {
        let OperatorMetadata { uid, parallelism, max_parallelism, .. } = &self.restored.as_ref()?.operator;
        let is_possible = (1..=*max_parallelism).contains(parallelism);
        (!is_possible).then(|| {
            format!(
                "operator `{uid}` is said to have had parallelism {parallelism} and max parallelism {max_parallelism}"
            )
        })
    }

    fn misfit(&self) -> Option<String> {
        let before = self.restored.as_ref()?.operator.max_parallelism;
        let OperatorMetadata { uid, max_parallelism: now, .. } = &self.operator;
        //= spec/rescale.md#rescale-10-the-maximum-parallelism-stays
        //# An operator with keyed state whose maximum parallelism is not what it was MUST be refused.
        (before != *now).then(|| {
            format!("operator `{uid}` had max parallelism {before} and now has {now}, which can never change")
        })
    }
}

impl fmt::Display for StateAssignment {
    /// For people: a line for each operator.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.taken.kind, self.taken.id)?;
        for OperatorAssignment { operator: OperatorMetadata { uid, parallelism, .. }, restored } in
            &self.operators
        {
            match restored {
                None => write!(f, "\n  `{uid}` is new and starts without state")?,
                Some(restored) if restored.unfinished.is_empty() => write!(f, "\n  `{uid}` had finished")?,
                Some(RestoredOperator { operator: before, .. }) if before.parallelism != *parallelism => {
                    write!(
                        f,
                        "\n  `{uid}` goes on with {parallelism} subtasks instead of {}",
                        before.parallelism
                    )?;
                }
                Some(_) => write!(f, "\n  `{uid}` goes on with {parallelism} subtasks")?,
            }
        }
        self.unclaimed.iter().try_for_each(|uid| write!(f, "\n  the state of `{uid}` is left out"))
    }
}
