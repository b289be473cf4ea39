//! `snapline run` with state in RocksDB, as a person would run it.

#![cfg(feature = "rocksdb")]
#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

mod common;

use common::Scene;

const WANTED: &[&str] = &[
    "--backend",
    "rocksdb",
    "-D",
    "state.backend.rocksdb.metrics.estimate-num-keys=true",
    "-D",
    "state.backend.rocksdb.metrics.bytes-written=true",
];

#[test]
fn native_metrics_that_are_wanted_are_in_the_summary() {
    let scene = Scene::new(&[b"each of these words is here once\n".to_vec()]);
    let outcome = scene.run(&[WANTED, &["--json"]].concat()).succeeded();
    let summary: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    let metrics = summary["rocksdb_metrics"].as_array().unwrap();
    let of = |name: &'static str| metrics.iter().filter(move |metric| metric["name"] == name);
    let keys = of("rocksdb.estimate-num-keys").filter(|metric| metric["state"] == "count");
    assert_eq!(keys.clone().count(), 2, "one of each subtask: {metrics:?}");
    assert_eq!(keys.map(|metric| metric["value"].as_u64().unwrap()).sum::<u64>(), 7);
    assert!(of("rocksdb.bytes-written").all(|metric| metric["state"].is_null()));
    assert!(of("rocksdb.bytes-written").any(|metric| metric["value"].as_u64().unwrap() > 0));

    let table = Scene::new(&[b"a b\n".to_vec()]).run(WANTED).succeeded().out;
    assert!(
        table.contains("rocksdb.estimate-num-keys") && table.contains("(`count`, key groups 0 to 63)"),
        "{table}"
    );
}

#[test]
fn native_metrics_are_not_in_the_summary_unless_they_are_wanted() {
    let scene = Scene::new(&[b"a b\n".to_vec()]);
    let outcome = scene.run(&["--backend", "rocksdb", "--json"]).succeeded();
    assert!(!outcome.out.contains("rocksdb_metrics"), "{}", outcome.out);
}
