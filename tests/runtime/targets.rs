//! Savepoints that lie in the directory that their request names.

#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

use crate::common::{
    self, FIRST_STEP, JOB, Place, World, in_files, in_memory, memory, options, run, wait_until,
};
use snapline::base::{Attempt, CheckpointId, CheckpointKind, SavepointFormat, StateFile, SubtaskId};
use snapline::coordinator::{ClaimMode, JobStatus, Refusal, StopMode};
use snapline::inspection::{Location, verify};
use snapline::runtime::*;
use snapline::store::*;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;
use tempfile::TempDir;

use SavepointFormat::{Canonical, Native};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The directory of the savepoints of the job in `target`.
fn of_job(target: &TempDir) -> PathBuf {
    target.path().join(JOB.to_string())
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A job that keeps its checkpoints in files, has some state, and takes a checkpoint only when it is asked to.
struct Held {
    world: Arc<World>,
    checkpoints: TempDir,
    handle: JobHandle,
}

impl Held {
    fn start(options: JobOptions) -> Self {
        Held::with(options, |storage| storage)
    }

    fn with(
        options: JobOptions,
        adapt: impl FnOnce(FileSystemCheckpointStorage) -> FileSystemCheckpointStorage,
    ) -> Self {
        let (world, checkpoints) = (World::new(), in_memory());
        let storage = adapt(FileSystemCheckpointStorage::open(checkpoints.path(), JOB).unwrap());
        world.hold_from(Some(1));
        let options = JobOptions { checkpoint_interval: None, ..options };
        let handle = common::job(&world, 2).start(options, Arc::new(storage)).unwrap();
        let has_state = || world.emitted.load(Ordering::SeqCst) == FIRST_STEP;
        wait_until(&handle, || has_state() && handle.progress().status == JobStatus::Running);
        // Nobody comes to the end of the input, however many checkpoints there are.
        world.hold_from(Some(0));
        handle.control().trigger_checkpoint(CheckpointType::Configured).wait().unwrap();
        Held { world, checkpoints, handle }
    }

    /// What the job is told through, with savepoints in `target`.
    fn control(&self, target: &TempDir) -> JobControl {
        self.handle.control().with_savepoints_in(text(target.path()))
    }

    fn savepoint(&self, target: &TempDir, format: SavepointFormat) -> PathBuf {
        self.control(target).trigger_savepoint(format).wait_for_checkpoint().unwrap().external_path.into()
    }

    fn attempt(&self) -> Attempt {
        self.handle.progress().attempt
    }

    fn newest(&self) -> CheckpointId {
        self.handle.progress().last.unwrap().id
    }

    /// Cancels the job, and gives the directory of its checkpoints.
    fn cancel(self) -> TempDir {
        self.handle.control().cancel();
        assert_eq!(self.handle.wait().unwrap().end, JobEnd::Cancelled);
        self.checkpoints
    }
}

/// Starts the job anew from a savepoint, and runs it to its end.
#[track_caller]
fn goes_on_from(world: &Arc<World>, savepoint: &Path, options: JobOptions) {
    assert!(verify(&Location::of(savepoint).unwrap(), &mut |_| ()).is_whole, "{}", savepoint.display());
    let given = GivenCheckpoint::open(savepoint, ClaimMode::NoClaim).unwrap();
    assert_eq!(given.metadata().checkpoint.kind, CheckpointKind::Savepoint);
    world.hold_from(None);
    let summary = run(world, 2, JobOptions { restore: Some(given), ..options }, &memory()).unwrap();
    assert!(summary.progress.restored_from.is_some());
    world.assert_exact(2);
}

/// H19, H21, H24
#[test]
fn savepoint_lies_where_its_request_says_wherever_others_do() {
    for is_configured in [false, true] {
        let (elsewhere, target) = (in_memory(), in_memory());
        let held = Held::with(options(0), |storage| match is_configured {
            true => storage.with_savepoints_in(elsewhere.path()),
            false => storage,
        });
        let usual = if is_configured { of_job(&elsewhere) } else { of_job(&held.checkpoints) };
        let without = |names: Vec<String>| names.into_iter().filter(|name| name.starts_with("savepoint-"));
        let chosen = held.savepoint(&target, Canonical);
        let name = format!("savepoint-{}-{}", held.newest(), held.attempt());
        assert_eq!(chosen, of_job(&target).join(&name));
        assert_eq!(names_in(&of_job(&target)), [name]);
        let files = names_in(&chosen);
        assert!(files.len() > 2 && files.last().unwrap() == "_metadata", "all of it is there: {files:?}");
        assert_eq!(without(names_in(&usual)).count(), 0, "nothing of it is anywhere else");
        let next = held.handle.control().trigger_savepoint(Canonical).wait_for_checkpoint().unwrap();
        assert_eq!(Path::new(&next.external_path).parent(), Some(&*usual), "the choice was for one request");
        let history = held.handle.watch().checkpoints().ended;
        let told = |checkpoint: &&CheckpointStatistics| match &checkpoint.end {
            Some(CheckpointEnd::Completed { external_path, .. }) => Path::new(external_path) == chosen,
            _ => false,
        };
        assert_eq!(history.iter().filter(told).count(), 1, "the history tells the same");
        held.cancel();
    }
}

/// H24: with checkpoints of its own, and when the job has forgotten all that it knew.
#[test]
fn savepoint_in_a_chosen_directory_is_restored_in_both_formats_and_disposed_of() {
    for (format, options) in
        [Canonical, Native].into_iter().flat_map(|format| [options, in_files].map(|of| (format, of)))
    {
        let (held, target) = (Held::start(options(0)), in_memory());
        let savepoint = held.savepoint(&target, format);
        let world = Arc::clone(&held.world);
        drop(held.cancel());
        goes_on_from(&world, &savepoint, options(0));
        assert_eq!(dispose_savepoint(&savepoint).unwrap(), Disposal::Deleted);
        assert_eq!(names_in(&of_job(&target)), [""; 0]);
    }
}

#[test]
fn savepoints_at_once_lie_where_each_of_them_was_asked_for() {
    let (held, targets) = (Held::start(options(0)), [(); 2].map(|()| in_memory()));
    held.world.close(Place::SnapshotSource);
    let before = held.newest();
    let directories = [Some(&targets[0]), None, Some(&targets[1]), Some(&targets[0])];
    let asked = directories.map(|target| {
        let control = target.map_or_else(|| held.handle.control(), |target| held.control(target));
        control.trigger_savepoint(Canonical)
    });
    held.world.wait_for_arrival();
    held.world.open_again();
    let mut ids = Vec::new();
    for (target, asked) in directories.into_iter().zip(asked) {
        let savepoint = asked.wait_for_checkpoint().unwrap();
        let directory = target.map_or_else(|| of_job(&held.checkpoints), of_job);
        let name = format!("savepoint-{}-{}", savepoint.id, held.attempt());
        assert_eq!(Path::new(&savepoint.external_path), directory.join(name));
        assert!(verify(&Location::of(&savepoint.external_path).unwrap(), &mut |_| ()).is_whole);
        ids.push(savepoint.id.0 - before.0);
    }
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4]);
    assert_eq!(targets.map(|target| names_in(&of_job(&target)).len()), [2, 1]);
    held.cancel();
}

/// What the user has chosen wrongly is told before anything is triggered.
#[test]
fn savepoint_target_that_is_wrong_is_refused_and_the_job_goes_on() {
    let held = Held::start(options(0));
    let before = held.newest();
    let file = held.checkpoints.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let below = file.join("below");
    let of_job = held.checkpoints.path().join(JOB.to_string());
    let of_checkpoint = of_job.join("chk-900");
    let round_about = of_job.join("../").join(JOB.to_string()).join("pointers/..");
    let missing = held.checkpoints.path().join("missing/..").join(JOB.to_string());
    let long = "/a".repeat(32_000);
    let wrong = [
        ("", "an absolute path of the file system is expected"),
        ("savepoints", "an absolute path of the file system is expected"),
        ("s3://bucket/savepoints", "it must lie in the file system"),
        ("file://savepoints", "begins with file:///"),
        (text(&file), "it cannot be written"),
        (text(&below), "it cannot be written"),
        (text(&of_job), "it lies among the checkpoints of the job"),
        (text(&of_checkpoint), "it lies among the checkpoints of the job"),
        (text(&round_about), "it lies among the checkpoints of the job"),
        (text(&missing), "a path without `..` is expected"),
        (&long, "a path of 4096 bytes at most"),
    ];
    for (directory, text) in wrong {
        let control = held.handle.control().with_savepoints_in(directory);
        let answers = [
            control.trigger_savepoint(Canonical),
            control.cancel_with_savepoint(Native),
            control.stop_with_savepoint(StopMode::Drain, Canonical),
        ];
        for answer in answers {
            let error = answer.wait().unwrap_err();
            let RequestError::WrongTarget { directory: found, what } = &error else { panic!("{error}") };
            assert_eq!(found, directory);
            assert!(what.contains(text), "{what}");
            assert!(error.to_string().contains(&format!("`{directory}`")), "{error}");
        }
        let checkpoint = control.trigger_checkpoint(CheckpointType::Configured);
        checkpoint.wait().expect("it lies where it always does");
    }
    assert_eq!(held.newest().0, before.0 + wrong.len() as u64, "nothing else was triggered");
    assert!(!of_checkpoint.exists());
    held.cancel();
}

#[test]
fn savepoint_target_is_refused_by_a_storage_in_memory() {
    let (world, target) = (World::new(), in_memory());
    world.hold_from(Some(0));
    let handle = common::job(&world, 2).start(options(0), memory()).unwrap();
    wait_until(&handle, || handle.progress().completed > 0);
    let control = handle.control().with_savepoints_in(text(target.path()));
    let error = control.trigger_savepoint(Canonical).wait().unwrap_err();
    assert!(error.to_string().contains("cannot put a savepoint into a directory"), "{error}");
    assert_eq!(names_in(target.path()), [""; 0]);
    world.hold_from(None);
    assert_eq!(handle.wait().unwrap().end, JobEnd::Finished);
    world.assert_exact(2);
}

/// While it is switched on, no file can be created in a directory, or none of some name.
#[derive(Debug)]
struct Full {
    directory: PathBuf,
    name: &'static str,
    is_on: AtomicBool,
}

impl Full {
    fn new(directory: &TempDir, name: &'static str, is_on: bool) -> Arc<Self> {
        Arc::new(Full { directory: directory.path().to_owned(), name, is_on: is_on.into() })
    }
}

impl FileFaults for Full {
    fn fault(&self, operation: FileOperation, path: &Path) -> Option<FileFault> {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_hit = operation == FileOperation::Create
            && path.starts_with(&self.directory)
            && name.contains(self.name)
            && self.is_on.load(Ordering::SeqCst);
        let error = io::Error::new(ErrorKind::StorageFull, "planned: the disk is full");
        is_hit.then_some(FileFault { is_done: false, error })
    }
}

/// A directory that fails later is as harmful as one that fails at once: the savepoint is lost, and nothing else.
#[test]
fn savepoint_whose_target_fails_is_lost_and_the_job_goes_on_without_a_restart() {
    for name in ["", ".state", "_metadata"] {
        let target = in_memory();
        let full = Full::new(&target, name, true);
        let held = Held::with(options(0), |storage| storage.with_faults(Arc::clone(&full) as _));
        let control = held.control(&target);
        for answer in [control.trigger_savepoint(Canonical), control.cancel_with_savepoint(Canonical)] {
            let error = answer.wait().unwrap_err();
            match name {
                "" => assert!(error.to_string().contains("planned: the disk is full"), "{error}"),
                _ => assert!(matches!(error, RequestError::Aborted { .. }), "{error}"),
            }
        }
        full.is_on.store(false, Ordering::SeqCst);
        let savepoint = held.savepoint(&target, Canonical);
        assert_eq!(held.handle.progress().restarts, 0);
        let world = Arc::clone(&held.world);
        held.cancel();
        goes_on_from(&world, &savepoint, options(0));
    }
}

#[test]
fn savepoint_that_cancels_lies_where_its_request_says() {
    let (held, target) = (Held::start(options(0)), in_memory());
    let savepoint = held.control(&target).cancel_with_savepoint(Native).wait_for_checkpoint().unwrap();
    assert_eq!(held.handle.wait().unwrap().end, JobEnd::Cancelled);
    assert!(Path::new(&savepoint.external_path).starts_with(target.path()));
    goes_on_from(&held.world, savepoint.external_path.as_ref(), options(0));
}

/// While it is closed, whoever creates a file of some name in a directory waits.
#[derive(Debug)]
struct Gate {
    directory: PathBuf,
    name: &'static str,
    closed: Mutex<()>,
}

impl Gate {
    fn new(directory: &TempDir, name: &'static str) -> Arc<Self> {
        Arc::new(Gate { directory: directory.path().to_owned(), name, closed: Mutex::new(()) })
    }
}

impl FileFaults for Gate {
    fn fault(&self, operation: FileOperation, path: &Path) -> Option<FileFault> {
        let name = path.file_name().unwrap().to_str().unwrap();
        if operation == FileOperation::Create && path.starts_with(&self.directory) && name.contains(self.name)
        {
            drop(self.closed.lock().unwrap());
        }
        None
    }
}

/// A directory may never answer, and the job ends all the same.
#[test]
fn savepoint_of_a_job_that_ends_while_its_target_is_looked_at_is_refused() {
    let target = in_memory();
    let gate = Gate::new(&target, "");
    let held = Held::with(options(0), |storage| storage.with_faults(Arc::clone(&gate) as _));
    let control = held.control(&target);
    let closed = gate.closed.lock().unwrap();
    let asked = control.trigger_savepoint(Canonical);
    control.cancel();
    assert_eq!(asked.wait(), Err(RequestError::Refused(Refusal::JobEnding)));
    held.cancel();
    assert_eq!(control.trigger_savepoint(Canonical).wait(), Err(RequestError::Refused(Refusal::JobEnding)));
    drop(closed);
}

/// Whoever serves the job must not go before those are answered who wait.
#[test]
fn stop_lasts_until_the_copy_is_there() {
    let target = in_memory();
    let gate = Gate::new(&target, ".state");
    let held = Held::with(options(0), |storage| storage.with_faults(Arc::clone(&gate) as _));
    let closed = gate.closed.lock().unwrap();
    let asked = held.control(&target).stop_with_savepoint(StopMode::Suspend, Canonical);
    wait_until(&held.handle, || held.handle.progress().ended.is_some());
    assert!(asked.wait_timeout(Duration::from_millis(20)).is_none());
    assert!(!held.handle.wait_timeout(Duration::ZERO), "it is being copied");
    drop(closed);
    let stopped = asked.wait().unwrap();
    assert_eq!(held.handle.wait().unwrap().end, JobEnd::Stopped(stopped));
}

/// A task may be so late that its savepoint is over: what it writes is where the savepoint was, and so is what is deleted.
#[test]
fn savepoint_file_that_comes_late_lies_where_its_savepoint_was() {
    let (checkpoints, target) = (in_memory(), in_memory());
    let storage = FileSystemCheckpointStorage::open(checkpoints.path(), JOB).unwrap();
    let of_task: Arc<dyn CheckpointStorage> = Arc::new(storage.clone());
    let (id, attempt) = (CheckpointId(3), Attempt(2));
    storage.savepoint_target(text(target.path())).unwrap().place(id, attempt);
    let directory = of_job(&target).join("savepoint-3-2");
    assert_eq!(of_task.savepoint_name(id, attempt), text(&directory));
    let file = StateFile { checkpoint: id, subtask: SubtaskId::new(0, 0), attempt, savepoint: true };
    let write = || of_task.create_state(file).unwrap().finish().unwrap();
    write();
    storage.delete_savepoint(id, attempt).unwrap();
    assert_eq!(names_in(&of_job(&target)), [""; 0]);
    let before = names_in(&of_job(&checkpoints));
    assert_eq!(write().file, file);
    assert_eq!(names_in(&directory), ["0-0-2.state"]);
    of_task.delete_state(file).unwrap();
    assert_eq!(names_in(&of_job(&target)), [""; 0]);
    assert_eq!(names_in(&of_job(&checkpoints)), before);
    assert!(!storage.savepoint_name(id, Attempt(3)).starts_with(text(target.path())));
}

/// What a job is stopped with stays where the job goes on from, and its user has a savepoint that is as good.
#[test]
fn stop_leaves_a_savepoint_in_the_chosen_directory_and_the_job_goes_on_from_its_own() {
    let modes = [StopMode::Suspend, StopMode::Drain];
    for (mode, format) in modes.into_iter().flat_map(|mode| [Canonical, Native].map(|of| (mode, of))) {
        for options in [options, in_files] {
            let (held, target) = (Held::start(options(0)), in_memory());
            let answer = held.control(&target).stop_with_savepoint(mode, format).wait_for_checkpoint();
            let copy = answer.unwrap();
            let name = format!("savepoint-{}-{}", copy.id, held.attempt());
            assert_eq!(Path::new(&copy.external_path), of_job(&target).join(name));
            let Held { world, checkpoints, handle } = held;
            let end = handle.wait().unwrap().end;
            let own = FileSystemCheckpointStorage::open(checkpoints.path(), JOB).unwrap();
            let metadata = own.read_metadata(copy.id).unwrap().expect("it belongs to the job");
            assert_eq!(metadata.checkpoint.kind, CheckpointKind::Stop);
            assert!(verify(&Location::of(checkpoints.path()).unwrap(), &mut |_| ()).is_whole);
            let of_copy = GivenCheckpoint::open(&copy.external_path, ClaimMode::NoClaim).unwrap();
            let of_copy = &of_copy.metadata().checkpoint;
            assert_eq!(of_copy.state_bytes(), metadata.checkpoint.state_bytes(), "nothing is missing");
            assert_eq!(of_copy.shared.is_empty(), metadata.checkpoint.shared.is_empty());
            assert!(of_copy.states.keys().eq(metadata.checkpoint.states.keys()));
            if mode == StopMode::Suspend {
                assert_eq!(end, JobEnd::Stopped(copy.id));
                // Without the job there is no file but those of the savepoint.
                drop(checkpoints);
                goes_on_from(&world, copy.external_path.as_ref(), options(0));
            }
            assert_eq!(dispose_savepoint(&copy.external_path).unwrap(), Disposal::Deleted);
            assert_eq!(names_in(&of_job(&target)), [""; 0]);
        }
    }
}

/// Whoever looks at this directory waits until it is known that they do.
#[derive(Debug)]
struct Meeting {
    directory: PathBuf,
    barrier: Barrier,
}

impl FileFaults for Meeting {
    fn fault(&self, operation: FileOperation, path: &Path) -> Option<FileFault> {
        if operation == FileOperation::Create && path.starts_with(&self.directory) {
            self.barrier.wait();
        }
        None
    }
}

/// A wish to stop joins another one, but its savepoint is its own.
#[test]
fn stops_at_once_have_each_a_savepoint_where_it_was_asked_for() {
    let (place, targets) = (in_memory(), [(); 2].map(|()| in_memory()));
    let barrier = Barrier::new(2);
    let meeting = Arc::new(Meeting { directory: place.path().to_owned(), barrier });
    let held = Held::with(options(0), |storage| storage.with_faults(Arc::clone(&meeting) as _));
    held.world.close(Place::SnapshotSource);
    let directories = [Some(&targets[0]), Some(&targets[1]), None, Some(&targets[0])];
    let asked = directories.map(|target| {
        let control = target.map_or_else(|| held.handle.control(), |target| held.control(target));
        control.stop_with_savepoint(StopMode::Suspend, Canonical)
    });
    held.world.wait_for_arrival();
    // Who has come here has looked at all directories before, and the coordinator knows of them.
    let refused = held.control(&place).trigger_savepoint(Canonical);
    meeting.barrier.wait();
    assert_eq!(refused.wait(), Err(RequestError::Refused(Refusal::JobEnding)));
    held.world.open_again();
    for (target, asked) in directories.into_iter().zip(asked) {
        let savepoint = asked.wait_for_checkpoint().unwrap();
        let directory = target.map_or_else(|| of_job(&held.checkpoints), of_job);
        assert_eq!(Path::new(&savepoint.external_path).parent(), Some(&*directory));
        assert!(verify(&Location::of(&savepoint.external_path).unwrap(), &mut |_| ()).is_whole);
    }
    held.handle.wait().unwrap();
}

/// The job has stopped, and its user is told with what, and that this is nowhere else.
#[test]
fn stop_whose_copy_fails_says_so_and_leaves_what_the_job_goes_on_from() {
    for name in [".state", "_metadata"] {
        let target = in_memory();
        let full = Full::new(&target, name, true);
        let held = Held::with(options(0), |storage| storage.with_faults(full));
        let error =
            held.control(&target).stop_with_savepoint(StopMode::Suspend, Canonical).wait().unwrap_err();
        let RequestError::NotCopied { checkpoint, external_path, what, .. } = &error else {
            panic!("{error}");
        };
        assert!(what.contains("planned: the disk is full"), "{what}");
        assert_eq!(held.handle.wait().unwrap().end, JobEnd::Stopped(*checkpoint));
        assert!(Path::new(external_path).starts_with(held.checkpoints.path()));
        assert!(verify(&Location::of(external_path).unwrap(), &mut |_| ()).is_whole);
        let name = format!("savepoint-{checkpoint}-1");
        assert_eq!(names_in(&of_job(&target).join(name)), [""; 0], "a part of a savepoint is of no use");
    }
}

/// Another job of the same id, with checkpoints elsewhere, has had the number before.
#[test]
fn savepoint_that_is_there_already_is_left_alone() {
    for stops in [false, true] {
        let target = in_memory();
        let take = || {
            let (world, checkpoints) = (World::new(), in_memory());
            world.hold_from(Some(0));
            let storage = FileSystemCheckpointStorage::open(checkpoints.path(), JOB).unwrap();
            let options = JobOptions { checkpoint_interval: None, ..options(0) };
            let handle = common::job(&world, 2).start(options, Arc::new(storage)).unwrap();
            wait_until(&handle, || handle.progress().status == JobStatus::Running);
            let control = handle.control().with_savepoints_in(text(target.path()));
            let asked = match stops {
                true => control.stop_with_savepoint(StopMode::Suspend, Canonical),
                false => control.trigger_savepoint(Canonical),
            };
            let answer = asked.wait_for_checkpoint();
            control.cancel();
            handle.wait().unwrap();
            answer
        };
        let first: PathBuf = take().unwrap().external_path.into();
        let files = names_in(&first);
        match take().unwrap_err() {
            RequestError::NotCopied { .. } => assert!(stops),
            RequestError::Aborted { .. } => assert!(!stops),
            other => panic!("{other}"),
        }
        assert_eq!((names_in(&first), names_in(&of_job(&target)).len()), (files, 1));
        assert!(verify(&Location::of(&first).unwrap(), &mut |_| ()).is_whole);
    }
}
