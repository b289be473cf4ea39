use super::given::GivenCheckpoint;
use super::processing_time::ProcessingTime;
use crate::base::{CheckpointingMode, Incarnation, Millis};
use crate::configuration::{ConfigOption, options};
use crate::coordinator::{RestartStrategy, Retention};
use crate::publish::OnCorruption;
use crate::state::backend::StateBackend;
use crate::store::OutputSizes;

/// Settings of a run. The names and defaults are Flink's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobOptions {
    /// `execution.checkpointing.mode`: what holds for every record after a failure. Default: exactly once.
    pub mode: CheckpointingMode,
    /// `execution.checkpointing.unaligned.enabled`: whether barriers overtake records, which then become part of the
    /// checkpoint. It needs exactly once and one checkpoint at a time. Default: false.
    pub unaligned: bool,
    /// `execution.checkpointing.aligned-checkpoint-timeout`: for how long after its trigger the barriers of an
    /// unaligned checkpoint wait in line first. Default: 0 ms.
    pub aligned_checkpoint_timeout: Millis,
    /// `execution.checkpointing.interval`; without it only the final checkpoint is taken. Default: none.
    pub checkpoint_interval: Option<Millis>,
    /// `execution.checkpointing.interval-during-backlog`, at least the interval, or 0 for no periodic checkpoints while
    /// a source [has a backlog](super::SourceFunction::has_backlog). Default: none, the interval counts then too.
    pub interval_during_backlog: Option<Millis>,
    /// `execution.checkpointing.timeout`. Default: 10 minutes.
    pub checkpoint_timeout: Millis,
    /// `execution.checkpointing.min-pause`. Default: 0 ms.
    pub min_pause: Millis,
    /// `execution.checkpointing.max-concurrent-checkpoints`. Default: 1.
    pub max_concurrent_checkpoints: usize,
    /// `execution.checkpointing.tolerable-failed-checkpoints`. Default: 0.
    pub tolerable_failed_checkpoints: u32,
    /// `execution.checkpointing.num-retained`. Default: 1.
    pub retained_checkpoints: usize,
    /// `execution.checkpointing.externalized-checkpoint-retention`: which ends of the job delete its checkpoints. Default:
    /// none (in Flink all), so that a job can be started again from what it has left.
    pub externalized_checkpoint_retention: Retention,
    /// Whether savepoints start although the maximum of concurrent checkpoints is under way. Where checkpoints are
    /// unaligned they never do. Default: true.
    pub force_savepoints: bool,
    /// What to do when the newest checkpoint cannot be read. Default: fail.
    pub on_corruption: OnCorruption,
    /// `execution.state-recovery.path` and `.claim-mode`: what the job starts from as long as it has published no checkpoint
    /// itself. Default: nothing.
    pub restore: Option<GivenCheckpoint>,
    /// `execution.state-recovery.ignore-unclaimed-state`: whether state may be left out of which the job has no operator.
    /// Default: false.
    pub allow_non_restored_state: bool,
    /// `restart-strategy`. Default: 3 attempts, 1 s apart.
    pub restart: RestartStrategy,
    /// `state.backend.type`: where keyed state is kept. Default: objects in memory.
    pub state_backend: StateBackend,
    /// `execution.checkpointing.incremental`: whether a checkpoint refers to the files of earlier ones, where a backend keeps
    /// its state in files. Savepoints never do. Default: false.
    pub incremental: bool,
    /// `execution.checkpointing.snapshot-compression`: whether the keyed state in checkpoints and savepoints is compressed.
    /// Whoever reads it need not know. Default: false.
    pub snapshot_compression: bool,
    /// `execution.checkpointing.data-inline-threshold`: the largest state of a subtask, in bytes, that is written into the
    /// metadata instead of into a file. Default: 20 KiB.
    pub inline_threshold_bytes: usize,
    /// `execution.checkpointing.write-buffer-size`: up to how many bytes small writes to a state file are collected, or up to the
    /// threshold if that is more. Default: 4,096.
    pub write_buffer_bytes: usize,
    /// How many batches of records a channel holds before its sender waits. Default: 8.
    pub channel_capacity: usize,
    /// How many records a batch holds before it is sent. Default: 1,024.
    pub batch_records: usize,
    /// Where the processing time of timers comes from. Default: the system's clock.
    pub processing_time: ProcessingTime,
    /// Tells this process from every other that runs the same job. Default: drawn from the clock and process id.
    pub incarnation: Incarnation,
}

impl Default for JobOptions {
    fn default() -> Self {
        JobOptions {
            mode: CheckpointingMode::ExactlyOnce,
            unaligned: false,
            aligned_checkpoint_timeout: Millis(0),
            checkpoint_interval: None,
            interval_during_backlog: None,
            checkpoint_timeout: Millis(600_000),
            min_pause: Millis(0),
            max_concurrent_checkpoints: 1,
            tolerable_failed_checkpoints: 0,
            retained_checkpoints: 1,
            externalized_checkpoint_retention: Retention::RETAIN_ALWAYS,
            force_savepoints: true,
            on_corruption: OnCorruption::Fail,
            restore: None,
            allow_non_restored_state: false,
            restart: RestartStrategy::FixedDelay { attempts: 3, delay: Millis(1_000) },
            state_backend: StateBackend::default(),
            incremental: false,
            snapshot_compression: false,
            inline_threshold_bytes: OutputSizes::default().inline_threshold_bytes,
            write_buffer_bytes: OutputSizes::default().write_buffer_bytes,
            channel_capacity: 8,
            batch_records: 1_024,
            processing_time: ProcessingTime::default(),
            incarnation: draw_incarnation(),
        }
    }
}

impl JobOptions {
    pub(super) fn output_sizes(&self) -> OutputSizes {
        let JobOptions { inline_threshold_bytes, write_buffer_bytes, .. } = *self;
        OutputSizes { inline_threshold_bytes, write_buffer_bytes }
    }

    /// What is wrong with options that are right one by one, each with the option that should change.
    pub(super) fn contradictions(&self) -> impl Iterator<Item = (ConfigOption, &'static str)> {
        let slow = self.interval_during_backlog.filter(|slow| *slow != Millis(0));
        let is_one_at_a_time = self.max_concurrent_checkpoints <= 1;
        let rules = [
            (
                self.unaligned && self.mode == CheckpointingMode::AtLeastOnce,
                options::UNALIGNED,
                "unaligned checkpoints need exactly once: at least once no barrier waits",
            ),
            (
                self.unaligned && !is_one_at_a_time,
                options::UNALIGNED,
                "unaligned checkpoints are taken one at a time, but more are allowed",
            ),
            (
                self.min_pause > Millis(0) && !is_one_at_a_time,
                options::MIN_PAUSE,
                "with a pause checkpoints are taken one at a time, but more are allowed",
            ),
            (
                self.inline_threshold_bytes > OutputSizes::MAX_INLINE_THRESHOLD_BYTES,
                options::INLINE_THRESHOLD,
                "more than 1 mb of a subtask's state would go into the metadata, which everyone holds in memory",
            ),
            (
                slow.is_some_and(|slow| Some(slow) < self.checkpoint_interval),
                options::INTERVAL_DURING_BACKLOG,
                "the interval during backlog is shorter than the interval",
            ),
        ];
        let broken = rules.into_iter().filter(|(is_broken, ..)| *is_broken);
        broken.map(|(_, option, what)| (option, what))
    }
}

fn draw_incarnation() -> Incarnation {
    use std::hash::{BuildHasher, RandomState};
    let drawn = RandomState::new().hash_one((std::process::id(), std::time::SystemTime::now()));
    Incarnation(drawn)
}
