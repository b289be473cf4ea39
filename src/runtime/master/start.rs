//! Starts a job.

use super::super::builder::Job;
use super::super::clock::Clock;
use super::super::control::{JobControl, JobHandle, Wish};
use super::super::error::JobError;
use super::super::io::IoPool;
use super::super::options::JobOptions;
use super::super::progress::Meters;
use super::tasks::Tasks;
use super::trouble::Trouble;
use super::{Master, Message};
use crate::base::Millis;
use crate::coordinator::{Config, Coordinator};
use crate::publish;
use crate::store::CheckpointStorage;
use crossbeam_channel::{Sender, bounded, unbounded};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The threads that wait for storages.
const IO_THREADS: usize = 4;
/// How long to wait before a storage operation is repeated, and how often during a recovery.
const RETRY_PAUSE: Millis = Millis(200);
const RECOVERY_RETRIES: u32 = 25;
/// How many requests for checkpoints may wait, as in Flink.
const MAX_QUEUED_REQUESTS: usize = 1_000;

impl Job {
    /// Starts the job on threads of its own: from its newest checkpoint in `storage`, or from the beginning
    /// if none was ever published there.
    ///
    /// # Errors
    /// The options make no sense, or a thread cannot be started.
    pub fn start(
        self,
        options: JobOptions,
        storage: Arc<dyn CheckpointStorage>,
    ) -> Result<JobHandle, JobError> {
        if let Some(contradiction) = options.contradiction() {
            return Err(JobError::Invalid(contradiction.into()));
        }
        let coordinator = Coordinator::new(configuration(&self, &options))
            .map_err(|misuse| JobError::Invalid(misuse.what))?;
        let no_thread =
            |error: std::io::Error| JobError::Invalid(format!("no thread can be started: {error}"));
        let pool = IoPool::start(IO_THREADS).map_err(no_thread)?;
        let (messages, inbox) = unbounded();
        let (reports, task_reports) = unbounded();
        let meters = Meters::default();
        let master = Master {
            job: self,
            options,
            storage,
            coordinator,
            clock: Clock::start(),
            meters: meters.clone(),
            messages: messages.clone(),
            reports,
            tasks: Tasks::default(),
            under_way: BTreeMap::new(),
            answers: BTreeMap::new(),
            requests: 0,
            trouble: Trouble::default(),
            outcome: None,
        };
        let (end, ended) = bounded(0);
        let thread = std::thread::Builder::new()
            .name("snapline-coordinator".into())
            .spawn(move || {
                let _end: Sender<()> = end;
                master.run(&pool, &inbox, &task_reports)
            })
            .map_err(no_thread)?;
        let send = move |wish: Wish| messages.send(Message::User(wish)).is_ok();
        Ok(JobHandle { control: JobControl { send: Arc::new(send) }, meters, ended, thread })
    }
}

fn configuration(job: &Job, options: &JobOptions) -> Config {
    Config {
        job: job.description.job,
        subtasks: job.subtasks().map(|(subtask, _)| subtask).collect(),
        sources: job.subtasks().filter(|(_, spec)| spec.is_source).map(|(subtask, _)| subtask).collect(),
        edges: job.edges.clone(),
        interval: options.checkpoint_interval,
        interval_during_backlog: options.interval_during_backlog,
        timeout: options.checkpoint_timeout,
        min_pause: options.min_pause,
        unaligned: options.unaligned.then_some(options.aligned_checkpoint_timeout),
        max_concurrent: options.max_concurrent_checkpoints,
        force_savepoints: options.force_savepoints,
        max_queued_requests: MAX_QUEUED_REQUESTS,
        tolerable_failures: options.tolerable_failed_checkpoints,
        retained: options.retained_checkpoints,
        retention: options.externalized_checkpoint_retention,
        restart: options.restart,
        restore: None,
        publish: publish::Config {
            incarnation: options.incarnation,
            retry_pause: RETRY_PAUSE,
            recovery_retries: RECOVERY_RETRIES,
            segment: publish::Config::SEGMENT,
            on_corruption: options.on_corruption,
        },
    }
}
