//! An observer beside the storage: what has become true, and what must never happen.

use super::scope::SEGMENT;
use serde::Serialize;
use snapline::base::{Attempt, CheckpointId, Incarnation};
use snapline::publish::{Pointer, PointerKind, PointerSequence};
use std::collections::{BTreeMap, BTreeSet};

/// What must never happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Wrong {
    /// Someone was told of a checkpoint that is not visible.
    pub told_too_early: bool,
    /// An attempt began from something else than the newest checkpoint, and did not say so.
    pub went_back: bool,
    /// An attempt began from nothing although something was published.
    pub began_from_nothing: bool,
    /// An attempt published after a later one had begun.
    pub revived: bool,
    /// An attempt began that is not later than those before it.
    pub attempt_repeated: bool,
    /// A checkpoint was published whose id is not above those before it.
    pub id_repeated: bool,
    /// A publication that was reported as failed is visible.
    pub failed_but_visible: bool,
}

/// What was seen to be possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Seen {
    /// A claim was written into a gap.
    pub claim_in_a_gap: bool,
    /// A checkpoint was visible although nobody had said that its pointer is stored.
    pub settled: bool,
    /// An attempt began from an older checkpoint and had said so.
    pub fell_back: bool,
}

/// What an observer has seen that misses nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct History {
    /// The checkpoint from which an attempt must begin.
    pub newest: Option<CheckpointId>,
    /// Everything that was ever published, and by which attempt.
    pub published: BTreeMap<CheckpointId, Attempt>,
    /// The latest attempt whose claim counts.
    pub attempt: Attempt,
    /// Publications that were reported as failed.
    pub failed: BTreeSet<(CheckpointId, Attempt)>,
    /// Processes that have said that they go back.
    go_back: BTreeSet<Incarnation>,
    /// What went wrong.
    pub wrong: Wrong,
    /// What was seen.
    pub seen: Seen,
}

impl History {
    /// A pointer has become durable; `highest` was there before.
    pub(super) fn written(
        &mut self,
        number: PointerSequence,
        pointer: &Pointer,
        highest: Option<PointerSequence>,
    ) {
        match (pointer.kind, pointer.newest) {
            (PointerKind::Publication, Some(id)) => self.publication(id, pointer.attempt),
            _ if Some(number) < highest => self.seen.claim_in_a_gap = true,
            (_, newest) => {
                self.begins_from(newest, self.go_back.contains(&pointer.incarnation));
                // Only the claim that begins a segment is a proof, and only its writer goes on.
                if number.begins_segment(SEGMENT) {
                    self.wrong.attempt_repeated |= pointer.attempt <= self.attempt;
                    self.attempt = self.attempt.max(pointer.attempt);
                }
            }
        }
    }

    pub(super) fn said_that_it_goes_back(&mut self, who: Incarnation) {
        self.go_back.insert(who);
    }

    fn publication(&mut self, id: CheckpointId, attempt: Attempt) {
        // The same put may arrive twice, the second time into a gap.
        if self.published.get(&id) == Some(&attempt) {
            return;
        }
        self.wrong.revived |= attempt < self.attempt;
        self.wrong.id_repeated |= self.published.last_key_value().is_some_and(|(last, _)| *last >= id);
        self.wrong.failed_but_visible |= self.failed.contains(&(id, attempt));
        self.published.insert(id, attempt);
        self.newest = Some(id);
    }

    /// A claim at the end of the log says from which checkpoint the job goes on.
    fn begins_from(&mut self, newest: Option<CheckpointId>, may_go_back: bool) {
        self.wrong.began_from_nothing |= newest.is_none() && !self.published.is_empty();
        if newest != self.newest {
            self.wrong.went_back |= !may_go_back;
            self.seen.fell_back |= may_go_back;
        }
        self.newest = newest;
    }

    pub(super) fn told(&mut self, id: CheckpointId) {
        self.wrong.told_too_early |= !self.published.contains_key(&id);
    }

    pub(super) fn reported_as_failed(&mut self, id: CheckpointId, attempt: Attempt, visible: bool) {
        self.failed.insert((id, attempt));
        self.wrong.failed_but_visible |= visible;
    }
}
