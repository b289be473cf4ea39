use super::objects::Objects;
use super::requests::Pending;
use crate::codec;
use crate::store::job_manager::already_written;
use crate::store::{Put, StorageError};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use std::collections::VecDeque;
use std::io::{self, Read, Write};

/// Writes an object whose length is not known: in one put if it fits into the buffer, and in parts otherwise.
///
/// A name belongs to one upload of one attempt. That it is taken is a fault, which is looked for before the parts become
/// visible, since hardly a store refuses that step by itself.
#[derive(Debug)]
pub(super) struct ObjectWriter {
    objects: Objects,
    path: Path,
    buffer: Vec<u8>,
    /// Once there are parts.
    upload: Option<Upload>,
    bytes: u64,
    checksum: u32,
    /// A write has failed, so the content has a hole.
    failed: bool,
}

/// An upload in parts, of which nothing is visible before its end.
#[derive(Debug)]
struct Upload {
    multipart: Box<dyn MultipartUpload>,
    under_way: VecDeque<Pending<()>>,
}

/// What was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) bytes: u64,
    pub(super) checksum: u32,
}

impl ObjectWriter {
    pub(super) fn new(objects: Objects, path: Path) -> Self {
        let buffer = Vec::new();
        ObjectWriter { objects, path, buffer, upload: None, bytes: 0, checksum: 0, failed: false }
    }

    /// Makes the object visible.
    pub(super) fn finish(mut self) -> Result<Written, StorageError> {
        if self.failed {
            return Err(self.unavailable(io::Error::other("an earlier write of this file has failed")));
        }
        match self.upload {
            None => self.put()?,
            Some(_) => self.complete()?,
        }
        Ok(Written { bytes: self.bytes, checksum: self.checksum })
    }

    fn unavailable(&self, cause: impl Into<io::Error>) -> StorageError {
        StorageError::unavailable(self.objects.name(&self.path), cause.into())
    }

    /// Writes the whole object at once.
    fn put(&mut self) -> Result<(), StorageError> {
        let bytes = std::mem::take(&mut self.buffer);
        match self.objects.put(&self.path, bytes) {
            Ok(Put::Stored) => Ok(()),
            Ok(Put::Exists) => Err(self.unavailable(already_written())),
            Err(StorageError::Uncertain { cause, .. }) => Err(self.given_up(cause)),
            Err(error) => Err(error),
        }
    }

    /// What to say when nobody can tell whether the object is there: nobody knows of it yet, so it can go.
    fn given_up(&self, cause: io::Error) -> StorageError {
        match self.objects.delete(&self.path) {
            Ok(()) => self.unavailable(cause),
            Err(_) => StorageError::uncertain(self.objects.name(&self.path), cause),
        }
    }

    /// Sends what is in the buffer as the next part, as soon as one more may be under way.
    fn send_part(&mut self) -> object_store::Result<()> {
        let Objects { requests, options, .. } = &self.objects;
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => {
                let (store, path) = (self.objects.store(), self.path.clone());
                let multipart = requests.wait(async move { store.put_multipart(&path).await })?;
                none.insert(Upload { multipart, under_way: VecDeque::new() })
            }
        };
        if upload.under_way.len() == options.uploads_at_once {
            upload.under_way.pop_front().map_or(Ok(()), Pending::wait)?;
        }
        let part = PutPayload::from(std::mem::take(&mut self.buffer));
        upload.under_way.push_back(requests.begin(upload.multipart.put_part(part)));
        Ok(())
    }

    /// Sends the last part and waits for all of them.
    fn send_rest(&mut self) -> object_store::Result<()> {
        if !self.buffer.is_empty() {
            self.send_part()?;
        }
        while let Some(part) = self.upload.as_mut().and_then(|upload| upload.under_way.pop_front()) {
            part.wait()?;
        }
        Ok(())
    }

    /// Makes the parts one object.
    fn complete(&mut self) -> Result<(), StorageError> {
        self.send_rest().map_err(|error| self.unavailable(error))?;
        if self.objects.length(&self.path)?.is_some() {
            return Err(self.unavailable(already_written()));
        }
        let Some(Upload { mut multipart, .. }) = self.upload.take() else { return Ok(()) };
        let completed = self.objects.requests.wait(async move {
            let completed = multipart.complete().await.map(drop);
            Ok((completed, multipart))
        });
        let (completed, multipart) = completed.map_err(|error| self.unavailable(error))?;
        let Err(error) = completed else { return Ok(()) };
        // The answer may have been lost, and whoever asks again hears that there is no such upload.
        let is_whole = self.is_whole();
        if is_whole.as_ref().is_ok_and(|is_whole| *is_whole) {
            return Ok(());
        }
        self.abort(multipart);
        match is_whole {
            Ok(_) => Err(self.unavailable(already_written())),
            Err(_) => Err(self.given_up(error.into())),
        }
    }

    /// Parts that are left would be paid for, and no listing shows them.
    fn abort(&self, mut multipart: Box<dyn MultipartUpload>) {
        // What cannot be aborted goes by the bucket's rule for incomplete uploads.
        let _ = self.objects.requests.wait(async move { multipart.abort().await });
    }

    /// Whether the object is what was written.
    fn is_whole(&self) -> io::Result<bool> {
        let content = self.objects.open(&self.path, self.bytes);
        let mut content = content.map_err(StorageError::into_io)?;
        let (mut piece, mut checksum) = (vec![0; 64 * 1024], 0);
        loop {
            match content.read(&mut piece)? {
                0 => return Ok(checksum == self.checksum),
                read => checksum = codec::checksum(checksum, &piece[..read]),
            }
        }
    }
}

impl Write for ObjectWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = self.objects.options.write_buffer_bytes;
        if self.buffer.len() == most
            && !bytes.is_empty()
            && let Err(error) = self.send_part()
        {
            self.failed = true;
            return Err(self.unavailable(error).into_io());
        }
        let taken = &bytes[..bytes.len().min(most - self.buffer.len())];
        self.buffer.extend_from_slice(taken);
        self.bytes += taken.len() as u64;
        self.checksum = codec::checksum(self.checksum, taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        if let Some(Upload { multipart, under_way }) = self.upload.take() {
            drop(under_way);
            self.abort(multipart);
        }
    }
}
