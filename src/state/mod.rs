//! The typed state API: descriptors, keyed and operator state, and the snapshot file that every backend writes.
//!
//! Keyed state belongs to the key of the record being processed ([`KeyedStateStore`]); operator state belongs to the
//! subtask ([`OperatorStateBackend`]). Both are described with a serializer ([`serializer`]), go into one file per
//! subtask and checkpoint ([`TaskSnapshot`]), which says nothing about the backend, and come back as a
//! [`SnapshotImage`]. What a restored image holds stays bytes until its descriptor is opened; state that is
//! never opened goes into the next snapshot as it came.

pub mod backend;
mod channels;
mod compression;
mod contents;
mod descriptor;
mod error;
mod image;
mod keyed;
mod older;
mod operator;
mod read;
pub mod serializer;
mod snapshot;
mod timers;
mod visit;
mod visit_files;

pub use channels::{CapturedRecords, ChannelSide, ChannelState};
pub use contents::{CapturedSize, KeyedStateSize, OperatorStateSummary, StateFileSizes, StateFileSummary};
pub use descriptor::{
    AggregateFunction, AggregatingStateDescriptor, ListStateDescriptor, MapStateDescriptor, ReduceFunction,
    ReducingStateDescriptor, StateObject, StateValue, ValueStateDescriptor,
};
pub use error::{StateError, StatePart};
pub use image::{KeyedImage, RawEntry, RawGroup, RawKeyedState, SnapshotImage, merge_keyed};
pub use keyed::{
    AggregatingState, CleanUp, ExpiredButPresent, KeyedStateSnapshot, KeyedStateStore,
    KeyedStateStoreBuilder, ListState, MapKey, MapState, Namespace, Namespaced, ReducingState,
    StateDescriptor, StateHandle, StateKey, TtlAggregatingState, TtlListState, TtlMapState, TtlMetrics,
    TtlReducingState, TtlValueState, ValueState, WithTtl,
};
pub use operator::{
    BroadcastKey, BroadcastState, OperatorImage, OperatorListState, OperatorSnapshot, OperatorStateBackend,
    OperatorStateType, ReadOnlyBroadcastState,
};
pub use snapshot::{KeyedHeader, KeyedSnapshot, KeyedStateHeader, KeyedStateWriter, StateKind, TaskSnapshot};
pub use timers::{Timer, TimerService};
pub use visit::{EachRecord, StateRecord};
