//! Mistakes in the shape of a job are found before anything runs.

use snapline::base::JobId;
use snapline::keygroup::MaxParallelism;
use snapline::runtime::file::{FileSink, FileSource, LineAt};
use snapline::runtime::{
    Collector, JobBuilder, JobError, KeyedContext, KeyedProcessFunction, Stream, SubtaskContext, UserError,
};
use snapline::state::StateError;

struct Pass;

impl KeyedProcessFunction for Pass {
    type Key = u64;
    type In = u64;
    type Out = u64;

    fn open(&mut self, _: &mut snapline::state::KeyedStateStore<u64>) -> Result<(), StateError> {
        Ok(())
    }

    fn process(
        &mut self,
        record: u64,
        _: &mut KeyedContext<'_, u64>,
        out: &mut dyn Collector<u64>,
    ) -> Result<(), UserError> {
        out.collect(record);
        Ok(())
    }
}

type Parsed = Result<(), UserError>;

fn source(job: &mut JobBuilder, uid: &str, parallelism: u16) -> Stream<u64> {
    let parse = |_: &[u8], _: LineAt<'_>, _: &mut dyn Collector<u64>| -> Parsed { Ok(()) };
    job.source(uid, parallelism, move |context| FileSource::new(context, &[], parse))
}

fn sink(job: &mut JobBuilder, input: Stream<u64>, uid: &str) {
    job.sink(input, uid, |context: SubtaskContext| {
        FileSink::new(context, "nowhere", |_: &u64, _: &mut Vec<u8>| {})
    });
}

/// What is wrong with the job.
fn problem(build: impl FnOnce(&mut JobBuilder)) -> String {
    let mut job = JobBuilder::new();
    build(&mut job);
    match job.build(JobId(1)) {
        Err(JobError::Invalid(problem)) => problem,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("nothing was found"),
    }
}

#[test]
fn builder_without_a_source_is_refused() {
    assert_eq!(problem(|_| {}), "there is no source");
}

#[test]
fn builder_with_an_unread_operator_is_refused() {
    let found = problem(|job| drop(source(job, "lines", 1)));
    assert_eq!(found, "nothing reads what operator `lines` emits");
}

#[test]
fn builder_with_an_unconnected_broadcast_stream_is_refused() {
    let found = problem(|job| drop(source(job, "rules", 1).broadcast()));
    assert_eq!(found, "nothing reads what operator `rules` emits");
}

#[test]
fn builder_with_one_uid_for_two_operators_is_refused() {
    let found = problem(|job| {
        let lines = source(job, "one", 1);
        sink(job, lines, "one");
    });
    assert_eq!(found, "two operators have the uid `one`");
}

#[test]
fn builder_with_an_impossible_uid_is_refused() {
    for uid in ["", "a\0b"] {
        let found = problem(|job| {
            let lines = source(job, uid, 1);
            sink(job, lines, "files");
        });
        assert!(found.contains("cannot be the uid"), "{found}");
    }
}

#[test]
fn builder_with_an_impossible_parallelism_is_refused() {
    for parallelism in [0, 32_769] {
        let found = problem(|job| {
            let lines = source(job, "lines", parallelism);
            sink(job, lines, "files");
        });
        assert!(found.contains(&format!("`lines` cannot have a parallelism of {parallelism}")), "{found}");
    }
}

#[test]
fn builder_with_more_subtasks_than_key_groups_is_refused() {
    let found = problem(|job| {
        let lines = source(job, "lines", 1).key_by(|number| number);
        let max = MaxParallelism::new(4).unwrap();
        let passed = job.process(lines, "pass", 5, Some(max), |_| Pass);
        sink(job, passed, "files");
    });
    assert!(found.contains("`pass`") && found.contains('5') && found.contains('4'), "{found}");
}
