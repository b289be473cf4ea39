//! What is refused, and what is said of it.

use crate::web_dav::{Quirk, WebDavServer};
use crate::*;
use hyper::StatusCode;
use snapline::base::{Attempt, CompletedCheckpoint};

fn refusal(url: &str, options: &ObjectStoreOptions) -> String {
    let error = ObjectStoreCheckpointStorage::open(url, JOB, options).expect_err(url).to_string();
    assert!(!error.contains("geheim") && !error.contains("dGVzdDpnZWhlaW"), "{error}");
    error
}

/// The options of a server with other settings.
fn with(options: ObjectStoreOptions, settings: &[(&str, &str)]) -> ObjectStoreOptions {
    let store = settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    ObjectStoreOptions { store, ..options }
}

/// Whoever moves over what exists would let two coordinators publish under one number.
#[test]
fn web_dav_server_that_overwrites_is_refused_when_it_is_opened() {
    let server = WebDavServer::with(Quirk::Overwrites);
    let found = refusal(&server.url(), &server.options());
    assert!(found.contains("has written an object that exists"), "{found}");
    assert!(found.contains("Overwrite: F"), "{found}");
}

/// Static pages, and servers of which one method is missing or not allowed. They are asked once.
#[test]
fn web_dav_server_that_does_not_speak_it_is_refused_when_it_is_opened() {
    for status in [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED] {
        for method in ["", "PUT", "MOVE", "PROPFIND"] {
            let server = WebDavServer::with(Quirk::Answers(method, status));
            let found = refusal(&server.url(), &server.options());
            let asked = if method.is_empty() { "PUT" } else { method };
            let expected =
                format!("{asked} was answered with {status}; checkpoints need a server that speaks WebDAV");
            assert!(found.contains(&expected), "{method} {status}: {found}");
            assert_eq!(server.requests(asked), 1, "{method} {status}");
        }
    }
    let server = WebDavServer::with(Quirk::Answers("MKCOL", StatusCode::NOT_IMPLEMENTED));
    let found = refusal(&server.url(), &server.options());
    assert!(found.contains("MKCOL was answered with 501"), "{found}");
    for (method, status) in
        [("", StatusCode::NOT_FOUND), ("", StatusCode::FORBIDDEN), ("MKCOL", StatusCode::FORBIDDEN)]
    {
        let server = WebDavServer::with(Quirk::Answers(method, status));
        let found = refusal(&server.url(), &server.options());
        assert!(found.contains("nothing was changed") && found.contains(status.as_str()), "{found}");
        assert_eq!(server.requests("PUT"), 1, "{method} {status}");
    }
    // A move of one file that answers as if there were several has not moved it.
    let server = WebDavServer::with(Quirk::Answers("MOVE", StatusCode::MULTI_STATUS));
    let found = refusal(&server.url(), &ObjectStoreOptions { max_retries: 1, ..server.options() });
    assert!(found.contains("MOVE was answered with 207"), "{found}");
    // Nor has whatever answers everything with a page.
    for status in [StatusCode::OK, StatusCode::ACCEPTED] {
        let server = WebDavServer::with(Quirk::Answers("MOVE", status));
        let found = refusal(&server.url(), &ObjectStoreOptions { max_retries: 1, ..server.options() });
        assert!(found.contains(&format!("MOVE was answered with {status} instead of 201")), "{found}");
    }
    // What cannot be read is not written there.
    let server = WebDavServer::with(Quirk::Answers("HEAD", StatusCode::METHOD_NOT_ALLOWED));
    let found = refusal(&server.url(), &server.options());
    assert!(found.contains("conditional-put"), "{found}");
}

/// It takes everything, and shows nothing of it.
#[test]
fn web_dav_server_that_lists_nothing_is_refused_when_it_is_opened() {
    let server = WebDavServer::with(Quirk::Answers("PROPFIND", StatusCode::NOT_FOUND));
    let found = refusal(&server.url(), &server.options());
    assert!(found.contains("does not list what was written"), "{found}");
}

#[test]
fn web_dav_credentials_that_are_wrong_are_refused_and_never_shown() {
    let server = WebDavServer::start();
    let of = |settings| refusal(&server.url(), &with(server.options(), settings));
    for settings in [
        &[("username", "test"), ("password", "geheimer")][..],
        &[("username", "somebody"), ("password", "geheim")],
        &[("bearer_token", "geheim")],
    ] {
        assert!(of(settings).contains("401 Unauthorized"), "{settings:?}");
    }
    for settings in [
        &[("username", "test")][..],
        &[("password", "geheim")],
        &[("username", "test"), ("password", "geheim"), ("bearer_token", "geheim")],
    ] {
        assert!(of(settings).contains("takes `username` and `password`, or `bearer_token`"), "{settings:?}");
    }
    assert!(of(&[("username", "te:st"), ("password", "geheim")]).contains("`username` has a colon"));
    assert!(of(&[("bearer_token", "geheim\n")]).contains("`bearer_token` has characters"));
    assert!(of(&[("passwort", "geheim")]).contains("passwort"));
    let named = server.url().replace("http://", "http://test@");
    assert!(refusal(&named, &server.options()).contains("names no user"));
    let secret = server.url().replace("http://", "http://test:geheim@");
    assert!(refusal(&secret, &server.options()).contains("a URL of checkpoints has no password"));
    let shown = format!("{:?}", served().1);
    assert!(!shown.contains("dGVzdDpnZWhlaW"), "{shown}");
}

/// The second move finds nothing to move, or its name taken, since the first one has moved it.
#[test]
fn web_dav_put_whose_move_is_repeated_on_its_way_is_known_as_its_own() {
    for quirk in [Quirk::MovesTwice, Quirk::MovesTwiceAndRefuses] {
        let server = WebDavServer::with(quirk);
        let storage = open(&server, &server.options());
        let metadata = job().metadata(checkpoint(1));
        assert_eq!(storage.put_metadata(&metadata).unwrap(), Put::Stored);
        let other = job().metadata(CompletedCheckpoint { attempt: Attempt(9), ..checkpoint(1) });
        assert_eq!(storage.put_metadata(&other).unwrap(), Put::Exists, "it is somebody else's");
        assert_eq!(files_of_the_job(&server), ["chk-1/_metadata"], "{quirk:?}");
    }
}

#[test]
fn web_dav_server_that_is_not_there_is_unavailable() {
    let server = WebDavServer::start();
    let (url, options) = (server.url(), ObjectStoreOptions { max_retries: 1, ..server.options() });
    drop(server);
    let found = refusal(&url, &options);
    assert!(found.contains("conditional-put is unavailable, nothing was changed"), "{found}");
}
