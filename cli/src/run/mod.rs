//! What every job has in common: options, directories, progress and the summary.

#![allow(clippy::disallowed_methods)]

mod directories;
mod native_metrics;
mod options;
mod progress;
mod summary;

pub use directories::Directories;
pub use options::{RunArgs, duration};

use anyhow::{Context, Result, anyhow};
use native_metrics::NativeMetrics;
use snapline::base::JobId;
use snapline::coordinator::StopMode;
use snapline::publish::RecoveryFailure;
use snapline::runtime::{Job, JobControl, JobError};
use snapline::store::{CheckpointStorage, FileSystemCheckpointStorage, JobManagerCheckpointStorage};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Runs a job with its directories, shows its progress and prints its summary.
pub fn run(
    args: &RunArgs,
    directories: &Directories,
    build: impl FnOnce(JobId) -> Result<Job, JobError>,
) -> Result<ExitCode> {
    let job = build(directories.job)?;
    let storage: Arc<dyn CheckpointStorage> = match args.storage {
        options::Storage::Filesystem => {
            Arc::new(FileSystemCheckpointStorage::open(&directories.checkpoints, directories.job)?)
        }
        options::Storage::Jobmanager => Arc::new(JobManagerCheckpointStorage::new(directories.job)),
    };
    let native_metrics = NativeMetrics::watch();
    let handle = job.start(args.job_options()?, storage)?;
    stop_on_interrupt(handle.control())?;
    progress::watch(&handle);
    let summary = handle.wait().map_err(|error| explain(error, directories))?;
    summary::print(args, directories, &summary, native_metrics.of_ended_instances())?;
    Ok(ExitCode::SUCCESS)
}

/// Says where the file is that an error of the job is about.
fn explain(error: JobError, directories: &Directories) -> anyhow::Error {
    let JobError::Recovery { failure: RecoveryFailure::MetadataUnreadable(checkpoint), cause: None } = &error
    else {
        return error.into();
    };
    let job = directories.checkpoints.join(directories.job.to_string());
    let path = job.join(format!("chk-{checkpoint}")).join("_metadata");
    anyhow!("{error}; put {} back from a copy", path.display())
}

/// The first interrupt stops the job with a checkpoint, the second one ends the process.
fn stop_on_interrupt(job: JobControl) -> Result<()> {
    let interrupts = AtomicU32::new(0);
    ctrlc::set_handler(move || {
        if interrupts.fetch_add(1, Ordering::Relaxed) > 0 {
            eprintln!("stopped at once; --resume goes on from the newest completed checkpoint");
            std::process::exit(130);
        }
        eprintln!("stopping with a checkpoint; interrupt again to stop at once");
        drop(job.stop_with_savepoint(StopMode::Suspend));
    })
    .context("interrupts cannot be handled")
}
