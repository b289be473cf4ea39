//! What Flink can be told and Snapline cannot.
//!
//! A value that asks for what Snapline does anyway is fine. Otherwise what would make the job another one is refused, and what
//! would make it faster or tell more about it is [warned](super::Warning) of.

use super::value::is_same_name;

/// An option of Flink that Snapline does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Its key, or with what the keys of a whole group begin: then it ends with a dot.
    pub key: &'static str,
    /// The value that says what Snapline does.
    pub fine: Option<&'static str>,
    /// Whether any other value is refused.
    pub is_refused: bool,
    /// What Snapline does instead.
    pub why: &'static str,
}

const fn refused(key: &'static str, fine: &'static str, why: &'static str) -> Unsupported {
    Unsupported { key, fine: Some(fine), is_refused: true, why }
}

const fn warned(key: &'static str, fine: &'static str, why: &'static str) -> Unsupported {
    Unsupported { key, fine: Some(fine), is_refused: false, why }
}

const fn group(prefix: &'static str, why: &'static str) -> Unsupported {
    Unsupported { key: prefix, fine: None, is_refused: false, why }
}

const ONE_PROCESS: &str = "a job runs in one process";
const CHANGELOG: &str = "there is no changelog";
const FILE_MERGING: &str = "files are not merged";
const HIGH_AVAILABILITY: &str =
    "the log of pointers is all that is kept, in a directory, an object storage or etcd";
const LOCAL: &str = "state is restored from the checkpoint storage only";

/// All of them, groups behind what they hold.
pub const ALL: &[Unsupported] = &[
    refused(
        "execution.checkpointing.checkpoints-after-tasks-finish",
        "true",
        "checkpoints are taken after tasks have finished",
    ),
    refused(
        "execution.checkpointing.checkpoints-after-tasks-finish.enabled",
        "true",
        "checkpoints are taken after tasks have finished",
    ),
    refused("execution.checkpointing.unaligned.forced", "false", "there are no jobs with cycles"),
    warned(
        "execution.checkpointing.unaligned.max-subtasks-per-channel-state-file",
        "1",
        "subtasks share no files for what they capture",
    ),
    warned(
        "execution.checkpointing.unaligned.interruptible-timers.enabled",
        "false",
        "timers that are due together fire together",
    ),
    warned(
        "execution.checkpointing.unaligned.recover-output-on-downstream.enabled",
        "false",
        "outputs are recovered by those that have written them",
    ),
    warned(
        "execution.checkpointing.unaligned.during-recovery.enabled",
        "false",
        "checkpoints begin when all tasks run",
    ),
    warned(
        "execution.checkpointing.during-recovery.enabled",
        "false",
        "checkpoints begin when all tasks run",
    ),
    refused(
        "execution.checkpointing.create-subdir",
        "true",
        "the checkpoints of a job lie in a directory of its own",
    ),
    refused(
        "state.checkpoints.create-subdir",
        "true",
        "the checkpoints of a job lie in a directory of its own",
    ),
    warned("execution.checkpointing.cleaner.parallel-mode", "false", "deletions follow one another"),
    warned("execution.checkpointing.file-merging.enabled", "false", FILE_MERGING),
    group("execution.checkpointing.file-merging.", FILE_MERGING),
    warned("execution.checkpointing.local-backup.enabled", "false", LOCAL),
    group("execution.checkpointing.local-backup.", LOCAL),
    warned("state.backend.local-recovery", "false", LOCAL),
    warned("execution.state-recovery.from-local", "false", LOCAL),
    refused("execution.checkpointing.region.enabled", "false", "a checkpoint is one of the whole job"),
    group("execution.checkpointing.region.", "a checkpoint is one of the whole job"),
    refused(
        "execution.state-recovery.without-channel-state.checkpoint-id",
        "-1",
        "records that were on their way are never left out",
    ),
    refused("state.changelog.enabled", "false", CHANGELOG),
    refused("state.backend.changelog.enabled", "false", CHANGELOG),
    group("state.changelog.", CHANGELOG),
    group("state.backend.changelog.", CHANGELOG),
    warned("state.latency-track.keyed-state-enabled", "false", "accesses to state are not timed"),
    group("state.latency-track.", "accesses to state are not timed"),
    warned("state.size-track.keyed-state-enabled", "false", "keys and values are not measured"),
    group("state.size-track.", "keys and values are not measured"),
    group("restart-strategy.exponential-delay.", "there is no such restart strategy"),
    group("restart-strategy.failure-rate.", "there is no such restart strategy"),
    group("high-availability.jobmanager.", HIGH_AVAILABILITY),
    group("high-availability.kubernetes.", HIGH_AVAILABILITY),
    group("high-availability.zookeeper.", HIGH_AVAILABILITY),
    group("jobmanager.", ONE_PROCESS),
    group("taskmanager.", ONE_PROCESS),
    group("cluster.", ONE_PROCESS),
    group("rest.", "`snapline run --rest` says where a job is served"),
    group("web.", ONE_PROCESS),
    group("historyserver.", ONE_PROCESS),
    group("blob.", ONE_PROCESS),
    group("pekko.", ONE_PROCESS),
    group("akka.", ONE_PROCESS),
    group("kubernetes.", ONE_PROCESS),
    group("yarn.", ONE_PROCESS),
    group("security.", ONE_PROCESS),
    group("slotmanager.", ONE_PROCESS),
    group("heartbeat.", ONE_PROCESS),
    group("env.", "there is no Java in it"),
    group("classloader.", "there is no Java in it"),
    group("io.tmp.dirs", "the directory for temporary files is that of the system"),
    group("metrics.", "metrics go to whoever asks the program for them"),
    group("table.", "there is no SQL"),
    group("sql-client.", "there is no SQL"),
    group("python.", "there is no Python"),
];

impl Unsupported {
    /// The first one that has `key`.
    #[must_use]
    pub fn with_key(key: &str) -> Option<&'static Unsupported> {
        ALL.iter().find(|one| if one.key.ends_with('.') { key.starts_with(one.key) } else { key == one.key })
    }

    /// Whether `value` says what Snapline does.
    #[must_use]
    pub fn is_fine(&self, value: &str) -> bool {
        self.fine.is_some_and(|fine| is_same_name(fine, value))
    }
}
