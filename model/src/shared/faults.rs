//! Bugs that really happened, to be planted between the machines and their world: the machines stay as they ship.

use serde::Serialize;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Fault {
    /// The attempt is left out of the identity of a file.
    AttemptLeftOut,
    /// A local name is taken for the content of its file.
    NameTakenForContent,
    /// The number of the upload is left out of the name of an object.
    UploadLeftOut,
    /// A complete savepoint subsumes older checkpoints.
    SavepointSubsumes,
    /// A savepoint shares its files like a checkpoint.
    SavepointShares,
    /// Files are registered only after their checkpoint was published.
    RegisteredAfterPublication,
    /// A task takes its own acknowledgement for the completion.
    AcknowledgedTakenForComplete,
    /// A task acknowledges before its files are durable.
    AcknowledgedBeforeDurable,
    /// A task does not discard what it has uploaded for a snapshot that failed.
    DiscardForgotten,
    /// An aborted checkpoint deletes everything that it refers to.
    AbortDeletesAll,
    /// What is acknowledged too late is ignored.
    LateAcknowledgementIgnored,
    /// Acknowledgements of an older attempt are obeyed.
    StaleObeyed,
    /// A deletion that failed is taken for done.
    DeletionNotRepeated,
    /// What is not owned is restored as if it were.
    NotOwnedTakenForOwned,
    /// What dead attempts have left is not looked for.
    NeverListed,
}

impl Fault {
    /// Every planted bug.
    pub const ALL: [Fault; 15] = [
        Fault::AttemptLeftOut,
        Fault::NameTakenForContent,
        Fault::UploadLeftOut,
        Fault::SavepointSubsumes,
        Fault::SavepointShares,
        Fault::RegisteredAfterPublication,
        Fault::AcknowledgedTakenForComplete,
        Fault::AcknowledgedBeforeDurable,
        Fault::DiscardForgotten,
        Fault::AbortDeletesAll,
        Fault::LateAcknowledgementIgnored,
        Fault::StaleObeyed,
        Fault::DeletionNotRepeated,
        Fault::NotOwnedTakenForOwned,
        Fault::NeverListed,
    ];

    /// Where a bug of this kind happened.
    pub fn source(self) -> &'static str {
        match self {
            Fault::AttemptLeftOut => "FLINK-24611",
            Fault::NameTakenForContent => "SPARK-43404",
            Fault::UploadLeftOut => "SPARK-49883",
            Fault::SavepointSubsumes => "FLINK-21351",
            Fault::SavepointShares => "FLINK-23949",
            Fault::RegisteredAfterPublication => "FLINK-6633",
            Fault::AcknowledgedTakenForComplete => "FLINK-6504",
            Fault::AcknowledgedBeforeDurable => "FLINK-36421",
            Fault::DiscardForgotten => "FLINK-30461",
            Fault::AbortDeletesAll => "Flink, testConcurrentCheckpointSharedStateRegistration",
            Fault::LateAcknowledgementIgnored => "Flink, testStateCleanupForLateOrUnknownMessages",
            Fault::StaleObeyed => "LaminarDB #453",
            Fault::DeletionNotRepeated => "Arroyo #1086",
            Fault::NotOwnedTakenForOwned => "Flink, NO_CLAIM",
            Fault::NeverListed => "FLINK-37867",
        }
    }
}
