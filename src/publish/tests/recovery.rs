//! Recoveries from storages that are behind or damaged.

use super::*;

const FALL_BACK: OnCorruption = OnCorruption::FallBack;

/// What one attempt leaves behind that has published checkpoints 1 to 5 and retains two of them.
///
/// Segments begin with pointers 1 and 5; pointers 2 to 4 are deleted, and so is checkpoint 3.
fn after_five() -> (Storage, Storage) {
    let mut storage = Storage::default();
    let mut driver = Driver::recovered(&mut storage);
    let (mut deleted, mut previous) = (Storage::default(), None);
    for id in 1..=5 {
        let (checkpoint, older) = (checkpoint(id, 1), previous.into_iter().collect());
        driver.on(Input::PublicationRequested { checkpoint, older });
        for output in driver.run(&mut storage) {
            if let Output::DeletePointer(number) = output {
                deleted.pointers.extend(storage.pointers.remove_entry(&number));
            }
        }
        previous = Some(CheckpointId(id));
    }
    deleted.metadata = storage.metadata.clone();
    storage.metadata = storage.metadata.split_off(&CheckpointId(4));
    (storage, deleted)
}

fn falling_back() -> Driver {
    Driver::with(Config { on_corruption: FALL_BACK, ..config() })
}

/// What a recovery starts from, after what it has skipped.
fn started(done: &[Output]) -> (Vec<Skipped>, &Recovered) {
    let (last, skipped) = done.split_last().expect("a recovery ends");
    let skipped = skipped.iter().map(|output| match output {
        Output::Skipping(skipped) => *skipped,
        other => panic!("a recovery does {other:?}"),
    });
    match last {
        Output::Recovered(recovered) => (skipped.collect(), recovered),
        other => panic!("a recovery ended with {other:?}"),
    }
}

fn failed(done: &[Output]) -> RecoveryFailure {
    match done.last() {
        Some(Output::RecoveryFailed(failure)) => *failure,
        other => panic!("a recovery ended with {other:?}"),
    }
}

fn ids(checkpoints: &[CompletedCheckpoint]) -> Vec<u64> {
    checkpoints.iter().map(|checkpoint| checkpoint.id.0).collect()
}

fn newest(recovered: &Recovered) -> Option<u64> {
    recovered.newest.as_ref().map(|checkpoint| checkpoint.id.0)
}

//= spec/publish.md#pub-22-nothing-comes-only-from-nothing
//= type=test
//# A recovery MUST start from nothing only if no pointer that it knows of may name a checkpoint.
//= spec/publish.md#pub-20-a-claim-begins-a-segment
//= type=test
//# A recovery MUST end with a claim that begins a segment of the log.
#[test]
fn publish_recovery_over_any_listing_that_is_behind_finds_the_newest_checkpoint() {
    for (highest, shows_deleted) in (0..=6).flat_map(|highest| [(highest, false), (highest, true)]) {
        let (mut storage, deleted) = after_five();
        let mut driver = Driver::with(Config { incarnation: Incarnation(2), ..config() });
        driver.on(Input::RecoveryRequested);
        let shown = storage.pointers.keys().chain(deleted.pointers.keys().filter(|_| shows_deleted));
        let pointers = shown.copied().filter(|number| number.0 <= highest).collect();
        driver.answer(Answer::Listed(Listing { pointers, checkpoints: BTreeSet::new() }));
        if let Operation::ReadPointer(number) = driver.operation()
            && let Some(pointer) = deleted.pointers.get(number).cloned()
        {
            driver.answer(Answer::Pointer(pointer));
        }
        let done = driver.run(&mut storage);
        let (skipped, recovered) = started(&done);
        assert_eq!((skipped, newest(recovered)), (vec![], Some(5)), "a listing up to {highest}");
        assert!(recovered.next_checkpoint > CheckpointId(5));
        let last =
            storage.pointers.last_key_value().and_then(|(number, pointer)| Some((*number, pointer.clone()?)));
        let (number, claim) = last.expect("there is a claim");
        assert_eq!((number, claim.kind, claim.attempt), (seq(9), Claim, recovered.attempt));
    }
}

//= spec/publish.md#pub-5-claims-stay-and-attempts-increase
//= type=test
//# A claim MUST stay in the log for ever, with an attempt above those of all pointers before it.
#[test]
fn publish_recovery_of_a_later_attempt_takes_no_claim_of_an_earlier_one_for_its_own() {
    let mut storage = Storage::default();
    let mut driver = Driver::recovered(&mut storage);
    for attempt in 2..=4 {
        driver.publish(u64::from(attempt));
        driver.run(&mut storage);
        driver.on(Input::RecoveryRequested);
        driver.answer(Answer::Listed(Listing::default()));
        let done = driver.run(&mut storage);
        let recovered = started(&done).1;
        assert_eq!((recovered.attempt, newest(recovered)), (Attempt(attempt), Some(u64::from(attempt))));
    }
}

#[test]
fn publish_recovery_that_reads_absent_what_is_there_waits_for_it() {
    let (mut storage, _) = after_five();
    let mut driver = Driver::new(3);
    driver.on(Input::RecoveryRequested);
    for _ in 0..2 {
        let answer = storage.perform(driver.operation());
        driver.answer(answer);
        let absent = match driver.operation() {
            Operation::ReadPointer(_) => Answer::Pointer(None),
            _ => Answer::Metadata(None),
        };
        assert_eq!(driver.answer(absent), []);
        driver.wait();
        let answer = storage.perform(driver.operation());
        driver.answer(answer);
    }
    assert_eq!(newest(started(&driver.run(&mut storage)).1), Some(5));
}

//= spec/publish.md#pub-21-a-recovery-brings-back-what-is-retained
//= type=test
//# A recovery MUST report every retained checkpoint that can be read.
#[test]
fn publish_recovery_brings_the_older_retained_checkpoints_oldest_first() {
    let (mut storage, _) = after_five();
    let done = Driver::new(3).recover(&mut storage);
    let (skipped, recovered) = started(&done);
    assert_eq!((skipped, newest(recovered), ids(&recovered.older)), (vec![], Some(5), vec![4]));
    let mut driver = Driver::new(3);
    let done = driver.recover(&mut storage);
    assert_eq!(ids(&started(&done).1.older), [4], "the claim names them");
    let older = [4, 5].map(CheckpointId).into();
    driver.on(Input::PublicationRequested { checkpoint: checkpoint(6, 3), older });
    driver.run(&mut storage);
    let done = Driver::new(3).recover(&mut storage);
    assert_eq!(ids(&started(&done).1.older), [4, 5], "and so does the publication");
}

//= spec/publish.md#pub-19-falling-back-is-said-before-it-is-done
//= type=test
//# A recovery MUST report whatever it leaves out because it cannot be read before it claims.
#[test]
fn publish_recovery_without_an_older_checkpoint_says_so_and_starts() {
    let (mut storage, _) = after_five();
    storage.metadata.insert(CheckpointId(4), None);
    let done = Driver::new(3).recover(&mut storage);
    let (skipped, recovered) = started(&done);
    assert_eq!(skipped, [Skipped::Older(CheckpointId(4))]);
    assert_eq!((newest(recovered), ids(&recovered.older)), (Some(5), vec![]));
}

//= spec/publish.md#pub-13-a-recovery-never-goes-back-by-itself
//= type=test
//# A recovery MUST fail when the newest pointer or its metadata cannot be read, unless told to fall back.
//= spec/publish.md#pub-19-falling-back-is-said-before-it-is-done
//= type=test
//# A recovery MUST report whatever it leaves out because it cannot be read before it claims.
#[test]
fn publish_recovery_told_to_fall_back_starts_from_the_older_checkpoint_and_says_so_first() {
    for damage in [Some(None), None] {
        let (mut storage, _) = after_five();
        storage.metadata.remove(&CheckpointId(5));
        storage.metadata.extend(damage.map(|damaged| (CheckpointId(5), damaged)));
        let unreadable = RecoveryFailure::MetadataUnreadable(CheckpointId(5));
        assert_eq!(failed(&Driver::new(3).recover(&mut storage)), unreadable, "without consent");
        assert_eq!(storage.pointers.len(), 3, "nothing is claimed");
        let done = falling_back().recover(&mut storage);
        let (skipped, recovered) = started(&done);
        assert_eq!(skipped, [Skipped::Newest(CheckpointId(5))]);
        assert_eq!((newest(recovered), recovered.next_checkpoint), (Some(4), CheckpointId(6)));
        let done = Driver::new(3).recover(&mut storage);
        assert_eq!(newest(started(&done).1), Some(4), "the claim has made it the newest");
    }
}

#[test]
fn publish_recovery_with_nothing_to_fall_back_to_fails() {
    let (mut storage, _) = after_five();
    storage.metadata.clear();
    let unreadable = RecoveryFailure::MetadataUnreadable(CheckpointId(5));
    assert_eq!(failed(&falling_back().recover(&mut storage)), unreadable);
    let mut storage = Storage::with(&[(1, pointer(Claim, 1, 9, None))]);
    storage.pointers.insert(seq(2), None);
    let unreadable = RecoveryFailure::PointerUnreadable(seq(2));
    assert_eq!(failed(&falling_back().recover(&mut storage)), unreadable, "it may have named a checkpoint");
    storage.pointers.insert(seq(1), None);
    assert_eq!(failed(&falling_back().recover(&mut storage)), unreadable);
}

//= spec/publish.md#pub-5-claims-stay-and-attempts-increase
//= type=test
//# A claim MUST stay in the log for ever, with an attempt above those of all pointers before it.
#[test]
fn publish_recovery_behind_a_damaged_pointer_falls_back_to_the_next_lower_and_fences_its_writer() {
    let (mut storage, _) = after_five();
    let mut old = Driver::recovered(&mut storage);
    old.on(Input::PublicationRequested { checkpoint: checkpoint(6, 2), older: [CheckpointId(5)].into() });
    old.run(&mut storage);
    let damaged = *storage.pointers.last_key_value().expect("a pointer").0;
    storage.pointers.insert(damaged, None);
    let done = falling_back().recover(&mut storage);
    let (skipped, recovered) = started(&done);
    assert_eq!(skipped, [Skipped::Pointer(damaged)]);
    assert_eq!((newest(recovered), recovered.next_checkpoint), (Some(5), CheckpointId(7)));
    assert!(recovered.attempt > Attempt(2));
    old.publish(7);
    assert_eq!(old.run(&mut storage), [Output::Fenced]);
    let (mut storage, _) = after_five();
    storage.pointers.insert(seq(7), None);
    let done = falling_back().recover(&mut storage);
    assert!(started(&done).1.attempt > Attempt(2), "the damaged one may be the claim of attempt 2");
}

//= spec/publish.md#pub-17-new-ids-are-above-everything-found
//= type=test
//# The next checkpoint id of an attempt MUST be above every checkpoint of which anything was found.
#[test]
fn publish_recovery_counts_on_from_what_a_pointer_names_though_nothing_is_listed() {
    let (mut storage, _) = after_five();
    let mut driver = falling_back();
    driver.on(Input::RecoveryRequested);
    storage.metadata.remove(&CheckpointId(5));
    let done = driver.run(&mut storage);
    let (skipped, recovered) = started(&done);
    assert_eq!((skipped, newest(recovered)), (vec![Skipped::Newest(CheckpointId(5))], Some(4)));
    assert_eq!(recovered.next_checkpoint, CheckpointId(6));
}

#[test]
fn publish_claim_whose_reads_are_behind_waits_between_its_attempts() {
    let mut driver = Driver::new(3);
    driver.on(Input::RecoveryRequested);
    driver.answer(Answer::Listed(Listing::default()));
    driver.answer(Answer::Exists);
    driver.answer(Answer::Pointer(None));
    assert_eq!(driver.asked, None, "a storage that is behind is not asked without a pause");
    assert!(driver.publisher.deadline().is_some());
}

//= spec/publish.md#pub-46-names-of-another-job-are-not-used-again
//= type=test
//# Every attempt of a job that is given another one's checkpoint MUST be above the attempt that took it.
#[test]
fn publish_first_attempt_of_a_job_that_was_given_a_checkpoint_is_above_that_ones() {
    let driver = || Driver::with(Config { first_attempt: Attempt(8), ..config() });
    assert_eq!(recovery_by(driver(), Storage::default()), Ok((8, None, 1)));
    let claimed = Storage::with(&[(1, pointer(Claim, 8, 9, None))]);
    assert_eq!(recovery_by(driver(), claimed), Ok((9, None, 1)));
    let claimed_before = Storage::with(&[(1, pointer(Claim, 1, 9, None))]);
    assert_eq!(recovery_by(driver(), claimed_before), Ok((8, None, 1)), "it was given one only now");
    let published_before = Storage::with(&[(1, pointer(Publication, 3, 9, Some(4)))]);
    assert_eq!(recovery_by(driver(), published_before), Ok((8, Some(4), 5)));
}
