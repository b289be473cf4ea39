//! Each operation on the files of a job's checkpoints fails in turn: the output is exact, or the job says which file it was,
//! and may wait for a storage that stays away; and the directory is whole whatever has happened.
//!
//! An operation is one that the system carries out: to create, write, sync, link, open, read, list or remove. All those of a
//! run of the job are counted, from its first look at the log of pointers to the last deletion; what the function
//! `open` of the storage tries before is not among them, nor are files in which a backend works. The run takes a checkpoint
//! and the final one. Where it begins with nothing, it fails between them and is restored from the first; otherwise it is
//! restored from a savepoint. An operation that fails was refused, was lost, or was carried out all the same; one of these by
//! turns, and each with `SNAPLINE_FAULTS=all`.
//!
//! Requests of the test take the place of the clock, so that there are as many operations each time, but for directories that
//! two threads want at once: operations fail one after the other until there is none any more.

#![allow(clippy::disallowed_methods, reason = "the files are what is tested")]

use crate::common::failing_disk::{Failing, FailingDisk, How};
use crate::common::sweep::sweep;
use crate::common::{FIRST_STEP, Fault, Place, Plan, STEPS, World, in_memory, job_called, options};
use snapline::base::{JobId, SavepointFormat};
use snapline::coordinator::{ClaimMode, JobStatus};
use snapline::inspection::{Location, verify};
use snapline::runtime::{CheckpointType, GivenCheckpoint, JobEnd, JobHandle, JobOptions};
use snapline::store::{CheckpointStorage, FileSystemCheckpointStorage};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

const FIRST: JobId = JobId(1);
const SECOND: JobId = JobId(2);
/// How many runs go on at once: most of their time they wait before they try again.
const WORKERS: u64 = 64;
/// How many operations fail in a row.
const TIMES: [u64; 3] = [1, 4, u64::MAX];
/// The last step of the input, before which there must be a checkpoint.
const LAST: u64 = STEPS - 1;

/// How the job begins, and where it keeps its state.
#[derive(Clone, Copy)]
struct Case {
    /// In what mode it is given a savepoint.
    given: Option<ClaimMode>,
    options: fn(&Path) -> JobOptions,
    /// Whether it takes so long that each operation fails once, some times or for ever.
    is_slow: bool,
}

/// How long it takes until it is looked again whether the job has come further.
const LOOK: Duration = Duration::from_millis(2);

/// Waits until `is_so` or the job has ended, and says whether it goes on. A job that waits until its storage can be read again
/// says so, and is given up.
fn wait_for(handle: &JobHandle, disk: &FailingDisk, mut is_so: impl FnMut() -> bool) -> bool {
    while !is_so() {
        if handle.wait_timeout(LOOK) {
            return false;
        }
        if disk.is_looked_at_in_vain()
            && let Some(trouble) = handle.watch().storage_trouble()
        {
            assert!(trouble.error.contains("/pointers/"), "{trouble:?}");
            assert!(trouble.error.contains("planned at operation "), "{trouble:?}");
            handle.control().suspend();
        }
    }
    true
}

/// Whether the job has written all that it may without another checkpoint.
fn has_written_its_step(world: &World) -> bool {
    world.written.load(Ordering::SeqCst) >= FIRST_STEP * (1 + world.completed.load(Ordering::SeqCst))
}

#[track_caller]
fn assert_whole(directory: &Path) {
    let verification = verify(&Location::of(directory).unwrap(), &mut |_| ());
    assert!(verification.is_whole, "{verification:?}");
}

/// A world, a directory of checkpoints, and the files on which the job works.
struct Run {
    case: Case,
    world: Arc<World>,
    directory: TempDir,
    working: TempDir,
    given: Option<FileSystemCheckpointStorage>,
}

impl Run {
    /// Before the job starts; there is a savepoint if it is to be given one.
    fn new(case: Case) -> Self {
        let (world, directory, working) = (World::new(), in_memory(), in_memory());
        world.completed.store(LAST - 1, Ordering::SeqCst);
        let given = case.given.map(|_| {
            let storage = FileSystemCheckpointStorage::open(directory.path(), FIRST).unwrap();
            let options = (case.options)(working.path());
            let handle = job_called(FIRST, &world, 1).start(options, Arc::new(storage.clone())).unwrap();
            let runs = || handle.progress().status == JobStatus::Running && has_written_its_step(&world);
            assert!(wait_for(&handle, &FailingDisk::default(), runs));
            handle.control().cancel_with_savepoint(SavepointFormat::Native).wait().unwrap();
            handle.wait().unwrap();
            storage
        });
        // Without a savepoint the job fails behind its first checkpoint, and is restored from that.
        let plan = Plan { place: Place::Process, fault: Fault::Error, after: LAST, times: 1 };
        world.state.lock().unwrap().plan = given.is_none().then_some(plan);
        Run { case, world, directory, working, given }
    }

    /// Runs the job to its end.
    fn run(&self, disk: &Arc<FailingDisk>) -> Result<JobEnd, String> {
        let own = FileSystemCheckpointStorage::open(self.directory.path(), SECOND).unwrap();
        let mut options = (self.case.options)(self.working.path());
        if let (Some(given), Some(mode)) = (&self.given, self.case.given) {
            let given = given.clone().with_faults(Arc::clone(disk) as _);
            let place = given.savepoints().map_err(|error| error.to_string())?.into_iter().next();
            // Once it has claimed the savepoint and has a checkpoint, the job has deleted it.
            if let Some(place) = place {
                let metadata = given.metadata_of(place).map_err(|error| error.to_string())?;
                let restore = metadata.map(|metadata| GivenCheckpoint::new(Arc::new(given), metadata, mode));
                options.restore = restore;
            }
        }
        let own: Arc<dyn CheckpointStorage> = Arc::new(own.with_faults(Arc::clone(disk) as _));
        let handle = job_called(SECOND, &self.world, 1).start(options, own);
        self.drive(handle.map_err(|error| error.to_string())?, disk)
    }

    /// Has the job take a checkpoint behind each step of its input, until it ends.
    fn drive(&self, handle: JobHandle, disk: &FailingDisk) -> Result<JobEnd, String> {
        let world = &self.world;
        let completed = || world.completed.load(Ordering::SeqCst);
        while completed() < LAST && wait_for(&handle, disk, || has_written_its_step(world)) {
            let (before, restarts) = (completed(), handle.progress().restarts);
            let request = handle.control().trigger_checkpoint(CheckpointType::Configured);
            let mut answer = None;
            wait_for(&handle, disk, || {
                answer = request.wait_timeout(Duration::ZERO);
                answer.is_some()
            });
            // The sink may have gone before it was told.
            let is_told = || completed() > before || handle.progress().restarts > restarts;
            let goes_on = match answer {
                Some(Ok(_)) => wait_for(&handle, disk, is_told),
                // The tasks may not run yet.
                _ => !handle.wait_timeout(LOOK),
            };
            if !goes_on {
                break;
            }
        }
        wait_for(&handle, disk, || false);
        handle.wait().map(|summary| summary.end).map_err(|error| error.to_string())
    }

    /// Everything that is referred to is there, and can be read, whatever is deleted of which it is said that it is safe.
    #[track_caller]
    fn assert_whole(&self) {
        assert_whole(self.directory.path());
        sweep(self.directory.path());
        assert_whole(self.directory.path());
    }
}

/// How many runs got to their end, said what had failed, said it and waited, and never came to the operation that was to fail.
#[derive(Debug, Default)]
struct Ends {
    survived: u64,
    reported: u64,
    waited: u64,
    unreached: u64,
}

/// Runs the job over files that fail, and then to its end from what it has left; counts how the first of them has ended.
fn survives_or_reports(case: Case, failing: Failing, ends: &Mutex<Ends>) {
    let (run, disk) = (Run::new(case), Arc::new(FailingDisk::new(failing)));
    let result = run.run(&disk);
    run.world.assert_not_wrong(1);
    run.assert_whole();
    let is_reached = disk.operations() > failing.from;
    match &result {
        Ok(JobEnd::Finished) => run.world.assert_exact(1),
        // It cannot know whether its checkpoint is published until it has read its pointer.
        Ok(end) => assert!(*end == JobEnd::Suspended && failing.times == u64::MAX, "{failing:?}: {end:?}"),
        Err(error) => {
            let is_named = error.contains(run.directory.path().to_str().unwrap());
            assert!(is_named && error.contains("planned at operation "), "{failing:?}: {error}");
            // Before the job starts nobody tries again.
            assert!(failing.times > 1 || case.given.is_some() && failing.from < 2, "{failing:?}: {error}");
        }
    }
    assert_eq!(run.run(&Arc::default()), Ok(JobEnd::Finished), "{failing:?}");
    run.world.assert_exact(1);
    run.assert_whole();
    let mut ends = ends.lock().unwrap();
    match result {
        Ok(_) if !is_reached => ends.unreached += 1,
        Ok(JobEnd::Finished) => ends.survived += 1,
        Ok(_) => ends.waited += 1,
        Err(_) => ends.reported += 1,
    }
}

/// Has every operation fail, until a run has no more of them.
fn survives_or_reports_every_failure(case: Case) {
    let (run, disk) = (Run::new(case), Arc::new(FailingDisk::default()));
    assert_eq!(run.run(&disk), Ok(JobEnd::Finished));
    run.world.assert_exact(1);
    println!("{} operations: {:?}", disk.operations(), disk.seen());
    let (next, ends) = (AtomicU64::new(0), Mutex::new(Ends::default()));
    let work = || {
        while ends.lock().unwrap().unreached == 0 {
            let from = next.fetch_add(1, Ordering::SeqCst);
            ways(from, case).into_iter().for_each(|failing| survives_or_reports(case, failing, &ends));
        }
    };
    std::thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
    let ends = ends.into_inner().unwrap();
    println!("{ends:?}");
    assert!(ends.survived > 0 && ends.reported > 0);
    // Some of the first run may have been for directories.
    assert!(ends.survived + ends.reported + ends.waited + 8 >= disk.operations());
}

/// The failures that begin with operation `from`: once, some in a row, and all from then on.
fn ways(from: u64, case: Case) -> Vec<Failing> {
    let how = |number| [How::Refused, How::Lost, How::Applied][((from + number) % 3) as usize];
    let all = (0..3).flat_map(|number| TIMES.map(|times| Failing { how: how(number), from, times }));
    if std::env::var("SNAPLINE_FAULTS").is_ok_and(|faults| faults == "all") {
        return all.collect();
    }
    // By turns: each operation fails so many times, in one way of three each.
    let turns: Vec<_> = all.step_by(TIMES.len() + 1).collect();
    if case.is_slow { vec![turns[(from / 3 % 3) as usize]] } else { turns }
}

#[test]
fn files_that_fail_at_any_operation_of_a_job_on_the_heap_are_survived_or_named() {
    survives_or_reports_every_failure(Case { given: None, options: on_heap, is_slow: false });
}

#[test]
fn files_that_fail_at_any_operation_of_a_restore_from_a_savepoint_on_the_heap_are_survived_or_named() {
    let given = Some(ClaimMode::NoClaim);
    survives_or_reports_every_failure(Case { given, options: on_heap, is_slow: false });
}

#[test]
fn files_that_fail_at_any_operation_of_a_job_with_inline_state_are_survived_or_named() {
    survives_or_reports_every_failure(Case { given: None, options: inline, is_slow: true });
}

#[cfg(feature = "rocksdb")]
#[test]
fn files_that_fail_at_any_operation_of_a_job_on_rocksdb_are_survived_or_named() {
    survives_or_reports_every_failure(Case { given: None, options: on_rocksdb, is_slow: true });
}

#[cfg(feature = "rocksdb")]
#[test]
fn files_that_fail_at_any_operation_of_a_restore_from_a_savepoint_on_rocksdb_are_survived_or_named() {
    let given = Some(ClaimMode::Claim);
    survives_or_reports_every_failure(Case { given, options: on_rocksdb, is_slow: true });
}

/// Without a clock; one restart is for the failure that is planned, the other for the files.
fn on_heap(_: &Path) -> JobOptions {
    JobOptions { checkpoint_interval: None, ..options(2) }
}

#[cfg(feature = "rocksdb")]
fn on_rocksdb(directory: &Path) -> JobOptions {
    JobOptions { checkpoint_interval: None, ..crate::rocksdb::on_rocksdb(2, directory, true) }
}

/// With all state in the metadata.
fn inline(directory: &Path) -> JobOptions {
    let inline_threshold_bytes = crate::common::inline(0).inline_threshold_bytes;
    JobOptions { inline_threshold_bytes, ..on_heap(directory) }
}
