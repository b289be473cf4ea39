//! A job over event time in a folder of its own.

use super::{BINARY, Chance, Running, names};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// The folder in which `snapline run <name>` runs.
pub struct JobFolder {
    name: &'static str,
    folder: TempDir,
}

/// What became of a run that was killed again and again.
#[derive(Default, Debug)]
pub struct Kills {
    pub kills: u32,
    /// Runs that began where a checkpoint was, or part of one.
    pub resumes: u32,
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
        let mut command = Command::new(BINARY);
        command.args(["run", self.name, "--output", "output", "--checkpoint-dir", "checkpoints"]);
        command.args(["--restart-attempts", "0"]).args(options).current_dir(self.folder.path());
        Running::of(command)
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

    /// Runs the job to its end and kills it up to eight times on the way, each time within half of the time that the
    /// `whole` job takes.
    pub fn run_through_kills(&self, options: &[&str], whole: Duration, chance: &mut Chance) -> Kills {
        let mut seen = Kills::default();
        loop {
            let mut options = options.to_vec();
            if self.path("output/_snapline_job").exists() {
                options.push("--resume");
                seen.resumes += u32::from(self.has_checkpoint());
            }
            // A checkpoint is read by a run that writes the next one differently.
            if seen.kills % 2 == 0 {
                options.push("--snapshot-compression");
            }
            let running = self.start(&options);
            if seen.kills == 8 {
                running.end().succeeded();
                return seen;
            }
            let delay = Duration::from_micros(chance.below((whole / 2).as_micros() as u64));
            if !running.kill_after(delay) {
                return seen;
            }
            seen.kills += 1;
        }
    }

    fn has_checkpoint(&self) -> bool {
        let Ok(job) = fs::read_to_string(self.path("output/_snapline_job")) else { return false };
        let directory = self.path("checkpoints").join(job.trim());
        directory.is_dir() && names(&directory).iter().any(|name| name.starts_with("chk-"))
    }
}
