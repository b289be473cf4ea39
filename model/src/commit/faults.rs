//! Bugs that really happened, planted between the machine and its world: the machine stays as it ships.

use serde::Serialize;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Fault {
    /// A commit of which nobody knows what became is reported as done.
    UncertainTakenForDone,
    /// A commit of which nobody knows what became is rolled back.
    UncertainRolledBack,
    /// A commit that is repeated writes its records again.
    CommittedTwice,
    /// A sink that has all its records ends without a snapshot of its last transaction.
    EndedWithoutCheckpoint,
    /// A sink that is at its end opens another transaction.
    TransactionAfterTheEnd,
    /// The last snapshot of a sink has a checkpoint id of its own.
    FixedIdAtTheEnd,
    /// A sink takes its own acknowledgement for the completion.
    CompletionAssumed,
    /// What was pre-committed for an aborted checkpoint is rolled back.
    AbortRollsBack,
    /// Of several restored transactions only the newest one is taken in.
    OneTransactionRestored,
    /// Transactions of subtasks that are gone are not restored.
    OthersNotRestored,
    /// A failure starts from the checkpoint before the newest one.
    OlderCheckpointRestored,
    /// Another attempt gives its transactions the same names.
    NamesRepeated,
    /// The source goes on where it was at the failure.
    PositionOfTheMoment,
    /// A checkpoint without transactions does not hold the position of the source.
    EmptyCheckpointWithoutPosition,
    /// What a dead attempt has left is not looked for.
    NothingRolledBack,
}

impl Fault {
    /// Every planted bug.
    pub const ALL: [Fault; 15] = [
        Fault::UncertainTakenForDone,
        Fault::UncertainRolledBack,
        Fault::CommittedTwice,
        Fault::EndedWithoutCheckpoint,
        Fault::TransactionAfterTheEnd,
        Fault::FixedIdAtTheEnd,
        Fault::CompletionAssumed,
        Fault::AbortRollsBack,
        Fault::OneTransactionRestored,
        Fault::OthersNotRestored,
        Fault::OlderCheckpointRestored,
        Fault::NamesRepeated,
        Fault::PositionOfTheMoment,
        Fault::EmptyCheckpointWithoutPosition,
        Fault::NothingRolledBack,
    ];

    /// Where a bug of this kind happened.
    pub fn source(self) -> &'static str {
        match self {
            Fault::UncertainTakenForDone => "Arroyo #1099",
            Fault::UncertainRolledBack => "KAFKA-9274",
            Fault::CommittedTwice => "RisingWave #25690",
            Fault::EndedWithoutCheckpoint => "FLINK-23408",
            Fault::TransactionAfterTheEnd => "FLINK-23473",
            Fault::FixedIdAtTheEnd => "FLINK-38370",
            Fault::CompletionAssumed => "KAFKA-5474",
            Fault::AbortRollsBack => "RisingWave #27084",
            Fault::OneTransactionRestored => "FLINK-29627",
            Fault::OthersNotRestored => "FLINK-36368",
            Fault::OlderCheckpointRestored => "FLINK-26783",
            Fault::NamesRepeated => "Flink, intermediate savepoints",
            Fault::PositionOfTheMoment => "Feldera 157254596",
            Fault::EmptyCheckpointWithoutPosition => "Feldera 5a1e9b3d6",
            Fault::NothingRolledBack => "FLINK-24065",
        }
    }
}
