//! Servers that speak WebDAV (RFC 4918), as a store that refuses to write what exists.
//!
//! HTTP has no put that fails if its name is taken, but WebDAV has a move that does (`Overwrite: F`). So an object is put
//! under a temporary name beside its own, and moved when it is whole. What a process leaves there that is killed meanwhile
//! has a name that nothing else has, and that `fsck` and `gc` know.

mod connection;
mod credentials;
mod upload;

use super::clouds::https::{choose_cryptography, retries, settings};
use super::put::Untouched;
use super::{ObjectStoreOptions, clouds};
use crate::store::temporary::drawn_name;
use connection::{Connector, NoWebDav};
use credentials::Credentials;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::http::{HttpBuilder, HttpStore};
use object_store::path::Path;
use object_store::*;
use std::fmt;
use std::sync::Arc;
use upload::GatheredUpload;
use url::{Position, Url};

/// What errors name as the store.
const STORE: &str = "WebDAV";

/// What a connection holds, so that it can be sent to whoever does not read it.
const SMALL_BYTES: usize = 16 * 1024;

/// A client for the server that `url` names. The names of its objects begin at the root of the server, since listings
/// tell them so.
pub(super) fn client(url: &Url, options: &ObjectStoreOptions, max_retries: usize) -> clouds::Client {
    if !url.username().is_empty() {
        return Err(
            "the URL of a server of WebDAV names no user; give `username` and `password` beside it".into()
        );
    }
    choose_cryptography();
    let (credentials, settings) = Credentials::among(settings(options), |name| std::env::var(name).ok())?;
    let mut client = ClientOptions::new().with_allow_http(url.scheme() == "http");
    for (key, value) in settings {
        client = client.with_config(key.parse()?, value);
    }
    let server = HttpBuilder::new()
        .with_url(&url[..Position::BeforePath])
        .with_retry(retries(options, max_retries))
        .with_client_options(client.with_default_headers(credentials.headers()?))
        .with_http_connector(Connector)
        .build()?;
    Ok(Arc::new(WebDav { server: Arc::new(server) }))
}

/// A server that moves a file only if the new name is free.
#[derive(Clone, Debug)]
struct WebDav {
    server: Arc<HttpStore>,
}

impl WebDav {
    /// Writes an object unless its name is taken.
    async fn put_new(&self, at: &Path, payload: PutPayload) -> Result<()> {
        let temporary = beside(at);
        let moved = match self.put_temporary(&temporary, payload).await {
            Ok(_) => self.move_new(&temporary, at).await,
            Err(error) => Err(untouched(told(error))),
        };
        let Err(error) = moved else { return Ok(()) };
        // It may stay if the server cannot be reached.
        match (error, self.server.delete(&temporary).await) {
            // Nobody else knows the temporary name, so it is this object that has the name now: something on the way has sent the
            // move twice, and the second one found the name taken.
            (error @ Error::AlreadyExists { .. }, Err(Error::NotFound { .. })) => {
                Err(Error::Generic { store: STORE, source: error.into() })
            }
            (error, _) => Err(error),
        }
    }

    async fn put_temporary(&self, temporary: &Path, payload: PutPayload) -> Result<PutResult> {
        if payload.content_length() > SMALL_BYTES {
            // The crate makes directories when it is told that they are missing. A server that refuses a put may close the
            // connection instead of reading it to its end, and then nobody hears why.
            self.server.put(temporary, PutPayload::default()).await?;
        }
        self.server.put(temporary, payload).await
    }

    async fn move_new(&self, temporary: &Path, at: &Path) -> Result<()> {
        // The crate knows only copies; the connection sends moves.
        let options = CopyOptions::new().with_mode(CopyMode::Create);
        match self.server.copy_opts(temporary, at, options).await {
            // Nobody else knows the name, so an earlier request may have moved it, whose answer was lost.
            Err(error @ Error::NotFound { .. }) => Err(Error::Generic { store: STORE, source: error.into() }),
            moved => moved.map_err(told),
        }
    }
}

/// A temporary name in the same directory.
fn beside(at: &Path) -> Path {
    let directories = at.parts().count().saturating_sub(1);
    Path::from_iter(at.parts().take(directories)).join(drawn_name(at.filename().unwrap_or_default()))
}

/// The error of a put that did not come as far as its name.
fn untouched(error: Error) -> Error {
    match error {
        // Another process may have deleted the directory meanwhile, so the next time may succeed.
        Error::Generic { .. } | Error::AlreadyExists { .. } => {
            Error::Generic { store: STORE, source: Untouched(error).into() }
        }
        for_good => for_good,
    }
}

/// The same error, but for servers that do not know what they were asked for, which do not learn it.
fn told(error: Error) -> Error {
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    match causes.filter_map(|cause| cause.downcast_ref::<NoWebDav>()).next().cloned() {
        Some(no_web_dav) => Error::NotSupported { source: no_web_dav.into() },
        None => error,
    }
}

impl fmt::Display for WebDav {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

#[async_trait::async_trait]
impl ObjectStore for WebDav {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match options.mode {
            PutMode::Create => self.put_new(at, payload).await.map(|()| nameless()),
            _ => self.server.put_opts(at, payload, options).await.map_err(told),
        }
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(GatheredUpload::new(self.clone(), at.clone())))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.server.get_opts(at, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.server.delete_stream(paths)
    }

    /// Lists one directory after the other: many servers refuse to list all at once (`Depth: infinity`).
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, directories) = (self.clone(), vec![prefix.cloned().unwrap_or_default()]);
        let next = move |mut directories: Vec<Path>| {
            let store = store.clone();
            async move {
                let Some(directory) = directories.pop() else { return Ok(None) };
                let found = store.list_with_delimiter(Some(&directory)).await?;
                directories.extend(found.common_prefixes);
                Ok::<_, Error>(Some((stream::iter(found.objects.into_iter().map(Ok)), directories)))
            }
        };
        stream::try_unfold(directories, next).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.server.list_with_delimiter(prefix).await.map_err(told)
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotImplemented { operation: "copy_opts".to_owned(), implementer: self.to_string() })
    }
}

/// What is told of an object that was moved: nothing.
fn nameless() -> PutResult {
    PutResult { e_tag: None, version: None, extensions: Extensions::default() }
}
