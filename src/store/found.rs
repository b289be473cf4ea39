//! Everything that lies in the directory of a job, by what its name says that it is.

use super::StorageError;
use super::file_system::FileSystemCheckpointStorage;
use super::files::names_in;
use super::names::{METADATA, POINTERS, Place, SHARED, pointer_sequence, shared_object, state_file};
use super::temporary::{PREFIX, target_of};
use crate::base::{Attempt, SharedObject, StateFile};
use crate::publish::PointerSequence;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the name of a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A pointer of the log.
    Pointer(PointerSequence),
    /// The metadata of a checkpoint or savepoint.
    Metadata(Place),
    /// The state file of a subtask.
    State(StateFile),
    /// A shared file.
    Shared(SharedObject),
    /// The directory of a checkpoint or savepoint, which is empty.
    Empty(Place),
    /// A file that is being written, or was: its name begins with `.tmp-`.
    Temporary(Option<Box<Meaning>>),
    /// Nothing that the format knows.
    Unknown,
}

impl Meaning {
    /// The checkpoint or savepoint in whose directory it lies.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Meaning::Metadata(place) | Meaning::Empty(place) => Some(*place),
            Meaning::State(file) => Some(Place::of_state(*file)),
            Meaning::Shared(SharedObject { file, savepoint: Some(savepoint), .. }) => {
                Some(Place::Savepoint(*savepoint, file.attempt))
            }
            Meaning::Temporary(Some(target)) => target.place(),
            Meaning::Shared(_) | Meaning::Pointer(_) | Meaning::Temporary(None) | Meaning::Unknown => None,
        }
    }

    /// The attempt that has written it, if its name says that.
    #[must_use]
    pub fn attempt(&self) -> Option<Attempt> {
        match self {
            Meaning::State(file) => Some(file.attempt),
            Meaning::Shared(object) => Some(object.file.attempt),
            Meaning::Temporary(target) => target.as_ref()?.attempt(),
            Meaning::Pointer(_) | Meaning::Metadata(_) | Meaning::Empty(_) | Meaning::Unknown => None,
        }
    }
}

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Where.
    pub path: PathBuf,
    /// Its length; 0 for a directory.
    pub bytes: u64,
    /// What it is.
    pub meaning: Meaning,
}

impl FileSystemCheckpointStorage {
    /// All files in the directory of the job, also those that the format does not know, in the order of their names. Of
    /// directories that it does not know only the names are told.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when a directory cannot be read.
    pub fn files(&self) -> Result<Vec<FoundFile>, StorageError> {
        let mut found = Vec::new();
        for name in sorted_names(self.directory())? {
            let path = self.directory().join(&name);
            match (&*name, Place::from_name(&name)) {
                (POINTERS | SHARED | "taskowned", _) => {
                    self.files_in(&path, |file| self.meaning(&name, file), &mut found)?;
                }
                (_, Some(place)) => {
                    let before = found.len();
                    self.files_in(&path, |file| self.meaning_in(place, file), &mut found)?;
                    if found.len() == before && path.is_dir() {
                        found.push(FoundFile { path, bytes: 0, meaning: Meaning::Empty(place) });
                    }
                }
                (_, None) => found.extend(look_at(path, meaning_of(&name, |_| Meaning::Unknown))?),
            }
        }
        Ok(found)
    }

    fn files_in(
        &self,
        directory: &Path,
        meaning: impl Fn(&str) -> Meaning,
        found: &mut Vec<FoundFile>,
    ) -> Result<(), StorageError> {
        for name in sorted_names(directory)? {
            found.extend(look_at(directory.join(&name), meaning_of(&name, &meaning))?);
        }
        Ok(())
    }

    fn meaning(&self, directory: &str, name: &str) -> Meaning {
        let meaning = match directory {
            POINTERS => pointer_sequence(name).map(Meaning::Pointer),
            SHARED => shared_object(self.job(), name).map(Meaning::Shared),
            _ => None,
        };
        meaning.unwrap_or(Meaning::Unknown)
    }

    fn meaning_in(&self, place: Place, name: &str) -> Meaning {
        if name == METADATA {
            return Meaning::Metadata(place);
        }
        let shared = || {
            let Place::Savepoint(savepoint, attempt) = place else { return None };
            let object = shared_object(self.job(), name).filter(|object| object.file.attempt == attempt)?;
            Some(Meaning::Shared(SharedObject { savepoint: Some(savepoint), ..object }))
        };
        state_file(place, name).map(Meaning::State).or_else(shared).unwrap_or(Meaning::Unknown)
    }
}

/// What a name says, which may be that of a file that is still to get its own.
fn meaning_of(name: &str, meaning: impl Fn(&str) -> Meaning) -> Meaning {
    if !name.starts_with(PREFIX) {
        return meaning(name);
    }
    let target = target_of(name).map(meaning).filter(|target| *target != Meaning::Unknown);
    Meaning::Temporary(target.map(Box::new))
}

fn sorted_names(directory: &Path) -> Result<Vec<String>, StorageError> {
    // A directory that is none holds nothing.
    if directory.is_file() {
        return Ok(Vec::new());
    }
    let mut names = names_in(directory)?;
    names.sort_unstable();
    Ok(names)
}

/// Nothing when it has gone meanwhile.
fn look_at(path: PathBuf, meaning: Meaning) -> Result<Option<FoundFile>, StorageError> {
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(FoundFile { path, bytes: metadata.len(), meaning })),
        // Nothing of the format is a directory, or a link, where files are.
        Ok(_) => Ok(Some(FoundFile { path, bytes: 0, meaning: Meaning::Unknown })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::unavailable(path.display(), error)),
    }
}
