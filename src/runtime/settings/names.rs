//! What values are called.

use crate::base::CheckpointingMode;
use crate::coordinator::{ClaimMode, Retention};
use crate::publish::OnCorruption;

pub(super) const MODES: &[(&str, CheckpointingMode)] =
    &[("EXACTLY_ONCE", CheckpointingMode::ExactlyOnce), ("AT_LEAST_ONCE", CheckpointingMode::AtLeastOnce)];

pub(super) const RETENTIONS: &[(&str, Retention)] = &[
    ("RETAIN_ALWAYS", Retention::RETAIN_ALWAYS),
    ("RETAIN_ON_CANCELLATION", Retention::RETAIN_ON_CANCELLATION),
    ("DELETE_ON_CANCELLATION", Retention::DELETE_ON_CANCELLATION),
    ("NO_EXTERNALIZED_CHECKPOINTS", Retention::NO_EXTERNALIZED_CHECKPOINTS),
];

pub(super) const CORRUPTIONS: &[(&str, OnCorruption)] =
    &[("FAIL", OnCorruption::Fail), ("FALL_BACK", OnCorruption::FallBack)];

pub(in crate::runtime) const CLAIM_MODES: &[(&str, ClaimMode)] =
    &[("NO_CLAIM", ClaimMode::NoClaim), ("CLAIM", ClaimMode::Claim)];

#[derive(Clone, Copy)]
pub(super) enum Restarts {
    None,
    FixedDelay,
    NotSupported,
}

pub(super) const RESTART_STRATEGIES: &[(&str, Restarts)] = &[
    ("none", Restarts::None),
    ("off", Restarts::None),
    ("disable", Restarts::None),
    ("fixed-delay", Restarts::FixedDelay),
    ("exponential-delay", Restarts::NotSupported),
    ("failure-rate", Restarts::NotSupported),
];

/// What a value is called, if it has a name.
pub(in crate::runtime) fn name_of<T: PartialEq>(
    all: &[(&'static str, T)],
    value: &T,
) -> Option<&'static str> {
    all.iter().find(|(_, other)| other == value).map(|(name, _)| *name)
}
