#![allow(clippy::disallowed_methods)]

use super::native::{ALL, PREFIX};
use super::*;
use crate::backend::rocksdb::RocksDbStateBackendFactory;
use crate::keygroup::MaxParallelism;
use crate::state::backend::StateBackend;
use crate::state::*;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn store(directory: &Path, wanted: &[&str]) -> KeyedStateStore<u32> {
    let option = |key: &str, value: &str| (format!("state.backend.rocksdb.{key}"), value.to_owned());
    let mut options = BTreeMap::from([option("localdir", directory.to_str().unwrap())]);
    options.extend(wanted.iter().map(|metric| option(&format!("metrics.{metric}"), "true")));
    let backend = StateBackend::Custom(Arc::new(RocksDbStateBackendFactory), options);
    let max = MaxParallelism::new(8).unwrap();
    KeyedStateStoreBuilder::new(max, max.all_groups()).with_backend(&backend).restore(Vec::new()).unwrap()
}

fn fill(store: &mut KeyedStateStore<u32>, state: &str, keys: u32) {
    let value = store.open(&ValueStateDescriptor::<u32>::new(state)).unwrap();
    for key in 0..keys {
        store.set_current_key(key).unwrap();
        value.update(store, key).unwrap();
    }
}

/// Those of the instance in a directory: other tests have theirs.
fn collected(directory: &Path) -> Vec<Metric> {
    let numbers: BTreeSet<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let is_there = |instance: u64| {
        numbers.iter().any(|name| name.to_str().unwrap().ends_with(&format!("{instance:016x}")))
    };
    collect().into_iter().filter(|metric| is_there(metric.instance)).collect()
}

#[test]
fn metrics_are_collected_only_if_they_are_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = store(directory.path(), &[]);
    fill(&mut store, "values", 10);
    assert_eq!(collected(directory.path()), []);
}

#[test]
fn metrics_of_every_name_are_there_for_each_state_or_the_instance() {
    let directory = tempfile::tempdir().unwrap();
    let wanted: Vec<_> = ALL.iter().map(|(name, _)| name.strip_prefix(PREFIX).unwrap()).collect();
    let mut store = store(directory.path(), &wanted);
    fill(&mut store, "values", 10);
    fill(&mut store, "others", 20);
    drop(store.snapshot_in_files().unwrap());
    fill(&mut store, "values", 5);
    let all = collected(directory.path());
    let value = |name: &str, state: Option<&str>| {
        let found: Vec<_> =
            all.iter().filter(|metric| metric.name == name && metric.state.as_deref() == state).collect();
        assert_eq!(found.len(), 1, "{name} {state:?}");
        found[0].value
    };
    let levels = "rocksdb.num-files-at-level";
    for (name, source) in ALL.iter().filter(|(name, _)| *name != levels) {
        match source {
            Source::Ticker(_) => _ = value(name, None),
            _ => _ = (value(name, Some("values")), value(name, Some("others"))),
        }
    }
    assert_eq!(all.iter().filter(|metric| metric.name.starts_with(levels)).count(), 2 * 7);
    assert_eq!(value("rocksdb.num-files-at-level0", Some("values")), 1);
    assert_eq!(value("rocksdb.num-entries-active-mem-table", Some("values")), 5);
    assert_eq!(value("rocksdb.num-entries-active-mem-table", Some("others")), 0);
    assert_eq!(value("rocksdb.estimate-num-keys", Some("others")), 20);
    assert!(value("rocksdb.live-sst-files-size", Some("values")) > 0);
    assert!(value("rocksdb.bytes-written", None) > 0);
    assert!(all.iter().all(|metric| (metric.key_groups.start().0, metric.key_groups.end().0) == (0, 7)));
}

#[test]
fn metrics_of_two_instances_are_counted_apart() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut all = [&first, &second].map(|directory| store(directory.path(), &["bytes-written"]));
    let written = || [&first, &second].map(|directory| collected(directory.path())[0].value);
    fill(&mut all[0], "values", 10);
    let [one, two] = written();
    assert!(one > 0 && two == 0);
    fill(&mut all[1], "values", 20);
    assert!(written()[0] == one && written()[1] > one);
}

#[test]
fn metrics_go_with_their_instance_and_keep_no_directory() {
    let directory = tempfile::tempdir().unwrap();
    let ended = EndedInstances::watch();
    let mut one = store(directory.path(), &["estimate-num-keys"]);
    fill(&mut one, "kept at the end", 10);
    let before = collected(directory.path());
    assert_eq!(before.len(), 1);
    drop(one);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    assert!(collect().iter().all(|metric| metric.instance != before[0].instance));
    let kept: Vec<_> =
        ended.metrics().into_iter().filter(|metric| metric.instance == before[0].instance).collect();
    assert_eq!(kept, before);
}

/// Says that it is over when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn metrics_can_be_asked_for_while_instances_begin_and_end() {
    let directory = tempfile::tempdir().unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut seen = 0;
            while !is_over.load(Ordering::Relaxed) {
                seen += collect().len();
            }
            seen + collect().len()
        });
        // Also when something here fails.
        let over = Over(&is_over);
        let mut left_behind = 0;
        for _ in 0..20 {
            let mut store =
                store(directory.path(), &["estimate-num-keys", "bytes-read", "num-files-at-level"]);
            fill(&mut store, "values", 3);
            let held = store.snapshot().unwrap();
            drop(store);
            drop(held);
            left_behind += fs::read_dir(directory.path()).unwrap().count();
        }
        drop(over);
        assert!(asking.join().is_ok());
        assert_eq!(left_behind, 0, "whoever asks is never the last to have an instance");
    });
}

/// What a recorder of the facade got.
fn recorded(directory: &Path) -> BTreeMap<String, (BTreeMap<String, String>, DebugValue)> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    ::metrics::with_local_recorder(&recorder, record);
    let instance = format!("{:016x}", collected(directory)[0].instance);
    let mut all = BTreeMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let labels: BTreeMap<_, _> =
            key.key().labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
        if labels["instance"] == instance {
            all.insert(key.key().name().to_owned(), (labels, value));
        }
    }
    all
}

#[test]
fn metrics_are_recorded_as_gauges_and_counters_with_labels() {
    let directory = tempfile::tempdir().unwrap();
    let mut in_names = store(directory.path(), &["estimate-num-keys", "bytes-written"]);
    fill(&mut in_names, "values", 10);
    let all = recorded(directory.path());
    assert_eq!(all.len(), 2);
    let (labels, value) = &all["values.rocksdb.estimate-num-keys"];
    assert_eq!(*value, DebugValue::Gauge(10.0.into()));
    assert_eq!(labels["key_groups"], "0-7");
    assert_eq!(labels["serializers"].len(), 8);
    assert!(!labels.contains_key("column_family"));
    let (labels, value) = &all["rocksdb.bytes-written"];
    assert!(matches!(value, DebugValue::Counter(bytes) if *bytes > 0));
    assert_eq!(labels.len(), 2);

    let directory = tempfile::tempdir().unwrap();
    let mut as_variables = store(directory.path(), &["estimate-num-keys", "column-family-as-variable"]);
    fill(&mut as_variables, "values", 10);
    let all = recorded(directory.path());
    assert_eq!(all["rocksdb.estimate-num-keys"].0["column_family"], "values");
}
