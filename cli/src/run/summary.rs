use super::directories::Directories;
use super::native_metrics::NativeMetric;
use anyhow::Result;
use comfy_table::{Table, presets};
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;
use snapline::base::Millis;
use snapline::runtime::{JobEnd, JobSummary};
use snapline::state::TtlMetrics;
use std::fmt;

/// The summary, for machines. The names are stable.
#[derive(Serialize)]
struct Summary {
    job: String,
    end: &'static str,
    stopped_at_checkpoint: Option<u64>,
    restored_from_checkpoint: Option<u64>,
    attempt: u32,
    restarts: u32,
    records_read: u64,
    records_written: u64,
    records_per_second: u64,
    elapsed_millis: u64,
    checkpoints_completed: u64,
    checkpoints_failed: u64,
    expired_values_removed: u64,
    expired_values_removed_by: RemovedBy,
    expired_values_left_out_of_snapshots: u64,
    expired_but_present: Present,
    last_checkpoint: Option<LastCheckpoint>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rocksdb_metrics: Vec<NativeMetric>,
    output: String,
    checkpoint_dir: String,
}

#[derive(Serialize)]
struct LastCheckpoint {
    id: u64,
    duration_millis: u64,
    bytes: u64,
}

/// What has removed expired values.
#[derive(Serialize)]
struct RemovedBy {
    accesses: u64,
    cleanup_with_accesses: u64,
    cleanup_with_records: u64,
    cleanup_while_idle: u64,
    cleanup_on_request: u64,
    compactions: u64,
}

/// What had expired and was still there when the last checkpoint was taken.
#[derive(Serialize)]
struct Present {
    values: u64,
    bytes: u64,
}

impl From<TtlMetrics> for RemovedBy {
    fn from(ttl: TtlMetrics) -> Self {
        RemovedBy {
            accesses: ttl.by_accesses,
            cleanup_with_accesses: ttl.by_cleanup_with_accesses,
            cleanup_with_records: ttl.by_cleanup_with_records,
            cleanup_while_idle: ttl.by_cleanup_while_idle,
            cleanup_on_request: ttl.by_cleanup_on_request,
            compactions: ttl.by_compactions,
        }
    }
}

impl fmt::Display for RemovedBy {
    /// Writes what has removed any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.accesses, "accesses"),
            (self.cleanup_with_accesses, "clean-up with accesses"),
            (self.cleanup_with_records, "clean-up with records"),
            (self.cleanup_while_idle, "clean-up while idle"),
            (self.cleanup_on_request, "clean-up on request"),
            (self.compactions, "compactions"),
        ];
        let some = all.iter().filter(|(values, _)| *values > 0);
        let parts: Vec<_> = some.map(|(values, by)| format!("{} by {by}", HumanCount(*values))).collect();
        f.write_str(&parts.join(", "))
    }
}

/// Prints what the job did, to stdout: a table, or JSON.
pub fn print(
    as_json: bool,
    is_in_memory: bool,
    directories: &Directories,
    summary: &JobSummary,
    rocksdb_metrics: Vec<NativeMetric>,
) -> Result<()> {
    let progress = summary.progress;
    let (end, stopped_at) = match summary.end {
        JobEnd::Finished => ("finished", None),
        JobEnd::Stopped(checkpoint) => ("stopped", Some(checkpoint.0)),
        JobEnd::Cancelled => ("cancelled", None),
        JobEnd::Suspended => ("suspended", None),
    };
    let Millis(elapsed_millis) = summary.elapsed;
    let summary = Summary {
        job: directories.job.to_string(),
        end,
        stopped_at_checkpoint: stopped_at,
        restored_from_checkpoint: progress.restored_from.map(|id| id.0),
        attempt: progress.attempt.0,
        restarts: progress.restarts,
        records_read: progress.records_read,
        records_written: progress.records_written,
        records_per_second: progress.records_read.saturating_mul(1_000) / elapsed_millis.max(1),
        elapsed_millis,
        checkpoints_completed: progress.completed,
        checkpoints_failed: progress.aborted,
        expired_values_removed: progress.ttl.removed(),
        expired_values_removed_by: progress.ttl.into(),
        expired_values_left_out_of_snapshots: progress.ttl.left_out_of_snapshots,
        expired_but_present: Present {
            values: progress.expired_but_present.values,
            bytes: progress.expired_but_present.bytes,
        },
        last_checkpoint: progress.last.map(|last| LastCheckpoint {
            id: last.id.0,
            duration_millis: last.duration.0,
            bytes: last.bytes,
        }),
        rocksdb_metrics,
        output: directories.output.display().to_string(),
        checkpoint_dir: directories.checkpoints.display().to_string(),
    };
    if as_json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        println!("{}", table(&summary, is_in_memory));
    }
    Ok(())
}

fn table(summary: &Summary, is_in_memory: bool) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    let mut row = |name: &str, value: String| {
        table.add_row([name, &value]);
    };
    row("job", summary.job.clone());
    row(
        "end",
        match summary.stopped_at_checkpoint {
            Some(id) if is_in_memory => format!("stopped; checkpoint {id} was in memory"),
            Some(id) => format!("stopped with checkpoint {id}; go on with --resume"),
            None => summary.end.to_owned(),
        },
    );
    if let Some(id) = summary.restored_from_checkpoint {
        row("restored from", format!("checkpoint {id}"));
    }
    row("attempt", format!("{} ({} restarts in this run)", summary.attempt, summary.restarts));
    let (count, rate) = (HumanCount(summary.records_read), HumanCount(summary.records_per_second));
    row("records read", format!("{count} ({rate}/s)"));
    row("records written", HumanCount(summary.records_written).to_string());
    row("time", Millis(summary.elapsed_millis).to_string());
    row(
        "checkpoints",
        format!("{} completed, {} failed", summary.checkpoints_completed, summary.checkpoints_failed),
    );
    if let Some(last) = &summary.last_checkpoint {
        let size = HumanBytes(last.bytes);
        row("last checkpoint", format!("{}: {} ms, {size}", last.id, last.duration_millis));
    }
    if summary.expired_values_removed > 0 {
        row("expired values removed", summary.expired_values_removed_by.to_string());
    }
    if summary.expired_values_left_out_of_snapshots > 0 {
        let values = HumanCount(summary.expired_values_left_out_of_snapshots);
        row("left out of snapshots", format!("{values} expired values"));
    }
    if summary.expired_but_present.values > 0 {
        let Present { values, bytes } = summary.expired_but_present;
        row("expired but present", format!("{} values, {}", HumanCount(values), HumanBytes(bytes)));
    }
    for NativeMetric { name, first_key_group, last_key_group, state, value, .. } in &summary.rocksdb_metrics {
        let state = state.as_ref().map(|state| format!("`{state}`, ")).unwrap_or_default();
        let of = format!("({state}key groups {first_key_group} to {last_key_group})");
        row(name, format!("{} {of}", HumanCount(*value)));
    }
    row("output", summary.output.clone());
    row("checkpoint directory", summary.checkpoint_dir.clone());
    table
}
