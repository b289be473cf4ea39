//! The `snapline` command: runs jobs, checks the models, serves the Explorer.

mod check;
mod clicks;
mod input;
mod run;
mod sessions;
mod wordcount;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

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
    Run(Job),
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
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let logs = tracing_subscriber::EnvFilter::try_from_env("SNAPLINE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(logs).with_writer(std::io::stderr).init();
    let result = match cli.command {
        Command::Run(Job::Wordcount(args)) => wordcount::run(args),
        Command::Run(Job::Sessions(args)) => sessions::run(args),
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
