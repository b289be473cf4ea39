//! What directories and files are called, relative to where the storage keeps those of their kind.

use crate::base::{
    Attempt, CheckpointId, CompletedCheckpoint, ContentId, JobId, SharedFile, SharedObject, StateFile,
    SubtaskId,
};
use crate::publish::PointerSequence;
use std::collections::BTreeSet;
use std::fmt;

/// The metadata of a checkpoint, in its directory.
pub(super) const METADATA: &str = "_metadata";
/// The directory of the pointers of a job.
pub(super) const POINTERS: &str = "pointers";
/// What tells a log of pointers from all others, in the directory of the pointers.
pub(super) const LOG_ID: &str = "id";
/// The directory of the shared files that a job has written.
pub(super) const SHARED: &str = "shared";

/// How the names of the directories begin that a recovery lists.
const CHECKPOINT_PREFIX: &str = "chk-";
/// How the names of the directories of savepoints begin.
const SAVEPOINT_PREFIX: &str = "savepoint-";

/// The directory of one checkpoint.
//= spec/publish.md#pub-42-a-savepoint-lies-by-itself
//# Everything of a savepoint MUST lie where no listing shows it and no deletion of a checkpoint reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Among the checkpoints that a recovery lists.
    Checkpoint(CheckpointId),
    /// Nobody remembers the numbers of savepoints, so an attempt may draw one that another attempt has drawn before.
    //= spec/publish.md#pub-43-the-name-of-a-savepoint-holds-its-attempt
    //# The name of a savepoint MUST include the attempt that takes it.
    Savepoint(CheckpointId, Attempt),
}

impl Place {
    /// The place of a checkpoint or savepoint.
    #[must_use]
    pub fn of_checkpoint(checkpoint: &CompletedCheckpoint) -> Place {
        match checkpoint.kind.is_savepoint() {
            true => Place::Savepoint(checkpoint.id, checkpoint.attempt),
            false => Place::Checkpoint(checkpoint.id),
        }
    }

    pub(super) fn of_state(file: StateFile) -> Place {
        match file.savepoint {
            true => Place::Savepoint(file.checkpoint, file.attempt),
            false => Place::Checkpoint(file.checkpoint),
        }
    }

    /// The place whose name this is.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Place> {
        if let Some(id) = number_in(name, CHECKPOINT_PREFIX, 1) {
            return Some(Place::Checkpoint(CheckpointId(id)));
        }
        let (id, attempt) = name.strip_prefix(SAVEPOINT_PREFIX)?.split_once('-')?;
        let place = Place::Savepoint(CheckpointId(id.parse().ok()?), Attempt(attempt.parse().ok()?));
        (place.to_string() == name).then_some(place)
    }

    /// The number of the checkpoint.
    #[must_use]
    pub fn id(self) -> CheckpointId {
        match self {
            Place::Checkpoint(id) | Place::Savepoint(id, _) => id,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Checkpoint(id) => write!(f, "{CHECKPOINT_PREFIX}{id}"),
            Place::Savepoint(id, attempt) => write!(f, "{SAVEPOINT_PREFIX}{id}-{attempt}"),
        }
    }
}

/// The number after `prefix`, when `name` is how that number is written with at least `digits` digits.
pub(super) fn number_in(name: &str, prefix: &str, digits: usize) -> Option<u64> {
    let number = name.strip_prefix(prefix)?.parse().ok()?;
    (name == format!("{prefix}{number:0digits$}")).then_some(number)
}

/// The name of a state file in the directory of its checkpoint.
pub(super) fn state_name(file: StateFile) -> String {
    format!("{}-{}.state", file.subtask, file.attempt)
}

/// The state file whose name in the directory of `place` is `name`, if that is such a name.
pub(super) fn state_file(place: Place, name: &str) -> Option<StateFile> {
    let mut parts = name.strip_suffix(".state")?.split('-');
    let mut next = || parts.next();
    let file = StateFile {
        checkpoint: place.id(),
        subtask: SubtaskId::new(next()?.parse().ok()?, next()?.parse().ok()?),
        attempt: Attempt(next()?.parse().ok()?),
        savepoint: matches!(place, Place::Savepoint(..)),
    };
    (state_name(file) == name && Place::of_state(file) == place).then_some(file)
}

/// The name of a pointer in the directory of pointers.
pub(super) fn pointer_name(sequence: PointerSequence) -> String {
    format!("{:020}", sequence.0)
}

/// Of the names of directories those that are checkpoints.
pub(super) fn checkpoints(directories: &[String]) -> BTreeSet<CheckpointId> {
    let checkpoint = |name: &String| match Place::from_name(name) {
        Some(Place::Checkpoint(id)) => Some(id),
        _ => None,
    };
    directories.iter().filter_map(checkpoint).collect()
}

/// Of the names of files those that are pointers.
pub(super) fn pointers(names: &[String]) -> BTreeSet<PointerSequence> {
    names.iter().filter_map(|name| pointer_sequence(name)).collect()
}

/// The number of the pointer whose name is `name`, if that is such a name.
pub(super) fn pointer_sequence(name: &str) -> Option<PointerSequence> {
    number_in(name, "", 20).map(PointerSequence)
}

/// The name of a shared file in the directory of shared files of the job that wrote it, or of its savepoint.
//= spec/shared.md#shared-2-an-object-is-written-once
//# Every upload MUST have a name that no other upload ever has.
pub(super) fn shared_name(object: &SharedObject) -> String {
    let SharedFile { subtask, attempt, content, .. } = object.file;
    format!("{subtask}-{attempt}-{}-{:032x}-{}", object.upload, content.digest, content.bytes)
}

/// The object whose name is `name` among the shared files of `job`, if that is such a name.
pub(super) fn shared_object(job: JobId, name: &str) -> Option<SharedObject> {
    let mut parts = name.split('-');
    let mut next = || parts.next();
    let subtask = SubtaskId::new(next()?.parse().ok()?, next()?.parse().ok()?);
    let attempt = Attempt(next()?.parse().ok()?);
    let upload = next()?.parse().ok()?;
    let digest = u128::from_str_radix(next()?, 16).ok()?;
    let content = ContentId { digest, bytes: next()?.parse().ok()? };
    let file = SharedFile { job, subtask, attempt, content };
    let object = SharedObject { file, upload, savepoint: None };
    (shared_name(&object) == name).then_some(object)
}
