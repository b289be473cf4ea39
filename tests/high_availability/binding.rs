//! A job has one log: beside its checkpoints or elsewhere, and where it is it stays.

use crate::common::{JOB, World, options, run};
use crate::{claim, files, in_directory, on_all, storage};
use snapline::publish::{Answer, Operation, PointerSequence};
use snapline::store::*;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;

const FIRST: PointerSequence = PointerSequence::FIRST;

#[test]
fn high_availability_log_is_found_again_and_no_other_is_taken_for_it() {
    on_all(|open| {
        let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = storage(directory.path(), open()).unwrap();
        assert_eq!(first.put_pointer(FIRST, &claim(1)).unwrap(), Put::Stored);
        let again = storage(directory.path(), open()).unwrap();
        assert_eq!(again.read_pointer(FIRST).unwrap(), Some(claim(1)));
        let name = open().name();
        let id = open().id().unwrap();
        let other = storage(directory.path(), Arc::new(in_directory(elsewhere.path()))).unwrap_err();
        let is_told = |log, store: &str| (log, store) == (id, &name[..]);
        assert!(
            matches!(&other, StorageError::Elsewhere { log, store, .. } if is_told(*log, store)),
            "{other}"
        );
        assert!(other.to_string().contains(&format!("lies in {name}")), "{other}");
    });
}

/// It is the same log by another path, and after it was moved, and another one in the place of the first is not.
#[cfg(unix)]
#[test]
fn high_availability_log_is_known_wherever_it_is_found() {
    let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [first, link, moved] = ["first", "link", "moved"].map(|name| elsewhere.path().join(name));
    let open = |log: &Path| storage(directory.path(), Arc::new(in_directory(log)));
    open(&first).unwrap().put_pointer(FIRST, &claim(1)).unwrap();
    std::os::unix::fs::symlink(&first, &link).unwrap();
    std::fs::rename(&first, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, elsewhere.path().join("other")).unwrap();
    for path in [&moved, &elsewhere.path().join("other")] {
        assert_eq!(open(path).unwrap().read_pointer(FIRST).unwrap(), Some(claim(1)));
    }
    let emptied = open(&first).unwrap_err().to_string();
    assert!(emptied.contains("this is another log than that of the job"), "{emptied}");
    // The link leads to the first place, where the other one is now.
    assert!(matches!(open(&link), Err(StorageError::Elsewhere { .. })));
}

/// `<storageDir>/<cluster-id>` is the directory of the checkpoints: a log cannot say of itself that it lies elsewhere.
#[test]
fn high_availability_log_is_not_in_the_directory_of_the_checkpoints() {
    let directory = tempfile::tempdir().unwrap();
    let checkpoints = directory.path().join("default");
    let refused = || storage(&checkpoints, Arc::new(in_directory(directory.path()))).unwrap_err().to_string();
    assert!(refused().contains("set high-availability.storageDir to another directory"), "{}", refused());
    // Without it the job can be begun, which changes nothing.
    assert_eq!(files(&checkpoints).put_pointer(FIRST, &claim(1)).unwrap(), Put::Stored);
    assert!(refused().contains("set high-availability.storageDir to another directory"), "{}", refused());
}

#[cfg(feature = "object-store")]
#[test]
fn high_availability_log_is_not_among_the_objects_of_the_checkpoints() {
    let store = Arc::new(object_store::memory::InMemory::new());
    let options = ObjectStoreOptions::default();
    let location = |name| ObjectStoreLocation::new(store.clone(), name).unwrap();
    let files = ObjectStoreCheckpointStorage::new(location("a/default"), JOB, &options).unwrap();
    let log = ObjectStoreHighAvailabilityStore::new(location("a"), &ClusterId::default(), JOB, &options);
    let refused = HighlyAvailableCheckpointStorage::open(Arc::new(files.clone()), Arc::new(log.unwrap()));
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("set high-availability.storageDir to another directory"), "{refused}");
    assert_eq!(files.put_pointer(FIRST, &claim(1)).unwrap(), Put::Stored);
}

#[test]
fn high_availability_log_whose_id_is_damaged_is_said_to_be() {
    let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = in_directory(elsewhere.path());
    storage(directory.path(), Arc::new(log.clone())).unwrap();
    let id = elsewhere.path().join("default").join(JOB.to_string()).join("pointers/id");
    std::fs::write(id, "junk").unwrap();
    let error = storage(directory.path(), Arc::new(log)).unwrap_err();
    assert!(
        matches!(&error, StorageError::Corrupt { object, .. } if object.ends_with("pointers/id")),
        "{error}"
    );
}

//= spec/publish.md#pub-47-a-job-has-one-log
//= type=test
//# Where the log of pointers lies in another store, the storage of the files MUST hold the id of that log
//# under the first number of its own log before anything else of the job is written.
#[test]
fn high_availability_log_hides_that_beside_the_checkpoints() {
    on_all(|open| {
        let directory = tempfile::tempdir().unwrap();
        storage(directory.path(), open()).unwrap();
        let without = files(directory.path());
        assert_eq!(without.put_pointer(FIRST, &claim(2)).unwrap(), Put::Exists);
        let job = JobDescription { job: JOB, operators: vec![] };
        let (answer, error) = perform(&*without, &job, Operation::ReadPointer(FIRST));
        // Not as damage, which a job may be told to pass over.
        assert_eq!(answer, Answer::Failed);
        let error = error.unwrap().to_string();
        assert!(error.contains("pointers/00000000000000000001 says"), "{error}");
        assert!(error.contains(&open().name()) && error.contains("high-availability.*"), "{error}");
    });
}

#[test]
fn high_availability_log_does_not_replace_that_beside_the_checkpoints() {
    on_all(|open| {
        let directory = tempfile::tempdir().unwrap();
        files(directory.path()).put_pointer(FIRST, &claim(1)).unwrap();
        let refused = storage(directory.path(), open()).unwrap_err();
        assert!(matches!(refused, StorageError::Unavailable { .. }), "{refused}");
        let told = refused.to_string();
        assert!(told.contains("beside its checkpoints") && told.contains("execution.state-recovery.path"));
        assert_eq!(files(directory.path()).read_pointer(FIRST).unwrap(), Some(claim(1)));
        assert_eq!(open().list_pointers().unwrap(), [].into());
    });
}

/// Of processes that start a job at the same time, those with its log in one place go on, and the others are refused.
#[test]
fn high_availability_log_is_in_one_place_also_for_those_who_come_at_once() {
    for round in 0..40 {
        let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let start = Barrier::new(4);
        let (claimed, bound) = thread::scope(|scope| {
            let claims = [1, 2].map(|process| {
                let (files, start) = (files(directory.path()), &start);
                scope.spawn(move || {
                    start.wait();
                    files.put_pointer(FIRST, &claim(process)).unwrap() == Put::Stored
                })
            });
            let bindings = [(); 2].map(|()| {
                let (pointers, start) = (Arc::new(in_directory(elsewhere.path())), &start);
                let directory = directory.path();
                scope.spawn(move || {
                    start.wait();
                    storage(directory, pointers).is_ok()
                })
            });
            let claimed = claims.map(|thread| thread.join().unwrap());
            (claimed, bindings.map(|thread| thread.join().unwrap()))
        });
        let stored = claimed.iter().filter(|stored| **stored).count();
        assert!(
            (stored, bound) == (1, [false; 2]) || (stored, bound) == (0, [true; 2]),
            "round {round}: {claimed:?}, {bound:?}"
        );
    }
}

#[test]
fn high_availability_job_is_not_started_without_its_log() {
    let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pointers = Arc::new(in_directory(elsewhere.path()));
    let name = pointers.name();
    let world = World::new();
    run(&world, 2, options(0), &storage(directory.path(), pointers).unwrap()).unwrap();
    world.assert_exact(2);
    let mut fall_back = options(0);
    fall_back.on_corruption = snapline::publish::OnCorruption::FallBack;
    for options in [options(0), fall_back] {
        let refused = run(&World::new(), 2, options, &files(directory.path())).unwrap_err();
        assert!(refused.to_string().contains(&format!("lies in {name}")), "{refused}");
    }
    let without = files(directory.path()).list().unwrap();
    assert_eq!(without.pointers, [FIRST].into(), "nothing was claimed there");
}
