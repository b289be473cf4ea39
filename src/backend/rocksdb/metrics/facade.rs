//! To the facade of the crate `metrics`, behind which a program has its exporter.

use super::{Metric, MetricKind, collect};
use ::metrics::{Label, counter, gauge};

/// Records the metrics of all instances, as gauges and counters with the labels `instance` and `key_groups`, and
/// `serializers` if it is of a state. Whoever exports
/// metrics calls it before, or regularly.
///
/// The state is a part of the name, `count.rocksdb.estimate-num-keys`, or with the option
/// `state.backend.rocksdb.metrics.column-family-as-variable` a label, `column_family`. The facade forgets nothing: what an
/// instance has recorded that has ended is for the exporter to drop, by its age.
pub fn record() {
    collect().iter().for_each(record_one);
}

fn record_one(metric: &Metric) {
    let (start, end) = (metric.key_groups.start().0, metric.key_groups.end().0);
    let mut labels = vec![
        Label::new("instance", format!("{:016x}", metric.instance)),
        Label::new("key_groups", format!("{start}-{end}")),
    ];
    if let Some(mark) = &metric.serializers {
        labels.push(Label::new("serializers", mark.clone()));
    }
    let name = match &metric.state {
        Some(state) if metric.state_is_label => {
            labels.push(Label::new("column_family", state.clone()));
            metric.name.to_owned()
        }
        Some(state) => format!("{state}.{}", metric.name),
        None => metric.name.to_owned(),
    };
    match metric.kind {
        MetricKind::Gauge => gauge!(name, labels).set(metric.value as f64),
        MetricKind::Counter => counter!(name, labels).absolute(metric.value),
    }
}
