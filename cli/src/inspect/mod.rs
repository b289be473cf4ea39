//! `snapline inspect`.

mod tree;

use anyhow::Result;
use clap::Args;
use snapline::inspection::{Depth, Location, inspect};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct InspectArgs {
    /// A checkpoint directory, the directory of a job in it, one of its checkpoints, or a savepoint.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Read state files to their ends, and tell how many entries each state has and which records were on their way.
    #[arg(long)]
    entries: bool,
    /// Print what is there as JSON.
    #[arg(long)]
    json: bool,
}

/// Prints what lies in a directory; succeeds whatever is wrong with it.
pub fn run(args: &InspectArgs) -> Result<ExitCode> {
    let depth = if args.entries { Depth::Entries } else { Depth::Headers };
    let inspection = inspect(&Location::of(&args.directory)?, depth);
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&inspection)?),
        false => print!("{}", tree::of(&inspection)),
    }
    Ok(ExitCode::SUCCESS)
}
