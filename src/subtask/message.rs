use crate::base::{
    Attempt, Channel, CheckpointId, CheckpointOptions, DeclineReason, Millis, StateFile, StateHandle,
};
use serde::{Deserialize, Serialize};

/// How long the parts of a checkpoint took in one subtask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Durations {
    /// From the first barrier to the last.
    pub alignment: Millis,
    /// The synchronous part, while no record is processed.
    pub sync: Millis,
    /// The asynchronous part.
    pub asynchronous: Millis,
}

impl Durations {
    /// Of each part the longer one.
    #[must_use]
    pub fn longest(self, other: Durations) -> Durations {
        Durations {
            alignment: self.alignment.max(other.alignment),
            sync: self.sync.max(other.sync),
            asynchronous: self.asynchronous.max(other.asynchronous),
        }
    }
}

/// What happened to a subtask.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// The coordinator triggered a checkpoint at a source, or at a subtask whose inputs have all finished.
    TriggerArrived {
        /// The attempt the message was meant for.
        attempt: Attempt,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// How it is to be taken.
        options: CheckpointOptions,
    },
    /// A barrier was put into the queue of a channel, behind whatever is queued there. To be reported at once if
    /// the barrier may ever overtake.
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
    /// A barrier was sent from the queue of an output channel. To be reported if it may ever overtake.
    BarrierSent {
        /// The output channel.
        channel: Channel,
        /// The barrier's checkpoint.
        checkpoint: CheckpointId,
    },
    /// A cancellation marker was read from a channel that was not blocked.
    CancellationArrived {
        /// The channel.
        channel: Channel,
        /// The cancelled checkpoint.
        checkpoint: CheckpointId,
    },
    /// A channel has delivered all its data; barriers may still follow.
    EndOfDataArrived {
        /// The channel.
        channel: Channel,
    },
    /// A channel was closed: neither data nor barriers follow.
    ChannelEnded {
        /// The channel.
        channel: Channel,
    },
    /// A source has no more data.
    SourceExhausted,
    /// The coordinator wants a source to end its data here, as if there were no more.
    DrainArrived {
        /// The attempt the message was meant for.
        attempt: Attempt,
    },
    /// [`Output::EmitEndOfData`] was carried out, and nothing ahead of it waits in an output queue any more. From then
    /// on the subtask may finish before the others, once its inputs have closed; a driver whose tasks all finish together does
    /// not report it.
    EndOfDataSent {
        /// Whether the subtask has items of a list that every subtask gets whole when the job is restored. Then it does not
        /// finish before the others. What is said first counts.
        has_union_list: bool,
    },
    /// [`Output::TakeSnapshot`] has been carried out.
    SnapshotTaken {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// [`Output::TakeSnapshot`] has failed; the task goes on.
    SnapshotFailed {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// [`Output::StartUpload`] has ended well: the state is durable.
    UploadFinished {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Where the state lies; `None` for a subtask without state.
        handle: Option<StateHandle>,
    },
    /// [`Output::StartUpload`] has failed or was cancelled, and has removed what it wrote.
    UploadFailed {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// The coordinator says that a checkpoint is complete and durable.
    CompletionArrived {
        /// The attempt the message was meant for.
        attempt: Attempt,
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// The coordinator says that a checkpoint was aborted.
    AbortArrived {
        /// The attempt the message was meant for.
        attempt: Attempt,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The newest checkpoint that is complete and durable, if the coordinator has named one.
        newest_completed: Option<CheckpointId>,
    },
    /// Time has passed, perhaps to the deadline.
    Tick,
}

/// What a subtask must do, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Output {
    /// Read nothing more from the channel.
    BlockChannel(Channel),
    /// Read from the channel again.
    ResumeChannel(Channel),
    /// Put everything buffered, then the barrier, at the end of the queue of every output channel.
    EmitBarrier {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The options that the barrier carries.
        options: CheckpointOptions,
    },
    /// Move the barrier to the head of the queue of an output channel, with these options, and copy the records
    /// that it passes into the checkpoint, in order. They stay in the queue and will be sent.
    OvertakeOutput {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The output channel.
        channel: Channel,
        /// The options that the barrier carries from now on.
        options: CheckpointOptions,
    },
    /// Copy the records in the queue of an input channel into the checkpoint: those ahead of its barrier, or all
    /// when that is not in the queue. They stay in the queue and will be processed.
    CaptureQueued {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The input channel.
        channel: Channel,
    },
    /// Forget the snapshot of the checkpoint and all that was captured for it: it was given up.
    DropSnapshot {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// Send a cancellation marker to every output channel.
    EmitCancellation {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// The last input has been processed: let the user's code emit what it still holds. Every later snapshot
    /// holds that this was done.
    FinishInput,
    /// Tell every output channel that no more data follows.
    EmitEndOfData,
    /// Tell the coordinator that this source has no more data.
    ReportEndOfData {
        /// The attempt of the source.
        attempt: Attempt,
    },
    /// Do the synchronous part now, before any other input, and report its end.
    TakeSnapshot {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// How it is taken.
        options: CheckpointOptions,
    },
    /// Make the snapshot, with all that was captured for it, durable in the background and report the end.
    StartUpload {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// Stop the upload if that is still possible; its end is reported all the same.
    CancelUpload {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// Tell the coordinator that the state is durable.
    Acknowledge {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The attempt of the subtask.
        attempt: Attempt,
        /// Where the state lies.
        handle: Option<StateHandle>,
        /// How long it took.
        durations: Durations,
    },
    /// Tell the coordinator that there will be no state.
    Decline {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The attempt of the subtask.
        attempt: Attempt,
        /// Why.
        reason: DeclineReason,
    },
    /// Tell the user's code that the checkpoint is complete and durable.
    NotifyComplete {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// Tell the user's code that the checkpoint was aborted.
    NotifyAborted {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// Delete a file that nobody will refer to.
    DiscardState(StateFile),
    /// Close every output channel and end the task.
    Finish,
}

impl Output {
    /// What the reader of `channel` reports when it reads the marker that this puts there, if it puts one.
    #[must_use]
    pub fn marker(&self, channel: Channel) -> Option<Input> {
        match *self {
            Output::EmitBarrier { checkpoint, options } => {
                Some(Input::BarrierArrived { channel, checkpoint, options })
            }
            Output::EmitCancellation { checkpoint } => {
                Some(Input::CancellationArrived { channel, checkpoint })
            }
            Output::EmitEndOfData => Some(Input::EndOfDataArrived { channel }),
            Output::Finish => Some(Input::ChannelEnded { channel }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::CheckpointKind;

    #[test]
    fn subtask_longest_durations_are_taken_each_for_itself() {
        let durations = |alignment, sync, asynchronous| Durations {
            alignment: Millis(alignment),
            sync: Millis(sync),
            asynchronous: Millis(asynchronous),
        };
        assert_eq!(durations(1, 5, 3).longest(durations(4, 2, 6)), durations(4, 5, 6));
    }

    #[test]
    fn subtask_marker_is_read_from_the_channel_as_what_it_is() {
        let (channel, checkpoint) = (Channel(4), CheckpointId(9));
        let options = CheckpointOptions::aligned(CheckpointKind::Periodic);
        let read = |output: Output| output.marker(channel);
        assert_eq!(
            read(Output::EmitBarrier { checkpoint, options }),
            Some(Input::BarrierArrived { channel, checkpoint, options })
        );
        assert_eq!(
            read(Output::EmitCancellation { checkpoint }),
            Some(Input::CancellationArrived { channel, checkpoint })
        );
        assert_eq!(read(Output::EmitEndOfData), Some(Input::EndOfDataArrived { channel }));
        assert_eq!(read(Output::Finish), Some(Input::ChannelEnded { channel }));
        assert_eq!(read(Output::FinishInput), None);
    }
}
