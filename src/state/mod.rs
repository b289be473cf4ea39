//! The typed state API: descriptors, operator state, and the snapshot file that every backend writes.
//!
//! Keyed state belongs to the key of the record being processed and lives in a backend
//! (`backend::heap`); operator state belongs to the subtask ([`OperatorStateBackend`]). Both go into one file
//! per subtask and checkpoint ([`TaskSnapshot`]), which says nothing about the backend, and come back as a
//! [`SnapshotImage`]. What a restored image holds stays bytes until its descriptor is opened; state that is
//! never opened goes into the next snapshot as it came.

mod channels;
mod descriptor;
mod error;
mod image;
mod operator;
pub mod serializer;
mod snapshot;

pub use channels::{CapturedRecords, ChannelSide, ChannelState};
pub use descriptor::{ListStateDescriptor, StateValue, ValueStateDescriptor};
pub use error::{StateError, StatePart};
pub use image::{KeyedImage, OperatorImage, RawGroup, RawKeyedState, SnapshotImage, merge_keyed};
pub use operator::{ListState, OperatorSnapshot, OperatorStateBackend};
pub use snapshot::{KeyedHeader, KeyedSnapshot, KeyedStateHeader, KeyedStateWriter, StateKind, TaskSnapshot};
