//! Runs a job on threads of this process: one per subtask, one for the coordinator, a few for storage.
//!
//! Nothing here decides anything about checkpoints. Threads feed the machines with what happens (a barrier was
//! read, a file is durable, time has passed) and carry out what the machines answer.
//!
//! A job is built with [`JobBuilder`], started with [`Job::start`], watched through its [`JobHandle`] and told what to do
//! through its [`JobControl`].

#![allow(clippy::disallowed_methods)]

mod broadcast;
mod builder;
mod channel;
mod clock;
mod control;
mod disposal;
mod error;
pub mod file;
mod function;
mod gate;
mod given;
mod history;
mod incremental;
mod io;
mod key_groups;
mod master;
mod options;
mod output;
mod plan;
mod process;
mod processing_time;
mod progress;
mod receive;
mod restore;
mod savepoint_copy;
mod settings;
mod sink;
mod source;
mod subtask_state;
mod task;
mod upload;
mod watch;
mod watermarks;
mod windowed;

pub use broadcast::{BroadcastContext, KeyedBroadcastProcessFunction, ReadOnlyContext};
pub use builder::{BroadcastConnectedStream, BroadcastStream, Job, JobBuilder, KeyedStream, Stream};
pub use control::{CheckpointType, JobControl, JobHandle, RequestHandle, RequestedCheckpoint};
pub use disposal::{Disposal, DisposalError, dispose_savepoint};
pub use error::{JobError, PlanError, RequestError, TaskError, Unrecoverable};
pub use function::{
    Collector, Durability, KeyedContext, KeyedProcessFunction, Record, SourceCollector, SourceFunction,
    SourceStatus, SubtaskContext, TransactionalSink, UserError,
};
pub use given::GivenCheckpoint;
pub use history::{CheckpointEnd, CheckpointHistory, CheckpointStatistics, RestoredCheckpoint};
pub use options::JobOptions;
pub use plan::{OperatorPlan, RestorePlan, Start};
pub use processing_time::{ManualClock, ProcessingTime};
pub use progress::{CheckpointSummary, JobEnd, JobSummary, Progress, StorageTrouble};
pub use settings::{JobSettings, LegacyStateBackend};
pub use watch::JobWatch;
pub use watermarks::WithWatermarks;
pub use windowed::WindowFunction;
