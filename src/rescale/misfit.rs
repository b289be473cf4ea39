//! Why a job cannot start from a checkpoint.

/// A checkpoint does not fit a job. The job, or the choice of the checkpoint, must change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct Misfit(
    /// Everything that does not fit.
    pub Vec<String>,
);

/// What the old subtasks of an operator have in their states does not fit its new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateMisfit {
    /// Of the old subtasks some have nothing more to come, and some have.
    #[error(
        "some of its subtasks had finished their input and others had not: it can only go on with the same parallelism"
    )]
    SomeHadFinished,
    /// The old subtasks differ in what they had taken in of a broadcast stream.
    #[error(
        "its subtasks had not taken in equally much of the stream that goes to all of them: it can only go on with the same \
         parallelism, or from a savepoint"
    )]
    TookInUnequally,
    /// Records were on their way on a connection that the job does not have any more.
    #[error(
        "records were on their way between it and an operator in whose place there is a new one: go on from a savepoint, or with \
         the operators that there were"
    )]
    RecordsBetweenOthers,
}
