use super::table::TableSnapshot;
use crate::keygroup::{KeyGroupRange, MaxParallelism};
use crate::state::{
    KeyedHeader, KeyedSnapshot, KeyedStateHeader, KeyedStateWriter, OperatorSnapshot, RawKeyedState,
    StateError, StateKind, TaskSnapshot,
};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;

/// The state of a heap backend at one moment. It never changes; dropping it ends the copying that it causes.
pub struct HeapSnapshot {
    pub(super) max_parallelism: MaxParallelism,
    pub(super) range: KeyGroupRange,
    pub(super) key_type: String,
    /// Name, id of the value type and content of the states that were open.
    pub(super) tables: Vec<(String, String, Box<dyn TableSnapshot>)>,
    /// The states that were not.
    pub(super) unclaimed: BTreeMap<String, RawKeyedState>,
}

impl HeapSnapshot {
    /// Writes the snapshot as a state file without operator state; [`TaskSnapshot`] puts both into one.
    ///
    /// # Errors
    /// A key or value refuses to be serialized, or `target` failed; what was written is useless then.
    pub fn write_to(self, target: &mut dyn Write) -> Result<(), StateError> {
        TaskSnapshot::new(Some(Box::new(self)), OperatorSnapshot::default()).write_to(target)
    }
}

impl KeyedSnapshot for HeapSnapshot {
    fn header(&self) -> KeyedHeader {
        let header = |name: &String, kind, value_type: &String| KeyedStateHeader {
            name: name.clone(),
            kind,
            value_type: value_type.clone(),
        };
        let open = self.tables.iter().map(|(name, value, _)| header(name, StateKind::Value, value));
        let unclaimed = self.unclaimed.iter().map(|(name, raw)| header(name, raw.kind, &raw.value_type));
        KeyedHeader {
            max_parallelism: self.max_parallelism,
            range: self.range,
            key_type: self.key_type.clone(),
            states: open.chain(unclaimed).collect(),
        }
    }

    fn entries(&self) -> u64 {
        let open: u64 = self.tables.iter().map(|(_, _, table)| table.entries()).sum();
        let raw = self.unclaimed.values().flat_map(|raw| raw.groups.values());
        open + raw.map(|group| group.entries()).sum::<u64>()
    }

    fn write_state(&self, state: usize, target: &mut KeyedStateWriter<'_>) -> Result<(), StateError> {
        if let Some((_, _, table)) = self.tables.get(state) {
            return table.write(target);
        }
        let raw = self.unclaimed.values().nth(state - self.tables.len());
        for (&group, raw) in raw.into_iter().flat_map(|raw| &raw.groups) {
            target.raw_group(group, raw)?;
        }
        Ok(())
    }
}

impl fmt::Debug for HeapSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeapSnapshot").field("range", &self.range).finish_non_exhaustive()
    }
}
