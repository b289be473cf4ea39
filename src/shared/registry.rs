//! The coordinator's side: which object a checkpoint refers to, and which objects nobody refers to any more.
//!
//! # How to drive it
//!
//! A [`Coordinator`](crate::coordinator::Coordinator) drives its own; what follows is for those who need this part alone.
//!
//! 1. Report every recovery as [`Input::Restored`], before anything of its attempt.
//! 2. Hand every acknowledgement to a pending checkpoint over as [`Input::Acknowledged`] *before* the checkpoint can
//!    complete. Put the objects of [`Output::Registered`] into its metadata, and abort it on [`Output::Refused`]. An
//!    acknowledgement that no checkpoint takes in is [`Input::AcknowledgedTooLate`].
//! 3. Report what becomes of the checkpoint: [`Input::Dropped`] when it is aborted or its publication has certainly
//!    failed, [`Input::Subsumed`] when a newer one is durably published.
//! 4. Carry out each [`Output::Delete`] at leisure and report how it ended. When [`SharedStateRegistry::deadline`] has
//!    come, report [`Input::Tick`].
//! 5. When another attempt has taken over, report [`Input::Fenced`]; nothing is deleted from then on.

use crate::base::{
    Attempt, CheckpointId, JobId, Millis, Misuse, Ownership, RestoredFiles, SharedFile, SharedObject,
    SharedState, Sharing, SubtaskId, Violation,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

const MACHINE: &str = "shared state registry";

/// Settings of a [`SharedStateRegistry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Config {
    /// The job.
    pub job: JobId,
    /// How long to wait before a failed deletion is repeated.
    pub retry_pause: Millis,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// An attempt has begun, durably, and these checkpoints count.
    Restored {
        /// The new attempt.
        attempt: Attempt,
        /// The checkpoints, with all they refer to. What is registered already may be left out.
        checkpoints: Vec<RestoredFiles>,
    },
    /// The state of a subtask in a pending checkpoint is durable.
    Acknowledged {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The subtask.
        subtask: SubtaskId,
        /// Its shared files.
        state: SharedState,
    },
    /// An acknowledgement has arrived that no checkpoint takes in.
    AcknowledgedTooLate {
        /// Its shared files.
        state: SharedState,
    },
    /// A checkpoint was aborted, or certainly not published.
    Dropped {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// A savepoint is complete and belongs to the user.
    SavepointCompleted {
        /// The savepoint.
        savepoint: CheckpointId,
    },
    /// A checkpoint was published, and none below this one is retained.
    Subsumed {
        /// The lowest checkpoint that is retained.
        lowest_retained: CheckpointId,
    },
    /// The storage was listed while every retained checkpoint was registered.
    ObjectsFound {
        /// What the listing has shown.
        objects: BTreeSet<SharedObject>,
    },
    /// A deletion has succeeded: the object does not exist.
    Deleted(SharedObject),
    /// A deletion has failed, or its outcome is unknown.
    DeletionFailed(SharedObject),
    /// Another attempt has taken the job over.
    Fenced,
    /// Time has passed.
    Tick,
}

/// What must be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Output {
    /// The checkpoint refers to these objects for this subtask.
    Registered {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The subtask.
        subtask: SubtaskId,
        /// Where its shared files lie.
        objects: BTreeSet<SharedObject>,
    },
    /// The checkpoint refers to files that are not there: abort it.
    Refused {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The subtask that refers to them.
        subtask: SubtaskId,
        /// The files.
        missing: BTreeSet<SharedFile>,
    },
    /// Delete an object to which nobody refers, and report how that went. Nothing needs to wait for it.
    Delete(SharedObject),
}

/// The state of an order to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Deletion {
    Ordered,
    RepeatAt(Millis),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub(super) is_savepoint: bool,
    pub(super) objects: BTreeSet<SharedObject>,
}

impl Checkpoint {
    /// Its upload of a file; it refers to one at most.
    fn object(&self, file: &SharedFile) -> Option<SharedObject> {
        let first = SharedObject { file: *file, upload: 0, savepoint: None };
        self.objects.range(first..).next().filter(|object| object.file == *file).copied()
    }
}

/// The shared files of all checkpoints of one job that are pending, in publication or retained.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SharedStateRegistry {
    config: Config,
    /// `None` until the first recovery.
    pub(super) attempt: Option<Attempt>,
    pub(super) fenced: bool,
    pub(super) checkpoints: BTreeMap<CheckpointId, Checkpoint>,
    pub(super) not_owned: BTreeSet<SharedObject>,
    pub(super) deletions: BTreeMap<SharedObject, Deletion>,
}

impl SharedStateRegistry {
    /// A registry of nothing.
    #[must_use]
    pub fn new(config: Config) -> Self {
        SharedStateRegistry {
            config,
            attempt: None,
            fenced: false,
            checkpoints: BTreeMap::new(),
            not_owned: BTreeSet::new(),
            deletions: BTreeMap::new(),
        }
    }

    /// Whether any registered checkpoint refers to this object.
    #[must_use]
    pub fn refers_to(&self, object: &SharedObject) -> bool {
        self.checkpoints.values().any(|checkpoint| checkpoint.objects.contains(object))
    }

    /// What a registered checkpoint refers to.
    #[must_use]
    pub fn objects_of(&self, checkpoint: CheckpointId) -> Option<&BTreeSet<SharedObject>> {
        self.checkpoints.get(&checkpoint).map(|checkpoint| &checkpoint.objects)
    }

    /// The objects that are to be deleted and may still be there.
    pub fn deletions(&self) -> impl Iterator<Item = SharedObject> + '_ {
        self.deletions.keys().copied()
    }

    /// Takes in what happened and appends what must be done, in order.
    ///
    /// # Errors
    /// [`Misuse`] when something is acknowledged before the first recovery, or when an attempt follows that is not
    /// newer or comes after the fence; nothing has changed.
    pub fn on(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) -> Result<(), Misuse> {
        match input {
            Input::Restored { attempt, checkpoints } => {
                if self.fenced || self.attempt >= Some(attempt) {
                    let current = self.attempt;
                    return Err(Misuse::new(MACHINE, format!("attempt {attempt} follows {current:?}")));
                }
                self.restored(attempt, checkpoints);
            }
            Input::Acknowledged { checkpoint, subtask, state } => {
                if self.attempt.is_none() {
                    return Err(Misuse::new(MACHINE, "an acknowledgement precedes the first recovery"));
                }
                self.acknowledged(checkpoint, subtask, state, out);
            }
            //= spec/shared.md#shared-20-what-comes-too-late-is-deleted
            //# The uploads of an acknowledgement that no checkpoint takes in MUST be deleted unless a
            //# registered checkpoint refers to them.
            Input::AcknowledgedTooLate { state } => self.delete_unused(state.uploaded, out),
            Input::Dropped { checkpoint } => self.drop_checkpoint(checkpoint, out),
            //= spec/shared.md#shared-15-a-completed-savepoint-is-handed-over
            //# The objects of a completed savepoint MUST be forgotten without being deleted.
            Input::SavepointCompleted { savepoint } => drop(self.checkpoints.remove(&savepoint)),
            Input::Subsumed { lowest_retained } => self.subsumed(lowest_retained, out),
            Input::ObjectsFound { objects } => self.found(objects, out),
            Input::Deleted(object) => drop(self.deletions.remove(&object)),
            Input::DeletionFailed(object) => {
                if let Some(deletion) = self.deletions.get_mut(&object) {
                    *deletion = Deletion::RepeatAt(now + self.config.retry_pause);
                }
            }
            Input::Fenced => {
                self.fenced = true;
                self.deletions.clear();
            }
            Input::Tick => self.repeat_deletions(now, out),
        }
        Ok(())
    }

    /// The next time at which a tick can change anything.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        let repetitions = self.deletions.values().filter_map(|deletion| match deletion {
            Deletion::Ordered => None,
            Deletion::RepeatAt(time) => Some(*time),
        });
        repetitions.min()
    }

    /// Its invariants.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self) -> Result<(), Violation> {
        let needed = self.deletions.keys().find(|object| self.refers_to(object));
        Violation::unless(needed.is_none(), MACHINE, "SHARED-11", || {
            format!("{needed:?} is being deleted although a checkpoint refers to it")
        })?;
        let foreign = self.deletions.keys().find(|object| self.not_owned.contains(object));
        Violation::unless(foreign.is_none(), MACHINE, "SHARED-17", || {
            format!("{foreign:?} is being deleted although the job does not own it")
        })?;
        let silent = self.attempt.is_some() && !self.fenced;
        Violation::unless(silent || self.deletions.is_empty(), MACHINE, "SHARED-21", || {
            "a registry deletes that does not know what counts".into()
        })
    }

    fn restored(&mut self, attempt: Attempt, checkpoints: Vec<RestoredFiles>) {
        self.attempt = Some(attempt);
        for RestoredFiles { checkpoint, ownership, objects } in checkpoints {
            match ownership {
                Ownership::Owned => {
                    self.checkpoints.insert(checkpoint, Checkpoint { is_savepoint: false, objects });
                }
                //= spec/shared.md#shared-17-what-is-not-owned-is-not-deleted
                //# An object of a restored checkpoint that the job does not own MUST NOT be deleted.
                Ownership::NotOwned => self.not_owned.extend(objects),
            }
        }
    }

    //= spec/shared.md#shared-10-an-acknowledgement-is-registered
    //# The objects of an acknowledgement MUST be registered before its checkpoint can complete.
    fn acknowledged(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskId,
        state: SharedState,
        out: &mut Vec<Output>,
    ) {
        let SharedState { sharing, uploaded, reused } = state;
        let gone = |object: &&SharedObject| self.fenced || self.deletions.contains_key(object);
        let mut missing: BTreeSet<SharedFile> = uploaded.iter().filter(gone).map(|gone| gone.file).collect();
        let mut objects = uploaded.clone();
        for file in reused {
            //= spec/shared.md#shared-13-a-reference-is-resolved-or-refused
            //# A reference to a file MUST be resolved to a registered object with that file or refused.
            match self.resolve(checkpoint, &file) {
                Some(object) if sharing == Sharing::ForwardBackward && !self.fenced => {
                    objects.insert(object);
                }
                _ => {
                    missing.insert(file);
                }
            }
        }
        if missing.is_empty() {
            let is_savepoint = sharing == Sharing::NoSharing;
            let registered = self
                .checkpoints
                .entry(checkpoint)
                .or_insert(Checkpoint { is_savepoint, objects: BTreeSet::new() });
            registered.objects.extend(&objects);
            out.push(Output::Registered { checkpoint, subtask, objects });
        } else {
            out.push(Output::Refused { checkpoint, subtask, missing });
            self.delete_unused(uploaded, out);
        }
    }

    /// The object under which a file lies; a checkpoint that knows it already keeps to that one.
    //= spec/shared.md#shared-16-nobody-shares-with-a-savepoint
    //# A reference MUST NOT be resolved to an object of a savepoint.
    fn resolve(&self, checkpoint: CheckpointId, file: &SharedFile) -> Option<SharedObject> {
        let own = self.checkpoints.get(&checkpoint);
        let others = self.checkpoints.values().rev().filter(|other| !other.is_savepoint);
        own.into_iter().chain(others).find_map(|checkpoint| checkpoint.object(file))
    }

    fn drop_checkpoint(&mut self, checkpoint: CheckpointId, out: &mut Vec<Output>) {
        if let Some(dropped) = self.checkpoints.remove(&checkpoint) {
            self.delete_unused(dropped.objects, out);
        }
    }

    //= spec/shared.md#shared-14-subsumption-goes-by-id
    //# Subsumption MUST drop exactly the checkpoints below the lowest retained one that are no savepoints.
    fn subsumed(&mut self, lowest_retained: CheckpointId, out: &mut Vec<Output>) {
        let below = self.checkpoints.range(..lowest_retained);
        let subsumed: Vec<CheckpointId> =
            below.filter(|(_, checkpoint)| !checkpoint.is_savepoint).map(|(id, _)| *id).collect();
        for checkpoint in subsumed {
            self.drop_checkpoint(checkpoint, out);
        }
    }

    /// What an attempt before this one has left behind; the current one may still be about to acknowledge.
    //= spec/shared.md#shared-19-leftovers-are-those-of-earlier-attempts
    //# An object that is merely found MUST be deleted only if an earlier attempt of the job wrote it and
    //# nothing refers to it.
    fn found(&mut self, objects: BTreeSet<SharedObject>, out: &mut Vec<Output>) {
        let job = self.config.job;
        let attempt = self.attempt;
        let leftover = |object: &SharedObject| {
            object.savepoint.is_none() && object.file.job == job && Some(object.file.attempt) < attempt
        };
        self.delete_unused(objects.into_iter().filter(leftover).collect(), out);
    }

    /// Orders the deletion of every object that nobody refers to.
    //= spec/shared.md#shared-11-nothing-that-is-referred-to-is-deleted
    //# An object that a registered checkpoint refers to MUST NOT be deleted.
    //= spec/shared.md#shared-12-nothing-else-is-kept
    //# An object MUST be deleted once no registered checkpoint refers to it any more.
    fn delete_unused(&mut self, objects: BTreeSet<SharedObject>, out: &mut Vec<Output>) {
        //= spec/shared.md#shared-21-who-does-not-know-deletes-nothing
        //# A registry MUST NOT delete anything before its first recovery or after it was fenced.
        if self.attempt.is_none() || self.fenced {
            return;
        }
        for object in objects {
            let is_needed = self.refers_to(&object) || self.not_owned.contains(&object);
            if !is_needed && !self.deletions.contains_key(&object) {
                self.deletions.insert(object, Deletion::Ordered);
                out.push(Output::Delete(object));
            }
        }
    }

    //= spec/shared.md#shared-18-a-failed-deletion-is-repeated
    //# A deletion that has failed MUST be ordered again after the pause.
    fn repeat_deletions(&mut self, now: Millis, out: &mut Vec<Output>) {
        for (object, deletion) in &mut self.deletions {
            if matches!(deletion, Deletion::RepeatAt(time) if *time <= now) {
                *deletion = Deletion::Ordered;
                out.push(Output::Delete(*object));
            }
        }
    }
}
