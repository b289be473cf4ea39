//! `snapline fsck` and `snapline gc`.

use anyhow::{Result, bail};
use clap::Args;
use indicatif::{HumanBytes, HumanCount};
use snapline::inspection::{Fate, FileReport, Fsck, JobFiles, Location, fsck};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct FsckArgs {
    /// A checkpoint directory, or the directory of a job in it.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Print all files as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct GcArgs {
    /// A checkpoint directory, or the directory of a job in it.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Delete nothing, and say what could be deleted. Nothing else is possible yet.
    #[arg(long)]
    dry_run: bool,
    /// Print what could be deleted as JSON.
    #[arg(long)]
    json: bool,
}

/// Prints what refers to what; succeeds if everything is there that something refers to.
pub fn run(args: &FsckArgs) -> Result<ExitCode> {
    let found = fsck(&Location::of(&args.directory)?)?;
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&found)?),
        false => print(&found),
    }
    Ok(if found.is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what nobody needs.
pub fn collect_garbage(args: &GcArgs) -> Result<ExitCode> {
    if !args.dry_run {
        bail!("gc deletes nothing yet: with --dry-run it says what could be deleted, and why that is safe");
    }
    let found = fsck(&Location::of(&args.directory)?)?;
    let garbage = found.garbage();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&garbage)?);
        return Ok(ExitCode::SUCCESS);
    }
    garbage.files.iter().for_each(|file| println!("{}", line(file)));
    let (files, left_alone) = (garbage.files.len() as u64, garbage.left_alone_files);
    println!("{} could be deleted", amount(files, garbage.bytes));
    println!(
        "{} to which nothing refers either are left alone: fsck says why",
        amount(left_alone, garbage.left_alone_bytes)
    );
    for job in &found.jobs {
        if let Some(store) = &job.pointers_in {
            println!("job {}: {}; nothing of it is called safe to delete", job.job, pointers_lie_in(store));
        }
    }
    if !garbage.is_complete {
        println!("something is missing to which checkpoints refer: fsck says what");
    }
    Ok(ExitCode::SUCCESS)
}

fn print(found: &Fsck) {
    found.jobs.iter().for_each(print_job);
    println!("{}", if found.is_complete { "nothing is missing" } else { "something is missing" });
}

fn print_job(job: &JobFiles) {
    println!("job {} in {}", job.job, job.directory);
    match (&job.pointers_in, job.newest_pointer, job.attempt) {
        (Some(store), ..) => println!("  {}", pointers_lie_in(store)),
        (None, Some(pointer), Some(attempt)) => println!("  pointer {pointer} of attempt {attempt}"),
        _ => println!("  no pointer"),
    }
    for checkpoint in &job.checkpoints {
        let (states, shared) = (HumanCount(checkpoint.state_files), HumanCount(checkpoint.shared_files));
        let (name, status, bytes) = (&checkpoint.name, checkpoint.status, HumanBytes(checkpoint.bytes));
        println!("  {name} ({status}): {states} state files, {shared} shared files, {bytes}");
    }
    for problem in &job.problems {
        println!("  ! {problem}");
    }
    for dangling in &job.dangling {
        println!("  ! {}; {} refers to it", dangling.problem, dangling.referred_to_by);
    }
    for (fate, title) in
        [(Fate::Needed, "needed"), (Fate::SafeToDelete, "safe to delete"), (Fate::LeftAlone, "left alone")]
    {
        let files: Vec<_> = job.files.iter().filter(|file| file.fate == fate).collect();
        let bytes = files.iter().map(|file| file.bytes).sum();
        println!("  {title}: {}", amount(files.len() as u64, bytes));
        if fate != Fate::Needed {
            files.iter().for_each(|file| println!("    {}", line(file)));
        }
    }
}

/// What cannot be told of a job whose log of pointers is not with its files.
pub fn pointers_lie_in(store: &str) -> String {
    format!("the log of pointers lies in {store}: which checkpoints are published is not known here")
}

fn line(file: &FileReport) -> String {
    let rule = file.rule.map_or(String::new(), |rule| format!(" ({rule})"));
    format!("{}, {}: {}{rule}", file.file, HumanBytes(file.bytes), file.reason)
}

fn amount(files: u64, bytes: u64) -> String {
    format!("{} files, {}", HumanCount(files), HumanBytes(bytes))
}
