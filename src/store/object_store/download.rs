use super::objects::Objects;
use super::requests::Pending;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use std::io::{self, Cursor, Read};

/// Reads an object in pieces; the next one is under way while one is used.
#[derive(Debug)]
pub(super) struct ObjectReader {
    objects: Objects,
    path: Path,
    /// The length of the object.
    bytes: u64,
    /// Where the first piece begins that was not asked for yet.
    next: u64,
    coming: Option<Pending<Vec<u8>>>,
    piece: Cursor<Vec<u8>>,
}

impl ObjectReader {
    pub(super) fn new(objects: Objects, path: Path, bytes: u64) -> Self {
        let mut reader =
            ObjectReader { objects, path, bytes, next: 0, coming: None, piece: Cursor::default() };
        reader.ask();
        reader
    }

    /// Asks for the next piece, if there is one.
    fn ask(&mut self) {
        let range = self.next..self.bytes.min(self.next + self.objects.options.read_bytes as u64);
        self.next = range.end;
        let (store, path) = (self.objects.store(), self.path.clone());
        self.coming = (!range.is_empty()).then(|| {
            self.objects.requests.begin(async move { Ok(store.get_range(&path, range).await?.into()) })
        });
    }
}

impl Read for ObjectReader {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(target)?;
            if read > 0 || target.is_empty() {
                return Ok(read);
            }
            let Some(coming) = self.coming.take() else { return Ok(0) };
            self.piece = Cursor::new(coming.wait()?);
            self.ask();
        }
    }
}
