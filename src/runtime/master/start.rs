//! Starts a job.

use super::super::builder::{Job, OperatorKind};
use super::super::clock::Clock;
use super::super::control::{JobControl, JobHandle, Wish};
use super::super::error::JobError;
use super::super::io::IoPool;
use super::super::options::JobOptions;
use super::super::progress::Meters;
use super::super::watch::JobWatch;
use super::answers::Answers;
use super::target::Copies;
use super::tasks::Tasks;
use super::trouble::Trouble;
use super::{Master, Message};
use crate::coordinator::{Config, Coordinator};
use crate::publish;
use crate::store::CheckpointStorage;
use crossbeam_channel::{Sender, bounded, unbounded};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

/// The threads that wait for storages.
const IO_THREADS: usize = 4;

impl Job {
    /// Starts the job on threads of its own: from its newest checkpoint in `storage`, or from the beginning
    /// if none was ever published there.
    ///
    /// # Errors
    /// The options make no sense, the checkpoint that is given does not fit, or a thread cannot be started.
    pub fn start(
        self,
        options: JobOptions,
        storage: Arc<dyn CheckpointStorage>,
    ) -> Result<JobHandle, JobError> {
        if let Some((_, contradiction)) = options.contradictions().next() {
            return Err(JobError::Invalid(contradiction.into()));
        }
        let given = match &options.restore {
            Some(given) => {
                let assignment = self.assign(given.metadata(), options.allow_non_restored_state)?;
                tracing::info!(?given, "given is {assignment}");
                Some(given.restore(&self, &*storage))
            }
            None => None,
        };
        let coordinator =
            Coordinator::new(Config { restore: given.clone(), ..configuration(&self, &options) })
                .map_err(|misuse| JobError::Invalid(misuse.what))?;
        let no_thread =
            |error: std::io::Error| JobError::Invalid(format!("no thread can be started: {error}"));
        let pool = IoPool::start(IO_THREADS).map_err(no_thread)?;
        let (messages, inbox) = unbounded();
        let (reports, task_reports) = unbounded();
        let meters = Meters::default();
        meters.set_operators(&self.description.operators);
        let job = self.description.job;
        let master = Master {
            job: self,
            options,
            storage,
            given,
            coordinator,
            clock: Clock::start(),
            meters: meters.clone(),
            messages: messages.clone(),
            reports,
            tasks: Tasks::default(),
            under_way: BTreeMap::new(),
            answers: Answers::default(),
            copies: Copies::default(),
            looker: None,
            trouble: Trouble::default(),
            outcome: None,
        };
        let (end, ended) = bounded(0);
        let thread = std::thread::Builder::new()
            .name("snapline-coordinator".into())
            .spawn(move || {
                let _end: Sender<()> = end;
                // It ends before: what is still under way belongs to the job.
                let pool = pool;
                master.run(&pool, inbox, &task_reports)
            })
            .map_err(no_thread)?;
        let send = move |wish: Wish| messages.send(Message::User(wish)).is_ok();
        let watch = JobWatch { job, started: SystemTime::now(), meters, ended };
        Ok(JobHandle { control: JobControl { send: Arc::new(send), target: None }, watch, thread })
    }
}

fn configuration(job: &Job, options: &JobOptions) -> Config {
    let subtasks = job.subtasks().map(|(subtask, _)| subtask).collect();
    let sources = job
        .subtasks()
        .filter(|(_, spec)| spec.kind == OperatorKind::Source)
        .map(|(subtask, _)| subtask)
        .collect();
    let publish =
        publish::Config { on_corruption: options.on_corruption, ..publish::Config::new(options.incarnation) };
    Config {
        edges: job.edges.clone(),
        interval: options.checkpoint_interval,
        interval_during_backlog: options.interval_during_backlog,
        timeout: options.checkpoint_timeout,
        min_pause: options.min_pause,
        unaligned: options.unaligned.then_some(options.aligned_checkpoint_timeout),
        max_concurrent: options.max_concurrent_checkpoints,
        force_savepoints: options.force_savepoints,
        tolerable_failures: options.tolerable_failed_checkpoints,
        retained: options.retained_checkpoints,
        retention: options.externalized_checkpoint_retention,
        restart: options.restart,
        publish,
        ..Config::new(job.description.job, sources, subtasks, options.incarnation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::JobId;
    use crate::store::JobDescription;
    use std::collections::BTreeSet;

    #[test]
    fn runtime_options_by_default_are_those_of_the_coordinator() {
        let description = JobDescription { job: JobId(1), operators: Vec::new() };
        let job = Job { operators: Vec::new(), edges: Vec::new(), description };
        let options = JobOptions::default();
        let defaults = Config::new(JobId(1), BTreeSet::new(), BTreeSet::new(), options.incarnation);
        assert_eq!(configuration(&job, &options), defaults);
    }
}
