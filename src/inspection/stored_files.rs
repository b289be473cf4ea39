//! The files in which a backend has left its state, as a checkpoint has them.

use crate::base::{ContentId, SharedObject};
use crate::codec::checksum;
use crate::state::backend::{BackendError, BackendFile, FetchFile, FilePlace};
use crate::store::{CheckpointStorage, StorageError};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

/// In what pieces a file is read.
const PIECE_BYTES: usize = 256 * 1024;

/// The files of a checkpoint in a storage, for whoever restores a backend.
pub(crate) struct StoredFiles {
    pub(crate) storage: Arc<dyn CheckpointStorage>,
    pub(crate) objects: BTreeMap<ContentId, SharedObject>,
}

impl FetchFile for StoredFiles {
    fn fetch(&self, file: &BackendFile, target: &Path) -> Result<(), BackendError> {
        let (content, checksum) = match &file.place {
            FilePlace::Private(bytes) => {
                return fs::write(target, bytes).map_err(|error| unwritable(target, error));
            }
            FilePlace::Shared { content, checksum } => (content, *checksum),
        };
        let object = self.objects.get(content);
        let object =
            object.ok_or_else(|| format!("the checkpoint does not name the file `{}`", file.name))?;
        let mut content =
            Named { inner: self.storage.read_shared(object)?, object: self.storage.shared_name(object) };
        let created = File::create_new(target);
        let copied = created.and_then(|mut file| copy(&mut content, &mut file));
        let (offset, found) = copied.map_err(|error| match error.downcast::<StorageError>() {
            Ok(error) => error.into(),
            Err(error) => unwritable(target, error),
        })?;
        if found != checksum {
            let (object, what) =
                (self.storage.shared_name(object), "the checksum of the file is wrong".into());
            return Err(StorageError::Corrupt { object, offset, what }.into());
        }
        Ok(())
    }
}

fn unwritable(target: &Path, error: io::Error) -> BackendError {
    format!("{} cannot be written: {error}", target.display()).into()
}

/// Names what is read in an error.
struct Named<R> {
    inner: R,
    object: String,
}

impl<R: Read> Read for Named<R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        self.inner.read(target).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => StorageError::from_io(&self.object, error).into_io(),
        })
    }
}

/// Copies all there is, and says how many bytes that are, and their checksum.
pub(super) fn copy(mut from: impl Read, to: &mut impl Write) -> io::Result<(u64, u32)> {
    let (mut piece, mut bytes, mut sum) = (vec![0; PIECE_BYTES], 0, 0);
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok((bytes, sum)),
            Ok(read) => {
                to.write_all(&piece[..read])?;
                bytes += read as u64;
                sum = checksum(sum, &piece[..read]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
