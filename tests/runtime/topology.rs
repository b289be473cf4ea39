//! Checkpoints as other jobs have left them, down to the records that were on their way: made by hand, and started from.

#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

use snapline::base::{
    Attempt, Channel, CheckpointId, CheckpointKind, CompletedCheckpoint, JobId, Millis, StateFile,
    StateHandle, SubtaskId,
};
use snapline::codec::{CheckpointMetadata, OperatorMetadata};
use snapline::commit::TransactionId;
use snapline::coordinator::{ClaimMode, RestartStrategy, Retention};
use snapline::keygroup::{KeyGroupRangeAssignment, KeyHash, MaxParallelism, key_group_of};
use snapline::publish::{Pointer, PointerKind, PointerSequence};
use snapline::runtime::file::FileSink;
use snapline::runtime::*;
use snapline::state::*;
use snapline::store::{CheckpointStorage, JobManagerCheckpointStorage};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

const JOB: JobId = JobId(7);
/// A key and a number.
type Numbered = (u64, u64);
type Output = Arc<Mutex<Vec<Numbered>>>;

fn max() -> MaxParallelism {
    MaxParallelism::new(128).unwrap()
}

/// Emits its numbers, the first instance all of them, and goes on where it was.
struct Numbers {
    all: Vec<Numbered>,
    next: u64,
    state: Option<OperatorListState<u64>>,
}

impl SourceFunction for Numbers {
    type Out = Numbered;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        let next = state.list_state(&ListStateDescriptor::<u64>::new("next"))?;
        if state.is_restored() {
            self.next = next.get(state)?.first().copied().unwrap_or(self.all.len() as u64);
        }
        self.state = Some(next);
        Ok(())
    }

    fn poll(&mut self, out: &mut dyn SourceCollector<Numbered>) -> Result<SourceStatus, UserError> {
        let Some(number) = self.all.get(self.next as usize) else { return Ok(SourceStatus::EndOfInput) };
        out.collect(*number);
        self.next += 1;
        Ok(SourceStatus::MoreAvailable)
    }

    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        let rest = (self.next < self.all.len() as u64).then_some(self.next);
        Ok(self.state.ok_or("not initialized")?.update(state, rest.into_iter().collect())?)
    }
}

fn numbers(all: Vec<Numbered>) -> impl Fn(SubtaskContext) -> Numbers + Send + Sync + 'static {
    move |context| Numbers {
        all: if context.subtask.index == 0 { all.clone() } else { Vec::new() },
        next: 0,
        state: None,
    }
}

/// Passes on what it gets.
struct Pass(Option<ValueState<u64>>);

impl KeyedProcessFunction for Pass {
    type Key = u64;
    type In = Numbered;
    type Out = Numbered;

    fn open(&mut self, state: &mut KeyedStateStore<u64>) -> Result<(), StateError> {
        self.0 = Some(state.open(&ValueStateDescriptor::new("last"))?);
        Ok(())
    }

    fn process(
        &mut self,
        number: Numbered,
        context: &mut KeyedContext<'_, u64>,
        out: &mut dyn Collector<Numbered>,
    ) -> Result<(), UserError> {
        self.0.ok_or("not opened")?.update(context.state(), number.1)?;
        out.collect(number);
        Ok(())
    }
}

/// Passes on each rule, with the number of the instance.
struct Judge {
    rules: Option<BroadcastState<u64, u64>>,
    index: u64,
}

impl KeyedBroadcastProcessFunction for Judge {
    type Key = u64;
    type In = Numbered;
    type Broadcast = u64;
    type Out = Numbered;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.rules = Some(state.broadcast_state(&MapStateDescriptor::new("rules"))?);
        Ok(())
    }

    fn open(&mut self, _: &mut KeyedStateStore<u64>) -> Result<(), StateError> {
        Ok(())
    }

    fn process(
        &mut self,
        number: Numbered,
        _: &mut ReadOnlyContext<'_, u64>,
        out: &mut dyn Collector<Numbered>,
    ) -> Result<(), UserError> {
        out.collect(number);
        Ok(())
    }

    fn process_broadcast(
        &mut self,
        rule: u64,
        context: &mut BroadcastContext<'_, u64>,
        out: &mut dyn Collector<Numbered>,
    ) -> Result<(), UserError> {
        self.rules.ok_or("not initialized")?.put(context.broadcast_state(), rule, 1)?;
        out.collect((rule, self.index));
        Ok(())
    }
}

/// Has no rule to emit any more.
struct NoRules;

impl SourceFunction for NoRules {
    type Out = u64;

    fn initialize_state(&mut self, _: &mut OperatorStateBackend) -> Result<(), UserError> {
        Ok(())
    }

    fn poll(&mut self, _: &mut dyn SourceCollector<u64>) -> Result<SourceStatus, UserError> {
        Ok(SourceStatus::EndOfInput)
    }

    fn snapshot_state(&mut self, _: &mut OperatorStateBackend) -> Result<(), UserError> {
        Ok(())
    }
}

struct Sink {
    output: Output,
    open: Vec<Numbered>,
    prepared: BTreeMap<TransactionId, Vec<Numbered>>,
}

impl TransactionalSink for Sink {
    type In = Numbered;

    fn unfinished(&mut self) -> Result<BTreeSet<TransactionId>, UserError> {
        Ok(BTreeSet::new())
    }

    fn begin(&mut self, _: TransactionId) -> Result<(), UserError> {
        Ok(())
    }

    fn write(&mut self, number: Numbered) -> Result<(), UserError> {
        self.open.push(number);
        Ok(())
    }

    fn pre_commit(&mut self, transaction: TransactionId) -> Result<Durability, UserError> {
        self.prepared.insert(transaction, std::mem::take(&mut self.open));
        Ok(Box::new(|| Ok(())))
    }

    fn commit(&mut self, transaction: TransactionId) -> Result<(), UserError> {
        self.output.lock().unwrap().extend(self.prepared.remove(&transaction).unwrap_or_default());
        Ok(())
    }

    fn roll_back(&mut self, transaction: TransactionId) -> Result<(), UserError> {
        self.prepared.remove(&transaction);
        Ok(())
    }
}

fn sink(output: &Output) -> impl Fn(SubtaskContext) -> Sink + Send + Sync + 'static {
    let output = Arc::clone(output);
    move |_| Sink { output: Arc::clone(&output), open: Vec::new(), prepared: BTreeMap::new() }
}

fn pipeline(
    job: &mut JobBuilder,
    [source, pass, end]: [&str; 3],
    [sources, passes]: [u16; 2],
    all: Vec<Numbered>,
) -> Output {
    let output = Output::default();
    let emitted = job.source(source, sources, numbers(all));
    let passed = job.process(emitted.key_by(|number| &number.0), pass, passes, Some(max()), |_| Pass(None));
    job.sink(passed, end, sink(&output));
    output
}

/// What a subtask has in a checkpoint.
enum Left {
    Finished,
    State(ChannelState, OperatorStateBackend),
}

fn on_their_way(channels: ChannelState) -> Left {
    Left::State(channels, OperatorStateBackend::new())
}

/// A storage with a checkpoint of these operators with their parallelism; subtasks that are not mentioned have no state.
fn storage_with(
    operators: &[(&str, u16)],
    left: impl IntoIterator<Item = (SubtaskId, Left)>,
) -> Arc<dyn CheckpointStorage> {
    let storage: Arc<dyn CheckpointStorage> = Arc::new(JobManagerCheckpointStorage::new(JOB));
    let (id, attempt) = (CheckpointId(1), Attempt(1));
    let subtasks = (0..).zip(operators).flat_map(|(number, (_, parallelism))| {
        (0..*parallelism).map(move |index| (SubtaskId::new(number, index), None))
    });
    let mut states: BTreeMap<SubtaskId, Option<StateHandle>> = subtasks.collect();
    for (subtask, left) in left {
        match left {
            Left::Finished => drop(states.remove(&subtask)),
            Left::State(channels, operator) => {
                let file = StateFile { checkpoint: id, subtask, attempt, savepoint: false };
                let mut writer = storage.create_state(file).unwrap();
                let snapshot = TaskSnapshot::new(None, operator.snapshot()).with_channels(channels);
                let mut bytes = Vec::new();
                snapshot.write_to(&mut bytes).unwrap();
                writer.write_all(&bytes).unwrap();
                states.insert(subtask, Some(writer.finish().unwrap()));
            }
        }
    }
    let operators = operators.iter().map(|(uid, parallelism)| OperatorMetadata {
        uid: (*uid).to_owned(),
        name: String::new(),
        parallelism: *parallelism,
        max_parallelism: max().get(),
    });
    let (kind, shared) = (CheckpointKind::Periodic, BTreeMap::new());
    let checkpoint = CompletedCheckpoint { id, attempt, kind, states, shared };
    let metadata = CheckpointMetadata { job: JOB, operators: operators.collect(), checkpoint };
    storage.put_metadata(&metadata).unwrap();
    let incarnation = JobOptions::default().incarnation;
    let pointer =
        Pointer { kind: PointerKind::Publication, attempt, incarnation, newest: Some(id), older: [].into() };
    storage.put_pointer(PointerSequence(1), &pointer).unwrap();
    storage
}

fn options() -> JobOptions {
    JobOptions {
        checkpoint_interval: Some(Millis(5)),
        restart: RestartStrategy::None,
        unaligned: true,
        inline_threshold_bytes: 0,
        ..JobOptions::default()
    }
}

/// What comes out, or why nothing does.
fn run(
    job: JobBuilder,
    output: &Output,
    storage: &Arc<dyn CheckpointStorage>,
) -> Result<Vec<Numbered>, String> {
    let handle = job.build(JOB).unwrap().start(options(), Arc::clone(storage)).unwrap();
    handle.wait().map_err(|error| error.to_string())?;
    let mut output = output.lock().unwrap().clone();
    output.sort_unstable();
    Ok(output)
}

fn ten() -> Vec<Numbered> {
    (0..10).map(|key| (key, 1)).collect()
}

fn owner_of(key: u64, parallelism: u16) -> u16 {
    let assignment = KeyGroupRangeAssignment::new(max(), parallelism).unwrap();
    assignment.owner_of(key_group_of(key.key_hash(), max()))
}

/// Ten records that a source had not sent to its two receivers yet.
fn unsent() -> Arc<dyn CheckpointStorage> {
    let mut channels = ChannelState::default();
    for number in ten() {
        channels.append(ChannelSide::Output, Channel(owner_of(number.0, 2)), &[number]).unwrap();
    }
    let source = (SubtaskId::new(0, 0), on_their_way(channels));
    storage_with(&[("source", 1), ("pass", 2), ("sink", 2)], [source])
}

/// The same ten, which had arrived from a source that has finished.
fn arrived() -> Arc<dyn CheckpointStorage> {
    let of = |index| {
        let mut channels = ChannelState::default();
        for number in ten().into_iter().filter(|number| owner_of(number.0, 2) == index) {
            channels.append(ChannelSide::Input, Channel(0), &[number]).unwrap();
        }
        (SubtaskId::new(1, index), on_their_way(channels))
    };
    let finished = (SubtaskId::new(0, 0), Left::Finished);
    storage_with(&[("source", 1), ("pass", 2), ("sink", 2)], [finished, of(0), of(1)])
}

fn run_pipeline(
    uids: [&str; 3],
    parallelisms: [u16; 2],
    storage: &Arc<dyn CheckpointStorage>,
) -> Result<Vec<Numbered>, String> {
    let mut job = JobBuilder::new();
    let output = pipeline(&mut job, uids, parallelisms, Vec::new());
    run(job, &output, storage)
}

#[test]
fn topology_that_stays_keeps_records_on_their_way_at_any_parallelism() {
    for parallelisms in [[1, 2], [2, 2], [1, 3], [3, 1]] {
        let uids = ["source", "pass", "sink"];
        assert_eq!(run_pipeline(uids, parallelisms, &unsent()), Ok(ten()), "{parallelisms:?}");
        assert_eq!(run_pipeline(uids, parallelisms, &arrived()), Ok(ten()), "{parallelisms:?}");
    }
}

//= spec/rescale.md#rescale-16-records-between-operators-that-are-no-neighbours-any-more-are-refused
//= type=test
//# Records that were on their way from or to an operator MUST be refused if those that it is connected with now are new.
#[test]
fn topology_with_a_new_neighbour_is_refused_while_records_are_on_their_way() {
    for parallelisms in [[1, 2], [2, 2], [1, 3], [1, 1], [4, 5]] {
        for (uids, storage) in [(["source", "new", "sink"], unsent()), (["new", "pass", "sink"], arrived())] {
            let refused = run_pipeline(uids, parallelisms, &storage).unwrap_err();
            assert!(refused.contains("records were on their way between it and an operator"), "{refused}");
        }
    }
}

#[test]
fn topology_with_a_new_source_before_what_had_finished_starts_nothing() {
    let finished = [0, 1, 2].map(|number| (SubtaskId::new(number, 0), Left::Finished));
    let operators = [("a", 1), ("pass a", 1), ("sink a", 1), ("b", 1), ("pass b", 1), ("sink b", 1)];
    let storage = storage_with(&operators, finished);
    let mut job = JobBuilder::new();
    let output = pipeline(&mut job, ["new", "pass a", "sink a"], [1, 1], ten());
    pipeline(&mut job, ["b", "pass b", "sink b"], [1, 1], Vec::new());
    let refused = run(job, &output, &storage).unwrap_err();
    assert!(refused.contains("operator `pass a` had finished, and now operator `new` before it has not"));
}

/// The same when the job is given it by somebody else, as a savepoint.
#[test]
fn topology_with_a_new_source_before_what_had_finished_in_a_savepoint_starts_nothing() {
    let finished = [0, 1].map(|number| (SubtaskId::new(number, 0), Left::Finished));
    let storage = storage_with(&[("a", 1), ("pass", 1), ("sink", 1)], finished);
    let mut metadata = storage.read_metadata(CheckpointId(1)).unwrap().unwrap();
    metadata.checkpoint.kind = CheckpointKind::Savepoint;
    let start = |source| {
        let mut job = JobBuilder::new();
        let output = pipeline(&mut job, [source, "pass", "sink"], [1, 1], ten());
        let given = GivenCheckpoint::new(Arc::clone(&storage), metadata.clone(), ClaimMode::NoClaim);
        let options = JobOptions { restore: Some(given), ..options() };
        let own = Arc::new(JobManagerCheckpointStorage::new(JobId(77)));
        let started = job.build(JobId(77)).unwrap().start(options, own);
        let ended = started.and_then(JobHandle::wait).map(|summary| summary.end);
        (ended.map_err(|error| error.to_string()), output.lock().unwrap().len())
    };
    let (refused, written) = start("new");
    let refused = refused.unwrap_err();
    assert!(
        refused.contains("operator `pass` had finished, and now operator `new` before it has not"),
        "{refused}"
    );
    assert_eq!(written, 0);
    assert_eq!(start("a"), (Ok(JobEnd::Finished), 0), "what had finished stays so");
}

/// The names of the types of what arrives at a judge, as a snapshot has them.
const SIDE: &str = "snapline::runtime::broadcast::Side<(u64, u64), u64>";

#[derive(serde::Serialize)]
enum Side {
    #[allow(dead_code)]
    Keyed(Numbered),
    Broadcast(u64),
}

fn run_judges(
    sources: u16,
    rule_sources: u16,
    judges: u16,
    storage: &Arc<dyn CheckpointStorage>,
) -> Result<Vec<Numbered>, String> {
    let (mut job, output) = (JobBuilder::new(), Output::default());
    let emitted = job.source("source", sources, numbers(Vec::new()));
    let rules = job.source("rules", rule_sources, |_| NoRules);
    let input = emitted.key_by(|number: &Numbered| &number.0).connect(rules.broadcast());
    let judge = |context: SubtaskContext| Judge { rules: None, index: context.subtask.index.into() };
    let judged = job.process_broadcast(input, "judge", judges, Some(max()), judge);
    job.sink(judged, "sink", sink(&output));
    run(job, &output, storage)
}

/// Two judges with rules in their state, or none of them with any state, and a rule on its way to both.
fn with_a_rule_on_its_way(is_sent: bool, have_state: bool) -> Arc<dyn CheckpointStorage> {
    let judge = |index| {
        let mut state = OperatorStateBackend::new();
        let rules = state.broadcast_state(&MapStateDescriptor::<u64, u64>::new("rules")).unwrap();
        rules.put(&mut state, 9, 1).unwrap();
        let mut channels = ChannelState::default();
        if is_sent {
            channels.append_as(ChannelSide::Input, Channel(1), SIDE, &[Side::Broadcast(5)]).unwrap();
        }
        (SubtaskId::new(2, index), Left::State(channels, state))
    };
    let mut unsent = ChannelState::default();
    if !is_sent {
        (0..2).for_each(|index| unsent.append(ChannelSide::Output, Channel(index), &[5_u64]).unwrap());
    }
    let rules = (SubtaskId::new(1, 0), on_their_way(unsent));
    let judges = [0, 1].map(judge).into_iter().filter(|_| have_state);
    storage_with(
        &[("source", 1), ("rules", 1), ("judge", 2), ("sink", 2)],
        std::iter::once(rules).chain(judges),
    )
}

#[test]
fn topology_with_other_parallelism_gives_everyone_a_broadcast_record_once() {
    for (is_sent, have_state) in [(true, true), (false, true), (false, false)] {
        for (sources, rule_sources, judges) in
            [(1, 1, 2), (1, 1, 3), (1, 1, 1), (2, 1, 2), (1, 2, 2), (3, 3, 5)]
        {
            let storage = with_a_rule_on_its_way(is_sent, have_state);
            let once: Vec<Numbered> = (0..judges).map(|index| (5, index.into())).collect();
            let found = run_judges(sources, rule_sources, judges, &storage);
            assert_eq!(found, Ok(once), "{is_sent} {have_state} {sources} {rule_sources} {judges}");
        }
    }
}

/// One has rules 1 and 2 ahead of it, and one 3 and 4, of two sources that become one: later it could not be told.
#[test]
fn topology_with_fewer_sources_of_a_broadcast_stream_is_refused_if_judges_differ() {
    let storage = || {
        let judge = |index: u16, ahead: [u64; 2]| {
            let mut channels = ChannelState::default();
            let channel = Channel(1 + index);
            let ahead = ahead.map(Side::Broadcast);
            channels.append_as(ChannelSide::Input, channel, SIDE, &ahead).unwrap();
            (SubtaskId::new(2, index), on_their_way(channels))
        };
        let operators = [("source", 1), ("rules", 2), ("judge", 2), ("sink", 2)];
        storage_with(&operators, [judge(0, [1, 2]), judge(1, [3, 4])])
    };
    assert_eq!(run_judges(1, 2, 2, &storage()), Ok(vec![(1, 0), (2, 0), (3, 1), (4, 1)]));
    for (rule_sources, judges) in [(1, 2), (1, 1), (2, 1)] {
        let refused = run_judges(1, rule_sources, judges, &storage()).unwrap_err();
        assert!(refused.contains("had not taken in equally much"), "{refused}");
    }
}

fn write_line(number: &Numbered, line: &mut Vec<u8>) {
    line.extend_from_slice(number.0.to_string().as_bytes());
}

/// Ten numbers into files; the first commit of all fails if `commits_fail`.
fn into_files(job: &mut JobBuilder, parallelism: u16, directory: &Path, commits_fail: bool) {
    struct Failing(FileSink<Numbered, fn(&Numbered, &mut Vec<u8>)>, bool);
    impl TransactionalSink for Failing {
        type In = Numbered;
        fn unfinished(&mut self) -> Result<BTreeSet<TransactionId>, UserError> {
            self.0.unfinished()
        }
        fn begin(&mut self, transaction: TransactionId) -> Result<(), UserError> {
            self.0.begin(transaction)
        }
        fn write(&mut self, number: Numbered) -> Result<(), UserError> {
            self.0.write(number)
        }
        fn pre_commit(&mut self, transaction: TransactionId) -> Result<Durability, UserError> {
            self.0.pre_commit(transaction)
        }
        fn commit(&mut self, transaction: TransactionId) -> Result<(), UserError> {
            if self.1 { Err("planned".into()) } else { self.0.commit(transaction) }
        }
        fn roll_back(&mut self, transaction: TransactionId) -> Result<(), UserError> {
            self.0.roll_back(transaction)
        }
    }
    let emitted = job.source("source", 1, numbers(ten()));
    let keyed = emitted.key_by(|number| &number.0);
    let passed = job.process(keyed, "pass", parallelism, Some(max()), |_| Pass(None));
    let directory = directory.to_owned();
    job.sink(passed, "sink", move |context| {
        Failing(FileSink::new(context, &directory, write_line as fn(&Numbered, &mut Vec<u8>)), commits_fail)
    });
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// Its transactions have the number in them that the sink had among the operators.
#[test]
fn topology_with_an_operator_before_the_sink_commits_what_was_prepared() {
    let directory = tempfile::tempdir().unwrap();
    let storage: Arc<dyn CheckpointStorage> = Arc::new(JobManagerCheckpointStorage::new(JOB));
    let mut job = JobBuilder::new();
    into_files(&mut job, 2, directory.path(), true);
    assert!(run(job, &Output::default(), &storage).unwrap_err().contains("planned"));
    let mut job = JobBuilder::new();
    pipeline(&mut job, ["x", "y", "z"], [1, 1], Vec::new());
    into_files(&mut job, 2, directory.path(), false);
    run(job, &Output::default(), &storage).unwrap();
    let mut lines = Vec::new();
    for name in names_in(directory.path()) {
        assert!(name.starts_with("part-"), "{name}");
        let text = std::fs::read_to_string(directory.path().join(name)).unwrap();
        lines.extend(text.lines().map(|line| line.parse::<u64>().unwrap()));
    }
    lines.sort_unstable();
    assert!(lines.into_iter().eq(0..10));
}

#[test]
fn topology_with_fewer_sinks_leaves_nothing_of_those_that_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    for index in 0..3 {
        std::fs::write(directory.path().join(format!(".part-{index}-1-7.inprogress")), "left\n").unwrap();
    }
    let storage = storage_with(&[("source", 1), ("pass", 3), ("sink", 3)], []);
    let mut job = JobBuilder::new();
    into_files(&mut job, 2, directory.path(), false);
    run(job, &Output::default(), &storage).unwrap();
    assert!(names_in(directory.path()).iter().all(|name| name.starts_with("part-")));
}

/// S2: whoever corrects the mistake still finds everything.
#[test]
fn topology_that_is_refused_deletes_nothing_whatever_the_job_retains() {
    let storage = unsent();
    let mut job = JobBuilder::new();
    pipeline(&mut job, ["mistyped", "pass", "sink"], [1, 2], Vec::new());
    let retention = Retention::NO_EXTERNALIZED_CHECKPOINTS;
    let options = JobOptions { externalized_checkpoint_retention: retention, ..options() };
    let job = job.build(JOB).unwrap();
    let error = job.start(options, Arc::clone(&storage)).unwrap().wait().unwrap_err();
    assert!(matches!(error, JobError::Incompatible { .. }), "{error}");
    assert!(storage.read_metadata(CheckpointId(1)).unwrap().is_some());
}
