use super::{ObjectStoreOptions, clouds};
use crate::store::StorageError;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreScheme};
use std::fmt::Display;
use std::io;
use std::sync::Arc;
use url::{Position, Url};

/// A directory in an object storage: the store, and what the names of all objects begin with.
#[derive(Clone, Debug)]
pub struct ObjectStoreLocation {
    pub(super) store: Arc<dyn ObjectStore>,
    /// The same store by a client that sends each request once.
    pub(super) puts: Arc<dyn ObjectStore>,
    pub(super) directory: Path,
    /// Whether directories stay when they are empty.
    pub(super) has_directories: bool,
    /// What stands before the names of objects in messages.
    name: String,
    /// With what the URLs of all directories of this store begin, where it was opened by one.
    root: Option<String>,
}

impl ObjectStoreLocation {
    /// The directory `prefix` of a store of the crate `object_store`, which must write objects atomically, must know
    /// [`PutMode::Create`](object_store::PutMode::Create), and should not repeat such a put by itself.
    ///
    /// A `LocalFileSystem` must be made `with_fsync(true)` and `with_automatic_cleanup(true)`, and even so may leave empty
    /// directories; [`FileSystemCheckpointStorage`](crate::store::FileSystemCheckpointStorage) is what files are for.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when there is no such name.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Result<Self, StorageError> {
        let name = store.to_string();
        let directory = Path::parse(prefix).map_err(|error| refused(format!("{name}/{prefix}"), error))?;
        let puts = Arc::clone(&store);
        Ok(ObjectStoreLocation { store, puts, directory, has_directories: false, name, root: None })
    }

    /// The directory that `url` names: `s3://bucket/directory`, `gs://`, `az://` (as `abfs://` and `abfss://`),
    /// `hdfs://host:port/directory`, or `https://host/directory` of a server that speaks WebDAV; each needs the feature of
    /// its store.
    ///
    /// Credentials, and settings that `options` do not have, come from the environment (`AWS_*`, `GOOGLE_*`,
    /// `AZURE_*`, `HADOOP_CONF_DIR`, `WEBDAV_*`).
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when it is another kind of URL, or the options are not those of its store.
    pub fn open(url: &str, options: &ObjectStoreOptions) -> Result<Self, StorageError> {
        let (parsed, name) = parse(url)?;
        options.check(url, ObjectStoreOptions::MIN_WRITE_BUFFER_BYTES)?;
        let (scheme, directory) = scheme_of(&parsed).map_err(|error| refused(url, error))?;
        let client = |max_retries| clouds::client(scheme.as_ref(), &parsed, options, max_retries);
        let [store, puts] = [options.max_retries, 0].map(client);
        let of_client = |error| refused(url, error);
        Ok(ObjectStoreLocation {
            store: store.map_err(of_client)?,
            puts: puts.map_err(of_client)?,
            directory,
            has_directories: matches!(scheme, None | Some(ObjectStoreScheme::Http)),
            name,
            root: Some(root_of(&parsed)),
        })
    }

    /// Another directory of the same store.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when `url` is none.
    pub(super) fn elsewhere(&self, url: &str) -> Result<Self, StorageError> {
        let another_store = || match &self.root {
            Some(root) => format!("it must lie in the same store, {root}"),
            None => {
                "nothing tells whether it lies in the same store, which was not opened by a URL".to_owned()
            }
        };
        let wrong = |what: String| StorageError::wrong_target(url, io::ErrorKind::InvalidInput, what);
        if Url::parse(url).is_err() {
            return Err(wrong(another_store()));
        }
        let (parsed, _) = parse(url)?;
        if self.root.as_deref() != Some(&root_of(&parsed)) {
            return Err(wrong(another_store()));
        }
        let (kind, directory) = scheme_of(&parsed).map_err(|error| refused(url, error))?;
        // Where the bucket is a part of the path, that must be the same, too.
        let is_web_dav = kind == Some(ObjectStoreScheme::Http);
        if parsed.scheme().starts_with("http") && !is_web_dav {
            return Err(wrong(another_store()));
        }
        Ok(ObjectStoreLocation { directory, ..self.clone() })
    }

    /// The full name of an object, for messages.
    pub(super) fn name_of(&self, path: &Path) -> String {
        format!("{}/{path}", self.name)
    }
}

/// A URL, and how messages name its store.
fn parse(url: &str) -> Result<(Url, String), StorageError> {
    let parsed = Url::parse(url).map_err(|error| refused(url, error))?;
    // Passwords in messages end in logs.
    let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
    let name = format!("{}://{}{port}", parsed.scheme(), parsed.host_str().unwrap_or_default());
    if parsed.password().is_some() || parsed.query().is_some() || parsed.fragment().is_some() {
        let what = "a URL of checkpoints has no password, no query and no fragment; credentials come from \
                    the environment";
        return Err(refused(name, what));
    }
    Ok((parsed, name))
}

/// What stands before the path.
fn root_of(url: &Url) -> String {
    url[..Position::BeforePath].to_owned()
}

/// The kind of store that `url` names, and the directory in it; no kind is HDFS.
fn scheme_of(url: &Url) -> object_store::Result<(Option<ObjectStoreScheme>, Path)> {
    match url.scheme() {
        "hdfs" | "viewfs" => Ok((None, Path::from_url_path(url.path())?)),
        _ => {
            let (scheme, directory) = ObjectStoreScheme::parse(url)?;
            Ok((Some(scheme), directory))
        }
    }
}

fn refused(name: impl Display, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StorageError {
    StorageError::unavailable(name, io::Error::new(io::ErrorKind::InvalidInput, error))
}
