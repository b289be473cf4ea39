//! What RocksDB said about itself when its instances ended, if options asked for it.

use serde::Serialize;

/// One metric of an instance, for machines. The names are stable.
#[derive(Serialize)]
pub struct NativeMetric {
    pub name: &'static str,
    pub instance: String,
    pub first_key_group: u16,
    pub last_key_group: u16,
    pub state: Option<String>,
    /// The mark of those that have written what it is about.
    pub serializers: Option<String>,
    pub value: u64,
}

/// Keeps the metrics of instances that end while it is there.
#[cfg(feature = "rocksdb")]
pub struct NativeMetrics(snapline::backend::rocksdb::metrics::EndedInstances);

#[cfg(feature = "rocksdb")]
impl NativeMetrics {
    pub fn watch() -> Self {
        NativeMetrics(snapline::backend::rocksdb::metrics::EndedInstances::watch())
    }

    /// Sorted by their names, and each by key groups.
    pub fn of_ended_instances(&self) -> Vec<NativeMetric> {
        let mut all = self.0.metrics();
        all.sort_by(|a, b| {
            (a.name, &a.state, a.key_groups.start()).cmp(&(b.name, &b.state, b.key_groups.start()))
        });
        let one = |metric: snapline::backend::rocksdb::metrics::Metric| NativeMetric {
            name: metric.name,
            instance: format!("{:016x}", metric.instance),
            first_key_group: metric.key_groups.start().0,
            last_key_group: metric.key_groups.end().0,
            state: metric.state,
            serializers: metric.serializers,
            value: metric.value,
        };
        all.into_iter().map(one).collect()
    }
}

/// Without the backend there are none.
#[cfg(not(feature = "rocksdb"))]
pub struct NativeMetrics;

#[cfg(not(feature = "rocksdb"))]
impl NativeMetrics {
    pub fn watch() -> Self {
        NativeMetrics
    }

    pub fn of_ended_instances(&self) -> Vec<NativeMetric> {
        Vec::new()
    }
}
