//! Whole jobs whose checkpoints lie on a server of WebDAV.

use crate::common::{self, Fault, Place, Plan, World, in_files, inline, options, run};
use crate::web_dav::{self, WebDavServer};
use snapline::base::*;
use snapline::configuration::{Configuration, Origin};
use snapline::coordinator::StopMode;
use snapline::inspection::{Location, verify};
use snapline::publish::{Pointer, PointerKind, PointerSequence};
use snapline::runtime::{JobOptions, JobSettings};
use snapline::store::*;
use std::sync::Arc;

fn storage(server: &WebDavServer) -> Arc<dyn CheckpointStorage> {
    let options = server.options();
    Arc::new(ObjectStoreCheckpointStorage::open(&server.url(), common::JOB, &options).unwrap())
}

fn assert_whole(server: &WebDavServer) {
    let verification = verify(&Location::of(server.path()).unwrap(), &mut |_| {});
    assert!(verification.is_whole && verification.read_bytes > 0, "{verification:?}");
}

/// The job dies with its process, after some checkpoints, and another process goes on from what lies on the server.
#[test]
fn web_dav_job_that_has_died_is_resumed_with_exact_output() {
    for options in [options as fn(u32) -> JobOptions, in_files, inline] {
        for place in [Place::Process, Place::PreCommit, Place::Commit] {
            let server = WebDavServer::start();
            let world = World::with(Plan { place, fault: Fault::Error, after: 2, times: 1 });
            run(&world, 2, options(0), &storage(&server)).unwrap_err();
            assert_whole(&server);
            run(&world, 2, options(0), &storage(&server)).unwrap();
            world.assert_exact(2);
            assert_whole(&server);
        }
    }
}

/// Every third answer is lost, and every fifth request is refused: they are repeated, and the output is exact.
#[test]
fn web_dav_job_over_a_bad_connection_has_exact_output() {
    let server = WebDavServer::start();
    // A put is several requests, so it fails more often than one.
    let options = ObjectStoreOptions { max_retries: 50, ..server.options() };
    let storage = ObjectStoreCheckpointStorage::open(&server.url(), common::JOB, &options).unwrap();
    server.plan(|_, number| match (number % 3, number % 5) {
        (0, _) => Some(web_dav::Fault::Lost),
        (_, 0) => Some(web_dav::Fault::Refused),
        _ => None,
    });
    let world = World::with(Plan { place: Place::Process, fault: Fault::Error, after: 2, times: 1 });
    run(&world, 2, in_files(2), &(Arc::new(storage) as _)).unwrap();
    world.assert_exact(2);
    server.plan(|_, _| None);
    assert_whole(&server);
}

/// A savepoint, and the copy that a stop leaves, lie in another directory of the server.
#[test]
fn web_dav_savepoints_lie_where_their_requests_say_on_the_same_server() {
    let server = WebDavServer::start();
    let world = World::new();
    world.hold_from(Some(0));
    let handle = common::job(&world, 2).start(options(0), storage(&server)).unwrap();
    common::wait_until(&handle, || handle.progress().completed > 0);
    let target = format!("{}/chosen", server.url());
    let control = handle.control().with_savepoints_in(&target);
    let savepoint = control.trigger_savepoint(SavepointFormat::Canonical).wait_for_checkpoint().unwrap();
    let stop = control.stop_with_savepoint(StopMode::Suspend, SavepointFormat::Canonical);
    let stop = stop.wait_for_checkpoint().unwrap();
    handle.wait().unwrap();
    for asked in [savepoint, stop] {
        let path = asked.external_path.strip_prefix(&format!("{}/", server.url())).unwrap();
        assert!(path.starts_with("chosen/"), "{path}");
        let directory = server.path().join(path);
        assert!(verify(&Location::of(&directory).unwrap(), &mut |_| {}).is_whole, "{path}");
    }
    let another = storage(&server).savepoint_target("http://127.0.0.1:1/chosen").err().unwrap().to_string();
    assert!(another.contains("it must lie in the same store"), "{another}");
}

/// With a configuration that names the server, for the checkpoints and for the log of pointers.
#[test]
fn web_dav_that_a_configuration_names_keeps_the_checkpoints_and_the_log_of_a_job() {
    let server = WebDavServer::start();
    let mut configuration = Configuration::new();
    for (key, value) in server.options().store {
        configuration.set(format!("snapline.storage.object-store.store.{key}"), value, Origin::Code);
    }
    configuration.set("execution.checkpointing.dir", server.url(), Origin::Code);
    configuration.set("high-availability.type", "filesystem", Origin::Code);
    configuration.set("high-availability.storageDir", format!("{}/logs", server.url()), Origin::Code);
    let settings = JobSettings::from_configuration(&configuration).unwrap();
    assert_eq!((settings.storage.name(), &settings.warnings[..]), ("http", &[][..]));
    let world = World::new();
    let storage = settings.storage.open(common::JOB).unwrap();
    run(&world, 2, options(0), &storage).unwrap();
    world.assert_exact(2);
    assert!(!storage.list().unwrap().pointers.is_empty());
    let log = server.path().join(format!("logs/default/{}/pointers/id", common::JOB));
    assert!(log.is_file(), "{}", log.display());
}

/// Of several processes that claim one number at once the server lets one have it.
#[test]
fn web_dav_race_of_processes_for_a_pointer_has_one_winner() {
    let server = WebDavServer::start();
    let storages: Vec<_> = (0..6).map(|_| storage(&server)).collect();
    for sequence in (1..=20).map(PointerSequence) {
        let claim = |incarnation| Pointer {
            kind: PointerKind::Claim,
            attempt: Attempt(1),
            incarnation: Incarnation(incarnation),
            newest: None,
            older: [].into(),
        };
        let puts: Vec<Put> = std::thread::scope(|scope| {
            let put = |at: usize| storages[at].put_pointer(sequence, &claim(at as u64)).unwrap();
            let threads: Vec<_> = (0..storages.len()).map(|at| scope.spawn(move || put(at))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let winners: Vec<_> = (0..puts.len()).filter(|&at| puts[at] == Put::Stored).collect();
        assert_eq!(winners.len(), 1, "{puts:?}");
        let found = storages[0].read_pointer(sequence).unwrap();
        assert_eq!(found, Some(claim(winners[0] as u64)));
    }
}
