use super::download::ObjectReader;
use super::put::put_if_absent;
use super::requests::Requests;
use super::upload::ObjectWriter;
use super::{ObjectStoreLocation, ObjectStoreOptions};
use crate::store::reader::{check_length, missing};
use crate::store::{Put, StorageError};
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt};
use std::future;
use std::io::{self, Read};
use std::sync::Arc;

/// The objects of one location, for callers that wait.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    pub(super) location: ObjectStoreLocation,
    pub(super) options: Arc<ObjectStoreOptions>,
    pub(super) requests: Requests,
}

/// The name of an object that every job has, by which it is seen that the store refuses to write what exists.
const PROBE: &str = "conditional-put";

impl Objects {
    /// The objects of `location`.
    pub(super) fn of(
        location: ObjectStoreLocation,
        options: &ObjectStoreOptions,
    ) -> Result<Self, StorageError> {
        let name = location.name_of(&location.directory);
        options.check(&name, 1)?;
        let requests = Requests::start().map_err(|error| StorageError::unavailable(&name, error))?;
        Ok(Objects { location, options: Arc::new(options.clone()), requests })
    }

    /// Writes an object in `directory` twice, of which the store must refuse the second time, or even the first. It stays: if
    /// it were deleted, two processes that do the same would not see it. Servers of files must list it as well, which not all
    /// do that write.
    pub(super) fn probe(&self, directory: &Path) -> Result<(), StorageError> {
        let path = directory.clone().join(PROBE);
        let refuses = |_| Ok(self.put(&path, PROBE.into())? == Put::Exists);
        let what = if !(0..2).map(refuses).collect::<Result<Vec<bool>, _>>()?.contains(&true) {
            "the store has written an object that exists, although it was to be refused; checkpoints need a store with \
             conditional puts (If-None-Match), or a server with conditional moves (Overwrite: F)"
        } else if self.location.has_directories && !self.list(directory)?.0.iter().any(|name| name == PROBE) {
            "the store does not list what was written"
        } else if self.location.has_directories && !self.reads(&path, PROBE.as_bytes())? {
            "the store does not read what was written"
        } else {
            return Ok(());
        };
        let error = io::Error::new(io::ErrorKind::Unsupported, what);
        Err(StorageError::unavailable(self.name(&path), error))
    }

    /// Whether an object is read as it was written, in the way in which all are.
    fn reads(&self, path: &Path, written: &[u8]) -> Result<bool, StorageError> {
        let mut found = Vec::new();
        let read = self.open(path, written.len() as u64)?.read_to_end(&mut found);
        read.map_err(|error| StorageError::from_io(self.name(path), error))?;
        Ok(found == written)
    }

    pub(super) fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.location.store)
    }

    /// The full name of an object, for messages.
    pub(super) fn name(&self, path: &Path) -> String {
        self.location.name_of(path)
    }

    pub(super) fn unavailable(&self, path: &Path, error: Error) -> StorageError {
        StorageError::unavailable(self.name(path), error.into())
    }

    /// Writes an object unless its name is taken.
    pub(super) fn put(&self, path: &Path, bytes: Vec<u8>) -> Result<Put, StorageError> {
        let (location, options, at) = (self.location.clone(), Arc::clone(&self.options), path.clone());
        let put =
            async move { Ok(put_if_absent(&*location.puts, &*location.store, &at, bytes, &options).await) };
        let put = self
            .requests
            .wait(put)
            .map_err(|error| StorageError::uncertain(self.name(path), error.into()))?;
        put.map_err(|error| error.of(self.name(path)))
    }

    /// The content of a small object; `None` when there is none.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
        let (store, at) = (self.store(), path.clone());
        let found = self.requests.wait(async move { super::put::read(&*store, &at).await });
        found.map_err(|error| self.unavailable(path, error))
    }

    /// The length of an object; `None` when there is none.
    pub(super) fn length(&self, path: &Path) -> Result<Option<u64>, StorageError> {
        let (store, at) = (self.store(), path.clone());
        match self.requests.wait(async move { store.head(&at).await }) {
            Ok(found) => Ok(Some(found.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.unavailable(path, error)),
        }
    }

    /// Opens an object that somebody refers to, which must have this length.
    pub(super) fn open(&self, path: &Path, bytes: u64) -> Result<ObjectReader, StorageError> {
        let name = self.name(path);
        let found = self.length(path)?.ok_or_else(|| missing(&name))?;
        check_length(&name, found, bytes)?;
        Ok(ObjectReader::new(self.clone(), path.clone(), bytes))
    }

    /// Starts to write an object that nobody has written before.
    pub(super) fn create(&self, path: Path) -> ObjectWriter {
        ObjectWriter::new(self.clone(), path)
    }

    /// The names of the objects in a directory, and those of the directories in it.
    pub(super) fn list(&self, directory: &Path) -> Result<(Vec<String>, Vec<String>), StorageError> {
        let (store, at) = (self.store(), directory.clone());
        let listed = self.requests.wait(async move { store.list_with_delimiter(Some(&at)).await });
        let listed = match listed {
            Err(Error::NotFound { .. }) => return Ok((Vec::new(), Vec::new())),
            listed => listed.map_err(|error| self.unavailable(directory, error))?,
        };
        let name = |path: &Path| path.filename().map(str::to_owned);
        let objects = listed.objects.iter().filter_map(|object| name(&object.location)).collect();
        Ok((objects, listed.common_prefixes.iter().filter_map(name).collect()))
    }

    /// Deletes an object, if it is there.
    pub(super) fn delete(&self, path: &Path) -> Result<(), StorageError> {
        let (store, at) = (self.store(), path.clone());
        let deleted = self.requests.wait(async move { absent_is_ok(store.delete(&at).await) });
        deleted.map_err(|error| self.unavailable(path, error))
    }

    /// Deletes all objects in a directory.
    pub(super) fn delete_all(&self, directory: &Path) -> Result<(), StorageError> {
        let (store, at, has_directories) = (self.store(), directory.clone(), self.location.has_directories);
        let deleted = self.requests.wait(async move {
            let found: Vec<Path> = store.list(Some(&at)).map_ok(|found| found.location).try_collect().await?;
            let found = futures_util::stream::iter(found.into_iter().map(Ok)).boxed();
            let deletions = store.delete_stream(found).map(|deleted| absent_is_ok(deleted.map(drop)));
            deletions.try_for_each(|()| future::ready(Ok(()))).await?;
            if has_directories { absent_is_ok(store.delete(&at).await) } else { Ok(()) }
        });
        deleted.map_err(|error| self.unavailable(directory, error))
    }
}

/// Turns "there is no such object" into success.
fn absent_is_ok(result: object_store::Result<()>) -> object_store::Result<()> {
    match result {
        Err(Error::NotFound { .. }) => Ok(()),
        other => other,
    }
}
