//! Bugs that really happened, planted around the machine, which stays as it ships.

use super::scope::{Budgets, Scope};
use serde::Serialize;

/// A bug between the publisher, its driver and the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Fault {
    /// Tasks are told when the pointer is on its way.
    ToldBeforeDurable,
    /// Metadata is acknowledged and never written.
    MetadataNotDurable,
    /// A lost answer is taken for a failure.
    LostTakenForFailed,
    /// A lost answer is taken for a success.
    LostTakenForStored,
    /// The answer to an operation that has no meaning any more is taken for the one that is awaited.
    LateAnswerObeyed,
    /// A pointer that exists is overwritten.
    PointerOverwritten,
    /// Claims are acknowledged and never written.
    ClaimNotWritten,
    /// Claims are deleted as old pointers are.
    ClaimsDeleted,
    /// The pointer of a publication is deleted as soon as the next one is durable.
    GapInTheNewestSegment,
    /// Whoever is fenced takes that for the end of the job and cleans up.
    FencedCleansUp,
    /// Ids begin again with each process, and metadata is overwritten.
    IdsBeginAgain,
    /// What cannot be read is left out without a word.
    SkippedInSilence,
    /// What cannot be read is tried for ever.
    DamageTakenForOutage,
}

impl Fault {
    /// Every planted bug.
    pub const ALL: [Fault; 13] = [
        Fault::ToldBeforeDurable,
        Fault::MetadataNotDurable,
        Fault::LostTakenForFailed,
        Fault::LostTakenForStored,
        Fault::LateAnswerObeyed,
        Fault::PointerOverwritten,
        Fault::ClaimNotWritten,
        Fault::ClaimsDeleted,
        Fault::GapInTheNewestSegment,
        Fault::FencedCleansUp,
        Fault::IdsBeginAgain,
        Fault::SkippedInSilence,
        Fault::DamageTakenForOutage,
    ];

    /// Where a bug of this kind happened.
    pub fn source(self) -> &'static str {
        match self {
            Fault::ToldBeforeDurable => "FLINK-31077",
            Fault::MetadataNotDurable => "FLINK-36421",
            Fault::LostTakenForFailed => "Flink, testCleanupOmissionForPossibleInconsistentStateException",
            Fault::LostTakenForStored => "KAFKA-9274",
            Fault::LateAnswerObeyed => "RisingWave #20988",
            Fault::PointerOverwritten => "LaminarDB #453",
            Fault::ClaimNotWritten => "bytewax #181",
            Fault::ClaimsDeleted => "LaminarDB #507",
            Fault::GapInTheNewestSegment => "a listing that is behind",
            Fault::FencedCleansUp => "FLINK-25486",
            Fault::IdsBeginAgain => "RisingWave #5364",
            Fault::SkippedInSilence => "Flink, testCorruptedData",
            Fault::DamageTakenForOutage => "FLINK-8807",
        }
    }

    /// A small scope that shows it.
    pub fn scope(self) -> Scope {
        const CALM: &[Budgets] = &[Budgets::CALM];
        const LOSS: &[Budgets] = &[Budgets { losses: 1, ..Budgets::CALM }];
        const CRASH: &[Budgets] = &[Budgets { crashes: 1, ..Budgets::CALM }];
        const DUEL: &[Budgets] = &[Budgets { coordinators: 1, ..Budgets::CALM }];
        const BEHIND: &[Budgets] = &[Budgets { crashes: 1, lies: 1, ..Budgets::CALM }];
        const DAMAGE: &[Budgets] = &[Budgets { crashes: 1, damages: 1, ..Budgets::CALM }];
        let budgets = match self {
            Fault::ToldBeforeDurable | Fault::MetadataNotDurable => CALM,
            Fault::LostTakenForFailed | Fault::LostTakenForStored | Fault::LateAnswerObeyed => LOSS,
            Fault::IdsBeginAgain => CRASH,
            Fault::PointerOverwritten
            | Fault::ClaimNotWritten
            | Fault::ClaimsDeleted
            | Fault::FencedCleansUp => DUEL,
            Fault::GapInTheNewestSegment => BEHIND,
            Fault::SkippedInSilence | Fault::DamageTakenForOutage => DAMAGE,
        };
        Scope { budgets }
    }
}
