use super::{STORE, WebDav, nameless};
use object_store::path::Path;
use object_store::{Error, MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use std::future::ready;

/// The most bytes that are gathered.
const MAX_BYTES: usize = 1024 * 1024 * 1024;

/// Gathers the parts of an object in memory, since HTTP can put it only as a whole.
#[derive(Debug)]
pub(super) struct GatheredUpload {
    store: WebDav,
    at: Path,
    parts: Vec<PutPayload>,
    bytes: usize,
}

impl GatheredUpload {
    pub(super) fn new(store: WebDav, at: Path) -> Self {
        GatheredUpload { store, at, parts: Vec::new(), bytes: 0 }
    }
}

#[async_trait::async_trait]
impl MultipartUpload for GatheredUpload {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        self.bytes = self.bytes.saturating_add(part.content_length());
        if self.bytes > MAX_BYTES {
            self.parts.clear();
            let what = format!(
                "a file on a server of WebDAV is kept in memory until it is whole, so it may have {MAX_BYTES} bytes at \
                 most; raise the parallelism, or use another storage"
            );
            return Box::pin(ready(Err(Error::Generic { store: STORE, source: what.into() })));
        }
        self.parts.push(part);
        Box::pin(ready(Ok(())))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let parts = std::mem::take(&mut self.parts);
        self.store.put_new(&self.at, parts.into_iter().flatten().collect()).await?;
        Ok(nameless())
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ObjectStoreOptions;
    use object_store::ObjectStoreExt;
    use url::Url;

    #[tokio::test]
    async fn web_dav_file_that_is_too_large_to_be_gathered_is_refused() {
        let url = Url::parse("http://localhost/directory").unwrap();
        let store = crate::store::object_store::web_dav::client(&url, &ObjectStoreOptions::default(), 0);
        let mut upload = store.unwrap().put_multipart(&Path::from("file")).await.unwrap();
        // Clones share their bytes.
        let part = PutPayload::from(vec![0; MAX_BYTES / 16]);
        for _ in 0..16 {
            upload.put_part(part.clone()).await.unwrap();
        }
        for _ in 0..2 {
            let refused = upload.put_part(PutPayload::from_static(b"x")).await.unwrap_err().to_string();
            assert!(refused.contains("it may have 1073741824 bytes at most"), "{refused}");
        }
    }
}
