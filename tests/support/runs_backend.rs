//! A backend that leaves its state in files which never change: each snapshot adds one with what has changed since the one
//! before, a run, and now and then all runs are written anew as one.

#![allow(clippy::disallowed_methods)]

use snapline::base::ContentId;
use snapline::state::backend::{
    BackendContext, BackendError, BackendFile, BackendSnapshot, Entries, FetchFile, KeyedStateBackend,
    LocalFile, RestoredPart, SnapshotInFiles, StateBackendFactory, StateDescription, StateNumber,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

/// With so many runs the next snapshot writes one that holds everything.
const MAX_RUNS: usize = 4;

/// The file that names the states and the runs, in their order. It changes with each snapshot.
const LIST: &str = "LIST";

type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a run holds: states, keys, and the values there, or none for keys that were removed.
type Changes = Vec<(String, Vec<u8>, Option<Vec<u8>>)>;

/// Makes [`RunsStateBackend`]s.
pub struct RunsStateBackendFactory;

pub struct RunsStateBackend {
    directory: Arc<TempDir>,
    instance: u64,
    files: u64,
    runs: Vec<(String, ContentId)>,
    states: Vec<(String, Arc<State>)>,
    /// Those that were restored and not asked for.
    restored: BTreeMap<String, State>,
    changed: BTreeSet<(usize, Vec<u8>)>,
}

impl StateBackendFactory for RunsStateBackendFactory {
    fn name(&self) -> &str {
        "runs"
    }

    fn create(&self, _: &BackendContext) -> Result<Box<dyn KeyedStateBackend>, BackendError> {
        Ok(Box::new(RunsStateBackend::new()?))
    }

    fn restore(
        &self,
        context: &BackendContext,
        parts: &[RestoredPart<'_>],
        fetch: &dyn FetchFile,
    ) -> Result<Box<dyn KeyedStateBackend>, BackendError> {
        let mut backend = RunsStateBackend::new()?;
        let mut is_whole = parts.len() == 1 && parts[0].range == context.range;
        for (number, part) in parts.iter().enumerate() {
            is_whole &= backend.take_over(number, part, context, fetch)?;
        }
        if !is_whole {
            // The files hold something else than this state.
            backend.runs.clear();
        }
        Ok(Box::new(backend))
    }
}

impl RunsStateBackend {
    fn new() -> Result<Self, BackendError> {
        static INSTANCES: AtomicU64 = AtomicU64::new(0);
        Ok(RunsStateBackend {
            directory: Arc::new(tempfile::tempdir()?),
            instance: INSTANCES.fetch_add(1, Ordering::Relaxed) << 32 | u64::from(std::process::id()),
            files: 0,
            runs: Vec::new(),
            states: Vec::new(),
            restored: BTreeMap::new(),
            changed: BTreeSet::new(),
        })
    }

    /// Reads the files of a part, and says whether all that is there belongs to it.
    fn take_over(
        &mut self,
        number: usize,
        part: &RestoredPart<'_>,
        context: &BackendContext,
        fetch: &dyn FetchFile,
    ) -> Result<bool, BackendError> {
        let place = |file: &BackendFile| self.directory.path().join(format!("{number}-{}", file.name));
        for file in part.files {
            fetch.fetch(file, &place(file))?;
        }
        let found = |name: &str| part.files.iter().find(|file| file.name == name).ok_or("a file is missing");
        let (states, list): (BTreeSet<String>, Vec<String>) =
            postcard::from_bytes(&fs::read(place(found(LIST)?))?)?;
        for state in part.states.iter().filter(|state| states.contains(*state)) {
            self.restored.entry(state.clone()).or_default();
        }
        let (mut runs, mut is_whole) = (Vec::new(), true);
        for name in list {
            let file = found(&name)?;
            let changes: Changes = postcard::from_bytes(&fs::read(place(file))?)?;
            for (state, key, value) in changes {
                let group = u16::from_be_bytes([key[0], key[1]]);
                let is_in_range = context.range.contains(snapline::keygroup::KeyGroup(group));
                is_whole &= part.states.contains(&state);
                if !is_in_range || !part.states.contains(&state) {
                    continue;
                }
                let state = self.restored.entry(state).or_default();
                match value {
                    Some(value) => state.insert(key, value),
                    None => state.remove(&key),
                };
            }
            let (content, _) = file.shared().ok_or("a run is not shared")?;
            runs.push((format!("{number}-{name}"), content));
        }
        self.runs.extend(runs);
        Ok(is_whole)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn change(&mut self, state: StateNumber, key: &[u8]) -> &mut State {
        self.changed.insert((state.0, key.to_vec()));
        Arc::make_mut(&mut self.states[state.0].1)
    }

    /// Writes what has changed as one more run, or everything as the only one.
    fn write_run(&mut self) -> Result<(), BackendError> {
        if self.changed.is_empty() && !self.runs.is_empty() {
            return Ok(());
        }
        let unopened = self.restored.iter();
        let states = self.states.iter().map(|(name, state)| (name, &**state)).chain(unopened);
        let changes: Changes = if self.runs.is_empty() || self.runs.len() >= MAX_RUNS {
            self.runs.clear();
            let all = states.flat_map(|(name, state)| state.iter().map(move |entry| (name, entry)));
            all.map(|(name, (key, value))| (name.clone(), key.clone(), Some(value.clone()))).collect()
        } else {
            let value = |state: usize, key: &Vec<u8>| self.states[state].1.get(key).cloned();
            let changed = self.changed.iter();
            changed
                .map(|(state, key)| (self.states[*state].0.clone(), key.clone(), value(*state, key)))
                .collect()
        };
        self.changed.clear();
        let bytes = postcard::to_stdvec(&changes)?;
        self.files += 1;
        let name = format!("run-{}-{}", self.instance, self.files);
        fs::write(self.path(&name), &bytes)?;
        let digest = u128::from(self.instance) << 64 | u128::from(self.files);
        self.runs.push((name, ContentId { digest, bytes: bytes.len() as u64 }));
        Ok(())
    }
}

impl KeyedStateBackend for RunsStateBackend {
    fn create_state(&mut self, description: &StateDescription) -> Result<StateNumber, BackendError> {
        let StateDescription { name, .. } = description;
        if let Some((known, state)) = self.states.iter_mut().find(|(known, _)| *known == *name) {
            // It could not be opened. The runs that hold of it what there was are written anew.
            (*known, *state) = (format!("{name} that could not be opened"), Arc::default());
            self.changed.clear();
            self.runs.clear();
        }
        self.states.push((name.clone(), Arc::default()));
        Ok(StateNumber(self.states.len() - 1))
    }

    fn restored_state(&mut self, name: &str) -> Result<Option<StateNumber>, BackendError> {
        let known = self.states.iter().position(|(known, _)| known == name);
        Ok(known.map(StateNumber).or_else(|| {
            let state = self.restored.remove(name)?;
            self.states.push((name.to_owned(), Arc::new(state)));
            Some(StateNumber(self.states.len() - 1))
        }))
    }

    fn get(&self, state: StateNumber, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(self.states[state.0].1.get(key).cloned())
    }

    fn put(&mut self, state: StateNumber, key: &[u8], value: &[u8]) -> Result<(), BackendError> {
        self.change(state, key).insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, state: StateNumber, key: &[u8]) -> Result<(), BackendError> {
        self.change(state, key).remove(key);
        Ok(())
    }

    fn scan<'a>(&'a self, state: StateNumber, prefix: &'a [u8]) -> Entries<'a> {
        scan(&self.states[state.0].1, prefix)
    }

    fn snapshot(&mut self) -> Result<Box<dyn BackendSnapshot>, BackendError> {
        Ok(Box::new(Snapshot(self.states.iter().map(|(_, state)| Arc::clone(state)).collect())))
    }

    fn snapshot_in_files(&mut self) -> Result<Option<SnapshotInFiles>, BackendError> {
        self.write_run()?;
        let states: BTreeSet<&String> =
            self.states.iter().map(|(name, _)| name).chain(self.restored.keys()).collect();
        let names: Vec<&String> = self.runs.iter().map(|(name, _)| name).collect();
        self.files += 1;
        let list = self.path(&format!("{LIST}-{}", self.files));
        fs::write(&list, postcard::to_stdvec(&(states, names))?)?;
        let run = |(name, content): &(String, ContentId)| LocalFile {
            name: name.clone(),
            path: self.path(name),
            content: Some(*content),
        };
        let list = LocalFile { name: LIST.to_owned(), path: list, content: None };
        let files = self.runs.iter().map(run).chain([list]).collect();
        Ok(Some(SnapshotInFiles { files, hold: Box::new(Arc::clone(&self.directory)) }))
    }
}

struct Snapshot(Vec<Arc<State>>);

impl BackendSnapshot for Snapshot {
    fn scan<'a>(&'a self, state: StateNumber, prefix: &'a [u8]) -> Entries<'a> {
        scan(&self.0[state.0], prefix)
    }
}

fn scan<'a>(state: &'a State, prefix: &'a [u8]) -> Entries<'a> {
    let matching = state.range(prefix.to_vec()..).take_while(move |(key, _)| key.starts_with(prefix));
    Box::new(matching.map(|(key, value)| Ok((key.clone(), value.clone()))))
}
