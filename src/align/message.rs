use crate::base::{Channel, CheckpointId, CheckpointOptions, DeclineReason, Millis};
use serde::{Deserialize, Serialize};

/// What happened at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// A barrier has been put into the queue of a channel, behind whatever is queued there.
    BarrierAnnounced {
        /// The channel, blocked or not.
        channel: Channel,
        /// The barrier's checkpoint.
        checkpoint: CheckpointId,
        /// The options that the barrier carries.
        options: CheckpointOptions,
    },
    /// A barrier was read from a channel that was not blocked.
    BarrierArrived {
        /// The channel.
        channel: Channel,
        /// The barrier's checkpoint.
        checkpoint: CheckpointId,
        /// The options that the barrier carries.
        options: CheckpointOptions,
    },
    /// A cancellation marker was read from a channel that was not blocked.
    CancellationArrived {
        /// The channel.
        channel: Channel,
        /// The cancelled checkpoint.
        checkpoint: CheckpointId,
    },
    /// The end was read from a channel that was not blocked: it delivers nothing more.
    ChannelEnded {
        /// The channel.
        channel: Channel,
    },
    /// The coordinator has aborted a checkpoint.
    CheckpointAborted {
        /// The aborted checkpoint.
        checkpoint: CheckpointId,
    },
    /// Time has passed, perhaps to the deadline.
    Tick,
}

/// What the gate must do, in this order, and before anything is put into a queue or read from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Output {
    /// Read nothing more from the channel.
    BlockChannel(Channel),
    /// Read from the channel again.
    ResumeChannel(Channel),
    /// All barriers are there: take the snapshot before reading anything else, and send the barrier on.
    Aligned {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The options with which the barrier goes on.
        options: CheckpointOptions,
        /// The time from the first barrier to the last.
        alignment: Millis,
    },
    /// A barrier has overtaken what is queued: take the snapshot before reading anything else, and send the
    /// barrier on ahead of everything that is queued at the outputs, which becomes part of the checkpoint.
    StartUnaligned {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The options with which the barrier goes on.
        options: CheckpointOptions,
    },
    /// Copy the records in the queue of the channel into the checkpoint: those ahead of its barrier, or all when
    /// that is not in the queue. They stay in the queue and will be processed.
    CaptureQueued {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The channel.
        channel: Channel,
    },
    /// The capture of all channels is complete.
    CaptureFinished {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The time from the first barrier to the last.
        alignment: Millis,
    },
    /// The checkpoint will not be taken here. What was captured for it is of no use.
    Aborted {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Why, in the words in which the task declines it.
        reason: DeclineReason,
    },
}
