//! Files as sources, when they change under the job, and as sinks, when the job goes on elsewhere.
#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

use snapline::base::{Attempt, EventTime, SubtaskId};
use snapline::commit::TransactionId;
use snapline::runtime::file::{FileSink, FileSource, LineAt, splits_of};
use snapline::runtime::{
    Collector, SourceCollector, SourceFunction, SourceStatus, SubtaskContext, TransactionalSink,
    Unrecoverable, UserError,
};
use snapline::state::{OperatorStateBackend, SnapshotImage, TaskSnapshot};
use std::fs::{self, File};
use std::path::Path;

struct Lines(u64);

impl Collector<()> for Lines {
    fn collect(&mut self, (): ()) {
        self.0 += 1;
    }
}

impl SourceCollector<()> for Lines {
    fn emit_watermark(&mut self, _: EventTime) {}
}

/// Opens a file of `lines` lines of 8 bytes, lets `change` happen, and reads to the end.
fn read(lines: usize, change: impl FnOnce(&File)) -> Result<u64, UserError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    fs::write(&path, "1234567\n".repeat(lines)).unwrap();
    let splits = splits_of(std::slice::from_ref(&path), 1_000_001).unwrap();
    let context = SubtaskContext { subtask: SubtaskId::new(0, 0), parallelism: 1, attempt: Attempt(1) };
    let parse = |_: &[u8], _: LineAt<'_>, out: &mut dyn Collector<()>| -> Result<(), UserError> {
        out.collect(());
        Ok(())
    };
    let mut source = FileSource::new(context, &splits, parse);
    source.initialize_state(&mut OperatorStateBackend::new())?;
    let mut read = Lines(0);
    assert_eq!(source.poll(&mut read)?, SourceStatus::MoreAvailable);
    change(&File::options().write(true).open(&path).unwrap());
    while source.poll(&mut read)? == SourceStatus::MoreAvailable {}
    Ok(read.0)
}

#[test]
fn files_that_stay_are_read_whole_over_all_splits() {
    assert_eq!(read(400_000, |_| {}).unwrap(), 400_000);
}

#[test]
fn files_that_shrink_under_the_reader_are_an_error() {
    let error = read(100_000, |file| file.set_len(400_004).unwrap()).unwrap_err();
    assert!(error.is::<Unrecoverable>());
    let text = error.to_string();
    assert!(text.contains("ends at byte") && text.contains("put the original file back"), "{text}");
}

type Sink = FileSink<u64, fn(&u64, &mut Vec<u8>)>;

/// The sink of an attempt that goes on with `state`, into `directory`.
fn sink(attempt: u32, directory: &Path, state: &mut OperatorStateBackend) -> Sink {
    let context = SubtaskContext { subtask: SubtaskId::new(3, 0), parallelism: 1, attempt: Attempt(attempt) };
    let mut sink = Sink::new(context, directory, |number, line| line.extend(number.to_string().bytes()));
    sink.initialize_state(state).unwrap();
    sink
}

/// What a checkpoint holds of `state`, as if two subtasks had it.
fn restored(state: &OperatorStateBackend) -> OperatorStateBackend {
    let mut file = Vec::new();
    TaskSnapshot::new(None, state.snapshot()).write_to(&mut file).unwrap();
    let image = || SnapshotImage::read_from(&file[..], None).unwrap().operator;
    let both = [image(), image()];
    OperatorStateBackend::restore(snapline::state::OperatorImage::redistributed(&both, 1, 0).unwrap())
}

/// Writes `number` in a transaction of its own, and pre-commits it.
fn pre_commit(sink: &mut Sink, attempt: u32, number: u64) -> TransactionId {
    let transaction = TransactionId { subtask: SubtaskId::new(3, 0), attempt: Attempt(attempt), sequence: 0 };
    sink.begin(transaction).unwrap();
    sink.write(number).unwrap();
    sink.pre_commit(transaction).unwrap()().unwrap();
    transaction
}

#[test]
fn files_of_a_job_that_goes_on_elsewhere_are_committed_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second, third] = ["first", "second", "third"].map(|name| {
        let directory = folder.path().join(name);
        fs::create_dir(&directory).unwrap();
        directory
    });
    let mut state = OperatorStateBackend::new();
    let one = pre_commit(&mut sink(1, &first, &mut state), 1, 11);
    let again = pre_commit(&mut sink(2, &first, &mut restored(&state)), 2, 22);
    let mut state = restored(&state);
    let four = pre_commit(&mut sink(4, &second, &mut state), 4, 44);
    let mut state = restored(&state);
    let mut sink = sink(7, &third, &mut state);
    assert_eq!(sink.unfinished().unwrap(), [].into(), "the others are not its own");
    // One that was moved to the present directory is found there.
    fs::rename(
        second.join(format!(".part-{four}.inprogress")),
        third.join(format!(".part-{four}.inprogress")),
    )
    .unwrap();
    for transaction in [one, again, four, one, four] {
        sink.commit(transaction).unwrap();
    }
    let content =
        |directory: &Path, name| fs::read_to_string(directory.join(format!("part-{name}"))).unwrap();
    assert_eq!(
        [content(&first, one), content(&first, again), content(&third, four)],
        ["11\n", "22\n", "44\n"]
    );
    fs::remove_file(first.join(format!("part-{one}"))).unwrap();
    let lost = sink.commit(one).unwrap_err();
    assert!(lost.is::<Unrecoverable>());
    let text = lost.to_string();
    let expected =
        format!("which is not in {} nor in {} nor in {}", third.display(), first.display(), second.display());
    assert!(text.contains(&expected) && text.contains(".part-0-1-0.inprogress"), "{text}");
    let known =
        state.union_list_state(&snapline::state::ListStateDescriptor::<String>::new("_runtime/directories"));
    assert_eq!(known.unwrap().get(&state).unwrap().len(), 3, "one for each directory");
}
