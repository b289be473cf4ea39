//! Files as sources, when they change under the job.
#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

use snapline::base::{Attempt, EventTime, SubtaskId};
use snapline::runtime::file::{FileSource, LineAt, splits_of};
use snapline::runtime::{
    Collector, SourceCollector, SourceFunction, SourceStatus, SubtaskContext, Unrecoverable, UserError,
};
use snapline::state::OperatorStateBackend;
use std::fs::{self, File};

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
