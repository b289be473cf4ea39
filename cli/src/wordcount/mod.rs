//! `snapline run wordcount`: lines to words, words to counts, counts to files.

mod count;
mod word;

use crate::run::{self, Directories, Parallelism, RunArgs, Settings};
use anyhow::{Result, anyhow, bail};
use clap::{Args, ValueEnum};
use count::{Count, WordCount};
use snapline::base::JobId;
use snapline::runtime::file::{FileSink, FileSource, FileSplit, LineAt, splits_of};
use snapline::runtime::{Collector, Job, JobBuilder, JobError, Unrecoverable, UserError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use word::{Word, words_of};

/// The input when none is named: the documents of the folder in which the command runs.
const DEFAULT_INPUTS: [&str; 3] = ["README.md", "docs", "spec"];
/// How much of a file one source reads before it takes the next piece.
const SPLIT_BYTES: u64 = 16 * 1024 * 1024;

/// Options of the word count.
#[derive(Args, Clone, Debug)]
pub struct WordcountArgs {
    #[command(flatten)]
    run: RunArgs,
    /// What is written: each word's running count whenever it changes, or its final count.
    #[arg(long, value_enum, default_value_t = Emit::Updates)]
    emit: Emit,
    /// Replace bytes that are not UTF-8 instead of failing.
    #[arg(long)]
    lossy: bool,
}

/// When a word's count is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Emit {
    /// Whenever it changes.
    Updates,
    /// At the end of the input.
    Final,
}

/// Runs the job.
pub fn run(args: WordcountArgs) -> Result<ExitCode> {
    let settings = match Settings::of(&args.run, "wordcount") {
        Ok(settings) => settings,
        Err(what) => return Ok(run::misused(&what)),
    };
    let splits = splits_of(&inputs(&args.run)?, SPLIT_BYTES).map_err(|error| anyhow!(error))?;
    let directories = Directories::prepare(&args.run, &settings, "wordcount")?;
    let parallelism = settings.parallelism;
    run::run(&args.run, settings, &directories, |job| {
        build(&args, parallelism, job, splits, &directories.output)
    })
}

fn inputs(args: &RunArgs) -> Result<Vec<PathBuf>> {
    if !args.input.is_empty() {
        return Ok(args.input.clone());
    }
    let found: Vec<_> = DEFAULT_INPUTS.iter().map(PathBuf::from).filter(|path| path.exists()).collect();
    if found.is_empty() {
        bail!("there is no README.md, docs or spec here to count; name text files with --input");
    }
    Ok(found)
}

fn build(
    args: &WordcountArgs,
    (parallelism, max_parallelism): Parallelism,
    id: JobId,
    splits: Vec<FileSplit>,
    output: &Path,
) -> Result<Job, JobError> {
    let (emit, lossy) = (args.emit, args.lossy);
    let mut job = JobBuilder::new();
    let words = job.source("lines", parallelism, move |context| {
        FileSource::new(
            context,
            &splits,
            move |line: &[u8], at: LineAt<'_>, out: &mut dyn Collector<Word>| parse(line, at, lossy, out),
        )
    });
    let counts = job
        .process(words.key_by(|word| word), "count", parallelism, max_parallelism, move |_| Count::new(emit));
    let output = output.to_owned();
    job.sink(counts, "files", move |context| {
        FileSink::new(context, &output, |counted: &WordCount, line: &mut Vec<u8>| counted.write_to(line))
    });
    job.build(id)
}

fn parse(line: &[u8], at: LineAt<'_>, lossy: bool, out: &mut dyn Collector<Word>) -> Result<(), UserError> {
    match std::str::from_utf8(line) {
        Ok(text) => words_of(text, out),
        Err(_) if lossy => words_of(&String::from_utf8_lossy(line), out),
        Err(error) => {
            let offset = at.offset + error.valid_up_to() as u64;
            let path = at.path.display();
            let what = format!("{path} is not UTF-8 at byte {offset}; convert it, or add --lossy");
            return Err(Unrecoverable(what).into());
        }
    }
    Ok(())
}
