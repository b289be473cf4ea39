use super::directories::Directories;
use super::options::{RunArgs, Storage};
use anyhow::Result;
use comfy_table::{Table, presets};
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;
use snapline::base::Millis;
use snapline::runtime::{JobEnd, JobSummary};

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
    last_checkpoint: Option<LastCheckpoint>,
    output: String,
    checkpoint_dir: String,
}

#[derive(Serialize)]
struct LastCheckpoint {
    id: u64,
    duration_millis: u64,
    bytes: u64,
}

/// Prints what the job did, to stdout: a table, or JSON.
pub fn print(args: &RunArgs, directories: &Directories, summary: &JobSummary) -> Result<()> {
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
        last_checkpoint: progress.last.map(|last| LastCheckpoint {
            id: last.id.0,
            duration_millis: last.duration.0,
            bytes: last.bytes,
        }),
        output: directories.output.display().to_string(),
        checkpoint_dir: directories.checkpoints.display().to_string(),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        println!("{}", table(&summary, args.storage));
    }
    Ok(())
}

fn table(summary: &Summary, storage: Storage) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    let mut row = |name: &str, value: String| {
        table.add_row([name, &value]);
    };
    row("job", summary.job.clone());
    row(
        "end",
        match summary.stopped_at_checkpoint {
            Some(id) if storage == Storage::Jobmanager => format!("stopped; checkpoint {id} was in memory"),
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
        row("expired values removed", HumanCount(summary.expired_values_removed).to_string());
    }
    row("output", summary.output.clone());
    row("checkpoint directory", summary.checkpoint_dir.clone());
    table
}
