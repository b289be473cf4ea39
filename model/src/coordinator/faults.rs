//! Bugs that really happened, planted between the coordinator and its world: the machine stays as it ships.

use serde::Serialize;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Fault {
    /// Tasks are said to run as soon as they are being started.
    StartingTakenForRunning,
    /// Whoever delivers a trigger confirms the checkpoint in the name of the task.
    TriggerTakenForAcknowledgement,
    /// After a restart the clock is forgotten.
    TimerNotArmedAgain,
    /// A put is answered before it is durable.
    PutTakenForDurable,
    /// A lost answer is taken for a failure.
    LostTakenForFailed,
    /// Whoever is fenced takes that for the end of the job and cleans up.
    FencedCleansUp,
    /// A failed task of an attempt that is over stops the new one.
    OldFailureObeyed,
    /// A complete savepoint replaces the checkpoints before it.
    SavepointSubsumes,
    /// A deletion that fails is never said to have ended.
    FailedDeletionNotReported,
    /// A task that finishes early is not reported.
    FinishNotReported,
    /// State that is to be discarded stays.
    DiscardForgotten,
    /// What is acknowledged too late is ignored.
    LateAcknowledgementIgnored,
    /// Acknowledgements are counted, whoever sends them.
    AcknowledgementsCounted,
    /// A cancelled job is taken for a failed one.
    CancelTakenForFailure,
    /// Nobody is told of an abort.
    AbortNotPassedOn,
    /// A last claim that finds its number taken is taken for written.
    RetiredUnproven,
}

impl Fault {
    /// Every planted bug.
    pub const ALL: [Fault; 16] = [
        Fault::StartingTakenForRunning,
        Fault::TriggerTakenForAcknowledgement,
        Fault::TimerNotArmedAgain,
        Fault::PutTakenForDurable,
        Fault::LostTakenForFailed,
        Fault::FencedCleansUp,
        Fault::OldFailureObeyed,
        Fault::SavepointSubsumes,
        Fault::FailedDeletionNotReported,
        Fault::FinishNotReported,
        Fault::DiscardForgotten,
        Fault::LateAcknowledgementIgnored,
        Fault::AcknowledgementsCounted,
        Fault::CancelTakenForFailure,
        Fault::AbortNotPassedOn,
        Fault::RetiredUnproven,
    ];

    /// Where a bug of this kind happened.
    pub fn source(self) -> &'static str {
        match self {
            Fault::StartingTakenForRunning => "FLINK-22003",
            Fault::TriggerTakenForAcknowledgement => "FLINK-23741",
            Fault::TimerNotArmedAgain => "FLINK-13256",
            Fault::PutTakenForDurable => "FLINK-25958",
            Fault::LostTakenForFailed => "Flink, testCleanupOmissionForPossibleInconsistentStateException",
            Fault::FencedCleansUp | Fault::RetiredUnproven => "FLINK-25486",
            Fault::OldFailureObeyed => "RisingWave #6989",
            Fault::SavepointSubsumes => "FLINK-21351",
            Fault::FailedDeletionNotReported => "FLINK-18137",
            Fault::FinishNotReported => "Hazelcast Jet b5db1c10c5",
            Fault::DiscardForgotten => "FLINK-30461",
            Fault::LateAcknowledgementIgnored => "Flink, testStateCleanupForLateOrUnknownMessages",
            Fault::AcknowledgementsCounted => "RisingWave #22384",
            Fault::CancelTakenForFailure => "a cancelled job that starts again",
            Fault::AbortNotPassedOn => "FLINK-18238",
        }
    }
}
