//! Requests that are refused, carried out without an answer, or not carried out, between client and server.

use crate::web_dav::{Fault, WebDavServer};
use crate::*;
use snapline::base::*;
use snapline::publish::{Answer, Operation};
use std::time::Duration;

const TRANSIENT: [Fault; 4] = [Fault::Refused, Fault::Failed, Fault::Lost, Fault::Closed];
/// What a put consists of.
const PUT: [&str; 2] = ["PUT", "MOVE"];

/// G08: a move that is repeated because its answer was lost finds its own object, and must not take it for another's.
#[test]
fn web_dav_put_that_is_repeated_is_stored_once_and_reported_as_its_own() {
    let (server, storage) = served();
    let mut id = 0;
    for (method, fault) in PUT.into_iter().flat_map(|method| TRANSIENT.map(|fault| (method, fault))) {
        for times in [1, 3] {
            id += 1;
            server.plan(move |found, number| (found == method && number < times).then_some(fault));
            let metadata = job().metadata(checkpoint(id));
            let what = format!("{method} {times} times {fault:?}");
            assert_eq!(storage.put_metadata(&metadata).unwrap(), Put::Stored, "{what}");
            assert!(server.requests(method) > times, "{what}");
            assert_eq!(storage.put_metadata(&metadata).unwrap(), Put::Exists, "written before, {what}");
            assert_eq!(storage.read_metadata(CheckpointId(id)).unwrap(), Some(metadata));
            assert_eq!(files_of_the_job(&server).len() as u64, id, "temporary names are gone after {what}");
        }
    }
}

/// The name was taken while an earlier answer was lost.
#[test]
fn web_dav_put_that_is_repeated_and_finds_another_says_so() {
    let (server, storage) = served();
    let rival = open(&server, &server.options());
    let other = job().metadata(CompletedCheckpoint { attempt: Attempt(9), ..checkpoint(1) });
    rival.put_metadata(&other).unwrap();
    for (method, fault) in PUT.into_iter().flat_map(|method| TRANSIENT.map(|fault| (method, fault))) {
        server.plan(move |found, number| (found == method && number == 0).then_some(fault));
        let put = storage.put_metadata(&job().metadata(checkpoint(1))).unwrap();
        assert_eq!(put, Put::Exists, "{method} {fault:?}");
    }
    assert_eq!(storage.read_metadata(CheckpointId(1)).unwrap(), Some(other));
    assert_eq!(files_of_the_job(&server), ["chk-1/_metadata"]);
}

//= spec/publish.md#pub-8-a-failed-publication-is-certain
//= type=test
//# A publication MUST be reported as failed only if its pointer was certainly not written.
#[test]
fn web_dav_put_is_uncertain_after_a_move_without_an_answer_and_only_then() {
    let (server, _) = served();
    let storage = open(&server, &ObjectStoreOptions { max_retries: 2, ..server.options() });
    let answer = |id| perform(&storage, &job(), Operation::PutMetadata(checkpoint(id))).0;
    let is_there = |id| {
        server.plan(|_, _| None);
        storage.read_metadata(CheckpointId(id)).unwrap().is_some()
    };
    for (id, fault) in (1..).zip(TRANSIENT) {
        server.plan(move |method, _| (method == "MOVE").then_some(fault));
        assert_eq!(answer(id), Answer::Unknown, "{fault:?}");
        assert_eq!(is_there(id), matches!(fault, Fault::Failed | Fault::Lost), "{fault:?}");
    }
    // What was never moved is not there, whatever has become of it under its temporary name.
    for (id, fault) in (10..).zip(TRANSIENT) {
        server.plan(move |method, _| (method == "PUT").then_some(fault));
        assert_eq!(answer(id), Answer::Failed, "{fault:?}");
        assert!(!is_there(id), "{fault:?}");
    }
    for (id, method) in (20..).zip(PUT) {
        server.plan(move |found, _| (found == method).then_some(Fault::Forbidden));
        assert_eq!(answer(id), Answer::Failed, "{method}");
        assert!(!is_there(id), "{method}");
    }
    server.plan(|method, number| {
        (method == "MOVE").then_some(if number == 0 { Fault::Lost } else { Fault::Forbidden })
    });
    assert_eq!(answer(30), Answer::Unknown);
    assert!(is_there(30));
    server.plan(|method, number| match (method, number) {
        ("MOVE", 0) => Some(Fault::Lost),
        ("PUT", 2) => Some(Fault::Forbidden),
        _ => None,
    });
    assert_eq!(answer(31), Answer::Unknown);
    assert!(is_there(31));
}

/// Who waits gives up after the configured time.
#[test]
fn web_dav_request_that_is_never_answered_times_out() {
    let server = WebDavServer::start();
    let options = ObjectStoreOptions { request_timeout: Duration::from_secs(2), ..server.options() };
    let storage = open(&server, &options);
    server.plan(|method, number| (method == "MOVE" && number == 0).then_some(Fault::Hanging));
    assert_eq!(storage.put_metadata(&job().metadata(checkpoint(1))).unwrap(), Put::Stored);
    assert!(server.requests("MOVE") >= 2);
    server.plan(|_, _| None);
    let once = open(&server, &ObjectStoreOptions { max_retries: 0, ..options });
    server.plan(|method, _| (method == "MOVE").then_some(Fault::Hanging));
    let error = once.put_metadata(&job().metadata(checkpoint(2))).unwrap_err();
    assert!(matches!(error, StorageError::Uncertain { .. }), "{error}");
}

/// Every request of a write fails once, each in its turn: the write succeeds, and nothing else is there.
#[test]
fn web_dav_write_whose_every_request_fails_once_succeeds() {
    let (server, storage) = served();
    let mut id = 0;
    for length in [4, LARGE_BYTES] {
        let content = bytes(length);
        for fault in TRANSIENT {
            for method in ["PUT", "MKCOL", "MOVE", "HEAD", "DELETE"] {
                id += 1;
                server.plan(move |found, number| (found == method && number == 0).then_some(fault));
                let handle = write(&storage, file(id, 0), &content)
                    .unwrap_or_else(|error| panic!("{length} bytes, {method} {fault:?}: {error}"));
                server.plan(|_, _| None);
                assert!(read(&storage, &handle).unwrap() == content, "{length} bytes, {method} {fault:?}");
            }
        }
    }
    assert_eq!(files_of_the_job(&server).len() as u64, id);
}

/// A file whose writing fails for good is not there, or its writer does not know.
#[test]
fn web_dav_write_that_fails_for_good_leaves_nothing() {
    let (server, _) = served();
    let storage = open(&server, &ObjectStoreOptions { max_retries: 1, ..server.options() });
    let mut id = 0;
    for length in [4, LARGE_BYTES] {
        for (method, fault) in PUT.into_iter().flat_map(|method| TRANSIENT.map(|fault| (method, fault))) {
            id += 1;
            server.plan(move |found, _| (found == method).then_some(fault));
            let written = write(&storage, file(id, 0), &bytes(length));
            server.plan(|_, _| None);
            match written {
                Ok(handle) => {
                    assert!(length == LARGE_BYTES, "what is read back is whole, {method} {fault:?}");
                    assert!(method == "MOVE" && matches!(fault, Fault::Failed | Fault::Lost));
                    assert!(read(&storage, &handle).unwrap() == bytes(length));
                    storage.delete_state(file(id, 0)).unwrap();
                }
                Err(error) => {
                    assert!(matches!(error, StorageError::Unavailable { .. }), "{method} {fault:?}: {error}");
                }
            }
            assert_eq!(files_of_the_job(&server), Vec::<String>::new(), "{length} bytes, {method} {fault:?}");
        }
    }
}

/// Reads, listings and deletions are repeated, and a failure for good says that nothing can be relied on to have changed.
#[test]
fn web_dav_reads_and_deletions_survive_a_failure_and_report_one_for_good() {
    let (server, _) = served();
    let storage = open(&server, &ObjectStoreOptions { max_retries: 2, ..server.options() });
    let object = shared(b"sst");
    for fault in TRANSIENT {
        let handle = write(&storage, file(1, 0), b"some state").unwrap();
        storage.put_shared(&object, &mut &b"sst"[..]).unwrap();
        storage.put_metadata(&job().metadata(checkpoint(1))).unwrap();
        type Use<'a> = &'a dyn Fn() -> Result<(), StorageError>;
        let all: [Use<'_>; 7] = [
            &|| read(&storage, &handle).map(drop),
            &|| storage.read_metadata(CheckpointId(1)).map(drop),
            &|| storage.list().map(drop),
            &|| storage.list_shared().map(drop),
            &|| storage.delete_shared(&object),
            &|| storage.delete_state(file(1, 0)),
            &|| storage.delete_checkpoint(CheckpointId(1)),
        ];
        for (at, operation) in all.iter().enumerate() {
            server.plan(move |_, _| Some(fault));
            let error = operation().unwrap_err();
            assert!(matches!(error, StorageError::Unavailable { .. }), "{fault:?} at {at}: {error}");
            if at < 4 {
                server.plan(move |_, number| (number == 0).then_some(fault));
                operation().unwrap_or_else(|error| panic!("{fault:?} at {at}: {error}"));
            }
        }
        for operation in &all[4..] {
            server.plan(move |_, number| (number == 0).then_some(fault));
            operation().unwrap();
        }
        server.plan(|_, _| None);
        assert_eq!(files_of_the_job(&server), Vec::<String>::new(), "{fault:?}");
    }
}
