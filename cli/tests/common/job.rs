//! A job over event time in a folder of its own.

use super::{BINARY, Chance, Running, names};
use snapline::base::JobId;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// The folder in which `snapline run <name>` runs.
pub struct JobFolder {
    name: &'static str,
    folder: TempDir,
}

/// So often a job is killed at least.
const KILLS: u32 = 8;

/// So many runs begin at least where a checkpoint was, or part of one.
const RESUMES: u32 = 3;

/// So many runs are made at most: each comes some checkpoints further.
const MAX_RUNS: u32 = 200;

#[derive(Default, Debug)]
struct Seen {
    runs: u32,
    kills: u32,
    resumes: u32,
}

impl Seen {
    fn is_enough(&self) -> bool {
        self.kills >= KILLS && self.resumes >= RESUMES
    }
}

/// Kills the job again and again, in as many folders as it takes, and compares the output of each with `expected`.
pub fn survives_kills(
    new_folder: impl Fn() -> JobFolder,
    options: &[&str],
    expected: &[String],
    chance: &mut Chance,
) {
    let mut seen = Seen::default();
    while !seen.is_enough() {
        let job = new_folder();
        job.run_through_kills(options, chance, &mut seen);
        assert!(job.lines() == expected, "the output differs after {seen:?}");
    }
}

impl JobFolder {
    pub fn new(name: &'static str) -> Self {
        JobFolder { name, folder: TempDir::new().unwrap() }
    }

    /// Writes a file of the input.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the job, without restarts.
    pub fn start(&self, options: &[&str]) -> Running {
        Running::of(self.command(options))
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(["run", self.name, "--output", "output", "--checkpoint-dir", "checkpoints"]);
        command.args(["--restart-attempts", "0"]).args(options).current_dir(self.folder.path());
        command
    }

    /// The lines of the output, in order.
    pub fn lines(&self) -> Vec<String> {
        let output = self.path("output");
        let parts = names(&output).into_iter().filter(|name| name.starts_with("part-"));
        let text: String = parts.map(|name| fs::read_to_string(output.join(name)).unwrap()).collect();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// Runs the job to its end, killed on the way until enough was `seen`.
    fn run_through_kills(&self, options: &[&str], chance: &mut Chance, seen: &mut Seen) {
        loop {
            seen.runs += 1;
            assert!(seen.runs <= MAX_RUNS, "{seen:?}");
            let mut options = options.to_vec();
            if self.job().is_some() {
                options.push("--resume");
                seen.resumes += u32::from(self.has_checkpoint());
            }
            // A checkpoint is read by a run that writes the next one differently.
            if seen.kills.is_multiple_of(2) {
                options.push("--snapshot-compression");
            }
            if seen.is_enough() {
                self.start(&options).end().succeeded();
                return;
            }
            if !Running::that_tells(self.command(&options)).kill_at(chance.moment()) {
                return;
            }
            seen.kills += 1;
        }
    }

    /// The job that owns the output.
    pub fn job(&self) -> Option<JobId> {
        let job = fs::read_to_string(self.path("output/_snapline_job")).ok()?;
        Some(job.trim().parse().unwrap())
    }

    fn has_checkpoint(&self) -> bool {
        let Some(job) = self.job() else { return false };
        let directory = self.path("checkpoints").join(job.to_string());
        directory.is_dir() && names(&directory).iter().any(|name| name.starts_with("chk-"))
    }
}
