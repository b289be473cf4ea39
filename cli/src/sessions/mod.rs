//! `snapline run sessions`: clicks to sessions, in windows over the time of the clicks.

mod session;

use crate::clicks::{Click, ClickGenerator};
use crate::input::{Crowd, Input};
use crate::run::{self, Directories, Parallelism, RunArgs, Settings};
use anyhow::{Result, bail};
use clap::Args;
use session::{Session, Sessions};
use snapline::base::{JobId, Millis};
use snapline::runtime::file::FileSink;
use snapline::runtime::{Job, JobBuilder, JobError};
use snapline::window::WindowAssigner;
use std::path::Path;
use std::process::ExitCode;

/// Options of the sessions.
#[derive(Args, Clone, Debug)]
pub struct SessionsArgs {
    #[command(flatten)]
    run: RunArgs,
    /// After a pause as long as this a new session begins.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = run::duration)]
    gap: Millis,
    /// By how much a click may come after a later one. In files, all of one folder taken as one in the order of names.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = run::duration)]
    disorder: Millis,
    /// For how long a session waits for clicks that are later than that. Each of them writes the session again.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = run::duration)]
    allowed_lateness: Millis,
    /// How many clicks are generated when no log files are named.
    #[arg(long, value_name = "N", default_value_t = 100_000, conflicts_with = "input")]
    clicks: u64,
    /// Of how many users.
    #[arg(long, value_name = "N", default_value_t = 1_000, conflicts_with = "input")]
    users: u64,
    /// The same seed gives the same clicks.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "input")]
    seed: u64,
}

/// Runs the job.
pub fn run(args: SessionsArgs) -> Result<ExitCode> {
    let settings = match Settings::of(&args.run, "sessions") {
        Ok(settings) => settings,
        Err(what) => return Ok(run::misused(&what)),
    };
    let Ok(assigner) = WindowAssigner::session(args.gap) else {
        bail!("a gap must be at least 1ms: without it every click is a session");
    };
    let sessions = Sessions::new(assigner, args.allowed_lateness);
    let generator = ClickGenerator::new(Crowd::new(args.seed, args.users, args.disorder.0));
    let clicks = Input::new(&args.run.input, args.disorder, generator, args.clicks)?;
    let directories = Directories::prepare(&args.run, &settings, "sessions")?;
    let parallelism = settings.parallelism;
    run::run(&args.run, settings, &directories, |job| {
        build(parallelism, job, clicks, sessions, &directories.output)
    })
}

fn build(
    (parallelism, max_parallelism): Parallelism,
    id: JobId,
    clicks: Input<ClickGenerator>,
    sessions: Sessions,
    output: &Path,
) -> Result<Job, JobError> {
    let mut job = JobBuilder::new();
    let clicks = clicks.source(&mut job, "clicks", parallelism);
    let by_user = clicks.key_by(|click: &Click| &click.user);
    let sessions = job.window(by_user, "sessions", parallelism, max_parallelism, move |_| sessions);
    let output = output.to_owned();
    job.sink(sessions, "files", move |context| {
        FileSink::new(context, &output, |session: &Session, line: &mut Vec<u8>| session.write_to(line))
    });
    job.build(id)
}
