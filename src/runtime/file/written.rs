//! Into which directories the attempts of a sink have written.

use crate::base::Attempt;
use crate::runtime::UserError;
use crate::state::{ListStateDescriptor, OperatorStateBackend};
use std::path::{Path, PathBuf};

/// The directories of a sink, each with the first attempt that wrote there.
///
/// A job that starts from the checkpoint of another one has transactions to commit that lie where that one wrote (Flink's sinks
/// keep the path with each transaction).
#[derive(Clone, Debug, Default)]
pub(super) struct WrittenDirectories(Vec<(u32, String)>);

impl WrittenDirectories {
    /// Reads the directories from the state of a sink, and adds `current`, in which `attempt` writes.
    pub(super) fn restore(
        state: &mut OperatorStateBackend,
        attempt: Attempt,
        current: &Path,
    ) -> Result<Self, UserError> {
        let list = state.union_list_state(&directories())?;
        let mut written = WrittenDirectories(list.get(state)?.to_vec());
        // Every subtask has said the same.
        written.0.sort_unstable();
        written.0.dedup();
        written.add(attempt, current)?;
        list.update(state, written.0.clone())?;
        Ok(written)
    }

    fn add(&mut self, attempt: Attempt, current: &Path) -> Result<(), UserError> {
        let absolute = std::path::absolute(current)
            .map_err(|error| format!("cannot tell where {} is: {error}", current.display()))?;
        // What no text can name is found as long as it is the present directory.
        let Some(name) = absolute.to_str() else { return Ok(()) };
        if self.0.last().is_none_or(|(_, newest)| newest != name) {
            self.0.push((attempt.0, name.to_owned()));
        }
        Ok(())
    }

    /// Where an attempt wrote, if that is another directory than the present one.
    pub(super) fn before(&self, attempt: Attempt) -> Option<PathBuf> {
        let (_, present) = self.0.last()?;
        let (_, directory) = self.0.iter().rev().find(|(first, _)| *first <= attempt.0)?;
        (directory != present).then(|| PathBuf::from(directory))
    }
}

fn directories() -> ListStateDescriptor<(u32, String)> {
    ListStateDescriptor::new("_runtime/directories")
}
