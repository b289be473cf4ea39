//! Bugs that really happened, to be planted: a model that cannot fail proves nothing.

/// A bug that really happened, planted in an adapter: the machines stay as they ship.
///
/// `docs/TESTING.md` tells for each where it comes from and which property must find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The gate reads on from channels that are blocked (FLINK-2427).
    BlockedChannelsRead,
    /// A source emits a record between its snapshot and its barrier (FLINK-2098).
    EmitBetweenSnapshotAndBarrier,
    /// A barrier overtakes the records before it (RisingWave #655).
    BarrierOvertakes,
    /// A task acknowledges before its state is durable (FLINK-36421).
    AcknowledgeBeforeDurable,
    /// Tasks are notified before the checkpoint is published (FLINK-31077).
    NotifyBeforePublished,
    /// The old checkpoint is deleted before the new one is published (FLINK-6633).
    DeleteBeforePublished,
    /// An uncertain answer of the store is taken for a failure.
    UncertainTakenForFailed,
    /// Messages of an older attempt are obeyed (RisingWave #20988).
    StaleObeyed,
    /// A pointer may be overwritten, so nobody is fenced (LaminarDB #453).
    PointerOverwritten,
    /// An attempt begins without its claim being durable.
    ClaimNotWritten,
    /// Sources start again at the beginning instead of at their position (LaminarDB #188).
    RestoredAtTheStart,
    /// Only part of the tasks is rewound (LaminarDB #451).
    OperatorNotRewound,
    /// The sink commits when it should only pre-commit.
    CommitAtPreCommit,
    /// The sink acknowledges a pre-commit that it has not written.
    PreCommitNotWritten,
    /// The sink does not commit what its restored snapshot covers (Arroyo #1099).
    NoCommitAtRecovery,
    /// The sink commits what it should roll back (Flink's savepoint hazard).
    CommitInsteadOfRollBack,
    /// A snapshot makes only its own transaction durable, not those of checkpoints that were given up.
    EarlierTransactionsNotDurable,
    /// A snapshot does not hold that the input was finished.
    FinishNotRemembered,
}

impl Fault {
    /// Every planted fault.
    pub const ALL: [Fault; 18] = [
        Fault::BlockedChannelsRead,
        Fault::EmitBetweenSnapshotAndBarrier,
        Fault::BarrierOvertakes,
        Fault::AcknowledgeBeforeDurable,
        Fault::NotifyBeforePublished,
        Fault::DeleteBeforePublished,
        Fault::UncertainTakenForFailed,
        Fault::StaleObeyed,
        Fault::PointerOverwritten,
        Fault::ClaimNotWritten,
        Fault::RestoredAtTheStart,
        Fault::OperatorNotRewound,
        Fault::CommitAtPreCommit,
        Fault::PreCommitNotWritten,
        Fault::NoCommitAtRecovery,
        Fault::CommitInsteadOfRollBack,
        Fault::EarlierTransactionsNotDurable,
        Fault::FinishNotRemembered,
    ];

    /// Where it happened.
    pub fn source(self) -> &'static str {
        match self {
            Fault::BlockedChannelsRead => "FLINK-2427",
            Fault::EmitBetweenSnapshotAndBarrier => "FLINK-2098",
            Fault::BarrierOvertakes => "RisingWave #655",
            Fault::AcknowledgeBeforeDurable => "FLINK-36421",
            Fault::NotifyBeforePublished => "FLINK-31077",
            Fault::DeleteBeforePublished => "FLINK-6633",
            Fault::UncertainTakenForFailed => {
                "Flink, testCleanupOmissionForPossibleInconsistentStateException"
            }
            Fault::StaleObeyed => "RisingWave #20988",
            Fault::PointerOverwritten => "LaminarDB #453",
            Fault::ClaimNotWritten => "bytewax #181",
            Fault::RestoredAtTheStart => "LaminarDB #188",
            Fault::OperatorNotRewound => "LaminarDB #451",
            Fault::CommitAtPreCommit => "KAFKA-5474",
            Fault::PreCommitNotWritten => "FLINK-35217",
            Fault::NoCommitAtRecovery => "Arroyo #1099",
            Fault::CommitInsteadOfRollBack => "Flink, intermediate savepoints",
            Fault::EarlierTransactionsNotDurable => "FLINK-35217",
            Fault::FinishNotRemembered => "FLINK-23473",
        }
    }
}
