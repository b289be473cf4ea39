//! How requests to an etcd are sent: who may be asked, who asks, and for how long.

use super::super::EtcdOptions;
use rustls::crypto::ring;
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// What sends requests, each once.
///
/// # Errors
/// What is wrong with the options.
pub(super) fn agent(options: &EtcdOptions) -> io::Result<Agent> {
    check(options)?;
    let config = Agent::config_builder()
        .timeout_global(Some(options.request_timeout))
        // Who has found nobody in half the time has sent nothing.
        .timeout_connect(Some(options.request_timeout / 2))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .tls_config(tls(options)?)
        .build();
    Ok(config.into())
}

fn check(options: &EtcdOptions) -> io::Result<()> {
    let is_address = |endpoint: &&String| {
        let address = endpoint.strip_prefix("http://").or(endpoint.strip_prefix("https://"));
        address.is_some_and(|address| !address.trim_end_matches('/').is_empty() && !address.contains('@'))
    };
    let is_https = options.endpoints.iter().any(|endpoint| endpoint.starts_with("https://"));
    let problem = if options.endpoints.is_empty() {
        "there are no endpoints".to_owned()
    } else if let Some(endpoint) = options.endpoints.iter().find(|endpoint| !is_address(endpoint)) {
        // It may hold a password.
        let shown = endpoint.rsplit('@').next().unwrap_or_default();
        format!("the endpoint `{shown}` must be http://host:port or https://host:port, without a password")
    } else if is_https && options.ca_certificate.is_none() {
        "an endpoint with https:// needs the certificate of who vouches for it".to_owned()
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
}

fn tls(options: &EtcdOptions) -> io::Result<TlsConfig> {
    let mut config = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&[]));
    if let Some(path) = &options.ca_certificate {
        config = config.root_certs(RootCerts::new_with_certs(&pem(path)?.0));
    }
    if let Some((certificate, key)) = &options.client_certificate {
        let (chain, key) = (pem(certificate)?.0, pem(key)?.1);
        let key = key.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "there is no private key"))?;
        config = config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(config.build())
}

/// The certificates in a file, and the first private key.
fn pem(path: &Path) -> io::Result<(Vec<Certificate<'static>>, Option<PrivateKey<'static>>)> {
    let of_file = |error: &dyn Display| io::Error::other(format!("{}: {error}", path.display()));
    let bytes = fs::read(path).map_err(|error| of_file(&error))?;
    let (mut certificates, mut key) = (Vec::new(), None);
    for item in parse_pem(&bytes) {
        match item.map_err(|error| of_file(&error))? {
            PemItem::Certificate(certificate) => certificates.push(certificate),
            PemItem::PrivateKey(found) => key = key.or(Some(found)),
            _ => {}
        }
    }
    Ok((certificates, key))
}
