use super::*;
use crate::base::{CheckpointKind, StateFile, SubtaskId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

mod recovery;
mod table;

const PAUSE: u64 = 5;

fn checkpoint(id: u64, attempt: u32) -> CompletedCheckpoint {
    let (id, attempt) = (CheckpointId(id), Attempt(attempt));
    let (states, shared) = (BTreeMap::new(), BTreeMap::new());
    CompletedCheckpoint { id, attempt, kind: CheckpointKind::Periodic, states, shared }
}

fn pointer(kind: PointerKind, attempt: u32, incarnation: u64, newest: Option<u64>) -> Pointer {
    let newest = newest.map(CheckpointId);
    let older = BTreeSet::new();
    Pointer { kind, attempt: Attempt(attempt), incarnation: Incarnation(incarnation), newest, older }
}

fn request(id: u64, attempt: u32) -> Input {
    Input::PublicationRequested { checkpoint: checkpoint(id, attempt), older: BTreeSet::new() }
}

fn seq(number: u64) -> PointerSequence {
    PointerSequence(number)
}

/// Segments of the log begin with pointers 1, 5, 9 and so on.
fn config() -> Config {
    Config {
        incarnation: Incarnation(1),
        retry_pause: Millis(PAUSE),
        recovery_retries: 3,
        segment: NonZeroU64::new(4).unwrap(),
        first_attempt: Attempt(1),
        on_corruption: OnCorruption::Fail,
    }
}

/// A publisher of incarnation 1 and the one operation it waits for.
struct Driver {
    publisher: Publisher,
    now: u64,
    asked: Option<(Ticket, Operation)>,
}

impl Driver {
    fn new(recovery_retries: u32) -> Driver {
        Driver::with(Config { recovery_retries, ..config() })
    }

    fn with(config: Config) -> Driver {
        Driver { publisher: Publisher::new(config), now: 0, asked: None }
    }

    /// A driver that has recovered from `storage`.
    fn recovered(storage: &mut Storage) -> Driver {
        let mut driver = Driver::new(3);
        assert!(matches!(driver.recover(storage)[..], [Output::Recovered(_)]));
        driver
    }

    /// Takes in an input and returns what it leads to, except for operations.
    fn on(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.publisher.on(Millis(self.now), input, &mut out).unwrap();
        self.publisher.check().unwrap();
        out.retain(|output| match output {
            Output::Perform { ticket, operation } => {
                assert!(self.asked.replace((*ticket, operation.clone())).is_none(), "two operations at once");
                false
            }
            _ => true,
        });
        out
    }

    fn operation(&self) -> &Operation {
        &self.asked.as_ref().expect("an operation is under way").1
    }

    fn answer(&mut self, answer: Answer) -> Vec<Output> {
        let (ticket, _) = self.asked.take().expect("an operation is under way");
        self.on(Input::Answered { ticket, answer })
    }

    fn wait(&mut self) -> Vec<Output> {
        self.now += PAUSE;
        self.on(Input::Tick)
    }

    /// Lets the storage answer until nothing more happens.
    fn run(&mut self, storage: &mut Storage) -> Vec<Output> {
        let mut done = Vec::new();
        while self.asked.is_some() || self.publisher.deadline().is_some() {
            done.extend(match &self.asked {
                Some((_, operation)) => {
                    let answer = storage.perform(operation);
                    self.answer(answer)
                }
                None => self.wait(),
            });
        }
        done
    }

    fn recover(&mut self, storage: &mut Storage) -> Vec<Output> {
        let mut done = self.on(Input::RecoveryRequested);
        done.extend(self.run(storage));
        done
    }

    fn publish(&mut self, id: u64) -> Vec<Output> {
        let checkpoint = CompletedCheckpoint { attempt: self.publisher.attempt, ..checkpoint(id, 0) };
        self.on(Input::PublicationRequested { checkpoint, older: BTreeSet::new() })
    }
}

/// A storage that works, with damage where a test puts it.
#[derive(Default)]
struct Storage {
    pointers: BTreeMap<PointerSequence, Option<Pointer>>,
    metadata: BTreeMap<CheckpointId, Option<CompletedCheckpoint>>,
}

impl Storage {
    /// Holds these pointers, with metadata for every checkpoint that one of them names.
    fn with(pointers: &[(u64, Pointer)]) -> Storage {
        let mut storage = Storage::default();
        for (number, pointer) in pointers {
            storage.pointers.insert(seq(*number), Some(pointer.clone()));
            if let Some(id) = pointer.newest {
                storage.metadata.insert(id, Some(checkpoint(id.0, pointer.attempt.0)));
            }
        }
        storage
    }

    /// The pointers that nobody needs, as whoever looks at all of them sees it.
    fn superfluous(&self) -> Vec<Output> {
        let all: BTreeSet<_> = self.pointers.keys().copied().collect();
        let is_superfluous = |number: PointerSequence, pointer: &Pointer| {
            pointer.is_superfluous(number, &all, config().segment)
        };
        let pointers =
            self.pointers.iter().filter_map(|(number, pointer)| Some((*number, pointer.as_ref()?)));
        let superfluous = pointers.filter(|(number, pointer)| is_superfluous(*number, pointer));
        superfluous.map(|(number, _)| Output::DeletePointer(number)).collect()
    }

    fn perform(&mut self, operation: &Operation) -> Answer {
        match operation {
            Operation::List => Answer::Listed(Listing {
                pointers: self.pointers.keys().copied().collect(),
                checkpoints: self.metadata.keys().copied().collect(),
            }),
            Operation::ReadPointer(number) => match self.pointers.get(number) {
                Some(None) => Answer::Corrupt,
                found => Answer::Pointer(found.cloned().flatten()),
            },
            Operation::ReadMetadata(id) => match self.metadata.get(id) {
                Some(None) => Answer::Corrupt,
                found => Answer::Metadata(found.cloned().flatten()),
            },
            Operation::PutMetadata(checkpoint) if self.metadata.contains_key(&checkpoint.id) => {
                Answer::Exists
            }
            Operation::PutMetadata(checkpoint) => {
                self.metadata.insert(checkpoint.id, Some(checkpoint.clone()));
                Answer::Stored
            }
            Operation::PutPointer(number, _) if self.pointers.contains_key(number) => Answer::Exists,
            Operation::PutPointer(number, pointer) => {
                self.pointers.insert(*number, Some(pointer.clone()));
                Answer::Stored
            }
        }
    }
}

/// What a recovery from `storage` ends with: attempt, newest checkpoint, next id.
fn recovery_of(storage: Storage) -> Result<(u32, Option<u64>, u64), RecoveryFailure> {
    recovery_by(Driver::new(3), storage)
}

fn recovery_by(mut driver: Driver, mut storage: Storage) -> Result<(u32, Option<u64>, u64), RecoveryFailure> {
    match &driver.recover(&mut storage)[..] {
        [Output::Recovered(recovered)] => {
            let newest = recovered.newest.as_ref().map(|checkpoint| checkpoint.id.0);
            let claim = pointer(Claim, recovered.attempt.0, 1, newest);
            let last = storage.pointers.last_key_value().and_then(|(_, pointer)| pointer.clone());
            assert_eq!(last, Some(claim), "the claim is durable");
            Ok((recovered.attempt.0, newest, recovered.next_checkpoint.0))
        }
        [Output::RecoveryFailed(failure)] => Err(*failure),
        other => panic!("a recovery ended with {other:?}"),
    }
}

use PointerKind::{Claim, Publication};

//= spec/publish.md#pub-15-a-recovery-claims-before-it-answers
//= type=test
//# A recovery MUST claim its attempt durably before it reports what it has found.
#[test]
fn publish_recovery_from_nothing_claims_the_first_attempt() {
    assert_eq!(recovery_of(Storage::default()), Ok((1, None, 1)));
}

#[test]
fn publish_recovery_from_a_claim_alone_starts_from_nothing_in_the_next_attempt() {
    assert_eq!(recovery_of(Storage::with(&[(1, pointer(Claim, 1, 9, None))])), Ok((2, None, 1)));
}

//= spec/publish.md#pub-12-the-highest-pointer-is-the-truth
//= type=test
//# A recovery MUST start from the checkpoint that the pointer with the highest number names.
#[test]
fn publish_recovery_starts_from_the_highest_pointer_whatever_is_below() {
    let claim = pointer(Claim, 1, 9, None);
    let older = pointer(Publication, 1, 9, Some(1));
    let newest = pointer(Publication, 1, 9, Some(4));
    let dense = Storage::with(&[(1, claim.clone()), (2, older), (3, newest.clone())]);
    assert_eq!(recovery_of(dense), Ok((2, Some(4), 5)));
    assert_eq!(recovery_of(Storage::with(&[(1, claim), (7, newest.clone())])), Ok((2, Some(4), 5)), "a gap");
    let claimed = pointer(Claim, 5, 9, Some(4));
    assert_eq!(
        recovery_of(Storage::with(&[(7, newest), (8, claimed)])),
        Ok((6, Some(4), 5)),
        "a later claim"
    );
}

//= spec/publish.md#pub-17-new-ids-are-above-everything-found
//= type=test
//# The next checkpoint id of an attempt MUST be above every checkpoint of which anything was found.
#[test]
fn publish_recovery_counts_on_from_leftovers_that_were_never_published() {
    let mut storage = Storage::with(&[(1, pointer(Publication, 1, 9, Some(4)))]);
    storage.metadata.insert(CheckpointId(9), Some(checkpoint(9, 1)));
    assert_eq!(recovery_of(storage), Ok((2, Some(4), 10)));
}

//= spec/publish.md#pub-13-a-recovery-never-goes-back-by-itself
//= type=test
//# A recovery MUST fail when the newest pointer or its metadata cannot be read, unless told to fall back.
#[test]
fn publish_recovery_from_a_damaged_newest_pointer_fails_instead_of_going_back() {
    let mut storage = Storage::with(&[(1, pointer(Publication, 1, 9, Some(4)))]);
    storage.pointers.insert(seq(2), None);
    assert_eq!(recovery_of(storage), Err(RecoveryFailure::PointerUnreadable(seq(2))));
}

//= spec/publish.md#pub-13-a-recovery-never-goes-back-by-itself
//= type=test
//# A recovery MUST fail when the newest pointer or its metadata cannot be read, unless told to fall back.
#[test]
fn publish_recovery_without_the_newest_metadata_fails_instead_of_going_back() {
    let pointers = [(1, pointer(Publication, 1, 9, Some(3))), (2, pointer(Publication, 1, 9, Some(4)))];
    for found in [Some(None), Some(Some(checkpoint(3, 1))), None] {
        let mut storage = Storage::with(&pointers);
        storage.metadata.remove(&CheckpointId(4));
        storage.metadata.extend(found.map(|found| (CheckpointId(4), found)));
        assert_eq!(recovery_of(storage), Err(RecoveryFailure::MetadataUnreadable(CheckpointId(4))));
    }
}

//= spec/publish.md#pub-14-a-recovery-looks-twice
//= type=test
//# A recovery MUST list again before it gives up metadata that is missing or damaged.
#[test]
fn publish_recovery_that_reads_beside_a_publication_looks_again() {
    let mut storage = Storage::with(&[(1, pointer(Publication, 1, 9, Some(4)))]);
    let mut driver = Driver::new(1);
    driver.on(Input::RecoveryRequested);
    for _ in 0..2 {
        let answer = storage.perform(driver.operation());
        driver.answer(answer);
    }
    assert_eq!(driver.operation(), &Operation::ReadMetadata(CheckpointId(4)));
    storage = Storage::with(&[(2, pointer(Publication, 1, 9, Some(5)))]);
    let done = driver.run(&mut storage);
    assert!(
        matches!(&done[..], [Output::Recovered(recovered)] if recovered.newest == Some(checkpoint(5, 1)))
    );
}

//= spec/publish.md#pub-16-a-recovery-has-patience-but-not-for-ever
//= type=test
//# A recovery MUST fail as unavailable instead of repeating more steps than configured.
#[test]
fn publish_recovery_gives_a_failing_storage_up_after_its_retries() {
    let mut driver = Driver::new(2);
    driver.on(Input::RecoveryRequested);
    for _ in 0..2 {
        assert_eq!(driver.answer(Answer::Failed), []);
        assert_eq!(driver.wait(), []);
    }
    assert_eq!(driver.answer(Answer::Failed), [Output::RecoveryFailed(RecoveryFailure::StorageUnavailable)]);
}

//= spec/publish.md#pub-15-a-recovery-claims-before-it-answers
//= type=test
//# A recovery MUST claim its attempt durably before it reports what it has found.
#[test]
fn publish_claim_with_an_uncertain_answer_is_read_back() {
    for applied in [true, false] {
        let mut storage = Storage::default();
        let mut driver = Driver::new(3);
        driver.on(Input::RecoveryRequested);
        let answer = storage.perform(driver.operation());
        driver.answer(answer);
        if applied {
            storage.perform(driver.operation());
        }
        assert_eq!(driver.answer(Answer::Unknown), []);
        assert!(matches!(driver.run(&mut storage)[..], [Output::Recovered(_)]));
        assert_eq!(storage.pointers, [(seq(1), Some(pointer(Claim, 1, 1, None)))].into());
    }
}

//= spec/publish.md#pub-5-claims-stay-and-attempts-increase
//= type=test
//# A claim MUST stay in the log for ever, with an attempt above those of all pointers before it.
#[test]
fn publish_claim_that_loses_a_race_is_repeated_above_the_winner() {
    let mut storage = Storage::default();
    let mut driver = Driver::new(3);
    driver.on(Input::RecoveryRequested);
    let answer = storage.perform(driver.operation());
    driver.answer(answer);
    storage.pointers.insert(seq(1), Some(pointer(Claim, 1, 9, None)));
    let done = driver.run(&mut storage);
    assert!(matches!(&done[..], [Output::Recovered(recovered)] if recovered.attempt == Attempt(2)));
    assert!(storage.pointers.keys().copied().eq([1, 2, 5].map(seq)));
}

//= spec/publish.md#pub-2-metadata-comes-before-the-pointer
//= type=test
//# A pointer to a checkpoint MUST NOT be written before the metadata is durable.
#[test]
fn publish_metadata_is_durable_before_the_pointer_is_written() {
    let mut storage = Storage::default();
    let mut driver = Driver::recovered(&mut storage);
    assert_eq!(driver.publish(1), []);
    assert_eq!(driver.operation(), &Operation::PutMetadata(checkpoint(1, 1)));
    assert_eq!(driver.answer(Answer::Stored), []);
    let expected = Operation::PutPointer(seq(2), pointer(Publication, 1, 1, Some(1)));
    assert_eq!(driver.operation(), &expected);
    assert_eq!(driver.answer(Answer::Stored), [Output::Published(CheckpointId(1))]);
}

//= spec/publish.md#pub-5-claims-stay-and-attempts-increase
//= type=test
//# A claim MUST stay in the log for ever, with an attempt above those of all pointers before it.
//= spec/publish.md#pub-11-pointers-go-with-their-segment
//= type=test
//# A pointer MUST be deleted only if it is a publication, begins no segment, and two pointers follow
//# that belong to later segments.
#[test]
fn publish_deletes_pointers_with_their_segment_and_never_a_claim_or_the_first() {
    let mut storage = Storage::default();
    let mut driver = Driver::recovered(&mut storage);
    let mut deleted = Vec::new();
    for id in 1..=5 {
        let mut done = driver.publish(id);
        done.extend(driver.run(&mut storage));
        assert_eq!(done[0], Output::Published(CheckpointId(id)), "first durable, then deleted");
        assert_eq!(done.len() > 1, id == 5, "not before two pointers of the next segment are there");
        assert_eq!(storage.superfluous(), done[1..]);
        deleted.extend(done.drain(1..));
    }
    assert_eq!(deleted, [2, 3, 4].map(|number| Output::DeletePointer(seq(number))));
    for number in [2, 3, 4].map(seq) {
        storage.pointers.remove(&number);
    }
    let mut next = Driver::recovered(&mut storage);
    assert!(storage.pointers.keys().copied().eq([1, 5, 6, 7, 9].map(seq)));
    next.publish(6);
    let done = next.run(&mut storage);
    assert_eq!(done[1..], [Output::DeletePointer(seq(6))], "of an earlier attempt, too");
    assert_eq!(storage.superfluous(), done[1..]);
}

//= spec/publish.md#pub-8-a-failed-publication-is-certain
//= type=test
//# A publication MUST be reported as failed only if its pointer was certainly not written.
//= spec/publish.md#pub-18-a-taken-id-is-no-fault-of-the-storage
//= type=test
//# A publication that finds metadata under its id MUST be reported as failed for a taken id.
#[test]
fn publish_fails_when_the_metadata_or_certainly_the_pointer_was_not_written() {
    let failed = |cause| [Output::PublicationFailed { checkpoint: CheckpointId(1), cause }];
    for (answer, cause) in [
        (Answer::Failed, PublicationFailure::StorageFailed),
        (Answer::Exists, PublicationFailure::IdTaken),
        (Answer::Unknown, PublicationFailure::StorageFailed),
    ] {
        let mut driver = Driver::recovered(&mut Storage::default());
        driver.publish(1);
        assert_eq!(driver.answer(answer), failed(cause));
    }
    let mut driver = Driver::recovered(&mut Storage::default());
    driver.publish(1);
    driver.answer(Answer::Stored);
    assert_eq!(driver.answer(Answer::Failed), failed(PublicationFailure::StorageFailed));
    assert_eq!(driver.publish(2), [], "the next one is tried");
}

//= spec/publish.md#pub-7-only-the-pointer-tells-what-happened-to-it
//= type=test
//# The uncertain put of a pointer MUST be settled by reading that pointer back.
//= spec/publish.md#pub-8-a-failed-publication-is-certain
//= type=test
//# A publication MUST be reported as failed only if its pointer was certainly not written.
#[test]
fn publish_uncertain_pointer_is_settled_by_reading_it() {
    for applied in [true, false] {
        let mut storage = Storage::default();
        let mut driver = Driver::recovered(&mut storage);
        driver.publish(1);
        let answer = storage.perform(driver.operation());
        driver.answer(answer);
        if applied {
            storage.perform(driver.operation());
        }
        assert_eq!(driver.answer(Answer::Unknown), []);
        driver.wait();
        assert_eq!(driver.operation(), &Operation::ReadPointer(seq(2)));
        assert_eq!(driver.answer(Answer::Failed), [], "a failing read tells nothing");
        assert_eq!(driver.run(&mut storage), [Output::Published(CheckpointId(1))]);
    }
}

//= spec/publish.md#pub-8-a-failed-publication-is-certain
//= type=test
//# A publication MUST be reported as failed only if its pointer was certainly not written.
#[test]
fn publish_pointer_once_uncertain_is_never_taken_for_failed() {
    let mut driver = Driver::recovered(&mut Storage::default());
    driver.publish(1);
    driver.answer(Answer::Stored);
    driver.answer(Answer::Unknown);
    driver.wait();
    assert_eq!(driver.answer(Answer::Pointer(None)), []);
    driver.wait();
    assert!(matches!(driver.operation(), Operation::PutPointer(..)));
    assert_eq!(driver.answer(Answer::Failed), [], "the first put may still arrive");
    driver.wait();
    assert_eq!(driver.operation(), &Operation::ReadPointer(seq(2)));
}

//= spec/publish.md#pub-6-a-foreign-pointer-fences
//= type=test
//# A publisher that finds another pointer under its next number MUST stop as fenced.
#[test]
fn publish_finding_the_pointer_of_another_is_fenced_for_good() {
    let theirs = pointer(Claim, 2, 9, None);
    for found in [Answer::Pointer(Some(theirs)), Answer::Corrupt] {
        let mut driver = Driver::recovered(&mut Storage::default());
        driver.publish(1);
        driver.answer(Answer::Stored);
        assert_eq!(driver.answer(Answer::Exists), []);
        assert_eq!(driver.answer(found), [Output::Fenced]);
        assert!(driver.publisher.is_fenced());
        assert_eq!(driver.publish(2), [Output::Fenced]);
        assert_eq!(driver.on(Input::RecoveryRequested), [Output::Fenced]);
        assert_eq!(driver.asked, None, "it touches nothing");
    }
}

#[test]
fn publish_own_pointer_that_exists_already_is_a_success() {
    let mut driver = Driver::recovered(&mut Storage::default());
    driver.publish(1);
    driver.answer(Answer::Stored);
    driver.answer(Answer::Exists);
    let own = pointer(Publication, 1, 1, Some(1));
    assert_eq!(driver.answer(Answer::Pointer(Some(own))), [Output::Published(CheckpointId(1))]);
}

//= spec/publish.md#pub-4-an-attempt-publishes-its-own-checkpoints
//= type=test
//# A publisher MUST publish only checkpoints of its own attempt.
#[test]
fn publish_checkpoint_of_another_attempt_or_at_a_wrong_time_is_misuse() {
    let mut storage = Storage::default();
    let refused = |publisher: &Publisher, input: Input| {
        let (mut after, mut out) = (publisher.clone(), Vec::new());
        assert!(after.on(Millis(0), input, &mut out).is_err());
        assert_eq!((&after, out.len()), (publisher, 0));
    };
    refused(&Driver::new(1).publisher, request(1, 0));
    let mut driver = Driver::recovered(&mut storage);
    refused(&driver.publisher, request(1, 2));
    driver.publish(1);
    refused(&driver.publisher, request(2, 1));
    refused(&driver.publisher, Input::RecoveryRequested);
}

//= spec/publish.md#pub-10-answers-need-their-tickets
//= type=test
//# An answer MUST be taken in only if it carries the ticket that is awaited.
#[test]
fn publish_answers_that_are_not_awaited_change_nothing() {
    let mut driver = Driver::recovered(&mut Storage::default());
    driver.publish(1);
    let before = driver.publisher.clone();
    let (Ticket(awaited), _) = *driver.asked.as_ref().unwrap();
    for ticket in (0..awaited).chain([awaited + 1]).map(Ticket) {
        assert_eq!(driver.on(Input::Answered { ticket, answer: Answer::Stored }), []);
    }
    assert_eq!(driver.publisher, before);
    driver.now += PAUSE;
    assert_eq!(driver.on(Input::Tick), []);
}

//= spec/publish.md#pub-9-a-state-file-belongs-to-one-attempt
//= type=test
//# The identity of a state file MUST include the attempt that writes it.
#[test]
fn publish_state_files_of_two_attempts_differ() {
    let file = |attempt| {
        let (checkpoint, subtask) = (CheckpointId(1), SubtaskId::new(0, 0));
        StateFile { checkpoint, subtask, attempt: Attempt(attempt), savepoint: false }
    };
    assert_ne!(file(1), file(2));
}

#[test]
fn publish_check_finds_a_foreign_checkpoint_and_an_answer_that_nobody_was_asked_for() {
    let mut driver = Driver::recovered(&mut Storage::default());
    driver.publish(1);
    let broken = |publisher: &Publisher| publisher.check().unwrap_err().requirement;
    let mut of_another_attempt = driver.publisher.clone();
    of_another_attempt.attempt = Attempt(9);
    assert_eq!(broken(&of_another_attempt), "PUB-4");
    let mut never_asked = driver.publisher;
    never_asked.next_ticket = driver.asked.unwrap().0;
    assert_eq!(broken(&never_asked), "PUB-10");
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let kind = prop_oneof![Just(Claim), Just(Publication)];
    let some =
        (kind, 0_u32..4, 1_u64..3, prop::option::of(1_u64..4)).prop_map(|(k, a, i, n)| pointer(k, a, i, n));
    let listing = (prop::collection::btree_set(1_u64..5, 0..4), prop::collection::btree_set(1_u64..5, 0..4));
    prop_oneof![
        listing.prop_map(|(pointers, checkpoints)| Answer::Listed(Listing {
            pointers: pointers.into_iter().map(seq).collect::<BTreeSet<_>>(),
            checkpoints: checkpoints.into_iter().map(CheckpointId).collect(),
        })),
        prop::option::of(some).prop_map(Answer::Pointer),
        prop::option::of((1_u64..4, 0_u32..4))
            .prop_map(|found| Answer::Metadata(found.map(|(i, a)| checkpoint(i, a)))),
        Just(Answer::Stored),
        Just(Answer::Exists),
        Just(Answer::Failed),
        Just(Answer::Unknown),
        Just(Answer::Corrupt),
    ]
}

proptest! {
    #[test]
    fn publish_random_answers_keep_the_invariants_and_misuse_changes_nothing(
        steps in prop::collection::vec((0_u8..8, any_answer()), 0..80),
    ) {
        let mut driver = Driver::new(5);
        for (what, answer) in steps {
            let input = match (what, driver.asked.take()) {
                (0, asked) => { driver.asked = asked; Input::RecoveryRequested }
                (1, asked) => {
                    driver.asked = asked;
                    request(1, driver.publisher.attempt.0)
                }
                (_, Some((ticket, _))) => Input::Answered { ticket, answer },
                (_, None) => Input::Tick,
            };
            driver.now += 1;
            let (before, mut out) = (driver.publisher.clone(), Vec::new());
            if driver.publisher.on(Millis(driver.now), input, &mut out).is_err() {
                prop_assert_eq!((&driver.publisher, out.len()), (&before, 0));
            }
            driver.publisher.check().unwrap();
            for output in out {
                if let Output::Perform { ticket, operation } = output {
                    prop_assert!(driver.asked.replace((ticket, operation)).is_none());
                }
            }
        }
    }
}
