//! Savepoints that lie where their request has said.

use super::Place;
use crate::base::{Attempt, CheckpointId};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A directory that a user has chosen for a savepoint (Flink: `target-directory`), in which the storage can write.
pub trait SavepointTarget: Send + Sync + Debug {
    /// From now on the savepoint that this attempt takes under this number lies here, for everybody who has the storage.
    /// Nothing of it may have been written before.
    fn place(&self, savepoint: CheckpointId, attempt: Attempt);
}

/// In which directories those savepoints lie that do not lie where all others do. Clones share them.
///
/// They are kept as long as the storage: a task that is late writes into a savepoint that is over.
#[derive(Clone, Debug)]
pub(super) struct Targets<D>(Arc<Mutex<BTreeMap<Place, D>>>);

/// One such directory.
#[derive(Debug)]
struct Target<D> {
    targets: Targets<D>,
    directory: D,
}

impl<D: Clone + Send + Sync + Debug + 'static> Targets<D> {
    /// The directory of a checkpoint or savepoint, if one was chosen.
    pub(super) fn of(&self, place: Place) -> Option<D> {
        self.placed().get(&place).cloned()
    }

    pub(super) fn target(&self, directory: D) -> Arc<dyn SavepointTarget> {
        Arc::new(Target { targets: self.clone(), directory })
    }

    /// A panic elsewhere cannot leave the map half changed: each operation changes it by one call.
    fn placed(&self) -> MutexGuard<'_, BTreeMap<Place, D>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D> Default for Targets<D> {
    fn default() -> Self {
        Targets(Arc::default())
    }
}

impl<D: Clone + Send + Sync + Debug + 'static> SavepointTarget for Target<D> {
    fn place(&self, savepoint: CheckpointId, attempt: Attempt) {
        let place = Place::Savepoint(savepoint, attempt);
        self.targets.placed().insert(place, self.directory.clone());
    }
}
