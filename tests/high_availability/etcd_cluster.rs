//! What an etcd is: its keys, its members, who may ask it, and by what connection.

use crate::etcd::{self, EtcdServer};
use crate::{JOB, claim, in_etcd};
use snapline::publish::PointerSequence;
use snapline::store::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const FIRST: PointerSequence = PointerSequence::FIRST;

fn open(options: &EtcdOptions) -> Result<EtcdHighAvailabilityStore, StorageError> {
    EtcdHighAvailabilityStore::open(options, &ClusterId::default(), JOB)
}

/// Asks the server for something that Snapline never does.
fn ask(server: &EtcdServer, method: &str, request: &str) -> String {
    let url = format!("{}/v3/{method}", server.url());
    let mut answer = ureq::post(url).send(request).unwrap();
    answer.body_mut().read_to_string().unwrap()
}

#[test]
fn etcd_logs_of_other_jobs_clusters_and_roots_are_others() {
    let server = etcd::shared();
    let root = etcd::new_root();
    let options = EtcdOptions { root: format!("{root}/a"), ..server.options() };
    let other_root = EtcdOptions { root: format!("{root}/b"), ..server.options() };
    let (cluster, other) = (ClusterId::default(), "/some/other".parse().unwrap());
    let open = |options, cluster, job| EtcdHighAvailabilityStore::open(options, cluster, job).unwrap();
    let stores = [
        open(&options, &cluster, JOB),
        open(&options, &cluster, snapline::base::JobId(JOB.0 + 1)),
        open(&options, &other, JOB),
        open(&other_root, &cluster, JOB),
    ];
    for (number, store) in (1..).zip(&stores) {
        assert_eq!(store.list_pointers().unwrap(), [].into());
        assert_eq!(store.put_pointer(FIRST, &claim(number)).unwrap(), Put::Stored);
    }
    for (number, store) in (1..).zip(&stores) {
        assert_eq!(store.read_pointer(FIRST).unwrap(), Some(claim(number)));
        assert_eq!(store.list_pointers().unwrap(), [FIRST].into());
    }
    let names: BTreeSet<_> = stores.iter().map(HighAvailabilityStore::name).collect();
    assert_eq!(names.len(), stores.len());
    let name = stores[2].name();
    assert_eq!(name, format!("etcd:{}{root}/a/some/other/{JOB}/pointers", server.url()));
    let ids: BTreeSet<_> = stores.iter().map(|store| store.id().unwrap()).collect();
    assert_eq!(ids.len(), stores.len());
}

/// More than one request lists, and with keys between them that are no pointers.
#[test]
fn etcd_log_of_many_pages_is_listed_whole() {
    const POINTERS: u64 = 2_050;
    let server = etcd::shared();
    let store = in_etcd(&EtcdOptions { root: etcd::new_root(), ..server.options() });
    let next = AtomicU64::new(1);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number > POINTERS {
                        return;
                    }
                    store.put_pointer(PointerSequence(number), &claim(number)).unwrap();
                }
            });
        }
    });
    store.put_pointer(PointerSequence(u64::MAX), &claim(1)).unwrap();
    let expected: BTreeSet<_> = (1..=POINTERS).chain([u64::MAX]).map(PointerSequence).collect();
    assert_eq!(store.list_pointers().unwrap(), expected);
}

/// Two processes with connections of their own write the same numbers: each is one's and not the other's.
#[test]
fn etcd_race_for_each_number_has_one_winner() {
    let server = etcd::shared();
    let options = EtcdOptions { root: etcd::new_root(), ..server.options() };
    let won = thread::scope(|scope| {
        let processes = [1, 2].map(|process| {
            let store = in_etcd(&options);
            scope.spawn(move || {
                let put = |number: &u64| {
                    store.put_pointer(PointerSequence(*number), &claim(process)).unwrap() == Put::Stored
                };
                (1..=100).filter(put).collect::<BTreeSet<u64>>()
            })
        });
        processes.map(|process| process.join().unwrap())
    });
    assert!(won[0].is_disjoint(&won[1]) && won[0].len() + won[1].len() == 100, "{won:?}");
    let store = in_etcd(&options);
    for number in 1..=100 {
        let winner = if won[0].contains(&number) { 1 } else { 2 };
        assert_eq!(store.read_pointer(PointerSequence(number)).unwrap(), Some(claim(winner)));
    }
}

#[test]
fn etcd_pointer_that_is_damaged_is_said_to_be() {
    let server = etcd::shared();
    let store = in_etcd(&EtcdOptions { root: "/damaged".to_owned(), ..server.options() });
    store.put_pointer(FIRST, &claim(1)).unwrap();
    // `/damaged/default/<job>/pointers/00000000000000000001`, and `junk`.
    let key = base64(&format!("/damaged/default/{JOB}/pointers/00000000000000000001"));
    ask(&server, "kv/put", &format!(r#"{{"key":"{key}","value":"anVuaw=="}}"#));
    let error = store.read_pointer(FIRST).unwrap_err();
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("pointers/00000000000000000001 is corrupt at byte"), "{error}");
}

/// What a key is in a request.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |three: &[u8]| {
        let bits =
            three.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        let digit =
            |at: usize| if at > three.len() { '=' } else { DIGITS[bits >> (18 - 6 * at) & 63].into() };
        (0..4).map(digit).collect::<String>()
    };
    text.as_bytes().chunks(3).map(digits).collect()
}

#[test]
fn etcd_endpoints_are_tried_one_after_another() {
    let server = etcd::shared();
    let mut gone = EtcdServer::start();
    gone.kill();
    let endpoints = [gone.url(), server.url()];
    let store = in_etcd(&EtcdOptions { root: etcd::new_root(), ..etcd::options(endpoints) });
    assert_eq!(store.put_pointer(FIRST, &claim(1)).unwrap(), Put::Stored);
    assert_eq!(store.read_pointer(FIRST).unwrap(), Some(claim(1)));
}

/// Two clusters would be two logs, and nobody would be fenced. The ids of the clusters do not tell: they are made of the
/// addresses that members have for each other and of a token, and these are the same.
#[test]
fn etcd_endpoints_of_two_clusters_are_refused() {
    let (mut one, other) = (EtcdServer::start(), etcd::shared());
    let cluster = |server: &EtcdServer| {
        let answer = ask(server, "kv/range", r#"{"key":"eA=="}"#);
        answer.split('"').skip_while(|word| *word != "cluster_id").nth(2).map(str::to_owned).unwrap()
    };
    assert_eq!(cluster(&one), cluster(&other));
    let options = EtcdOptions { root: etcd::new_root(), ..etcd::options([one.url(), other.url()]) };
    let store = in_etcd(&options);
    store.put_pointer(FIRST, &claim(1)).unwrap();
    one.kill();
    for refused in [
        store.put_pointer(PointerSequence(2), &claim(1)).map(drop).unwrap_err(),
        store.read_pointer(FIRST).map(drop).unwrap_err(),
        store.list_pointers().map(drop).unwrap_err(),
    ] {
        assert!(refused.to_string().contains("must all be members of one cluster"), "{refused}");
    }
    store.delete_pointer(FIRST).unwrap_err();
    let alone = open(&EtcdOptions { endpoints: vec![other.url()], ..options }).unwrap();
    assert_eq!(alone.list_pointers().unwrap(), [].into(), "nothing was done there");
    assert_ne!(
        alone.id().unwrap(),
        store.id().unwrap(),
        "a job that is bound to one is refused with the other"
    );
}

#[test]
fn etcd_user_is_asked_for_and_known_again_after_a_restart() {
    let mut server = EtcdServer::start();
    for (method, request) in [
        ("auth/user/add", r#"{"name":"root","password":"of root"}"#),
        ("auth/role/add", r#"{"name":"root"}"#),
        ("auth/user/grant", r#"{"user":"root","role":"root"}"#),
        ("auth/user/add", r#"{"name":"stranger","password":"p"}"#),
        ("auth/enable", "{}"),
    ] {
        ask(&server, method, request);
    }
    let user = |username: &str, password: &str| {
        Some(EtcdCredentials { username: username.to_owned(), password: password.to_owned() })
    };
    let with = |server: &EtcdServer, credentials| EtcdOptions { credentials, ..server.options() };
    for (credentials, what) in [
        (None, "user name is empty"),
        (user("root", "wrong password"), "authentication failed"),
        (user("stranger", "p"), "permission denied"),
    ] {
        let options = with(&server, credentials);
        let refused = open(&options).unwrap_err().to_string();
        assert!(refused.contains(what) && !refused.contains("wrong password"), "{refused}");
        assert!(!format!("{options:?}").contains("wrong password"));
    }
    let store = open(&with(&server, user("root", "of root"))).unwrap();
    assert_eq!(store.put_pointer(FIRST, &claim(1)).unwrap(), Put::Stored);
    // The tokens that it has given are gone with it.
    server.restart();
    assert_eq!(store.put_pointer(PointerSequence(2), &claim(2)).unwrap(), Put::Stored);
    assert_eq!(store.list_pointers().unwrap().len(), 2);
}

#[test]
fn etcd_over_tls_has_the_certificates_that_are_named() {
    let server = EtcdServer::with_tls();
    let store = in_etcd(&server.options());
    assert_eq!(store.put_pointer(FIRST, &claim(1)).unwrap(), Put::Stored);
    assert_eq!(store.read_pointer(FIRST).unwrap(), Some(claim(1)));
    let impatient = EtcdOptions { retry_timeout: Duration::ZERO, ..server.options() };
    let of_stranger = EtcdOptions { ca_certificate: Some(etcd::tls("stranger.pem")), ..impatient.clone() };
    let refused = open(&of_stranger).unwrap_err().to_string();
    assert!(refused.contains("certificate"), "{refused}");
    let anonymous = EtcdOptions { client_certificate: None, ..impatient };
    // The server may have closed the connection before its reason is read.
    let refused = open(&anonymous).unwrap_err();
    assert!(matches!(refused, StorageError::Unavailable { .. }), "{refused}");
    let without = EtcdOptions { ca_certificate: None, ..server.options() };
    let refused = open(&without).unwrap_err().to_string();
    assert!(refused.contains("needs the certificate"), "{refused}");
}

#[test]
fn etcd_options_that_are_wrong_are_refused_without_what_is_secret() {
    for (endpoints, what) in [
        (&[][..], "there are no endpoints"),
        (&["10.0.0.1:2379"], "`10.0.0.1:2379` must be http://host:port"),
        (&["http://"], "must be http://host:port"),
        (
            &["http://me:secret@host:1"],
            "`host:1` must be http://host:port or https://host:port, without a password",
        ),
    ] {
        let refused = open(&EtcdOptions::new(endpoints.iter().copied())).unwrap_err().to_string();
        assert!(refused.contains(what) && !refused.contains("secret"), "{refused}");
    }
    let missing =
        EtcdOptions { ca_certificate: Some("/no/such/file".into()), ..EtcdOptions::new(["http://h:1"]) };
    let refused = open(&missing).unwrap_err().to_string();
    assert!(refused.contains("/no/such/file"), "{refused}");
}
