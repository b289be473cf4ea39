//! What every job has in common: options, directories, progress and the summary.

#![allow(clippy::disallowed_methods)]

mod directories;
mod native_metrics;
mod options;
mod progress;
mod settings;
mod summary;

pub use directories::Directories;
pub use options::{RunArgs, duration};
pub use settings::{Parallelism, Settings};

use crate::rest;
use anyhow::{Context, Result, anyhow};
use native_metrics::NativeMetrics;
use snapline::base::{JobId, SavepointFormat};
use snapline::coordinator::StopMode;
use snapline::publish::RecoveryFailure;
use snapline::runtime::{Job, JobControl, JobError};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

/// Says that the command makes no sense, a line for each reason.
pub fn misused(what: &str) -> ExitCode {
    for line in what.lines() {
        eprintln!("error: {line}");
    }
    ExitCode::from(2)
}

/// Runs a job with its directories, shows its progress and prints its summary.
pub fn run(
    args: &RunArgs,
    settings: Settings,
    directories: &Directories,
    build: impl FnOnce(JobId) -> Result<Job, JobError>,
) -> Result<ExitCode> {
    let job = build(directories.job)?;
    if let Some(given) = settings.job.restore.as_ref().filter(|_| !directories.has_checkpoint) {
        let plan = given.plan(&job, settings.job.allow_non_restored_state)?;
        match (args.plan, args.json) {
            (true, true) => println!("{}", serde_json::to_string_pretty(&plan)?),
            (true, false) => println!("{plan}"),
            (false, _) => eprintln!("starting from {plan}"),
        }
    }
    if args.plan && directories.has_checkpoint {
        eprintln!("job {} goes on from its own newest checkpoint", directories.job);
    }
    if args.plan {
        return Ok(ExitCode::SUCCESS);
    }
    let storage = settings.storage.open(directories.job)?;
    let is_in_memory = settings.is_in_memory();
    let listener = args.rest.map(snapline::rest::listen).transpose()?;
    let native_metrics = NativeMetrics::watch();
    // What the job is stopped with is as fast to write as its checkpoints.
    let format = if settings.job.incremental { SavepointFormat::Native } else { SavepointFormat::Canonical };
    let handle = job.start(settings.job, storage)?;
    stop_on_interrupt(handle.control(), format)?;
    let server = listener.map(|listener| rest::serve(&handle, listener, &settings.name)).transpose()?;
    progress::watch(&handle);
    let ended = handle.wait();
    if let Some(server) = server {
        server.join();
    }
    let summary = ended.map_err(|error| explain(error, directories))?;
    let metrics = native_metrics.of_ended_instances();
    summary::print(args.json, is_in_memory, directories, &summary, metrics)?;
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
fn stop_on_interrupt(job: JobControl, format: SavepointFormat) -> Result<()> {
    let interrupts = AtomicU32::new(0);
    ctrlc::set_handler(move || {
        if interrupts.fetch_add(1, Ordering::Relaxed) > 0 {
            eprintln!("stopped at once; --resume goes on from the newest completed checkpoint");
            std::process::exit(130);
        }
        eprintln!("stopping with a checkpoint; interrupt again to stop at once");
        drop(job.stop_with_savepoint(StopMode::Suspend, format));
    })
    .context("interrupts cannot be handled")
}
