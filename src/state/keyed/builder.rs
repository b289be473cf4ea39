use super::bytes::put_raw;
use super::times::Times;
use super::{KeyedStateStore, StateKey};
use crate::keygroup::{KeyGroupRange, MaxParallelism};
use crate::state::backend::{
    BackendContext, BackendError, BackendFile, BackendFiles, FetchFile, StateBackend, state_name,
};
use crate::state::serializer::{SerdeSerializer, StateSerializer, resolve};
use crate::state::{
    KeyedImage, KeyedStateHeader, RawKeyedState, StateError, StatePart, StateValue, merge_keyed,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a [`KeyedStateStore`] is made of.
pub struct KeyedStateStoreBuilder<K> {
    max_parallelism: MaxParallelism,
    range: KeyGroupRange,
    key_serializer: Arc<dyn StateSerializer<K>>,
    backend: StateBackend,
}

impl<K: StateKey> KeyedStateStore<K> {
    /// A store of objects in memory without any state, for the key groups of `range`.
    ///
    /// # Errors
    /// [`StateError::NoSuchRange`] when the range exceeds the maximum parallelism.
    pub fn new(max_parallelism: MaxParallelism, range: KeyGroupRange) -> Result<Self, StateError>
    where
        K: StateValue,
    {
        KeyedStateStoreBuilder::new(max_parallelism, range).restore(Vec::new())
    }

    /// A store of objects in memory with the state of `range` from the snapshots of one or several subtasks, which need
    /// not have had the same range.
    ///
    /// # Errors
    /// The range exceeds the maximum parallelism, or the snapshots do not fit the job or each other.
    pub fn restore(
        max_parallelism: MaxParallelism,
        range: KeyGroupRange,
        images: Vec<KeyedImage>,
    ) -> Result<Self, StateError>
    where
        K: StateValue,
    {
        KeyedStateStoreBuilder::new(max_parallelism, range).restore(images)
    }
}

impl<K: StateKey> KeyedStateStoreBuilder<K> {
    /// A store for the key groups of `range`, on the default backend.
    #[must_use]
    pub fn new(max_parallelism: MaxParallelism, range: KeyGroupRange) -> Self
    where
        K: StateValue,
    {
        KeyedStateStoreBuilder::with_key_serializer(max_parallelism, range, SerdeSerializer::new())
    }

    /// As [`new`](Self::new), with a serializer of the keys' own.
    #[must_use]
    pub fn with_key_serializer(
        max_parallelism: MaxParallelism,
        range: KeyGroupRange,
        serializer: impl StateSerializer<K> + 'static,
    ) -> Self {
        let backend = StateBackend::default();
        KeyedStateStoreBuilder { max_parallelism, range, key_serializer: Arc::new(serializer), backend }
    }

    /// Uses another serializer of the keys, if there is one.
    #[must_use]
    pub(crate) fn with_shared_key_serializer(mut self, other: Option<&Arc<dyn StateSerializer<K>>>) -> Self {
        if let Some(serializer) = other {
            self.key_serializer = Arc::clone(serializer);
        }
        self
    }

    /// Uses another backend.
    #[must_use]
    pub fn with_backend(mut self, backend: &StateBackend) -> Self {
        self.backend = backend.clone();
        self
    }

    /// Makes the store, with the state of its range from the snapshots of one or several subtasks, which need not have
    /// had the same range.
    ///
    /// # Errors
    /// The range exceeds the maximum parallelism, the backend cannot be made, or the snapshots do not fit the job or each
    /// other. A key serializer that would have to migrate keys is refused: their key groups could change.
    ///
    /// What lies in files of a backend cannot be restored without [`restore_with`](Self::restore_with).
    pub fn restore(self, images: Vec<KeyedImage>) -> Result<KeyedStateStore<K>, StateError> {
        self.restore_with(images, &NoFiles)
    }

    /// As [`restore`](Self::restore), also from snapshots whose state a backend of the same kind has left in files.
    ///
    /// # Errors
    /// As `restore`, or a file cannot be fetched, or is none of the backend's.
    pub fn restore_with(
        self,
        images: Vec<KeyedImage>,
        fetch: &dyn FetchFile,
    ) -> Result<KeyedStateStore<K>, StateError> {
        let KeyedStateStoreBuilder { max_parallelism, range, key_serializer, backend } = self;
        if !max_parallelism.all_groups().contains(range.end()) {
            return Err(StateError::NoSuchRange { range, max_parallelism });
        }
        let key_serializer = images.iter().try_fold(key_serializer, |serializer, image| {
            let resolved = resolve("all keyed state", StatePart::Keys, &serializer, &image.header.key)?;
            Ok::<_, StateError>(Arc::clone(resolved.serializer()))
        })?;
        let in_files: Vec<_> =
            images.iter().filter_map(|image| Some((image.header.range, image.files.clone()?))).collect();
        fit_together(&in_files, backend.name())?;
        let wanted = in_files.iter().filter(|(old, _)| old.groups().any(|group| range.contains(group)));
        let parts: Vec<_> = wanted.map(|(range, files)| files.part(*range)).collect();
        let mut unclaimed = merge_keyed(images, max_parallelism, range)?;
        let (mut backend, synchronous_snapshots) = match backend {
            StateBackend::HashMap { asynchronous_snapshots } => (None, !asynchronous_snapshots),
            StateBackend::Custom(factory, options) => {
                let context = BackendContext { range, options };
                let made = match parts[..] {
                    [] => factory.create(&context),
                    _ => factory.restore(&context, &parts, fetch),
                };
                let failed = |cause| StateError::Backend { state: factory.name().to_owned(), cause };
                (Some(made.map_err(failed)?), false)
            }
        };
        let mut in_backend = BTreeMap::new();
        if let Some(backend) = &mut backend {
            let names: BTreeSet<_> = parts.iter().flat_map(|part| part.states).collect();
            for name in names {
                let failed = |cause| StateError::Backend { state: state_name(name).to_owned(), cause };
                let missing = || {
                    let name = state_name(name);
                    StateError::Incompatible(format!("the files that should hold state `{name}` do not"))
                };
                let state = backend.restored_state(name).map_err(failed)?.ok_or_else(missing)?;
                // What lies in files of one subtask may be written out by another.
                for raw in take_entries(&mut unclaimed, name) {
                    let mut holders = parts.iter().filter(|part| part.states.contains(name));
                    if holders.any(|part| raw.groups.keys().any(|group| part.range.contains(*group))) {
                        let name = state_name(name);
                        let what = format!("state `{name}` has a key group in files and in entries");
                        return Err(StateError::Incompatible(what));
                    }
                    put_raw(&raw, &*key_serializer, max_parallelism, state, &mut **backend)?;
                }
                in_backend.insert(name.clone(), state);
            }
        }
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let (current, states) = (None, Vec::new());
        Ok(KeyedStateStore {
            id,
            max_parallelism,
            range,
            key_serializer,
            backend,
            synchronous_snapshots,
            current,
            states,
            times: Times::default(),
            shared_times: None,
            expires: false,
            unclaimed,
            in_backend,
        })
    }
}

/// Takes out the entries of a version of a state, which may also stand under the name of the state.
fn take_entries(unclaimed: &mut BTreeMap<String, RawKeyedState>, version: &str) -> Vec<RawKeyedState> {
    let Some(RawKeyedState { header, groups }) = unclaimed.get_mut(version) else { return Vec::new() };
    let header = header.clone();
    let mut taken = vec![RawKeyedState { header: header.clone(), groups: std::mem::take(groups) }];
    let name = state_name(version);
    let is_written_so =
        |raw: &RawKeyedState| KeyedStateHeader { name: version.to_owned(), ..raw.header.clone() } == header;
    if name != version && unclaimed.get(name).is_some_and(is_written_so) {
        taken.extend(unclaimed.remove(name));
    }
    taken
}

/// Whether all files were left by the backend `name`, each key group by one subtask.
fn fit_together(in_files: &[(KeyGroupRange, BackendFiles)], name: &str) -> Result<(), StateError> {
    if let Some((_, BackendFiles { backend: other, .. })) =
        in_files.iter().find(|(_, files)| files.backend != name)
    {
        let what = format!(
            "its state lies in files of the backend `{other}`, and the job's is `{name}`; a savepoint goes from one to the other"
        );
        return Err(StateError::Incompatible(what));
    }
    let mut ranges: Vec<KeyGroupRange> = in_files.iter().map(|(range, _)| *range).collect();
    ranges.sort_by_key(|range| range.start());
    match ranges.windows(2).find(|pair| pair[0].end() >= pair[1].start()) {
        Some(pair) => {
            let what = format!("key groups of {} lie in files of {} too", pair[0], pair[1]);
            Err(StateError::Incompatible(what))
        }
        None => Ok(()),
    }
}

/// Where no files are.
struct NoFiles;

impl FetchFile for NoFiles {
    fn fetch(&self, file: &BackendFile, _: &Path) -> Result<(), BackendError> {
        Err(format!("the file `{}` cannot be fetched: nobody has said from where", file.name).into())
    }
}
