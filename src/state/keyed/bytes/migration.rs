//! Entries that are written anew when their state is opened, because their keys change, or whether they have times: then
//! nothing old can stay until it is touched.

use super::{BytesTable, append_part, key_group_bytes};
use crate::codec::take_record;
use crate::keygroup::KeyGroup;
use crate::state::StateError;
use crate::state::backend::{Entry, KeyedStateBackend, StateNumber};
use crate::state::keyed::layout::Layout;
use crate::state::keyed::{Namespace, StateKey};
use std::collections::BTreeSet;

/// Why a state of maps cannot be migrated.
pub(super) const ONE_KEY_TWICE: &str = "a map has one key twice";

impl<K: StateKey, N: Namespace, L: Layout> BytesTable<K, N, L> {
    /// Reads what [`migrate`](Self::migrate) will write, so that nothing has changed if that is impossible.
    pub(super) fn check_migration(
        &self,
        old: StateNumber,
        layout: &L,
        backend: &dyn KeyedStateBackend,
    ) -> Result<(), StateError> {
        self.range.groups().try_for_each(|group| self.migrated(group, old, layout, backend).map(drop))
    }

    /// Writes the entries of another state of the backend anew, which `layout` reads.
    pub(super) fn migrate(
        &self,
        old: StateNumber,
        layout: &L,
        backend: &mut dyn KeyedStateBackend,
    ) -> Result<(), StateError> {
        for group in self.range.groups() {
            for (key, value) in self.migrated(group, old, layout, backend)? {
                backend.put(self.state, &key, &value).map_err(|error| self.failed(error))?;
            }
        }
        Ok(())
    }

    fn migrated(
        &self,
        group: KeyGroup,
        old: StateNumber,
        layout: &L,
        backend: &dyn KeyedStateBackend,
    ) -> Result<Vec<Entry>, StateError> {
        let mut migrated = Vec::new();
        for entry in backend.scan(old, &key_group_bytes(group)) {
            let (key, value) = entry.map_err(|error| self.failed(error))?;
            let undecodable = |what| self.undecodable_at(&key, what);
            let (_, user_key) = self.read_scope(&key)?;
            let (mut new_key, mut rest) = (key[..key.len() - user_key.len()].to_vec(), user_key);
            if let Some(user_key) = take_record(&mut rest) {
                append_part(&mut new_key, &layout.migrate_user_key(user_key).map_err(undecodable)?);
            }
            let value = layout.migrate_value(&value).map_err(undecodable)?.into_owned();
            migrated.push((new_key, value));
        }
        let keys: BTreeSet<&[u8]> = migrated.iter().map(|(key, _)| &key[..]).collect();
        match keys.len() == migrated.len() {
            true => Ok(migrated),
            false => Err(self.undecodable_at(&key_group_bytes(group), ONE_KEY_TWICE.to_owned())),
        }
    }
}
