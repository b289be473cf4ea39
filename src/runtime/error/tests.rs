//! That the text of an error is whole and nothing of it is told twice, whoever prints it.

use super::*;
use crate::codec::Corrupt;
use crate::keygroup::{KeyGroup, MaxParallelism};
use crate::state::StatePart;
use std::error::Error;
use std::fmt;
use std::io;

const CAUSE: &str = "the root of it";

/// An error whose text does not tell its cause.
#[derive(Debug)]
struct Outer(io::Error);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the outer one")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// An error whose cause is told by its `source()`.
fn outer() -> Box<dyn Error + Send + Sync> {
    Box::new(Outer(io::Error::other(CAUSE)))
}

/// One whose cause has one, which tells itself and it.
fn io_error() -> io::Error {
    io::Error::other(outer())
}

fn codec_errors() -> Vec<CodecError> {
    let cause = postcard::Error::SerdeSerCustom;
    let all = vec![
        CodecError::Corrupt(Corrupt::at(3, CAUSE)),
        CodecError::Io(io_error()),
        CodecError::Encode { type_name: "u8", cause },
        CodecError::Refused(CAUSE.into()),
    ];
    for error in &all {
        match error {
            CodecError::Corrupt(_)
            | CodecError::Io(_)
            | CodecError::Encode { .. }
            | CodecError::Refused(_) => {}
        }
    }
    all
}

fn storage_errors() -> Vec<StorageError> {
    let object = || "an object".to_owned();
    let all = vec![
        StorageError::Unavailable { object: object(), cause: io_error() },
        StorageError::Uncertain { object: object(), cause: io_error() },
        StorageError::Corrupt { object: object(), offset: 3, what: CAUSE.into() },
        StorageError::Elsewhere { object: object(), log: crate::store::LogId::draw(), store: CAUSE.into() },
        StorageError::TooLarge { object: object(), bytes: 3, limit: 2 },
        StorageError::Full { object: object(), bytes: 3, taken: 1, limit: 2 },
    ];
    for error in &all {
        match error {
            StorageError::Unavailable { .. } | StorageError::Uncertain { .. } => {}
            StorageError::Corrupt { .. } | StorageError::TooLarge { .. } | StorageError::Full { .. } => {}
            StorageError::Elsewhere { .. } => {}
        }
    }
    all
}

fn state_errors() -> Vec<StateError> {
    let (state, text) = (|| "count".to_owned(), || CAUSE.to_owned());
    let max_parallelism = MaxParallelism::new(4).unwrap();
    let range = max_parallelism.all_groups();
    let mut all = vec![
        StateError::WrongSubtask { group: KeyGroup(4), range },
        StateError::NoSuchRange { range, max_parallelism },
        StateError::TypeMismatch { state: state(), existing: text(), requested: "another".into() },
        StateError::IncompatibleSerializer { state: state(), part: StatePart::Values, what: text() },
        StateError::ReservedName(state()),
        StateError::NoCurrentKey,
        StateError::ForeignHandle,
        StateError::Backend { state: state(), cause: outer() },
        StateError::Incompatible(text()),
        StateError::Undecodable { state: state(), key_group: None, what: text() },
    ];
    all.extend(codec_errors().into_iter().map(StateError::Codec));
    all.extend(codec_errors().into_iter().map(|cause| StateError::Refused { state: state(), cause }));
    for error in &all {
        match error {
            StateError::WrongSubtask { .. } | StateError::NoSuchRange { .. } => {}
            StateError::TypeMismatch { .. } | StateError::IncompatibleSerializer { .. } => {}
            StateError::NoCurrentKey | StateError::ForeignHandle | StateError::ReservedName(_) => {}
            StateError::Backend { .. } | StateError::Refused { .. } | StateError::Codec(_) => {}
            StateError::Incompatible(_) | StateError::Undecodable { .. } => {}
        }
    }
    all
}

fn task_errors() -> Vec<TaskError> {
    let checkpoint = CheckpointId(1);
    let object = || "an object".to_owned();
    let mut all = vec![
        TaskError::Cancelled,
        TaskError::User(outer()),
        TaskError::Panicked(CAUSE.into()),
        TaskError::Transactions { checkpoint, cause: Box::new(TaskError::User(outer())) },
        TaskError::Misuse(Misuse::new("a machine", CAUSE)),
    ];
    all.extend(state_errors().into_iter().map(TaskError::State));
    all.extend(storage_errors().into_iter().map(TaskError::Storage));
    all.extend(state_errors().into_iter().map(|cause| TaskError::Restore { object: object(), cause }));
    for error in &all {
        match error {
            TaskError::Cancelled | TaskError::User(_) | TaskError::Panicked(_) => {}
            TaskError::Transactions { .. } | TaskError::State(_) | TaskError::Storage(_) => {}
            TaskError::Misuse(_) | TaskError::Restore { .. } => {}
        }
    }
    all
}

fn job_errors() -> Vec<JobError> {
    let text = || CAUSE.to_owned();
    let (subtask, failure) = (SubtaskId::new(0, 1), RecoveryFailure::StorageUnavailable);
    let mut all = vec![
        JobError::Invalid(text()),
        JobError::TaskFailed { subtask, operator: "count".into(), cause: text() },
        JobError::CheckpointsFailed { cause: text() },
        JobError::Fenced,
        JobError::Recovery { failure, cause: None },
        JobError::Incompatible { checkpoint: CheckpointId(1), what: text() },
        JobError::CoordinatorPanicked,
    ];
    let causes = storage_errors().into_iter().map(Some);
    all.extend(causes.map(|cause| JobError::Recovery { failure, cause }));
    for error in &all {
        match error {
            JobError::Invalid(_) | JobError::TaskFailed { .. } | JobError::CheckpointsFailed { .. } => {}
            JobError::Fenced | JobError::Recovery { .. } | JobError::Incompatible { .. } => {}
            JobError::CoordinatorPanicked => {}
        }
    }
    all
}

/// The texts of an error and of its causes, as who prints a chain of errors goes through them.
fn chain(error: &dyn Error) -> Vec<String> {
    let mut told = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        told.push(cause.to_string());
        next = cause.source();
    }
    told
}

fn assert_told_once(error: &dyn Error, debug: &str) {
    let chain = chain(error);
    for (index, text) in chain.iter().enumerate() {
        for cause in &chain[index + 1..] {
            assert!(!text.contains(cause) && !cause.contains(text.as_str()), "{chain:?}");
        }
    }
    let whole = chain.join(": ");
    for part in [CAUSE, "the outer one", "not be serialized"] {
        assert!(whole.matches(part).count() <= 1, "`{part}` twice: {whole}");
    }
    if debug.contains(CAUSE) {
        assert!(error.to_string().contains(CAUSE), "its cause is not told: {error}, {debug}");
    }
}

#[test]
fn error_of_each_kind_tells_its_causes_once() {
    macro_rules! all {
        ($($errors:expr),+) => {$(
            for error in $errors {
                assert_told_once(&error, &format!("{error:?}"));
            }
        )+};
    }
    all!(codec_errors(), storage_errors(), state_errors(), task_errors(), job_errors());
}

#[test]
fn error_of_a_refused_value_is_no_reason_to_give_up() {
    let refused = |cause| TaskError::State(StateError::Refused { state: "count".into(), cause });
    assert!(!refused(CodecError::Refused(CAUSE.into())).is_unrecoverable());
}

/// Its state is restored, and it may have failed for the moment.
#[test]
fn error_of_a_backend_is_no_reason_to_give_up() {
    let failed = TaskError::State(StateError::Backend { state: "count".into(), cause: outer() });
    assert!(!failed.is_unrecoverable());
}

/// Where the files of a backend are fetched, the storage may fail for the moment; what is damaged stays so.
#[test]
fn error_of_a_backend_that_is_restored_counts_by_what_the_storage_says() {
    let restore = |cause: Box<dyn Error + Send + Sync>| TaskError::Restore {
        object: "a state file".into(),
        cause: StateError::Backend { state: "rocksdb".into(), cause },
    };
    let unavailable = || StorageError::unavailable("a shared file", io::Error::other(CAUSE));
    let corrupt = || StorageError::Corrupt { object: "a shared file".into(), offset: 3, what: CAUSE.into() };
    assert!(!restore(outer()).is_unrecoverable());
    assert!(!restore(unavailable().into()).is_unrecoverable());
    assert!(!restore(io::Error::other(unavailable()).into()).is_unrecoverable());
    assert!(restore(corrupt().into()).is_unrecoverable());
    assert!(restore(io::Error::other(corrupt()).into()).is_unrecoverable());
}

/// Every access to state may fail: what it returns is not to become larger than it must be.
#[test]
fn error_of_state_is_small() {
    assert!(size_of::<StateError>() <= 72, "{}", size_of::<StateError>());
}
