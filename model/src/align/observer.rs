//! Who watches beside the machine what becomes of each checkpoint.

use serde::Serialize;
use snapline::base::CheckpointId;
use std::collections::BTreeSet;

/// What a checkpoint holds of one channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Content {
    /// The effects of the records up to this one are in the state.
    effects: u8,
    /// Copies of records.
    pub(super) captured: Vec<u8>,
}

impl Content {
    pub(super) fn effects_up_to(record: u8) -> Content {
        Content { effects: record, captured: Vec::new() }
    }

    /// Each record up to `cut` once and in order, and no other.
    pub(super) fn holds_exactly_up_to(&self, cut: u8) -> bool {
        self.effects <= cut && self.captured.iter().copied().eq(self.effects + 1..=cut)
    }

    /// No record up to `cut` is missing.
    pub(super) fn holds_all_up_to(&self, cut: u8) -> bool {
        self.effects >= cut
    }
}

/// What must never be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Wrong {
    /// A completed checkpoint that does not hold what stands before its barriers.
    pub(super) cut: bool,
    /// A second decision on one checkpoint, or one after that on a newer one.
    pub(super) order: bool,
    /// The completion of a checkpoint that was cancelled or aborted before.
    pub(super) cancelled: bool,
    /// A capture for a checkpoint that has not been started.
    pub(super) capture: bool,
}

/// The checkpoints as they are seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Observer {
    /// The unaligned checkpoint of which the snapshot was taken and the capture goes on.
    pub(super) started: Option<(CheckpointId, Vec<Content>)>,
    pub(super) newest_decided: Option<CheckpointId>,
    pub(super) newest_taken: Option<CheckpointId>,
    /// Checkpoints of which a cancellation marker was read, or that the coordinator aborted, until they are decided.
    pub(super) cancelled: BTreeSet<CheckpointId>,
    pub(super) wrong: Wrong,
}

impl Observer {
    pub(super) fn cancel(&mut self, checkpoint: CheckpointId) {
        if self.newest_decided < Some(checkpoint) {
            self.cancelled.insert(checkpoint);
        }
    }

    pub(super) fn start(&mut self, checkpoint: CheckpointId, mut contents: Vec<Content>) {
        // What an earlier capture has left behind gets into this one.
        if let Some((_, left)) = self.started.take() {
            contents.iter_mut().zip(left).for_each(|(content, left)| content.captured = left.captured);
        }
        self.started = Some((checkpoint, contents));
    }

    pub(super) fn capture_queued(
        &mut self,
        checkpoint: CheckpointId,
        channel: usize,
        records: impl Iterator<Item = u8>,
    ) {
        match &mut self.started {
            Some((started, contents)) if *started == checkpoint => contents[channel].captured.extend(records),
            _ => self.wrong.capture = true,
        }
    }

    pub(super) fn capture_arrival(
        &mut self,
        checkpoint: CheckpointId,
        channel: usize,
        record: u8,
        is_reversed: bool,
    ) {
        match &mut self.started {
            Some((started, contents)) if *started == checkpoint => {
                let captured = &mut contents[channel].captured;
                captured.insert(if is_reversed { 0 } else { captured.len() }, record);
            }
            _ => self.wrong.capture = true,
        }
    }

    /// What the capture of a checkpoint has brought together.
    pub(super) fn finish(&mut self, checkpoint: CheckpointId) -> Vec<Content> {
        match self.started.take() {
            Some((started, contents)) if started == checkpoint => contents,
            _ => {
                self.wrong.capture = true;
                Vec::new()
            }
        }
    }

    pub(super) fn complete(&mut self, checkpoint: CheckpointId) {
        self.wrong.cancelled |= self.cancelled.contains(&checkpoint);
        self.newest_taken = self.newest_taken.max(Some(checkpoint));
        self.decide(checkpoint);
    }

    pub(super) fn abort(&mut self, checkpoint: CheckpointId, is_kept: bool) {
        if !is_kept {
            self.started.take_if(|(started, _)| *started == checkpoint);
        }
        self.decide(checkpoint);
    }

    fn decide(&mut self, checkpoint: CheckpointId) {
        self.wrong.order |= self.newest_decided >= Some(checkpoint);
        self.newest_decided = self.newest_decided.max(Some(checkpoint));
        self.cancelled = self.cancelled.split_off(&checkpoint.next());
    }
}
