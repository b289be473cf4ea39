//! What a subtask starts from.

use super::SubtaskContext;
use super::error::TaskError;
use super::incremental::{IncrementalUploads, StoredFiles};
use super::task::Environment;
use crate::base::{StateFile, StateHandle};
use crate::shared::incremental::{Config, Restored};
use crate::state::backend::BackendFile;
use crate::state::{KeyedImage, OperatorImage, SnapshotImage, StateError};
use std::io::Read;
use std::sync::Arc;

impl Environment {
    /// Reads the state from which this subtask is restored: its own, and its part of what belongs to all subtasks.
    pub(super) fn restore(&self) -> Result<SnapshotImage, TaskError> {
        let Some(handle) = self.own_file() else {
            let operator = self.redistributed(OperatorImage::default())?;
            return Ok(SnapshotImage { operator, ..SnapshotImage::default() });
        };
        let mut image = self.read(handle, |reader| SnapshotImage::read_from(reader, None))?;
        if !image.operator.is_split() {
            image.operator = self.redistributed(image.operator)?;
        }
        Ok(image)
    }

    /// Remembers the checksums of the files that hold the keyed state, for checkpoints that refer to them.
    pub(super) fn remember_checksums(&mut self, keyed: Option<&KeyedImage>) {
        let files = keyed.and_then(|keyed| keyed.files.as_ref()).map(|files| &files.files);
        self.restored_checksums = files.into_iter().flatten().filter_map(BackendFile::shared).collect();
    }

    /// The shared files from which this subtask is restored.
    pub(super) fn stored_files(&self) -> StoredFiles {
        let objects = self.restored_files.0.iter().map(|object| (object.file.content, *object)).collect();
        StoredFiles { storage: Arc::clone(&self.storage), objects }
    }

    /// The incremental snapshots that follow what this subtask is restored from.
    pub(super) fn incremental_uploads(&self) -> IncrementalUploads {
        let SubtaskContext { subtask, attempt, .. } = self.context;
        let (objects, ownership) = &self.restored_files;
        let files = objects.iter().map(|object| object.file).collect();
        let restored = Restored { files, ownership: *ownership };
        let config = Config { job: self.job, subtask, attempt };
        IncrementalUploads::new(config, restored, self.restored_checksums.clone())
    }

    fn own_file(&self) -> Option<StateHandle> {
        self.restored.get(usize::from(self.context.subtask.index)).copied().flatten()
    }

    /// What this subtask gets of the operator state of all subtasks, of which it has its own.
    fn redistributed(&self, own: OperatorImage) -> Result<OperatorImage, TaskError> {
        let SubtaskContext { subtask, parallelism, .. } = self.context;
        let mut old = vec![own; self.restored.len()];
        for (index, handle) in
            self.restored.iter().enumerate().filter(|(index, _)| *index != usize::from(subtask.index))
        {
            old[index] = match *handle {
                Some(handle) => self.read(handle, OperatorImage::read_from)?,
                None => OperatorImage::default(),
            };
        }
        OperatorImage::redistributed(&old, parallelism, subtask.index).map_err(|error| self.open_error(error))
    }

    fn read<T>(
        &self,
        handle: StateHandle,
        read: impl FnOnce(Box<dyn Read + Send>) -> Result<T, StateError>,
    ) -> Result<T, TaskError> {
        read(self.storage.read_state(&handle)?).map_err(|error| self.restore_error(handle.file, error))
    }

    /// Names the file in an error that was found while its content was taken in.
    pub(super) fn restore_error(&self, file: StateFile, error: StateError) -> TaskError {
        let object = self.storage.state_name(file);
        TaskError::Restore { object, cause: error }
    }

    /// The same for an error found when restored state is opened.
    pub(super) fn open_error(&self, error: StateError) -> TaskError {
        match self.own_file() {
            Some(handle) => self.restore_error(handle.file, error),
            None => TaskError::State(error),
        }
    }
}
