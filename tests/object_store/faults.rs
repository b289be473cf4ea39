//! Requests that are refused, carried out without an answer, or not carried out, between client and server.

use crate::s3::{Fault, S3Server};
use crate::{JOB, LARGE_BYTES, bytes, checkpoint, file, job, objects_of_the_job, open, read, shared, write};
use snapline::base::CheckpointId;
use snapline::publish::{Answer, Operation};
use snapline::store::*;
use std::time::Duration;

const TRANSIENT: [Fault; 4] = [Fault::Refused, Fault::Failed, Fault::Lost, Fault::Closed];

fn once_patient(server: &S3Server) -> ObjectStoreOptions {
    ObjectStoreOptions { max_retries: 0, ..server.options() }
}

/// G08: a client that repeats a put finds its own object, and must not take it for somebody else's.
#[test]
fn object_store_put_that_is_repeated_is_stored_once_and_reported_as_its_own() {
    let server = S3Server::start();
    let storage = open(&server, &server.options());
    for (id, fault) in (1..).zip(TRANSIENT) {
        for (id, times) in [(10 * id, 1), (10 * id + 1, 3)] {
            server.plan(move |method, number| (method == "PUT" && number < times).then_some(fault));
            let metadata = job().metadata(checkpoint(id));
            assert_eq!(storage.put_metadata(&metadata).unwrap(), Put::Stored, "{times} times {fault:?}");
            assert!(server.requests("PUT") > times);
            assert_eq!(storage.put_metadata(&metadata).unwrap(), Put::Exists, "written before");
            assert_eq!(storage.read_metadata(CheckpointId(id)).unwrap(), Some(metadata));
        }
    }
}

/// The name was taken while an earlier answer was lost.
#[test]
fn object_store_put_that_is_repeated_and_finds_another_says_so() {
    let server = S3Server::start();
    let storage = open(&server, &server.options());
    let rival = open(&server, &server.options());
    let other = job().metadata(snapline::base::CompletedCheckpoint {
        attempt: snapline::base::Attempt(9),
        ..checkpoint(1)
    });
    rival.put_metadata(&other).unwrap();
    for fault in TRANSIENT {
        server.plan(move |method, number| (method == "PUT" && number == 0).then_some(fault));
        assert_eq!(storage.put_metadata(&job().metadata(checkpoint(1))).unwrap(), Put::Exists, "{fault:?}");
    }
    assert_eq!(storage.read_metadata(CheckpointId(1)).unwrap(), Some(other));
}

//= spec/publish.md#pub-8-a-failed-publication-is-certain
//= type=test
//# A publication MUST be reported as failed only if its pointer was certainly not written.
#[test]
fn object_store_put_that_ends_without_an_answer_is_uncertain_whether_or_not_it_was_applied() {
    let server = S3Server::start();
    let storage = open(&server, &ObjectStoreOptions { max_retries: 2, ..server.options() });
    let answer = |id| perform(&storage, &job(), Operation::PutMetadata(checkpoint(id))).0;
    for (id, fault) in (1..).zip(TRANSIENT) {
        server.plan(move |method, _| (method == "PUT").then_some(fault));
        assert_eq!(answer(id), Answer::Unknown, "{fault:?}");
        server.plan(|_, _| None);
        let is_there = storage.read_metadata(CheckpointId(id)).unwrap().is_some();
        assert_eq!(is_there, matches!(fault, Fault::Failed | Fault::Lost), "{fault:?}");
    }
    // Whoever is refused for good has written nothing, unless an earlier request had been carried out.
    server.plan(|method, _| (method == "PUT").then_some(Fault::Forbidden));
    assert_eq!(answer(10), Answer::Failed);
    server.plan(|method, number| {
        (method == "PUT").then_some(if number == 0 { Fault::Lost } else { Fault::Forbidden })
    });
    assert_eq!(answer(11), Answer::Unknown);
    // Nor has whoever finds nobody.
    server.plan(|_, _| None);
    let gone = open(&server, &once_patient(&server));
    drop(server);
    // What was sent on a connection that then broke may have arrived.
    let _ = gone.put_metadata(&job().metadata(checkpoint(12)));
    let (answer, error) = perform(&gone, &job(), Operation::PutMetadata(checkpoint(12)));
    assert_eq!(answer, Answer::Failed, "{error:?}");
    let error = error.unwrap().to_string();
    assert!(error.contains("/chk-12/_metadata is unavailable, nothing was changed"), "{error}");
}

/// Who waits gives up after the configured time, once or for good.
#[test]
fn object_store_request_that_is_never_answered_times_out() {
    let server = S3Server::start();
    let options = ObjectStoreOptions { request_timeout: Duration::from_millis(500), ..server.options() };
    let storage = open(&server, &options);
    server.plan(|_, number| (number == 0).then_some(Fault::Hanging));
    assert_eq!(storage.put_metadata(&job().metadata(checkpoint(1))).unwrap(), Put::Stored);
    assert!(server.requests("PUT") > 1);
    server.plan(|_, _| None);
    let once = ObjectStoreOptions { max_retries: 0, ..options };
    // That time may be too short for the answers that a slow machine gives.
    let mut opened = (0..100).map(|_| ObjectStoreCheckpointStorage::open(&server.url(), JOB, &once));
    let once = opened.find_map(Result::ok).expect("opens");
    server.plan(|_, _| Some(Fault::Hanging));
    let error = once.put_metadata(&job().metadata(checkpoint(2))).unwrap_err();
    assert!(matches!(error, StorageError::Uncertain { .. }), "{error}");
    let error = once.read_metadata(CheckpointId(1)).unwrap_err();
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("timed out"), "{error}");
}

/// Every request of a write fails once, each in its turn: the write succeeds.
#[test]
fn object_store_write_whose_every_request_fails_once_succeeds() {
    let server = S3Server::start();
    let storage = open(&server, &server.options());
    for length in [4, LARGE_BYTES] {
        let content = bytes(length);
        for (at, fault) in (0..3).flat_map(|at| TRANSIENT.map(|fault| (at, fault))) {
            server.plan(move |_, number| (number == at).then_some(fault));
            let handle = write(&storage, file(1, 0), &content).unwrap();
            assert!(read(&storage, &handle).unwrap() == content, "{length} bytes, {fault:?} at {at}");
            storage.delete_checkpoint(CheckpointId(1)).unwrap();
        }
    }
}

/// One request of a write fails for good, each in its turn: the file is there as a whole, or there is nothing.
#[test]
fn object_store_write_of_which_one_request_fails_for_good_leaves_all_or_nothing() {
    let server = S3Server::start();
    let storage = open(&server, &once_patient(&server));
    for length in [4, LARGE_BYTES] {
        let content = bytes(length);
        let requests = if length == 4 { [("PUT", 1), ("POST", 0)] } else { [("PUT", 3), ("POST", 2)] };
        for (method, count) in requests {
            for (at, fault) in (0..count).flat_map(|at| TRANSIENT.map(|fault| (at, fault))) {
                server.plan(move |of, number| (of == method && number == at).then_some(fault));
                let what = format!("{fault:?} at {method} {at} of {length} bytes");
                match write(&storage, file(1, 0), &content) {
                    Ok(handle) => {
                        server.plan(|_, _| None);
                        assert!(read(&storage, &handle).unwrap() == content, "{what}");
                        storage.delete_checkpoint(CheckpointId(1)).unwrap();
                    }
                    Err(error) => {
                        assert!(matches!(error, StorageError::Unavailable { .. }), "{what}: {error}");
                    }
                }
                assert_eq!(objects_of_the_job(&server.bucket), Vec::<String>::new(), "{what}");
                // Nobody can abort an upload whose number never arrived.
                let is_unknown = (method, at) == ("POST", 0) && matches!(fault, Fault::Failed | Fault::Lost);
                assert_eq!(server.bucket.take_open_uploads(), usize::from(is_unknown), "{what}");
            }
        }
    }
}

/// Reads and deletions are repeated, and a failure for good says that nothing can be relied on to have changed.
#[test]
fn object_store_reads_and_deletions_survive_a_failure_and_report_one_for_good() {
    let server = S3Server::start();
    let storage = open(&server, &ObjectStoreOptions { max_retries: 2, ..server.options() });
    let object = shared(b"sst");
    for fault in TRANSIENT {
        let handle = write(&storage, file(1, 0), b"some state").unwrap();
        write(&storage, file(1, 1), b"more").unwrap();
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
        for (at, operation) in all[..4].iter().enumerate() {
            server.plan(move |_, number| (number == 0).then_some(fault));
            operation().unwrap_or_else(|error| panic!("{fault:?} at {at}: {error}"));
        }
        for (at, operation) in all.iter().enumerate() {
            server.plan(move |_, _| Some(fault));
            let error = operation().unwrap_err();
            assert!(matches!(error, StorageError::Unavailable { .. }), "{fault:?} at {at}: {error}");
        }
        for operation in &all[4..] {
            server.plan(move |_, number| (number == 0).then_some(fault));
            operation().unwrap();
        }
        server.plan(|_, _| None);
        assert_eq!(objects_of_the_job(&server.bucket), Vec::<String>::new(), "{fault:?}");
    }
}
