//! Into which directories the attempts of a sink have written.

use crate::runtime::UserError;
use crate::state::{ListStateDescriptor, OperatorStateBackend};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The directories of a sink, of all its subtasks and attempts.
///
/// A job that starts from the checkpoint of another one has transactions to commit that lie where that one wrote (Flink's sinks
/// keep the path with each transaction). No name is there twice: the attempts of a job are above those of the checkpoint that it was
/// given (PUB-46).
#[derive(Clone, Debug, Default)]
pub(super) struct WrittenDirectories(BTreeSet<String>);

impl WrittenDirectories {
    /// Reads the directories from the state of a sink, and adds `present`.
    pub(super) fn restore(state: &mut OperatorStateBackend, present: &Path) -> Result<Self, UserError> {
        let list = state.union_list_state(&directories())?;
        let mut written: BTreeSet<String> = list.get(state)?.iter().cloned().collect();
        let absolute = std::path::absolute(present)
            .map_err(|error| format!("cannot tell where {} is: {error}", present.display()))?;
        // What no text can name is found as long as it is the present directory.
        written.extend(absolute.to_str().map(str::to_owned));
        list.update(state, written.iter().cloned().collect())?;
        Ok(WrittenDirectories(written))
    }

    /// Those beside `present`.
    pub(super) fn besides(&self, present: &Path) -> impl Iterator<Item = PathBuf> {
        let present = std::path::absolute(present).unwrap_or_default();
        self.0.iter().map(PathBuf::from).filter(move |directory| *directory != present)
    }
}

fn directories() -> ListStateDescriptor<String> {
    ListStateDescriptor::new("_runtime/directories")
}
