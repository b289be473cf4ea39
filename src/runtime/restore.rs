//! What a subtask starts from.

use super::SubtaskContext;
use super::error::TaskError;
use super::task::Environment;
use crate::base::{StateFile, StateHandle};
use crate::state::{OperatorImage, SnapshotImage, StateError};
use std::io::Read;

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
