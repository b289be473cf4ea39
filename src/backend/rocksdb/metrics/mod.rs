//! What RocksDB says about itself (Flink: `RocksDBNativeMetricMonitor`).
//!
//! Nothing is collected unless options of the job ask for it, by Flink's names: `state.backend.rocksdb.metrics.*`
//! (`docs/ROCKSDB.md` lists them). [`collect`] asks all instances of the process; [`record`] hands that to whatever the
//! program has installed as the recorder of the crate `metrics`.

mod ended;
mod facade;
mod native;
#[cfg(test)]
mod tests;

pub use ended::EndedInstances;
pub use facade::record;
pub(super) use native::NativeMetrics;

use super::database::Database;
use super::family::state_of;
use super::instances::Instances;
use crate::keygroup::KeyGroupRange;
use crate::state::backend::{mark_of_serializers, state_name};
pub(super) use ended::has_ended;
use native::Source;

/// One metric of an instance, or of a state in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// `rocksdb.` and the last part of the option that asks for it, such as `rocksdb.estimate-num-keys`.
    pub name: &'static str,
    /// Whether it only grows.
    pub kind: MetricKind,
    /// The number that the instance has in the name of its working directory.
    pub instance: u64,
    /// The key groups of the instance.
    pub key_groups: KeyGroupRange,
    /// Of which state it is, if it is not of the instance as a whole. What is not printable ASCII in its name is escaped.
    pub state: Option<String>,
    /// The mark of the serializers that have written there, if it is of a state: what earlier ones have written lies apart.
    pub serializers: Option<String>,
    /// How much or how many. Its name says of what; sizes are in bytes.
    pub value: u64,
    /// Whether the state is told by a label and not by a part of the name.
    state_is_label: bool,
}

/// How a metric changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Up and down: a property of RocksDB.
    Gauge,
    /// Only up, from the beginning of the instance: a ticker of RocksDB's statistics.
    Counter,
}

/// The metrics of all instances in this process, as their jobs have asked for them. An instance that has ended is not there
/// any more; one that ends meanwhile waits.
pub fn collect() -> Vec<Metric> {
    let instances = Instances::of_the_process();
    instances.iter().flat_map(|one| metrics_of(&one)).collect()
}

fn metrics_of(database: &Database) -> Vec<Metric> {
    let chosen = database.native_metrics();
    let metric = |name, kind, family: Option<&str>, value| Metric {
        name,
        kind,
        instance: database.directory.instance,
        key_groups: database.key_groups,
        state: family.map(|family| state_name(state_of(family)).to_owned()),
        serializers: family.and_then(|family| mark_of_serializers(state_of(family))).map(str::to_owned),
        value,
        state_is_label: chosen.state_is_label,
    };
    let mut all = Vec::new();
    for family in database.names().iter().filter(|_| chosen.has_properties()) {
        // It may be gone.
        let Some(handle) = database.db.cf_handle(family) else { continue };
        for (name, source) in chosen.iter() {
            let values = source.values_of(name, &database.db, &handle);
            all.extend(values.map(|(name, value)| metric(name, MetricKind::Gauge, Some(family), value)));
        }
    }
    for (name, source) in chosen.iter() {
        if let (Source::Ticker(ticker), Some(statistics)) = (source, &database.statistics) {
            all.push(metric(name, MetricKind::Counter, None, statistics.get_ticker_count(*ticker)));
        }
    }
    all
}
