use super::*;
use proptest::prelude::*;

mod table;

const SINK: SubtaskId = SubtaskId::new(2, 0);

fn transaction(attempt: u32, sequence: u32) -> TransactionId {
    TransactionId { subtask: SINK, attempt: Attempt(attempt), sequence }
}

fn committer(attempt: u32, restored: impl IntoIterator<Item = TransactionId>) -> Committer {
    participant(0, 1, attempt, restored)
}

/// One of several participants.
fn participant(
    index: u16,
    parallelism: u16,
    attempt: u32,
    restored: impl IntoIterator<Item = TransactionId>,
) -> Committer {
    let subtask = SubtaskId::new(SINK.operator, index);
    let config = Config { subtask, parallelism, attempt: Attempt(attempt), retry_pause: Millis(10) };
    Committer::new(config, restored.into_iter().collect())
}

fn on(committer: &mut Committer, input: Input) -> Vec<Output> {
    at(committer, 0, input)
}

/// The same at a time.
fn at(committer: &mut Committer, now: u64, input: Input) -> Vec<Output> {
    let mut out = Vec::new();
    committer.on(Millis(now), input, &mut out).unwrap();
    committer.check().unwrap();
    out
}

fn began(checkpoint: u64) -> Input {
    Input::SnapshotBegan { checkpoint: CheckpointId(checkpoint) }
}

fn durable(checkpoint: u64) -> Input {
    Input::BecameDurable { checkpoint: CheckpointId(checkpoint) }
}

/// What a snapshot that finds these transactions not durable asks for.
fn make_durable(checkpoint: u64, sequences: impl IntoIterator<Item = u32>) -> Output {
    let transactions = sequences.into_iter().map(|sequence| transaction(1, sequence)).collect();
    Output::MakeDurable { checkpoint: CheckpointId(checkpoint), transactions }
}

fn completed(checkpoint: u64) -> Input {
    Input::CheckpointCompleted { checkpoint: CheckpointId(checkpoint) }
}

fn started(found: impl IntoIterator<Item = TransactionId>) -> Input {
    Input::Started { found: found.into_iter().collect() }
}

/// A participant of attempt 1 that has started with nothing.
fn fresh() -> Committer {
    let mut fresh = committer(1, []);
    assert_eq!(on(&mut fresh, started([])), []);
    fresh
}

//= spec/commit.md#commit-3-the-barrier-closes-the-transaction
//= type=test
//# The beginning of a snapshot MUST pre-commit the open transaction.
//= spec/commit.md#commit-4-commit-follows-completion
//= type=test
//# A transaction MUST be committed only after a checkpoint that covers it is complete.
#[test]
fn commit_completion_commits_the_transaction_of_its_checkpoint() {
    let mut sink = fresh();
    assert_eq!(on(&mut sink, Input::TransactionNeeded), [Output::Begin(transaction(1, 0))]);
    assert_eq!(on(&mut sink, began(1)), [Output::PreCommit(transaction(1, 0)), make_durable(1, [0])]);
    assert_eq!(on(&mut sink, durable(1)), []);
    assert_eq!(sink.open(), None);
    assert_eq!(on(&mut sink, Input::TransactionNeeded), [Output::Begin(transaction(1, 1))]);
    assert_eq!(on(&mut sink, completed(0)), []);
    assert_eq!(on(&mut sink, completed(1)), [Output::Commit(transaction(1, 0))]);
    assert_eq!(sink.open(), Some(transaction(1, 1)));
}

//= spec/commit.md#commit-1-open-or-pre-committed
//= type=test
//# A transaction MUST NOT be open and pre-committed at once.
#[test]
fn commit_record_after_the_barrier_goes_into_another_transaction() {
    let mut sink = fresh();
    on(&mut sink, Input::TransactionNeeded);
    on(&mut sink, began(1));
    on(&mut sink, Input::TransactionNeeded);
    assert!(!sink.snapshot().contains(&sink.open().expect("a transaction is open")));
}

//= spec/commit.md#commit-5-completion-covers-older-checkpoints
//= type=test
//# The completion of a checkpoint MUST commit all that was pre-committed for it or for older ones.
#[test]
fn commit_completion_covers_aborted_and_unheard_checkpoints() {
    let mut sink = fresh();
    for checkpoint in 1..=3 {
        on(&mut sink, Input::TransactionNeeded);
        on(&mut sink, began(checkpoint));
    }
    on(&mut sink, durable(3));
    assert_eq!(on(&mut sink, completed(2)), [0, 1].map(|n| Output::Commit(transaction(1, n))));
    assert_eq!(on(&mut sink, completed(1)), [], "a late notice says nothing new");
    assert_eq!(on(&mut sink, completed(3)), [Output::Commit(transaction(1, 2))]);
}

//= spec/commit.md#commit-2-a-transaction-is-committed-or-waits
//= type=test
//# A transaction that is being committed MUST NOT wait for a checkpoint.
//= spec/commit.md#commit-6-the-snapshot-knows-what-is-pre-committed
//= type=test
//# A snapshot MUST hold every transaction that is pre-committed and not known to be committed.
#[test]
fn commit_snapshot_holds_what_may_not_be_committed_yet() {
    let mut sink = fresh();
    on(&mut sink, Input::TransactionNeeded);
    on(&mut sink, began(1));
    assert_eq!(sink.snapshot(), [transaction(1, 0)].into());
    on(&mut sink, durable(1));
    on(&mut sink, completed(1));
    assert_eq!(sink.snapshot(), [transaction(1, 0)].into());
    assert_eq!(on(&mut sink, completed(2)), [], "it is asked for once");
    on(&mut sink, Input::Committed(transaction(1, 0)));
    assert_eq!(sink.snapshot(), [].into());
}

//= spec/commit.md#commit-10-a-snapshot-waits-for-its-transactions
//= type=test
//# A snapshot MUST NOT be acknowledged before every transaction that it holds is durable.
#[test]
fn commit_snapshot_waits_for_transactions_of_checkpoints_that_were_given_up() {
    let mut sink = fresh();
    on(&mut sink, Input::TransactionNeeded);
    on(&mut sink, began(1));
    on(&mut sink, Input::TransactionNeeded);
    assert_eq!(on(&mut sink, began(2)), [Output::PreCommit(transaction(1, 1)), make_durable(2, [0, 1])]);
    assert_eq!(on(&mut sink, began(3)), [make_durable(3, [0, 1])], "an empty one waits as well");
    on(&mut sink, durable(2));
    on(&mut sink, durable(1));
    assert_eq!(on(&mut sink, began(4)), [], "a late report takes nothing back");
    let committed = [0, 1].map(|sequence| Output::Commit(transaction(1, sequence)));
    assert_eq!(on(&mut sink, completed(4)), committed);
}

#[test]
fn commit_restored_transactions_are_durable() {
    let mut sink = committer(2, [transaction(1, 0)]);
    on(&mut sink, started([transaction(1, 0)]));
    assert_eq!(on(&mut sink, began(2)), []);
}

//= spec/commit.md#commit-11-a-transaction-that-cannot-become-durable-fails-the-attempt
//= type=test
//# A transaction that cannot be made durable MUST fail the attempt.
#[test]
fn commit_transaction_that_cannot_become_durable_fails_the_attempt() {
    let mut sink = fresh();
    on(&mut sink, Input::TransactionNeeded);
    on(&mut sink, began(1));
    assert_eq!(on(&mut sink, Input::DurabilityFailed { checkpoint: CheckpointId(1) }), [Output::Fail]);
}

//= spec/commit.md#commit-7-restored-transactions-are-committed
//= type=test
//# A participant that starts MUST commit every restored transaction that falls to it.
//= spec/commit.md#commit-8-all-others-are-rolled-back
//= type=test
//# A participant that starts MUST roll back every unfinished transaction of earlier attempts that falls to it and was
//# not restored.
#[test]
fn commit_failure_before_the_notice_is_made_up_for_at_the_start() {
    let (covered, unfinished) = (transaction(1, 0), transaction(1, 1));
    let mut sink = committer(2, [covered]);
    let done = on(&mut sink, started([covered, unfinished]));
    assert_eq!(done, [Output::RollBack(unfinished), Output::Commit(covered)]);
    assert_eq!(on(&mut sink, completed(1)), []);
}

#[test]
fn commit_restored_transaction_that_is_gone_outside_is_committed_again() {
    let mut sink = committer(2, [transaction(1, 0)]);
    assert_eq!(on(&mut sink, started([])), [Output::Commit(transaction(1, 0))]);
}

/// What every participant of this parallelism orders when it starts.
fn start_all(
    parallelism: u16,
    restored: &BTreeSet<TransactionId>,
    found: &BTreeSet<TransactionId>,
) -> Vec<Output> {
    let start = |index| on(&mut participant(index, parallelism, 2, restored.clone()), started(found.clone()));
    (0..parallelism).flat_map(start).collect()
}

//= spec/commit.md#commit-13-each-transaction-falls-to-one-participant
//= type=test
//# A participant MUST take care of exactly the transactions whose subtask index is its own, modulo the parallelism.
#[test]
fn commit_participants_in_any_number_commit_or_roll_back_each_transaction_once() {
    let of = |index, sequence| {
        let subtask = SubtaskId::new(SINK.operator, index);
        TransactionId { subtask, attempt: Attempt(1), sequence }
    };
    let restored: BTreeSet<_> = (0..4).map(|index| of(index, 0)).collect();
    let left_over: BTreeSet<_> = (0..4).map(|index| of(index, 1)).collect();
    let found = &restored | &left_over;
    for parallelism in 1..=6 {
        let orders = start_all(parallelism, &restored, &found);
        assert_eq!(orders.len(), 8, "{parallelism}: {orders:?}");
        assert!(restored.iter().all(|t| orders.contains(&Output::Commit(*t))), "{parallelism}: {orders:?}");
        assert!(
            left_over.iter().all(|t| orders.contains(&Output::RollBack(*t))),
            "{parallelism}: {orders:?}"
        );
    }
}

/// A snapshot keeps what was taken over from another subtask until it is committed.
#[test]
fn commit_transaction_of_a_subtask_that_is_gone_stays_in_the_snapshot_until_committed() {
    let of_another = TransactionId { subtask: SubtaskId::new(2, 1), ..transaction(1, 0) };
    let mut sink = participant(0, 1, 2, [of_another]);
    assert_eq!(on(&mut sink, started([of_another])), [Output::Commit(of_another)]);
    assert_eq!(sink.snapshot(), [of_another].into());
    on(&mut sink, Input::Committed(of_another));
    assert_eq!(sink.snapshot(), [].into());
}

//= spec/commit.md#commit-14-only-earlier-attempts-are-rolled-back
//= type=test
//# A participant MUST NOT roll back a transaction of its own attempt or of a later one.
#[test]
fn commit_participant_that_starts_late_leaves_what_later_attempts_have_opened() {
    let mut late = committer(2, []);
    assert_eq!(
        on(&mut late, started([transaction(1, 0), transaction(2, 0), transaction(3, 0)])),
        [Output::RollBack(transaction(1, 0))]
    );
}

//= spec/commit.md#commit-12-an-uncertain-commit-is-repeated
//= type=test
//# A commit that did not certainly succeed MUST be repeated after the pause until it does.
#[test]
fn commit_uncertain_commit_is_repeated_after_each_pause_until_it_is_done() {
    let mut sink = committer(2, [transaction(1, 0), transaction(1, 1)]);
    on(&mut sink, started([]));
    assert_eq!(sink.deadline(), None);
    let uncertain = || Input::CommitUncertain(transaction(1, 0));
    for (failed, due) in [(5, 15), (20, 30)] {
        assert_eq!(at(&mut sink, failed, uncertain()), []);
        assert_eq!(sink.deadline(), Some(Millis(due)));
        assert_eq!(at(&mut sink, due - 1, Input::Tick), [], "the pause is not over");
        assert!(sink.snapshot().contains(&transaction(1, 0)), "it is not taken for done");
        assert_eq!(at(&mut sink, due, Input::Tick), [Output::Commit(transaction(1, 0))]);
        assert_eq!(at(&mut sink, due, Input::Tick), [], "it is under way");
    }
    on(&mut sink, Input::Committed(transaction(1, 0)));
    assert_eq!(sink.deadline(), None);
    assert_eq!(sink.snapshot(), [transaction(1, 1)].into());
}

#[test]
fn commit_failed_commit_during_recovery_does_not_keep_the_sink_from_going_on() {
    let mut sink = committer(2, [transaction(1, 0)]);
    on(&mut sink, started([transaction(1, 0)]));
    on(&mut sink, Input::CommitUncertain(transaction(1, 0)));
    assert_eq!(on(&mut sink, Input::TransactionNeeded), [Output::Begin(transaction(2, 0))]);
    on(&mut sink, began(2));
    assert_eq!(sink.snapshot(), [transaction(1, 0), transaction(2, 0)].into());
    on(&mut sink, durable(2));
    assert_eq!(on(&mut sink, completed(2)), [Output::Commit(transaction(2, 0))]);
    assert_eq!(at(&mut sink, 10, Input::Tick), [Output::Commit(transaction(1, 0))]);
}

//= spec/commit.md#commit-9-names-are-unique
//= type=test
//# The name of a transaction MUST differ from all others of its subtask over all attempts.
#[test]
fn commit_names_of_two_attempts_differ() {
    let mut names = BTreeSet::new();
    for attempt in 1..=2 {
        let mut sink = committer(attempt, []);
        on(&mut sink, started([]));
        for checkpoint in 1..=2 {
            on(&mut sink, Input::TransactionNeeded);
            assert!(names.insert(sink.open()), "{:?} was used before", sink.open());
            on(&mut sink, began(checkpoint));
        }
    }
}

#[test]
fn commit_checkpoint_without_records_commits_nothing() {
    let mut sink = fresh();
    assert_eq!(on(&mut sink, began(1)), []);
    assert_eq!(on(&mut sink, completed(1)), []);
}

#[test]
fn commit_misuse_is_refused_without_change() {
    let refused = |sink: &Committer, input: Input| {
        let (mut after, mut out) = (sink.clone(), Vec::new());
        assert!(after.on(Millis(0), input.clone(), &mut out).is_err(), "{input:?}");
        assert_eq!((&after, out.len()), (sink, 0), "{input:?}");
    };
    for early in [Input::TransactionNeeded, began(1), completed(1)] {
        refused(&committer(1, []), early);
    }
    let mut sink = fresh();
    refused(&sink, started([]));
    refused(&sink, Input::Committed(transaction(1, 0)));
    on(&mut sink, Input::TransactionNeeded);
    refused(&sink, Input::TransactionNeeded);
    on(&mut sink, began(1));
    refused(&sink, completed(1));
    on(&mut sink, durable(1));
    on(&mut sink, completed(1));
    on(&mut sink, Input::CommitUncertain(transaction(1, 0)));
    refused(&sink, Input::CommitUncertain(transaction(1, 0)));
    refused(&sink, Input::Committed(transaction(1, 0)));
}

proptest! {
    #[test]
    fn commit_random_inputs_lose_no_transaction_and_commit_none_uncovered(
        steps in prop::collection::vec((0_u8..7, 0_u64..6), 0..60),
    ) {
        let mut sink = fresh();
        let (mut newest, mut covered_by) = (0, BTreeMap::new());
        let (mut completed_up_to, mut durable_up_to) = (0, 0);
        let (mut committed, mut uncertain) = (BTreeSet::new(), BTreeSet::new());
        for (what, number) in steps {
            let input = match what {
                0 => Input::TransactionNeeded,
                1 => { newest += 1; began(newest) }
                2 => { durable_up_to = durable_up_to.max(number.min(newest)); durable(number.min(newest)) }
                3 => { completed_up_to = completed_up_to.max(number.min(newest)); completed(number.min(newest)) }
                4 => Input::Committed(transaction(1, number as u32)),
                5 => Input::CommitUncertain(transaction(1, number as u32)),
                _ => Input::Tick,
            };
            let mut out = Vec::new();
            let now = if input == Input::Tick { Millis(10) } else { Millis(0) };
            if sink.on(now, input.clone(), &mut out).is_ok() && let Input::CommitUncertain(transaction) = input {
                uncertain.insert(transaction);
            }
            sink.check().unwrap();
            for output in out {
                match output {
                    Output::PreCommit(transaction) => { covered_by.insert(transaction, newest); }
                    Output::Commit(transaction) => {
                        prop_assert!(covered_by[&transaction] <= completed_up_to);
                        prop_assert!(covered_by[&transaction] <= durable_up_to);
                        prop_assert!(committed.insert(transaction) || uncertain.remove(&transaction));
                    }
                    _ => {}
                }
            }
            let waiting = covered_by.keys().filter(|t| !committed.contains(t));
            prop_assert!(waiting.into_iter().all(|transaction| sink.snapshot().contains(transaction)));
        }
    }
}

#[test]
fn commit_transactions_are_named_by_index_attempt_and_number() {
    assert_eq!(transaction(3, 4).to_string(), "0-3-4");
}

#[test]
fn commit_check_finds_a_transaction_in_two_states() {
    let broken = |sink: &Committer| sink.check().unwrap_err().requirement;
    let mut sink = fresh();
    on(&mut sink, Input::TransactionNeeded);
    let open = transaction(1, 0);
    let mut prepared_too = sink.clone();
    prepared_too.prepared.insert(open, None);
    assert_eq!(broken(&prepared_too), "COMMIT-1");
    let mut committing_too = sink.clone();
    committing_too.committing.insert(open, None);
    assert_eq!(broken(&committing_too), "COMMIT-1");
    let other = transaction(1, 1);
    sink.prepared.insert(other, None);
    sink.check().unwrap();
    sink.committing.insert(other, None);
    assert_eq!(broken(&sink), "COMMIT-2");
}
