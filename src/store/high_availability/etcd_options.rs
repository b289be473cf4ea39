use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How an etcd is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdOptions {
    /// The addresses of the members of one cluster, such as `http://10.0.0.1:2379`, which are tried one after another.
    pub endpoints: Vec<String>,
    /// With what all keys begin.
    pub root: String,
    /// After which time without an answer a request has failed.
    pub request_timeout: Duration,
    /// No request is sent again that was first sent this long ago. A cluster elects a new leader in a second or two.
    pub retry_timeout: Duration,
    /// Who asks, if the cluster wants to know.
    pub credentials: Option<EtcdCredentials>,
    /// A file with the certificates, in PEM, of those who may vouch for the members. `https` needs it: the certificates of the
    /// system are not used.
    pub ca_certificate: Option<PathBuf>,
    /// Files with the certificate, in PEM, by which the members know who asks, and with its private key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
}

/// A user of etcd.
#[derive(Clone, PartialEq, Eq)]
pub struct EtcdCredentials {
    /// The name.
    pub username: String,
    /// The password, which no message shows.
    pub password: String,
}

impl EtcdOptions {
    /// An etcd at these addresses, with what is said nothing about as it is in a configuration.
    #[must_use]
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>) -> Self {
        EtcdOptions {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            root: "/snapline".to_owned(),
            request_timeout: Duration::from_secs(5),
            retry_timeout: Duration::from_secs(30),
            credentials: None,
            ca_certificate: None,
            client_certificate: None,
        }
    }
}

impl fmt::Debug for EtcdCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdCredentials").field("username", &self.username).finish_non_exhaustive()
    }
}
