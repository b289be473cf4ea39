//! States of a backend of bytes at one moment.

use super::access::has_no_entry;
use super::{BytesTable, KEY_GROUP_BYTES, append_part, key_group_bytes};
use crate::keygroup::KeyGroupRange;
use crate::state::backend::{BackendSnapshot, EachEntry, StateNumber, state_name};
use crate::state::keyed::layout::Layout;
use crate::state::keyed::schema::{SnapshotTime, TableSnapshot};
use crate::state::keyed::ttl::{ExpiredButPresent, RemovedBy};
use crate::state::keyed::{Namespace, StateKey};
use crate::state::{KeyedStateHeader, KeyedStateWriter, StateError};
use std::ops::ControlFlow;

/// A table at one moment, in the snapshot of its backend.
pub(super) struct SharedBytes<K, N, L> {
    pub(super) table: BytesTable<K, N, L>,
    pub(super) time: Option<SnapshotTime>,
}

impl<K: StateKey, N: Namespace, L: Layout> TableSnapshot for SharedBytes<K, N, L> {
    fn header(&self) -> KeyedStateHeader {
        self.table.schema.header(&self.table.name)
    }

    fn headers_in_files(&self) -> Vec<KeyedStateHeader> {
        let present = self.table.schema.header(&self.table.version);
        let older = self.table.older.iter().map(|older| older.header.clone());
        std::iter::once(present).chain(older).collect()
    }

    fn is_empty(&self, backend: Option<&dyn BackendSnapshot>) -> bool {
        let is_empty = backend.is_none_or(|backend| self.table.has_no_entry(backend));
        if is_empty {
            // Then it is not written.
            self.table.schema.layout.note_found_by_snapshot(ExpiredButPresent::default());
        }
        is_empty
    }

    fn write(
        &self,
        backend: Option<&dyn BackendSnapshot>,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError> {
        let Some(backend) = backend else { return Ok(()) };
        let SharedBytes { table, time } = self;
        let layout = &table.schema.layout;
        let mut found = ExpiredButPresent::default();
        let live = |value: &[u8], write: &mut dyn FnMut(&[u8]) -> Result<(), StateError>| {
            let Some(SnapshotTime { now, leaves_out }) = *time else { return write(value) };
            let compacted = layout.compact(value, now);
            found += ExpiredButPresent::without(value, &compacted);
            if !leaves_out || compacted.expired == 0 {
                return write(value);
            }
            layout.count_removed(RemovedBy::Snapshot, compacted.expired);
            compacted.left.map_or(Ok(()), |left| write(&left))
        };
        write_groups(table.range, |prefix, each| table.visit(backend, prefix, each), live, target)?;
        layout.note_found_by_snapshot(found);
        Ok(())
    }
}

/// A restored state that has not been opened, in a backend that was restored with it.
pub(in crate::state::keyed) struct UnopenedBytes {
    pub(in crate::state::keyed) header: KeyedStateHeader,
    pub(in crate::state::keyed) range: KeyGroupRange,
    pub(in crate::state::keyed) state: StateNumber,
}

impl TableSnapshot for UnopenedBytes {
    fn header(&self) -> KeyedStateHeader {
        self.header.clone()
    }

    fn is_empty(&self, backend: Option<&dyn BackendSnapshot>) -> bool {
        backend.is_none_or(|backend| has_no_entry(backend, self.state))
    }

    fn write(
        &self,
        backend: Option<&dyn BackendSnapshot>,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError> {
        let Some(backend) = backend else { return Ok(()) };
        let name = state_name(&self.header.name);
        let failed = |cause| StateError::Backend { state: name.to_owned(), cause };
        let visit =
            |prefix: &[u8], each: &mut EachEntry<'_>| backend.visit(self.state, prefix, each).map_err(failed);
        write_groups(self.range, visit, |value, write| write(value), target)
    }
}

/// Writes the entries that `visit` passes on, with what `live` writes of their values.
fn write_groups(
    range: KeyGroupRange,
    visit: impl Fn(&[u8], &mut EachEntry<'_>) -> Result<(), StateError>,
    mut live: impl FnMut(&[u8], &mut dyn FnMut(&[u8]) -> Result<(), StateError>) -> Result<(), StateError>,
    target: &mut KeyedStateWriter<'_>,
) -> Result<(), StateError> {
    for group in range.groups() {
        let (mut has_begun, mut written) = (false, Ok(()));
        let mut write = |key: &[u8], value: &[u8]| {
            if !std::mem::replace(&mut has_begun, true) {
                target.begin_group(group)?;
            }
            live(value, &mut |value| {
                target.entry(|bytes| {
                    bytes.extend_from_slice(&key[KEY_GROUP_BYTES..]);
                    append_part(bytes, value);
                    Ok(())
                })
            })
        };
        visit(&key_group_bytes(group), &mut |key, value| {
            written = write(key, value);
            if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        written?;
        if has_begun {
            target.end_group()?;
        }
    }
    Ok(())
}
