//! A store of the crate `object_store` of which requests fail, before or after they took effect.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Nothing has happened.
    Before,
    /// It has happened, and nobody can tell.
    After,
}

/// Requests fail from number `from` on, as many as `times`.
#[derive(Clone, Copy, Debug)]
pub struct Failing {
    pub when: When,
    pub from: u64,
    pub times: u64,
}

/// Counts requests, of which some fail.
#[derive(Clone, Debug)]
pub struct FailingStore {
    inner: Arc<dyn ObjectStore>,
    failing: Failing,
    requests: Arc<AtomicU64>,
}

impl FailingStore {
    pub fn new(inner: Arc<dyn ObjectStore>, failing: Failing) -> Self {
        FailingStore { inner, failing, requests: Arc::default() }
    }

    fn is_hit(&self) -> bool {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let Failing { from, times, .. } = self.failing;
        (from..from.saturating_add(times)).contains(&number)
    }

    /// Carries a request out, unless it is one that fails before.
    async fn perform<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        if !self.is_hit() {
            return request.await;
        }
        if self.failing.when == When::After {
            request.await?;
        }
        Err(planned())
    }
}

fn planned() -> Error {
    Error::Generic { store: "failing", source: "planned".into() }
}

impl std::fmt::Display for FailingStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "failing")
    }
}

#[async_trait::async_trait]
impl ObjectStore for FailingStore {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.perform(self.inner.put_opts(at, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.perform(self.inner.put_multipart_opts(at, options)).await?;
        Ok(Box::new(FailingUpload { inner, store: self.clone() }))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.perform(self.inner.get_opts(at, options)).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |path: Result<Path>| {
            let store = store.clone();
            async move {
                let path = path?;
                store.perform(store.inner.delete(&path)).await?;
                Ok(path)
            }
        };
        paths.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.is_hit() {
            true => stream::once(async { Err(planned()) }).boxed(),
            false => self.inner.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.perform(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.perform(self.inner.copy_opts(from, to, options)).await
    }
}

#[derive(Debug)]
struct FailingUpload {
    inner: Box<dyn MultipartUpload>,
    store: FailingStore,
}

#[async_trait::async_trait]
impl MultipartUpload for FailingUpload {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        let (store, request) = (self.store.clone(), self.inner.put_part(part));
        Box::pin(async move { store.perform(request).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let store = self.store.clone();
        store.perform(self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        let store = self.store.clone();
        store.perform(self.inner.abort()).await
    }
}
