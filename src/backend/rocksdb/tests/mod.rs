//! What is to be seen only from inside: compactions, and what lies where.

#![allow(clippy::disallowed_methods)]

mod compaction;
mod compression;
mod failures;
mod lists;
mod memory;

use super::RocksDbStateBackendFactory;
use super::database::{Database, families_in};
use super::family::family_of;
use super::restore;
use crate::keygroup::MaxParallelism;
use crate::state::backend::*;
use crate::state::serializer::{FirstVersion, VersionedSerializer, VersionedState};
use crate::state::{
    KeyedImage, KeyedSnapshot, KeyedStateStore, KeyedStateStoreBuilder, OperatorSnapshot, SnapshotImage,
    TaskSnapshot,
};
use rocksdb::{BottommostLevelCompaction, CompactOptions};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Makes backends whose instance can be looked into.
#[derive(Clone, Default)]
struct Observed(Arc<Mutex<Option<Arc<Database>>>>);

impl StateBackendFactory for Observed {
    fn name(&self) -> &str {
        "rocksdb"
    }

    fn create(&self, context: &BackendContext) -> Result<Box<dyn KeyedStateBackend>, BackendError> {
        let (options, directory) = RocksDbStateBackendFactory::prepare(context)?;
        self.observe(restore::begin(directory, &options, context.range)?)
    }

    fn restore(
        &self,
        context: &BackendContext,
        parts: &[RestoredPart<'_>],
        fetch: &dyn FetchFile,
    ) -> Result<Box<dyn KeyedStateBackend>, BackendError> {
        let (options, directory) = RocksDbStateBackendFactory::prepare(context)?;
        self.observe(restore::restore(directory, &options, context.range, parts, fetch)?)
    }
}

impl Observed {
    fn observe(
        &self,
        backend: super::store::RocksDbStateBackend,
    ) -> Result<Box<dyn KeyedStateBackend>, BackendError> {
        *self.0.lock().unwrap() = Some(Arc::clone(backend.database()));
        Ok(Box::new(backend))
    }

    fn database(&self) -> Arc<Database> {
        Arc::clone(self.0.lock().unwrap().as_ref().unwrap())
    }

    /// Forgets the instance, which ends with its backend then.
    fn forget(&self) -> PathBuf {
        self.0.lock().unwrap().take().unwrap().directory.path().to_owned()
    }

    /// The families in which a state lies, one for each version of its serializers.
    fn families(&self, state: &str) -> Vec<String> {
        let prefix = family_of(&format!("{state}@"));
        let all = families_in(&self.database().directory.database()).unwrap();
        all.into_iter().filter(|family| family.starts_with(&prefix)).collect()
    }

    /// Rewrites all files of a state.
    fn compact(&self, state: &str) {
        let database = self.database();
        for family in self.families(state) {
            let family = database.family(&family).unwrap();
            database.db.flush_cf(&family).unwrap();
            let mut options = CompactOptions::default();
            options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
            database.db.compact_range_cf_opt(&family, None::<&[u8]>, None::<&[u8]>, &options);
        }
    }

    /// How many entries a state has in each of its families, whoever may see them.
    fn entries_of_families(&self, state: &str) -> Vec<usize> {
        let database = self.database();
        let entries_of = |family: &String| {
            let mut entries = 0;
            let iterator = database.db.raw_iterator_cf(&database.family(family).unwrap());
            super::database::visit(iterator, &mut |_, _| {
                entries += 1;
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
            entries
        };
        self.families(state).iter().map(entries_of).collect()
    }

    /// How many entries a state has, whoever may see them.
    fn entries(&self, state: &str) -> usize {
        self.entries_of_families(state).into_iter().sum()
    }
}

fn store(observed: &Observed, options: &[(&str, &str)]) -> KeyedStateStore<u32> {
    restored(observed, options, Vec::new(), None)
}

fn restored(
    observed: &Observed,
    options: &[(&str, &str)],
    images: Vec<KeyedImage>,
    fetch: Option<&dyn FetchFile>,
) -> KeyedStateStore<u32> {
    let max = MaxParallelism::new(8).unwrap();
    let options: BTreeMap<_, _> = options
        .iter()
        .map(|(key, value)| (format!("state.backend.rocksdb.{key}"), (*value).to_owned()))
        .collect();
    let backend = StateBackend::Custom(Arc::new(observed.clone()), options);
    let builder = KeyedStateStoreBuilder::new(max, max.all_groups()).with_backend(&backend);
    match fetch {
        Some(fetch) => builder.restore_with(images, fetch).unwrap(),
        None => builder.restore(images).unwrap(),
    }
}

/// A value in its first version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Narrow(u8);

impl VersionedState for Narrow {
    const VERSION: u32 = 1;
    type Previous = FirstVersion;

    fn upgrade(previous: FirstVersion) -> Self {
        match previous {}
    }
}

/// The same in its second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wide(u8, bool);

impl VersionedState for Wide {
    const VERSION: u32 = 2;
    type Previous = Narrow;

    fn upgrade(Narrow(number): Narrow) -> Self {
        Wide(number, true)
    }
}

fn narrow() -> VersionedSerializer<Narrow> {
    VersionedSerializer::with_id("number")
}

fn wide() -> VersionedSerializer<Wide> {
    VersionedSerializer::with_id("number")
}

/// The files of a snapshot, by their names.
struct Files(BTreeMap<String, Vec<u8>>);

impl FetchFile for Files {
    fn fetch(&self, file: &BackendFile, target: &Path) -> Result<(), BackendError> {
        Ok(fs::write(target, &self.0[&file.name])?)
    }
}

fn in_files(store: &mut KeyedStateStore<u32>) -> (KeyedImage, Files) {
    let snapshot = store.snapshot_in_files().unwrap();
    let local = snapshot.files().unwrap();
    let files = local.iter().map(|local| (local.name.clone(), fs::read(&local.path).unwrap())).collect();
    let describe = |local: &LocalFile| {
        let shared = |content| FilePlace::Shared { content, checksum: 0 };
        let place = local.content.map_or(FilePlace::Private(Vec::new()), shared);
        BackendFile { name: local.name.clone(), place }
    };
    let described = local.iter().map(describe).collect();
    let task = TaskSnapshot::new(Some(Box::new(snapshot)), OperatorSnapshot::default());
    let mut state = Vec::new();
    task.with_files("rocksdb", described).write_to(&mut state).unwrap();
    (SnapshotImage::read_from(&state[..], None).unwrap().keyed.unwrap(), Files(files))
}
