//! An etcd that is away, does not answer, or answers something else.

use crate::common::{Fault as JobFault, Place, Plan, World, options, run, wait_until};
use crate::etcd::{self, EtcdServer, Fault, Proxy};
use crate::{JOB, claim, common, in_etcd, storage};
use snapline::publish::PointerSequence;
use snapline::store::*;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const FIRST: PointerSequence = PointerSequence::FIRST;

/// A server, a proxy before it, and the log of the job through that.
fn behind_a_proxy() -> (Arc<EtcdServer>, Proxy, EtcdHighAvailabilityStore) {
    let server = etcd::shared();
    let proxy = Proxy::before(&server.url());
    let options = EtcdOptions { root: etcd::new_root(), ..etcd::options([proxy.url()]) };
    let store = in_etcd(&options);
    (server, proxy, store)
}

/// The first request meets this, and those after it do not.
fn once(proxy: &Proxy, fault: Fault) {
    proxy.plan(move |_, number| (number == 0).then_some(fault));
}

/// The same log without patience: a request is sent once.
fn impatient(proxy: &Proxy) -> EtcdHighAvailabilityStore {
    let options =
        EtcdOptions { root: etcd::new_root(), retry_timeout: Duration::ZERO, ..etcd::options([proxy.url()]) };
    in_etcd(&options)
}

#[test]
fn etcd_put_whose_answer_is_lost_is_known_by_its_content() {
    let (_server, proxy, store) = behind_a_proxy();
    once(&proxy, Fault::Lost);
    assert_eq!(store.put_pointer(FIRST, &claim(1)).unwrap(), Put::Stored);
    assert_eq!(proxy.requests(), 2, "the second request finds what the first has written");
    // Of somebody else, who came before.
    once(&proxy, Fault::Lost);
    assert_eq!(store.put_pointer(FIRST, &claim(2)).unwrap(), Put::Exists);
    // The same bytes, and no request was left without an answer: they are not what this put has written.
    proxy.plan(|_, _| None);
    assert_eq!(store.put_pointer(FIRST, &claim(1)).unwrap(), Put::Exists);
    assert_eq!(store.read_pointer(FIRST).unwrap(), Some(claim(1)));
}

#[test]
fn etcd_requests_that_may_succeed_later_are_repeated() {
    let (_server, proxy, store) = behind_a_proxy();
    for (number, fault) in (1..).zip([Fault::Closed, Fault::Refused(503), Fault::Refused(429)]) {
        let sequence = PointerSequence(number);
        once(&proxy, fault);
        assert_eq!(store.put_pointer(sequence, &claim(number)).unwrap(), Put::Stored, "{fault:?}");
        once(&proxy, fault);
        assert_eq!(store.read_pointer(sequence).unwrap(), Some(claim(number)), "{fault:?}");
        once(&proxy, fault);
        assert_eq!(store.list_pointers().unwrap().len() as u64, number, "{fault:?}");
        assert_eq!(proxy.requests(), 2, "{fault:?}");
    }
}

/// Nobody needs it, and who waits for it could write checkpoints.
#[test]
fn etcd_deletion_is_sent_once() {
    let (_server, proxy, store) = behind_a_proxy();
    store.put_pointer(FIRST, &claim(1)).unwrap();
    once(&proxy, Fault::Lost);
    store.delete_pointer(FIRST).unwrap_err();
    assert_eq!(proxy.requests(), 1);
    assert_eq!(store.read_pointer(FIRST).unwrap(), None);
}

/// Patience is asked before each request but the first, not only when all endpoints were asked.
#[test]
fn etcd_endpoints_are_not_all_asked_when_patience_has_ended() {
    let server = etcd::shared();
    let proxies = [(); 2].map(|()| Proxy::before(&server.url()));
    let endpoints = proxies.each_ref().map(Proxy::url);
    let store = in_etcd(&EtcdOptions {
        root: etcd::new_root(),
        retry_timeout: Duration::ZERO,
        ..etcd::options(endpoints)
    });
    for proxy in &proxies {
        proxy.plan(|_, _| Some(Fault::Refused(503)));
    }
    store.read_pointer(FIRST).unwrap_err();
    assert_eq!(proxies.each_ref().map(Proxy::requests), [1, 0]);
}

#[test]
fn etcd_failure_says_whether_something_may_have_been_written() {
    let (_server, proxy, _) = behind_a_proxy();
    let store = impatient(&proxy);
    for (fault, is_uncertain) in [
        (Fault::Lost, true),
        // Whoever asks cannot tell it from the one before.
        (Fault::Closed, true),
        (Fault::Refused(503), true),
        (Fault::Refused(400), false),
        (Fault::Refused(403), false),
        (Fault::Refused(429), false),
    ] {
        proxy.plan(move |_, _| Some(fault));
        let error = store.put_pointer(PointerSequence(7), &claim(7)).unwrap_err();
        assert_eq!(matches!(error, StorageError::Uncertain { .. }), is_uncertain, "{fault:?}: {error}");
        assert!(error.to_string().contains("pointers/00000000000000000007"), "{error}");
        assert!(error.to_string().contains(&proxy.url()), "{error}");
        let error = store.read_pointer(PointerSequence(7)).unwrap_err();
        assert!(matches!(error, StorageError::Unavailable { .. }), "{fault:?}: {error}");
        assert!(store.list_pointers().is_err() && store.delete_pointer(FIRST).is_err());
    }
}

/// What was refused for good has changed nothing only if no request before was left without an answer.
#[test]
fn etcd_put_that_is_refused_after_a_lost_answer_is_uncertain() {
    let (_server, proxy, store) = behind_a_proxy();
    proxy.plan(|_, number| Some(if number == 0 { Fault::Lost } else { Fault::Refused(403) }));
    let error = store.put_pointer(FIRST, &claim(1)).unwrap_err();
    assert!(matches!(error, StorageError::Uncertain { .. }), "{error}");
    proxy.plan(|_, _| None);
    assert_eq!(store.read_pointer(FIRST).unwrap(), Some(claim(1)));
}

#[test]
fn etcd_that_is_away_has_written_nothing() {
    let mut server = EtcdServer::start();
    let options = EtcdOptions { retry_timeout: Duration::ZERO, ..server.options() };
    let store = in_etcd(&options);
    server.kill();
    // The connection of before ends, and then there is none.
    let _ = store.read_pointer(FIRST);
    let error = store.put_pointer(FIRST, &claim(1)).unwrap_err();
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
    let error = EtcdHighAvailabilityStore::open(&options, &ClusterId::default(), JOB).unwrap_err();
    assert!(error.to_string().contains(&server.url()), "{error}");
    server.restart();
    assert_eq!(store.read_pointer(FIRST).unwrap(), None);
    assert_eq!(store.put_pointer(FIRST, &claim(1)).unwrap(), Put::Stored);
    server.restart();
    let _ = store.read_pointer(FIRST);
    assert_eq!(store.read_pointer(FIRST).unwrap(), Some(claim(1)), "what was stored is durable");
}

/// Every third answer is lost, and every fifth request is refused, while the job runs and when it starts again.
#[test]
fn etcd_job_over_a_bad_connection_has_exact_output() {
    let (_server, proxy, store) = behind_a_proxy();
    let directory = tempfile::tempdir().unwrap();
    proxy.plan(|_, number| match (number % 3, number % 5) {
        (0, _) => Some(Fault::Lost),
        (_, 0) => Some(Fault::Refused(503)),
        _ => None,
    });
    let world = World::with(Plan { place: Place::Process, fault: JobFault::Error, after: 2, times: 1 });
    let summary = run(&world, 2, options(1), &storage(directory.path(), Arc::new(store)).unwrap()).unwrap();
    world.assert_exact(2);
    assert_eq!(summary.progress.restarts, 1);
}

/// The server is killed under a job, which waits for it: it loses nothing and is not even restarted.
#[test]
fn etcd_that_is_killed_and_started_again_costs_a_job_nothing() {
    let mut server = EtcdServer::start();
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let pointers = Arc::new(in_etcd(&server.options()));
    let storage = storage(directory.path(), pointers).unwrap();
    let handle = common::job(&world, 2).start(options(0), storage).unwrap();
    for completed in [1, 2, 3] {
        wait_until(&handle, || world.completed.load(Ordering::SeqCst) >= completed);
        server.restart();
    }
    assert_eq!(handle.wait().unwrap().progress.restarts, 0);
    world.assert_exact(2);
}

/// It does nothing any more: the job ends, says so, and goes on from its last checkpoint when it is there again.
#[test]
fn etcd_that_stays_away_ends_a_job_which_then_goes_on() {
    let (_server, proxy, _) = behind_a_proxy();
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let pointers = Arc::new(impatient(&proxy));
    let in_place = storage(directory.path(), pointers.clone()).unwrap();
    world.hold_from(Some(1));
    let handle = common::job(&world, 2).start(options(0), in_place).unwrap();
    wait_until(&handle, || world.completed.load(Ordering::SeqCst) >= 1);
    // Not in the middle of a put: whether that was done nobody could say, and the job would wait until somebody can.
    proxy.plan(|_, _| Some(Fault::Refused(429)));
    let error = handle.wait().unwrap_err().to_string();
    assert!(error.contains(&proxy.url()) && error.contains("pointers/"), "{error}");
    proxy.plan(|_, _| None);
    world.hold_from(None);
    let summary = run(&world, 2, options(0), &storage(directory.path(), pointers).unwrap()).unwrap();
    assert!(summary.progress.restored_from.is_some());
    world.assert_exact(2);
}
