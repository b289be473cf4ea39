//! `snapline verify`.

use anyhow::Result;
use clap::Args;
use comfy_table::{Table, presets};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use snapline::inspection::{CheckpointVerdict, Location, Verdict, Verification, verify};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct VerifyArgs {
    /// A checkpoint directory, the directory of a job in it, one of its checkpoints, or a savepoint.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Print the verdicts as JSON.
    #[arg(long)]
    json: bool,
}

/// Prints a verdict for each checkpoint; succeeds if all that must be whole are.
pub fn run(args: &VerifyArgs) -> Result<ExitCode> {
    let location = Location::of(&args.directory)?;
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("{spinner} {bytes} read, {bytes_per_sec}")
            .unwrap_or(ProgressStyle::default_spinner()),
    );
    let verification = verify(&location, &mut |read_bytes| bar.set_position(read_bytes));
    bar.finish_and_clear();
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&verification)?),
        false => print(&verification),
    }
    Ok(if verification.is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(verification: &Verification) {
    for job in &verification.jobs {
        println!("job {} in {}", job.job, job.directory);
        if let Some(store) = &job.pointers_in {
            println!("{}", crate::fsck::pointers_lie_in(store));
        }
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_header(["checkpoint", "status", "verdict", "files", "bytes"]);
        for checkpoint in &job.checkpoints {
            let (files, bytes) = (HumanCount(checkpoint.files), HumanBytes(checkpoint.bytes));
            let (name, status, verdict) = (&checkpoint.name, checkpoint.status, verdict_of(checkpoint));
            table.add_row([name, &status.to_string(), verdict, &files.to_string(), &bytes.to_string()]);
        }
        println!("{table}");
        let problems = job.checkpoints.iter().flat_map(|checkpoint| &checkpoint.problems);
        for problem in job.problems.iter().chain(problems) {
            println!("{problem}");
        }
    }
    let verdict = if verification.is_whole { "whole" } else { "damaged" };
    println!("{verdict}: {} read", HumanBytes(verification.read_bytes));
}

fn verdict_of(checkpoint: &CheckpointVerdict) -> &'static str {
    match checkpoint.verdict {
        Verdict::Whole => "whole",
        Verdict::Damaged if checkpoint.is_required => "damaged",
        Verdict::Damaged => "damaged, but not needed",
        Verdict::Unfinished => "unfinished",
        Verdict::Deleted => "deleted meanwhile",
    }
}
