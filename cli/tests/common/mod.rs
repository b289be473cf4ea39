//! What the tests of the command share: a job in a folder of its own, and words for it to count.
#![allow(dead_code, reason = "no test uses all of it")]

pub mod job;

use serde_json::Value;
use snapline::base::{CheckpointId, JobId};
use snapline::publish::{Config, Pointer, PointerKind, PointerSequence};
use snapline::store::{CheckpointStorage, FileSystemCheckpointStorage};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_snapline");

/// A small generator: the same seed gives the same numbers.
pub struct Chance(pub u64);

impl Chance {
    /// A moment to kill a process: at its start, or when it has taken up to some three checkpoints.
    pub fn moment(&mut self) -> Moment {
        let bound = if self.below(3) == 0 { 4 } else { 64 };
        Moment { lines: self.below(bound), then: Duration::from_micros(self.below(5_000)) }
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// When the log of a process has so many lines, and a little later: a slow machine gets as far until then as a fast one.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    lines: u64,
    then: Duration,
}

/// Lines of words, some frequent and many rare, `bytes` long or a little more.
pub fn text(seed: u64, bytes: usize) -> Vec<u8> {
    let mut chance = Chance(seed);
    let mut text = Vec::with_capacity(bytes + 64);
    while text.len() < bytes {
        let range = 1 << (3 + chance.below(12));
        text.extend_from_slice(format!("w{}", chance.below(range)).as_bytes());
        text.push(if chance.below(9) == 0 { b'\n' } else { b' ' });
    }
    text.push(b'\n');
    text
}

/// A folder with the input, the output and the checkpoints of one job.
pub struct Scene {
    folder: TempDir,
}

impl Scene {
    /// A job over files with these contents.
    pub fn new(files: &[Vec<u8>]) -> Self {
        let scene = Scene { folder: TempDir::new().unwrap() };
        fs::create_dir(scene.input()).unwrap();
        for (number, content) in files.iter().enumerate() {
            fs::write(scene.input().join(format!("{number}.txt")), content).unwrap();
        }
        scene
    }

    /// The same job in the same state in a folder of its own. Its input stays where it is.
    pub fn copy(&self) -> Self {
        let copy = Scene { folder: TempDir::new().unwrap() };
        copy_folder(&self.output(), &copy.output());
        copy_folder(&self.checkpoints(), &copy.checkpoints());
        fs::write(copy.path("input-at"), self.input().as_os_str().as_encoded_bytes()).unwrap();
        copy
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn input(&self) -> PathBuf {
        fs::read_to_string(self.path("input-at")).map_or_else(|_| self.path("input"), PathBuf::from)
    }

    pub fn output(&self) -> PathBuf {
        self.path("output")
    }

    pub fn checkpoints(&self) -> PathBuf {
        self.path("checkpoints")
    }

    /// The command that runs the job, without restarts.
    pub fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(self.arguments()).args(options).current_dir(self.folder.path());
        command
    }

    /// Runs the job to its end with nothing but these options.
    pub fn bare(&self, options: &[&str]) -> Outcome {
        let mut command = Command::new(BINARY);
        command.args(["run", "wordcount"]).args(options).current_dir(self.folder.path());
        Running::of(command).end()
    }

    pub fn arguments(&self) -> Vec<String> {
        let (input, output, checkpoints) = (self.input(), self.output(), self.checkpoints());
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        let mut arguments = vec!["run".into(), "wordcount".into()];
        for (option, value) in [("--input", input), ("--output", output), ("--checkpoint-dir", checkpoints)] {
            arguments.extend([option.into(), path(value)]);
        }
        arguments.extend(["--restart-attempts".into(), "0".into()]);
        // So little state would have no files of its own.
        arguments.extend(["-D".into(), "execution.checkpointing.data-inline-threshold=0".into()]);
        arguments
    }

    /// Runs the job to its end.
    pub fn run(&self, options: &[&str]) -> Outcome {
        self.start(options).end()
    }

    /// Starts the job.
    pub fn start(&self, options: &[&str]) -> Running {
        Running::of(self.command(options))
    }

    /// The job that owns the output.
    pub fn job(&self) -> Option<JobId> {
        fs::read_to_string(self.output().join("_snapline_job")).ok().map(|text| text.trim().parse().unwrap())
    }

    /// The storage of the job's checkpoints.
    pub fn storage(&self) -> FileSystemCheckpointStorage {
        FileSystemCheckpointStorage::open(self.checkpoints(), self.job().unwrap()).unwrap()
    }

    /// All pointers of the job, in their order.
    pub fn pointers(&self) -> Vec<(PointerSequence, Pointer)> {
        let storage = self.storage();
        let sequences = storage.list().unwrap().pointers;
        let read = |sequence| storage.read_pointer(sequence).ok().flatten().map(|found| (sequence, found));
        sequences.into_iter().filter_map(read).collect()
    }

    /// The newest checkpoint that is published.
    pub fn newest(&self) -> Option<CheckpointId> {
        self.pointers().last().and_then(|(_, pointer)| pointer.newest)
    }

    /// The output, file after file.
    pub fn parts(&self) -> Vec<u8> {
        let parts = names(&self.output()).into_iter().filter(|name| name.starts_with("part-"));
        parts.flat_map(|name| fs::read(self.output().join(name)).unwrap()).collect()
    }

    /// The output, with its lines in order.
    pub fn lines(&self) -> Vec<u8> {
        let bytes = self.parts();
        assert!(bytes.is_empty() || bytes.ends_with(b"\n"), "a part ends within a line");
        let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        lines.sort_unstable();
        lines.concat()
    }

    /// Removes what only a killed process leaves: files that it had not given their names yet.
    pub fn remove_temporary_files(&self) {
        let directory = self.storage().directory().to_owned();
        for folder in [directory.join("pointers"), directory] {
            for name in names(&folder).iter().filter(|name| name.starts_with(".tmp-")) {
                fs::remove_file(folder.join(name)).unwrap();
            }
        }
    }

    /// The newest checkpoint, if there is one, can be read, and nothing that it names is missing.
    pub fn assert_newest_is_whole(&self) {
        let Some(newest) = self.newest() else { return };
        let metadata = self.storage().read_metadata(newest).unwrap().unwrap();
        let there: BTreeSet<_> = self.storage().list_shared().unwrap().into_iter().collect();
        let named: BTreeSet<_> = metadata.checkpoint.shared.into_values().flatten().collect();
        assert!(named.is_subset(&there), "checkpoint {newest} names {named:?}, and there is {there:?}");
        for handle in metadata.checkpoint.states.into_values().flatten() {
            drop(self.storage().read_state(&handle).unwrap());
        }
    }

    /// What a job that has finished leaves: one checkpoint, the claims, and the pointers of the last attempt in the newest
    /// segment of the log without a gap; no open output.
    pub fn assert_nothing_is_left_over(&self) {
        let output = names(&self.output());
        let is_known = |name: &String| name == "_snapline_job" || name.starts_with("part-");
        assert!(output.iter().all(is_known), "{output:?}");
        let pointers = self.pointers();
        // What an attempt that was killed had still to delete stays with the claims.
        let (newest, last) = pointers.last().unwrap();
        let segment = newest.segment(Config::SEGMENT);
        let of_last =
            |pointer: &Pointer| pointer.kind == PointerKind::Publication && pointer.attempt == last.attempt;
        let published = pointers.iter().filter(|(_, pointer)| of_last(pointer)).map(|(number, _)| *number);
        // An attempt of many checkpoints fills segments, and leaves of each what it began with.
        let is_begun_by_last =
            pointers.iter().any(|(number, pointer)| *number == segment && of_last(pointer));
        let first = if is_begun_by_last { segment } else { segment.next() };
        let published = published.filter(|number| *number >= first);
        assert!(published.eq((first.0..=newest.0).map(PointerSequence)), "{pointers:?}");
        let directory = self.storage().directory().to_owned();
        let found = names(&directory.join("pointers"));
        assert_eq!(found.len(), pointers.len(), "{found:?}");
        let newest = format!("chk-{}", self.newest().unwrap());
        assert_eq!(names(&directory), [&newest, "pointers", "shared", "taskowned"].map(str::to_owned));
        let metadata = self.storage().read_metadata(self.newest().unwrap()).unwrap().unwrap();
        let states = metadata.checkpoint.states.values().flatten();
        let states = states.filter(|handle| handle.stored_file().is_some()).count();
        assert_eq!(names(&directory.join(newest)).len(), states + 1);
        let named: BTreeSet<_> = metadata.checkpoint.shared.into_values().flatten().collect();
        assert_eq!(self.storage().list_shared().unwrap(), named);
    }
}

/// The names in a folder, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// Runs a command that looks at a directory.
pub fn snapline(command: &str, directory: &Path, options: &[&str]) -> Outcome {
    let mut process = Command::new(BINARY);
    process.arg(command).arg(directory).args(options);
    Running::of(process).end()
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Outcome {
    /// What it has printed, which is JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    /// It ended well.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self
    }

    /// It ended with this code, and its error holds each of these texts.
    #[track_caller]
    pub fn failed(self, code: i32, texts: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.err);
        for text in texts {
            assert!(self.err.contains(text), "`{text}` is not in: {}", self.err);
        }
        self
    }
}

/// Nothing here takes this long, even on a machine that has much else to do: who still runs then is stuck.
const PATIENCE: Duration = Duration::from_secs(300);

/// A run that goes on.
pub struct Running {
    child: Child,
    out: JoinHandle<String>,
    err: JoinHandle<String>,
    err_so_far: Arc<Mutex<String>>,
    /// One for each line of stderr.
    told: Receiver<()>,
    ended: Receiver<()>,
}

impl Running {
    pub fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, ended) = mpsc::channel();
        let out = std::thread::spawn(move || {
            let text = std::io::read_to_string(&mut out).unwrap();
            // The pipe closes when the process is gone.
            let _ = sender.send(());
            text
        });
        let err_so_far = Arc::new(Mutex::new(String::new()));
        let so_far = Arc::clone(&err_so_far);
        let (tell, told) = mpsc::channel();
        let err = std::thread::spawn(move || {
            for line in BufReader::new(err).lines() {
                let mut all = so_far.lock().unwrap();
                all.push_str(&line.unwrap());
                all.push('\n');
                // Who has ended the process does not listen.
                let _ = tell.send(());
            }
            so_far.lock().unwrap().clone()
        });
        Running { child, out, err, err_so_far, told, ended }
    }

    /// Starts a process that says all that it does, so that it can be killed at a moment.
    pub fn that_tells(mut command: Command) -> Self {
        command.env("SNAPLINE_LOG", "snapline=debug");
        Running::of(command)
    }

    /// Ends the process at this moment, unless it ends before; says whether it had to.
    pub fn kill_at(self, moment: Moment) -> bool {
        for _ in 0..moment.lines {
            match self.told.recv_timeout(PATIENCE) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it says nothing more: {}", self.threads()),
            }
        }
        if self.ended.recv_timeout(moment.then).is_ok() {
            self.end().succeeded();
            return false;
        }
        self.kill()
    }

    /// Ends the process at once, unless it has ended; says whether it had to.
    pub fn kill(mut self) -> bool {
        self.child.kill().unwrap();
        // It may have ended in the meantime.
        let status = self.child.wait().unwrap();
        if let Some(code) = status.code() {
            assert_eq!(code, 0);
        }
        status.code().is_none()
    }

    /// Waits until `is_so`, or the process has ended; says whether it was so.
    pub fn wait_until(&self, is_so: impl Fn() -> bool) -> bool {
        let start = Instant::now();
        while !is_so() {
            if self.ended.recv_timeout(Duration::from_millis(1)).is_ok() {
                return is_so();
            }
            assert!(start.elapsed() < PATIENCE, "what is waited for does not happen: {}", self.threads());
        }
        true
    }

    /// What the process has written to stderr until now, whole lines only.
    pub fn err_so_far(&self) -> String {
        self.err_so_far.lock().unwrap().clone()
    }

    pub fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    }

    pub fn end(mut self) -> Outcome {
        if self.ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            let threads = self.threads();
            self.child.kill().unwrap();
            panic!("it does not end: {threads}{}", self.err.join().unwrap());
        }
        let code = self.child.wait().unwrap().code();
        let outcome = Outcome { code, out: self.out.join().unwrap(), err: self.err.join().unwrap() };
        assert!(!outcome.err.contains("panicked"), "{}", outcome.err);
        outcome
    }

    /// What the threads of the process wait for, as far as the system tells.
    fn threads(&self) -> String {
        let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", self.child.id())) else { return String::new() };
        let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let paths = tasks.flatten().map(|task| task.path());
        paths.map(|path| format!("{}: {}\n", read(path.join("comm")), read(path.join("wchan")))).collect()
    }
}
