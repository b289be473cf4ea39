//! The `snapline` command: runs jobs, looks at checkpoints, checks the models, serves the Explorer.

mod alerts;
mod check;
mod clicks;
mod diff;
mod export;
mod fsck;
mod input;
mod inspect;
mod rest;
mod run;
mod sessions;
mod verify;
mod wordcount;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Flink's images use it too: what RocksDB gives back is used again, of which the allocator of the C library leaves much lying.
#[cfg(all(feature = "rocksdb", not(target_env = "msvc")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Checkpoints, state and exactly-once output for stream processors, model-checked.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a job until its input ends, it is stopped, or it fails.
    #[command(subcommand)]
    Run(Box<Job>),
    /// Tell which jobs are served at an address.
    List(rest::ListArgs),
    /// Take a savepoint of a running job, which goes on; or delete one.
    Savepoint(rest::SavepointArgs),
    /// Stop a running job with a savepoint.
    Stop(rest::StopArgs),
    /// Cancel a running job, without a savepoint unless one is asked for.
    Cancel(rest::CancelArgs),
    /// Tell what lies in a directory of checkpoints.
    Inspect(inspect::InspectArgs),
    /// Read all that the checkpoints in a directory refer to, and tell whether they are whole.
    ///
    /// The exit code is 0 only if every published checkpoint and every savepoint is whole. Nothing is written, and the job may
    /// go on meanwhile.
    Verify(verify::VerifyArgs),
    /// Print the entries of a checkpoint or savepoint, one in a line of JSON.
    Export(export::ExportArgs),
    /// Tell what refers to what in a directory of checkpoints, what nothing refers to, and what is missing.
    ///
    /// The exit code is 0 only if everything is there that something refers to. Nothing is written, and the job may go on
    /// meanwhile.
    Fsck(fsck::FsckArgs),
    /// Tell which files in a directory of checkpoints nobody needs, and why it is safe to delete them.
    Gc(fsck::GcArgs),
    /// Tell how two checkpoints or savepoints differ.
    ///
    /// The exit code is 0 if they hold the same, 1 if they differ, and 2 if one of them cannot be read.
    Diff(diff::DiffArgs),
    /// Check the models of the protocol, exhaustively.
    Check(check::CheckArgs),
    /// Step through a model in the browser.
    Explore(check::ExploreArgs),
}

#[derive(Subcommand)]
enum Job {
    /// Count the words of text files.
    Wordcount(wordcount::WordcountArgs),
    /// Find the sessions of users in a log of their clicks, by the time of the clicks.
    Sessions(sessions::SessionsArgs),
    /// Find payments that are conspicuous by rules, which change while the job runs.
    ///
    /// A line of the input has a time, an account and an amount. A line of the rules has a time, the name of a rule, and
    /// what it asks from then on: `amount N`, `count N within SPAN` or `sum N within SPAN`, or `remove`. N is the least for
    /// which there is an alert, and payments that came to one are not counted again. Times are in milliseconds since 1970, or
    /// like 2026-01-01T12:00:00Z.
    ///
    /// A payment is judged by the rules that hold at its time, so the alerts do not depend on which stream is faster.
    Alerts(alerts::AlertsArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let logs = tracing_subscriber::EnvFilter::try_from_env("SNAPLINE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(logs).with_writer(std::io::stderr).init();
    let result = match cli.command {
        Command::Run(job) => match *job {
            Job::Wordcount(args) => wordcount::run(args),
            Job::Sessions(args) => sessions::run(args),
            Job::Alerts(args) => alerts::run(args),
        },
        Command::List(args) => rest::list(&args),
        Command::Savepoint(args) => rest::savepoint(&args),
        Command::Stop(args) => rest::stop(&args),
        Command::Cancel(args) => rest::cancel(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Diff(args) => Ok(diff::run(&args)),
        Command::Export(args) => export::run(&args),
        Command::Fsck(args) => fsck::run(&args),
        Command::Gc(args) => fsck::collect_garbage(&args),
        Command::Check(args) => check::check(&args),
        Command::Explore(args) => check::explore(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
