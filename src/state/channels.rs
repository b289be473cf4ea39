//! Records that were on their way when an unaligned checkpoint was taken: channel state.

use super::StateError;
use crate::base::Channel;
use crate::codec::{
    BlockReader, BlockWriter, CodecError, append_value, append_varint, take_record, value_from_bytes,
};
use serde::{Serialize, de::DeserializeOwned};
use std::any::type_name;
use std::collections::BTreeMap;
use std::io::{Read, Write};

/// The captured records of one channel, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapturedRecords {
    record_type: String,
    count: u64,
    bytes: Vec<u8>,
}

impl CapturedRecords {
    /// Copies records behind those that are there.
    ///
    /// # Errors
    /// A record refuses to be serialized; what was captured is useless then.
    pub fn append<T: Serialize>(&mut self, records: &[T]) -> Result<(), StateError> {
        self.append_as(type_name::<T>(), records)
    }

    /// The same for records whose type is known by the name `record_type`.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_as<T: Serialize>(&mut self, record_type: &str, records: &[T]) -> Result<(), StateError> {
        let mut record_bytes = Vec::new();
        for record in records {
            record_bytes.clear();
            append_value(&mut record_bytes, record)?;
            append_varint(&mut self.bytes, record_bytes.len() as u64);
            self.bytes.extend_from_slice(&record_bytes);
        }
        self.count += records.len() as u64;
        record_type.clone_into(&mut self.record_type);
        Ok(())
    }

    /// The records.
    ///
    /// # Errors
    /// They are of another type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<Vec<T>, StateError> {
        self.decode_as(type_name::<T>())
    }

    /// The same for records whose type is known by the name `record_type`.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_as<T: DeserializeOwned>(&self, record_type: &str) -> Result<Vec<T>, StateError> {
        if self.record_type != record_type {
            let what =
                format!("the records on their way are {}, the job's are {record_type}", self.record_type);
            return Err(StateError::Incompatible(what));
        }
        let mut rest = self.bytes.as_slice();
        let decoded = (0..self.count).map(|_| take_record(&mut rest).and_then(value_from_bytes));
        decoded
            .collect::<Option<_>>()
            .ok_or_else(|| StateError::Incompatible(format!("a record on its way is not a {record_type}")))
    }

    /// The number of records.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// What was captured of the channels of one subtask. A channel without records is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelState {
    inputs: BTreeMap<Channel, CapturedRecords>,
    outputs: BTreeMap<Channel, CapturedRecords>,
}

/// Which channels of a subtask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelSide {
    /// Those that it reads.
    Input,
    /// Those that it writes.
    Output,
}

impl ChannelState {
    /// Copies records of a channel behind those that are there.
    ///
    /// # Errors
    /// A record refuses to be serialized; what was captured is useless then.
    pub fn append<T: Serialize>(
        &mut self,
        side: ChannelSide,
        channel: Channel,
        records: &[T],
    ) -> Result<(), StateError> {
        self.append_as(side, channel, type_name::<T>(), records)
    }

    /// The same for records whose type is known by the name `record_type`.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_as<T: Serialize>(
        &mut self,
        side: ChannelSide,
        channel: Channel,
        record_type: &str,
        records: &[T],
    ) -> Result<(), StateError> {
        if records.is_empty() {
            return Ok(());
        }
        let channels = match side {
            ChannelSide::Input => &mut self.inputs,
            ChannelSide::Output => &mut self.outputs,
        };
        channels.entry(channel).or_default().append_as(record_type, records)
    }

    /// The captured records of each channel on one side.
    #[must_use]
    pub fn channels(&self, side: ChannelSide) -> &BTreeMap<Channel, CapturedRecords> {
        match side {
            ChannelSide::Input => &self.inputs,
            ChannelSide::Output => &self.outputs,
        }
    }

    /// What was captured on one side alone.
    #[must_use]
    pub fn of(self, side: ChannelSide) -> Self {
        match side {
            ChannelSide::Input => ChannelState { inputs: self.inputs, ..ChannelState::default() },
            ChannelSide::Output => ChannelState { outputs: self.outputs, ..ChannelState::default() },
        }
    }

    /// Whether nothing was captured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.outputs.is_empty()
    }

    pub(super) fn write_to(&self, blocks: &mut BlockWriter<impl Write>) -> Result<(), CodecError> {
        for channels in [&self.inputs, &self.outputs] {
            blocks.write_varint(channels.len() as u64)?;
            for (channel, CapturedRecords { record_type, count, bytes }) in channels {
                blocks.write_value(&(channel, record_type, count))?;
                blocks.write_all(bytes)?;
            }
        }
        Ok(())
    }

    pub(super) fn read_from(blocks: &mut BlockReader<impl Read>) -> Result<Self, CodecError> {
        Ok(ChannelState { inputs: read_channels(blocks)?, outputs: read_channels(blocks)? })
    }
}

fn read_channels(
    blocks: &mut BlockReader<impl Read>,
) -> Result<BTreeMap<Channel, CapturedRecords>, CodecError> {
    each_channel(blocks, |blocks, record_type, count| {
        let mut bytes = Vec::new();
        for _ in 0..count {
            blocks.append_framed_record_to(&mut bytes)?;
        }
        Ok(CapturedRecords { record_type, count, bytes })
    })
}

/// Goes through the channels of one side, whose records `read` reads when it knows their type and number.
pub(super) fn each_channel<R: Read, T>(
    blocks: &mut BlockReader<R>,
    mut read: impl FnMut(&mut BlockReader<R>, String, u64) -> Result<T, CodecError>,
) -> Result<BTreeMap<Channel, T>, CodecError> {
    let mut channels = BTreeMap::new();
    for _ in 0..blocks.read_varint()? {
        let (channel, record_type, count): (Channel, String, u64) = blocks.read_value()?;
        let records = read(blocks, record_type, count)?;
        if channels.insert(channel, records).is_some() {
            return Err(blocks.corrupt(format!("channel {channel} stands there twice")));
        }
    }
    Ok(channels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{OperatorStateBackend, SnapshotImage, TaskSnapshot};
    use ChannelSide::{Input, Output};

    fn captured() -> ChannelState {
        let mut captured = ChannelState::default();
        captured.append(Input, Channel(1), &["a".to_owned(), "b".to_owned()]).unwrap();
        captured.append(Input, Channel(1), &["c".to_owned()]).unwrap();
        captured.append(Input, Channel(0), &Vec::<String>::new()).unwrap();
        captured.append(Output, Channel(0), &(0..50_000_u32).collect::<Vec<_>>()).unwrap();
        captured
    }

    fn written(channels: ChannelState) -> Vec<u8> {
        let snapshot = TaskSnapshot::new(None, OperatorStateBackend::default().snapshot());
        let mut file = Vec::new();
        snapshot.with_channels(channels).write_to(&mut file).unwrap();
        file
    }

    #[test]
    fn state_captured_records_come_back_in_order_over_many_blocks() {
        let read = SnapshotImage::read_from(written(captured()).as_slice(), None).unwrap().channels;
        assert_eq!(read, captured());
        assert_eq!(read.channels(Input).keys().collect::<Vec<_>>(), [&Channel(1)]);
        assert_eq!(read.channels(Input)[&Channel(1)].decode::<String>().unwrap(), ["a", "b", "c"]);
        let numbers: Vec<u32> = read.channels(Output)[&Channel(0)].decode().unwrap();
        assert!(numbers.into_iter().eq(0..50_000));
    }

    #[test]
    fn state_captured_records_of_another_type_are_refused() {
        let refused = captured().channels(Input)[&Channel(1)].decode::<u64>().unwrap_err();
        assert!(matches!(refused, StateError::Incompatible(_)), "{refused}");
    }

    #[test]
    fn state_snapshot_of_captured_records_alone_is_not_empty() {
        let snapshot = |channels| {
            TaskSnapshot::new(None, OperatorStateBackend::default().snapshot()).with_channels(channels)
        };
        assert!(snapshot(ChannelState::default()).is_empty());
        assert!(!snapshot(captured()).is_empty());
    }
}
