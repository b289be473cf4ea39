use super::scope::{Mode, Run, Scope};
use serde::Serialize;

/// A bug planted between the gate and its machine, which stays as it ships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Fault {
    /// A cancellation marker is lost, so that its channel is waited for.
    CancellationDropped,
    /// The end of a channel does not count as its barrier.
    EndNotCounted,
    /// A barrier is accepted although a newer one, or its cancellation, was seen.
    OlderBarrierAccepted,
    /// The gate reads on from blocked channels.
    BlockedChannelRead,
    /// A channel is not read again after the alignment.
    ResumeDropped,
    /// The snapshot is taken at the first barrier, although it waits for the others.
    TriggeredAtFirstBarrier,
    /// What the coordinator aborts is still waited for.
    AbortDropped,
    /// A cancellation marker is taken for the barrier in whose place it stands.
    CancellationTakenForBarrier,
    /// A barrier counts again for a checkpoint that was given up.
    CancelledForgotten,
    /// The copying of a queue stops at the barrier of another checkpoint.
    CaptureNotKeyed,
    /// A record behind the barrier is processed before the snapshot is taken.
    SnapshotDelayed,
    /// What arrives is written ahead of what was queued, by another thread.
    TwoWriters,
    /// The timer is served between taking a barrier from its queue and reporting it.
    TimerBeforeBarrier,
    /// Only what is queued is copied, and nothing that arrives later.
    ArrivalsNotCaptured,
    /// Everything queued is copied, also what stands behind the barrier.
    BehindBarrierCaptured,
    /// What was copied for a checkpoint that was given up gets into the next one.
    CaptureKept,
    /// The checkpoint is complete with its snapshot, before all copies are there.
    CaptureFinishedAtStart,
    /// A barrier comes on another way than the records, and before one of them.
    BarrierBeforeRecord,
}

impl Fault {
    /// Every planted bug.
    pub const ALL: [Fault; 18] = [
        Fault::CancellationDropped,
        Fault::EndNotCounted,
        Fault::OlderBarrierAccepted,
        Fault::BlockedChannelRead,
        Fault::ResumeDropped,
        Fault::TriggeredAtFirstBarrier,
        Fault::AbortDropped,
        Fault::CancellationTakenForBarrier,
        Fault::CancelledForgotten,
        Fault::CaptureNotKeyed,
        Fault::SnapshotDelayed,
        Fault::TwoWriters,
        Fault::TimerBeforeBarrier,
        Fault::ArrivalsNotCaptured,
        Fault::BehindBarrierCaptured,
        Fault::CaptureKept,
        Fault::CaptureFinishedAtStart,
        Fault::BarrierBeforeRecord,
    ];

    /// Where a bug of this kind happened.
    pub fn source(self) -> &'static str {
        match self {
            Fault::CancellationDropped | Fault::AbortDropped => "FLINK-18238",
            Fault::EndNotCounted => "FLINK-1775",
            Fault::OlderBarrierAccepted => "FLINK-21104",
            Fault::BlockedChannelRead => "FLINK-2427",
            Fault::ResumeDropped => "FLINK-23938",
            Fault::TriggeredAtFirstBarrier => "FLINK-18641",
            Fault::CancellationTakenForBarrier => "FLINK-17869",
            Fault::CancelledForgotten => "FLINK-5285",
            Fault::CaptureNotKeyed => "FLINK-20097",
            Fault::SnapshotDelayed => "FLINK-17568",
            Fault::TwoWriters => "FLINK-17564",
            Fault::TimerBeforeBarrier => "FLINK-19681",
            Fault::ArrivalsNotCaptured => "Flink, testChannelResetOnNewBarrier",
            Fault::BehindBarrierCaptured => "Flink, testMultiChannelTrailingInflightData",
            Fault::CaptureKept => "Flink, testEarlyCleanup",
            Fault::CaptureFinishedAtStart => "FLINK-38543",
            Fault::BarrierBeforeRecord => "RisingWave #655",
        }
    }

    /// The runs in which it is looked for.
    pub fn scope(self) -> Scope {
        Scope {
            runs: match self {
                Fault::CancelledForgotten => &[Run { mode: Mode::AtLeastOnce, ..SMALLEST }],
                // Only behind a barrier that has waited can there be anything when the snapshot is taken.
                Fault::TimerBeforeBarrier | Fault::SnapshotDelayed | Fault::BehindBarrierCaptured => {
                    &[Run { mode: Mode::AlignedUntil, ..SMALLEST }]
                }
                Fault::CaptureNotKeyed
                | Fault::TwoWriters
                | Fault::ArrivalsNotCaptured
                | Fault::CaptureKept
                | Fault::CaptureFinishedAtStart
                | Fault::BarrierBeforeRecord => &[Run { mode: Mode::Unaligned, ..SMALLEST }],
                _ => &[SMALLEST],
            },
        }
    }
}

const SMALLEST: Run =
    Run { mode: Mode::Aligned, channels: 2, checkpoints: 3, records: 2, queue: 2, irregular: Some(2) };
