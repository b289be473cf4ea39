//! Whole jobs whose log of pointers lies elsewhere.

use crate::common::{Fault, JOB, Place, Plan, World, in_files, inline, is_taken_over, job, options, run};
use crate::{claim, files, on_all, storage};
use snapline::base::SavepointFormat;
use snapline::coordinator::StopMode;
use snapline::publish::PointerSequence;
use snapline::runtime::JobOptions;
use std::path::Path;
use std::time::Duration;

/// The job dies with its process, after some checkpoints, and another process goes on from what the log names.
#[test]
fn high_availability_job_that_has_died_is_resumed_with_exact_output() {
    for options in [in_files as fn(u32) -> JobOptions, inline] {
        on_all(|open| {
            // One log is that of one job: the next one is another.
            let directory = tempfile::tempdir().unwrap();
            let world = World::with(Plan { place: Place::Process, fault: Fault::Error, after: 2, times: 1 });
            run(&world, 2, options(0), &storage(directory.path(), open()).unwrap()).unwrap_err();
            let summary = run(&world, 2, options(0), &storage(directory.path(), open()).unwrap()).unwrap();
            world.assert_exact(2);
            assert!(summary.progress.restored_from.is_some());
            let beside = files(directory.path()).list().unwrap().pointers.len();
            assert_eq!(beside, 1, "beside the checkpoints stands where the log is");
            assert!(open().list_pointers().unwrap().len() > 2);
        });
    }
}

/// Where savepoints lie has nothing to do with where the log does.
#[test]
fn high_availability_job_puts_savepoints_where_its_requests_say() {
    on_all(|open| {
        let [directory, target] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let world = World::new();
        world.hold_from(Some(0));
        let handle = job(&world, 2).start(options(0), storage(directory.path(), open()).unwrap()).unwrap();
        while handle.progress().completed == 0 {
            assert!(!handle.wait_timeout(Duration::from_millis(1)));
        }
        let control = handle.control().with_savepoints_in(target.path().to_str().unwrap());
        for stops in [false, true] {
            let asked = match stops {
                true => control.stop_with_savepoint(StopMode::Suspend, SavepointFormat::Canonical),
                false => control.trigger_savepoint(SavepointFormat::Canonical),
            };
            let path = asked.wait_for_checkpoint().unwrap().external_path;
            let is_there = Path::new(&path).starts_with(target.path());
            assert!(is_there && Path::new(&path).join("_metadata").exists(), "{path}");
        }
        handle.wait().unwrap();
    });
}

/// A second process of the same job takes over, and the first one, which goes on some time later, changes nothing any more.
#[test]
fn high_availability_process_that_was_replaced_is_fenced() {
    on_all(|open| {
        let directory = tempfile::tempdir().unwrap();
        is_taken_over(|| storage(directory.path(), open()).unwrap());
    });
}

/// The store is emptied under a job that has checkpoints: it is not begun anew beside them.
#[test]
fn high_availability_job_whose_log_is_gone_is_not_begun_anew() {
    on_all(|open| {
        let directory = tempfile::tempdir().unwrap();
        run(&World::new(), 2, options(0), &storage(directory.path(), open()).unwrap()).unwrap();
        let log = open();
        let refused = || storage(directory.path(), open()).unwrap_err().to_string();
        // The beginning is enough: what is left may be of whoever began anew.
        log.delete_pointer(PointerSequence::FIRST).unwrap();
        assert!(refused().contains(&log.name()) && refused().contains("lost its beginning"));
        for sequence in log.list_pointers().unwrap() {
            log.delete_pointer(sequence).unwrap();
        }
        assert!(refused().contains("lost its beginning"), "{}", refused());
        // With the redirection something else is lost, too.
        let job = directory.path().join(JOB.to_string());
        std::fs::remove_file(job.join("pointers/00000000000000000001")).unwrap();
        assert!(refused().contains("lost its beginning"), "{}", refused());
        assert_eq!(files(directory.path()).list().unwrap().pointers, [].into(), "nothing was written");
    });
}

/// The log is put back as it was when the first attempt had begun, and the second one has taken checkpoints since.
#[test]
fn high_availability_job_whose_log_is_an_old_copy_does_not_go_on() {
    on_all(|open| {
        let directory = tempfile::tempdir().unwrap();
        let world = World::with(Plan { place: Place::Process, fault: Fault::Error, after: 2, times: 1 });
        run(&world, 2, in_files(1), &storage(directory.path(), open()).unwrap()).unwrap();
        let log = open();
        let pointers: Vec<_> = log.list_pointers().unwrap().into_iter().collect();
        let attempt = |sequence| log.read_pointer(sequence).unwrap().unwrap().attempt;
        let newest = attempt(*pointers.last().unwrap());
        let (old, lost): (Vec<_>, Vec<_>) = pointers.into_iter().partition(|at| attempt(*at) < newest);
        assert!(!old.is_empty());
        for sequence in lost {
            log.delete_pointer(sequence).unwrap();
        }
        let refused = storage(directory.path(), open()).unwrap_err().to_string();
        assert!(refused.contains("ends with attempt 1") && refused.contains("is of attempt 2"), "{refused}");
        assert!(refused.contains(&log.name()) && refused.contains("/chk-"), "{refused}");
    });
}

/// Nothing is left but the later pointers, with the log beside the checkpoints: they are no reason to begin another one.
#[test]
fn high_availability_log_of_which_the_beginning_is_lost_beside_the_checkpoints_is_not_replaced() {
    on_all(|open| {
        let directory = tempfile::tempdir().unwrap();
        files(directory.path()).put_pointer(PointerSequence(2), &claim(1)).unwrap();
        let refused = storage(directory.path(), open()).unwrap_err().to_string();
        assert!(refused.contains("lies beside its checkpoints"), "{refused}");
        assert_eq!(files(directory.path()).list().unwrap().pointers, [PointerSequence(2)].into());
    });
}
