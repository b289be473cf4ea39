//! What a job would start from, for people and for programs, before anything has started.

use super::builder::Job;
use super::error::PlanError;
use super::given::GivenCheckpoint;
use super::settings::{CLAIM_MODES, name_of};
use super::subtask_state::is_of_runtime;
use crate::inspection::{KeyedStateReport, OperatorStateReport, keyed_state, operator_state};
use crate::rescale::{OperatorAssignment, RestoredOperator, StateAssignment};
use crate::state::StateFileSummary;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Which state of a checkpoint goes where in a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestorePlan {
    /// The job that took the checkpoint.
    pub job: String,
    /// The number of the checkpoint.
    pub checkpoint: u64,
    /// Why it was taken: `periodic`, `final`, `stop`, `full` or `savepoint`.
    pub kind: String,
    /// Whose it is then, by Flink's name.
    pub claim_mode: &'static str,
    /// The operators of the job that is to start, in its order.
    pub operators: Vec<OperatorPlan>,
    /// The uids of operators of the checkpoint whose state is left out.
    pub left_out: Vec<String>,
}

/// What an operator starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperatorPlan {
    /// Its uid.
    pub uid: String,
    /// The number of its subtasks.
    pub parallelism: u16,
    /// How it starts.
    pub start: Start,
    /// The number of subtasks that it had; `null` for a new one.
    pub parallelism_before: Option<u16>,
    /// For each subtask that starts, the old ones whose key groups it takes over; empty for an operator without keyed state.
    pub key_groups_from: BTreeMap<u16, Vec<u16>>,
    /// The bytes of its state.
    pub bytes: u64,
    /// The backend in whose files its keyed state lies, which therefore has to be the job's; `null` where any can read it.
    pub backend: Option<String>,
    /// Its keyed states. Whether their serializers fit is found out when the operator opens them.
    pub keyed_states: Vec<KeyedStateReport>,
    /// Its operator states, which are handed out to all subtasks. Items are those of one old subtask.
    pub operator_states: Vec<OperatorStateReport>,
}

/// How an operator starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// The checkpoint does not know it.
    New,
    /// It had finished, and does not start.
    Finished,
    /// Each subtask goes on with its own state.
    AsBefore,
    /// It has another number of subtasks, which take over the key groups and their shares of the rest.
    Rescaled,
}

impl GivenCheckpoint {
    /// What each operator of `job` would get of it. Of the state files only the beginnings are read.
    ///
    /// # Errors
    /// [`PlanError::Misfit`] as [`Job::assign`], [`PlanError::Unreadable`] when a state file is damaged or gone.
    pub fn plan(&self, job: &Job, allow_non_restored_state: bool) -> Result<RestorePlan, PlanError> {
        let StateAssignment { operators, unclaimed, .. } =
            job.assign(self.metadata(), allow_non_restored_state).map_err(PlanError::Misfit)?;
        let operators = operators.iter().map(|assigned| self.operator(assigned));
        Ok(RestorePlan {
            job: self.metadata().job.to_string(),
            checkpoint: self.metadata().checkpoint.id.0,
            kind: self.metadata().checkpoint.kind.to_string(),
            claim_mode: name_of(CLAIM_MODES, &self.mode()).unwrap_or_default(),
            operators: operators.collect::<Result<_, _>>()?,
            left_out: unclaimed,
        })
    }

    fn operator(&self, assigned: &OperatorAssignment) -> Result<OperatorPlan, PlanError> {
        let mut plan = OperatorPlan {
            uid: assigned.operator.uid.clone(),
            parallelism: assigned.operator.parallelism,
            start: Start::New,
            parallelism_before: None,
            key_groups_from: BTreeMap::new(),
            bytes: 0,
            backend: None,
            keyed_states: Vec::new(),
            operator_states: Vec::new(),
        };
        let Some(restored) = &assigned.restored else { return Ok(plan) };
        let starting: Vec<u16> =
            (0..plan.parallelism).filter(|index| !assigned.had_finished(*index)).collect();
        plan.parallelism_before = Some(restored.operator.parallelism);
        plan.start = match (starting.is_empty(), assigned.is_rescaled()) {
            (true, _) => Start::Finished,
            (false, true) => Start::Rescaled,
            (false, false) => Start::AsBefore,
        };
        self.describe(restored, &mut plan)?;
        if !plan.keyed_states.is_empty() {
            let sources = |index| (index, assigned.keyed_sources(index));
            plan.key_groups_from = starting.into_iter().map(sources).collect();
        }
        Ok(plan)
    }

    /// Says what states the old subtasks had.
    fn describe(&self, restored: &RestoredOperator, plan: &mut OperatorPlan) -> Result<(), PlanError> {
        let (mut keyed, mut of_operator) = (BTreeMap::new(), BTreeMap::new());
        for handle in restored.states.iter().flatten() {
            let object = self.storage().handle_name(handle);
            let opened = self.storage().read_state(handle).map_err(PlanError::Storage)?;
            let summary = StateFileSummary::read_from(opened)
                .map_err(|cause| PlanError::Unreadable { object, cause })?;
            plan.bytes += handle.bytes;
            let files = summary.files.as_ref();
            for header in summary.keyed.iter().flat_map(|keyed| &keyed.states) {
                let is_in_files = files.is_some_and(|files| files.states.contains(&header.name));
                keyed.entry(header.name.clone()).or_insert_with(|| keyed_state(header, is_in_files, None));
            }
            for state in &summary.operator {
                of_operator.entry(state.name.clone()).or_insert_with(|| operator_state(state, None));
            }
            if let Some(files) = summary.files.filter(|files| !files.states.is_empty()) {
                plan.backend = Some(files.backend);
            }
        }
        plan.bytes += restored.shared_bytes();
        plan.keyed_states = keyed.into_values().collect();
        plan.operator_states = of_operator.into_values().collect();
        Ok(())
    }
}

impl fmt::Display for RestorePlan {
    /// For people: a line for each operator, and one for each of its states.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of job {} ({})", self.kind, self.checkpoint, self.job, self.claim_mode)?;
        self.operators.iter().try_for_each(|operator| write!(f, "\n{operator}"))?;
        self.left_out.iter().try_for_each(|uid| write!(f, "\n  {uid}: its state is left out"))
    }
}

impl fmt::Display for OperatorPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OperatorPlan { uid, parallelism, bytes, .. } = self;
        write!(f, "  {uid}: ")?;
        match (self.start, self.parallelism_before) {
            (Start::Finished, _) => return f.write_str("had finished"),
            (Start::Rescaled, Some(before)) => {
                write!(f, "{parallelism} subtasks instead of {before}, {bytes} bytes")?;
            }
            (Start::AsBefore, _) => write!(f, "{parallelism} subtasks as before, {bytes} bytes")?,
            (Start::New | Start::Rescaled, _) => {
                return write!(f, "new, {parallelism} subtasks without state");
            }
        }
        for (index, from) in self.key_groups_from.iter().filter(|_| self.start == Start::Rescaled) {
            let from: Vec<String> = from.iter().map(u16::to_string).collect();
            write!(f, "\n    subtask {index} gets key groups of {}", from.join(", "))?;
        }
        for state in &self.keyed_states {
            let KeyedStateReport { name, kind, value_serializer, .. } = state;
            write!(
                f,
                "\n    {kind} state `{name}` of {}, version {}",
                value_serializer.id, value_serializer.version
            )?;
            if let Some(backend) = self.backend.as_ref().filter(|_| state.is_in_backend_files) {
                write!(f, ", in files of {backend}")?;
            }
        }
        let of_user = self.operator_states.iter().filter(|state| !is_of_runtime(&state.name));
        for OperatorStateReport { name, mode, item_serializer, .. } in of_user {
            write!(
                f,
                "\n    {mode} operator state `{name}` of {}, version {}",
                item_serializer.id, item_serializer.version
            )?;
        }
        Ok(())
    }
}
