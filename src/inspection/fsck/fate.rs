//! What may become of each file: the rules of `spec/publish.md`, `spec/shared.md` and `spec/coordinator.md`, for whoever was
//! not there.
//!
//! What is called safe stays so, whatever the job does next: what an older attempt has written can never be published, and a
//! checkpoint shares nothing of older attempts but what the published one before it shares.

use super::reach::Reach;
use super::report::{Fate, FileReport};
use crate::base::{Attempt, CheckpointId, SharedObject, StateFile, StateHandle};
use crate::codec::CheckpointMetadata;
use crate::publish::{Config, Pointer, PointerSequence};
use crate::store::{CheckpointStorage, FoundFile, Meaning, Place, StorageError};
use std::collections::{BTreeMap, BTreeSet};

/// Why a file has its fate.
struct Judgement {
    fate: Fate,
    reason: String,
    rule: Option<&'static str>,
    referred_to_by: Vec<String>,
}

impl Judgement {
    fn new(fate: Fate, rule: &'static str, reason: impl Into<String>) -> Self {
        Judgement { fate, reason: reason.into(), rule: Some(rule), referred_to_by: Vec::new() }
    }

    fn needed(rule: &'static str, reason: impl Into<String>) -> Self {
        Judgement::new(Fate::Needed, rule, reason)
    }

    fn safe(rule: &'static str, reason: impl Into<String>) -> Self {
        Judgement::new(Fate::SafeToDelete, rule, reason)
    }

    fn left_alone(rule: &'static str, reason: impl Into<String>) -> Self {
        Judgement::new(Fate::LeftAlone, rule, reason)
    }

    fn unknown(reason: impl Into<String>) -> Self {
        Judgement { rule: None, ..Judgement::left_alone("", reason) }
    }
}

/// Who shares each file, of all jobs under the same directory: a job that has claimed the checkpoint of another one refers
/// to files of that.
pub(super) struct Sharers {
    by: BTreeMap<SharedObject, Vec<(String, Place)>>,
    /// Why that may not be all of them.
    unknown: Option<String>,
}

impl Sharers {
    pub(super) fn of(jobs: &[Reach<'_>]) -> Self {
        let mut sharers = Sharers { by: BTreeMap::new(), unknown: None };
        for job in jobs {
            for (object, place) in job.shared() {
                let by = sharers.by.entry(object).or_default();
                let sharer = (job.storage.job().to_string(), place);
                // Subtasks may refer to the same file.
                if by.last() != Some(&sharer) {
                    by.push(sharer);
                }
            }
            sharers.unknown = sharers.unknown.or_else(|| job.unknown.clone());
        }
        sharers
    }
}

/// Judges the files of one job.
pub(super) struct Judge<'a> {
    reach: &'a Reach<'a>,
    sharers: &'a Sharers,
    /// The state files of each checkpoint that has metadata.
    states: BTreeMap<Place, BTreeSet<StateFile>>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(reach: &'a Reach<'a>, sharers: &'a Sharers) -> Self {
        let files = |metadata: &CheckpointMetadata| {
            metadata.checkpoint.states.values().flatten().filter_map(StateHandle::stored_file).collect()
        };
        let states = reach.checkpoints.iter().map(|(place, metadata)| (*place, files(metadata))).collect();
        Judge { reach, sharers, states }
    }

    pub(super) fn report(&self, file: &FoundFile) -> FileReport {
        let Judgement { fate, reason, rule, referred_to_by } = self.judge(&file.meaning);
        let (file, bytes) = (file.path.display().to_string(), file.bytes);
        FileReport { file, bytes, fate, reason, rule, referred_to_by }
    }

    fn judge(&self, meaning: &Meaning) -> Judgement {
        match meaning {
            Meaning::Unknown => Judgement::unknown("the format knows no such name: it is somebody else's"),
            Meaning::Pointer(sequence) => self.pointer(*sequence),
            Meaning::Shared(object) if object.savepoint.is_none() => self.shared(object),
            Meaning::Temporary(target) => self.temporary(target.as_deref()),
            _ => match meaning.place() {
                Some(place) => self.in_place(place, meaning),
                None => Judgement::unknown("the format knows no such name: it is somebody else's"),
            },
        }
    }

    /// Without the newest pointer nobody knows what counts.
    fn newest(&self) -> Result<&Pointer, Judgement> {
        match (&self.reach.unknown, self.reach.pointer()) {
            (None, Some(pointer)) => Ok(pointer),
            (Some(unknown), _) => Err(Judgement::left_alone("SHARED-21", unknown)),
            (None, None) => {
                Err(Judgement::left_alone("SHARED-21", "there is no pointer that says what counts"))
            }
        }
    }

    fn pointer(&self, sequence: PointerSequence) -> Judgement {
        let newest = self.reach.view.newest.as_ref().map(|(newest, _)| *newest);
        if newest == Some(sequence) {
            return Judgement::needed(
                "PUB-12",
                "it is the newest pointer: a recovery starts from what it names",
            );
        }
        match self.reach.storage.read_pointer(sequence) {
            Ok(_) if self.reach.view.pointers_in.is_some() => {
                Judgement::left_alone("PUB-47", self.reach.unknown.clone().unwrap_or_default())
            }
            Ok(Some(pointer))
                if pointer.is_superfluous(sequence, &self.reach.view.pointers, Config::SEGMENT) =>
            {
                Judgement::safe("PUB-11", "its segment of the log is over, and nobody reads it")
            }
            Ok(_) => Judgement::needed("PUB-11", "the log of pointers needs it"),
            Err(StorageError::Elsewhere { store, .. }) => {
                Judgement::needed("PUB-47", format!("it says that the log of pointers lies in {store}"))
            }
            Err(error) => Judgement::left_alone("PUB-5", format!("it may be a claim: {error}")),
        }
    }

    fn shared(&self, object: &SharedObject) -> Judgement {
        if let Some(by) = self.sharers.by.get(object) {
            let own = self.reach.storage.job().to_string();
            let name = |(job, place): &(String, Place)| match *job == own {
                true => place.to_string(),
                false => format!("{job}/{place}"),
            };
            let referred_to_by = by.iter().map(name).collect();
            let needed = Judgement::needed("SHARED-11", "checkpoints refer to it");
            return Judgement { referred_to_by, ..needed };
        }
        if let Some(unknown) = &self.sharers.unknown {
            return Judgement::left_alone("SHARED-21", unknown);
        }
        let no_one = "no checkpoint refers to it";
        self.of_attempt(object.file.attempt, "SHARED-19", no_one)
    }

    /// A file to which nobody refers is safe if an attempt wrote it that is over.
    fn of_attempt(&self, attempt: Attempt, rule: &'static str, no_one: &str) -> Judgement {
        let newest = match self.newest() {
            Ok(pointer) => pointer.attempt,
            Err(unknown) => return unknown,
        };
        match attempt < newest {
            true => Judgement::safe(rule, format!("{no_one}, and attempt {attempt} is over")),
            false => Judgement::left_alone(rule, format!("{no_one}, but attempt {attempt} may be about to")),
        }
    }

    fn temporary(&self, target: Option<&Meaning>) -> Judgement {
        match target {
            Some(Meaning::Pointer(sequence)) => match (self.newest(), self.reach.view.pointers.last()) {
                (Err(unknown), _) => unknown,
                (Ok(_), Some(last)) if last >= sequence => {
                    Judgement::safe("PUB-6", "who writes it finds that its number is taken")
                }
                _ => Judgement::left_alone("PUB-6", "it may be the next pointer"),
            },
            Some(Meaning::Shared(object)) if object.savepoint.is_none() => {
                self.of_attempt(object.file.attempt, "SHARED-19", "nobody can refer to it")
            }
            Some(target) => match target.place() {
                Some(place) => self.not_part_of(place, target),
                None => Judgement::unknown("it may be being written"),
            },
            None => Judgement::unknown("it may be being written"),
        }
    }

    fn in_place(&self, place: Place, meaning: &Meaning) -> Judgement {
        let is_savepoint = matches!(place, Place::Savepoint(..));
        let counts = is_savepoint || self.reach.view.status(place).is_published();
        match meaning {
            Meaning::Metadata(_) if is_savepoint => {
                Judgement::needed("PUB-40", "it makes the savepoint complete")
            }
            Meaning::Metadata(_) if counts => {
                Judgement::needed("PUB-3", "the newest pointer names the checkpoint")
            }
            _ if counts && self.is_part_of(place, meaning) => Judgement {
                referred_to_by: vec![place.to_string()],
                ..Judgement::needed("PUB-3", "its checkpoint refers to it")
            },
            _ => self.not_part_of(place, meaning),
        }
    }

    fn is_part_of(&self, place: Place, meaning: &Meaning) -> bool {
        match meaning {
            Meaning::State(file) => self.states.get(&place).is_some_and(|files| files.contains(file)),
            Meaning::Shared(object) => self.sharers.by.contains_key(object),
            _ => false,
        }
    }

    /// What lies in the directory of a checkpoint or savepoint that does not refer to it.
    fn not_part_of(&self, place: Place, meaning: &Meaning) -> Judgement {
        let Place::Checkpoint(id) = place else {
            let reason = "nothing tells whether its savepoint was completed, or will be";
            return Judgement::left_alone("COORD-65", reason);
        };
        match self.newest() {
            // What was empty when it was listed may have been filled since.
            Ok(_) if self.reach.view.status(place).is_published() && matches!(meaning, Meaning::Empty(_)) => {
                Judgement::left_alone("PUB-2", "its checkpoint was published meanwhile")
            }
            Ok(_) if self.reach.view.status(place).is_published() => Judgement::safe(
                "PUB-2",
                "the metadata of its checkpoint is written, and does not refer to it",
            ),
            Ok(pointer) => self.unpublished(pointer, id, meaning),
            Err(unknown) => unknown,
        }
    }

    /// What lies in the directory of a checkpoint that the newest pointer does not name.
    fn unpublished(&self, pointer: &Pointer, id: CheckpointId, meaning: &Meaning) -> Judgement {
        if let Some(newest) = pointer.newest.filter(|newest| *newest > id) {
            let reason = format!("checkpoint {newest} is published, which subsumes this one");
            return Judgement::safe("COORD-8", reason);
        }
        let place = Place::Checkpoint(id);
        let attempt = match meaning {
            Meaning::Metadata(_) => {
                self.reach.checkpoints.get(&place).map(|metadata| metadata.checkpoint.attempt)
            }
            meaning => meaning.attempt(),
        };
        match attempt {
            Some(attempt) => self.of_attempt(attempt, "PUB-4", "its checkpoint is not published"),
            None => Judgement::left_alone("PUB-2", "its checkpoint may be being written"),
        }
    }
}
