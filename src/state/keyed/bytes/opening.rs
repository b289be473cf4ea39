//! A state that is opened, with what was restored of it.

use super::access::has_no_entry;
use super::migration::ONE_KEY_TWICE;
use super::{BytesTable, OlderVersion, append_part, key_group_bytes};
use crate::keygroup::{KeyGroup, KeyGroupRange, MaxParallelism, key_group_of};
use crate::state::backend::{
    CompactionFilter, KeyedStateBackend, StateDescription, StateNumber, state_name, version_name,
};
use crate::state::keyed::layout::Layout;
use crate::state::keyed::objects::key_in_wrong_group;
use crate::state::keyed::schema::Schema;
use crate::state::keyed::{Namespace, StateKey};
use crate::state::serializer::StateSerializer;
use crate::state::{RawEntry, RawKeyedState, StateError};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What was restored of a state, written by the same serializers.
pub(in crate::state::keyed) struct RestoredVersion<'a, K, N, L> {
    /// What the snapshot says about it, and its entries as far as they do not lie in the backend.
    pub(in crate::state::keyed) raw: &'a RawKeyedState,
    /// Where the backend has the others.
    pub(in crate::state::keyed) state: Option<StateNumber>,
    /// Reads them.
    pub(in crate::state::keyed) schema: Schema<K, N, L>,
}

impl<K, N: 'static, L: Layout> RestoredVersion<'_, K, N, L> {
    /// Whether entries may stay as they are until they are touched: they are found where new ones would be, and need no
    /// time that is only known now.
    fn may_stay(&self) -> bool {
        !self.schema.layout.migrates_user_keys() && !self.schema.changes_times(&self.raw.header)
    }
}

impl<K: StateKey, N: Namespace, L: Layout> BytesTable<K, N, L> {
    /// Opens a state of which `versions` were restored, all of which make `schema` the present one.
    ///
    /// # Errors
    /// An entry cannot be decoded, or the backend failed. What was restored is as it was.
    pub(in crate::state::keyed) fn open(
        name: &str,
        range: KeyGroupRange,
        max: MaxParallelism,
        schema: Schema<K, N, L>,
        versions: &[RestoredVersion<'_, K, N, L>],
        expiry: Option<CompactionFilter>,
        backend: &mut dyn KeyedStateBackend,
    ) -> Result<Self, StateError> {
        let kind = schema.kind;
        let describe = |name: &str| StateDescription { name: name.to_owned(), kind, expiry: expiry.clone() };
        let failed = |cause| StateError::Backend { state: name.to_owned(), cause };
        let mut version = version_name(&schema.header(name));
        // A version stands under the mark of what has written all of it.
        let is_present = |restored: &&RestoredVersion<'_, K, N, L>| {
            let RestoredVersion { raw: RawKeyedState { header, .. }, state, schema: after } = restored;
            state.is_some() && !after.layout.migrates() && schema.header(&header.name) == *header
        };
        let as_it_is = versions.iter().find(is_present);
        let state = match as_it_is {
            Some(RestoredVersion { raw, state: Some(state), .. }) => {
                version.clone_from(&raw.header.name);
                *state
            }
            _ if versions.iter().any(|other| other.state.is_some() && other.raw.header.name == version) => {
                let what = format!(
                    "state `{name}` would have to be migrated to the serializers that have written it"
                );
                return Err(StateError::Incompatible(what));
            }
            _ => backend.create_state(&describe(&version)).map_err(failed)?,
        };
        let (name, schema, older) = (name.to_owned(), Arc::new(schema), Vec::new());
        let mut table = BytesTable { name, range, state, version, schema, older };
        let elsewhere = versions.iter().filter_map(|restored| Some((restored, restored.state?)));
        let elsewhere = elsewhere.filter(|(_, other)| *other != state);
        let (stay, migrate): (Vec<_>, Vec<_>) = elsewhere.partition(|(restored, _)| restored.may_stay());
        if as_it_is.is_some() {
            // An error must not leave it with a part of what is to be added. What was created now is nobody's then.
            for (restored, old) in &migrate {
                table.check_migration(*old, &restored.schema.layout, &*backend)?;
            }
            versions.iter().try_for_each(|restored| table.check_entries(restored, max, &*backend))?;
        }
        for (restored, old) in &migrate {
            table.migrate(*old, &restored.schema.layout, backend)?;
        }
        for restored in versions {
            table.fill_from(restored, max, backend)?;
        }
        for (_, old) in migrate {
            // It is used up whether that succeeds or not: the next restore leaves it out.
            let _ = backend.clear_state(old);
        }
        for (restored, old) in stay.into_iter().filter(|(_, old)| !has_no_entry(&*backend, *old)) {
            let (header, layout) = (restored.raw.header.clone(), restored.schema.layout.clone());
            table.older.push(OlderVersion { state: old, header, layout });
        }
        if as_it_is.is_some() {
            backend.state_opened(state, &describe(&table.version));
        }
        for older in &table.older {
            backend.state_opened(older.state, &describe(&older.header.name));
        }
        Ok(table)
    }

    /// Reads what [`fill_from`](Self::fill_from) will write, so that nothing has changed if that is impossible.
    fn check_entries(
        &self,
        restored: &RestoredVersion<'_, K, N, L>,
        max: MaxParallelism,
        backend: &dyn KeyedStateBackend,
    ) -> Result<(), StateError> {
        let mut new_keys = BTreeSet::new();
        for_each_entry(&self.name, restored.raw, &*self.schema.key, max, |group, mut key, entry| {
            let undecodable =
                |what| StateError::Undecodable { state: self.name.clone(), key_group: Some(group), what };
            let layout = &restored.schema.layout;
            layout.migrate_value(entry.value).map_err(undecodable)?;
            let Some(user_key) = entry.user_key else { return Ok(()) };
            let user_key = layout.migrate_user_key(user_key).map_err(undecodable)?;
            append_part(&mut key, &user_key);
            let is_new = matches!(user_key, Cow::Owned(_));
            let is_there = || backend.get(self.state, &key).map_err(|error| self.failed(error));
            if is_new && (is_there()?.is_some() || !new_keys.insert(key)) {
                return Err(undecodable(ONE_KEY_TWICE.to_owned()));
            }
            Ok(())
        })
    }

    /// Puts restored entries into the backend, migrated if they must be.
    fn fill_from(
        &self,
        restored: &RestoredVersion<'_, K, N, L>,
        max: MaxParallelism,
        backend: &mut dyn KeyedStateBackend,
    ) -> Result<(), StateError> {
        for_each_entry(&self.name, restored.raw, &*self.schema.key, max, |group, mut key, entry| {
            let undecodable =
                |what| StateError::Undecodable { state: self.name.clone(), key_group: Some(group), what };
            let layout = &restored.schema.layout;
            if let Some(user_key) = entry.user_key {
                let user_key = layout.migrate_user_key(user_key).map_err(undecodable)?;
                append_part(&mut key, &user_key);
                // Only keys that have changed can have become the same.
                let is_new = matches!(user_key, Cow::Owned(_));
                if is_new && backend.get(self.state, &key).map_err(|error| self.failed(error))?.is_some() {
                    return Err(undecodable(ONE_KEY_TWICE.to_owned()));
                }
            }
            let value = layout.migrate_value(entry.value).map_err(undecodable)?;
            backend.put(self.state, &key, &value).map_err(|error| self.failed(error))
        })
    }
}

/// Puts the entries of a state that other subtasks have left in files beside it into the backend, as they are.
pub(in crate::state::keyed) fn put_raw<K: StateKey>(
    raw: &RawKeyedState,
    keys: &dyn StateSerializer<K>,
    max: MaxParallelism,
    state: StateNumber,
    backend: &mut dyn KeyedStateBackend,
) -> Result<(), StateError> {
    let name = state_name(&raw.header.name);
    for_each_entry(name, raw, keys, max, |_, mut key, entry| {
        if let Some(user_key) = entry.user_key {
            append_part(&mut key, user_key);
        }
        let failed = |cause| StateError::Backend { state: name.to_owned(), cause };
        backend.put(state, &key, entry.value).map_err(failed)
    })
}

/// Passes on each entry of a restored state with its key group and the bytes of its scope.
fn for_each_entry<K: StateKey>(
    name: &str,
    raw: &RawKeyedState,
    keys: &dyn StateSerializer<K>,
    max: MaxParallelism,
    mut entry_of_scope: impl FnMut(KeyGroup, Vec<u8>, RawEntry<'_>) -> Result<(), StateError>,
) -> Result<(), StateError> {
    for (&group, entries) in &raw.groups {
        let undecodable =
            |what| StateError::Undecodable { state: name.to_owned(), key_group: Some(group), what };
        for entry in entries.iter(raw.header.kind) {
            let key = keys.deserialize(entry.key).map_err(undecodable)?;
            let found = key_group_of(key.key_hash(), max);
            if found != group {
                return Err(undecodable(key_in_wrong_group(found)));
            }
            let mut scope = key_group_bytes(group).to_vec();
            append_part(&mut scope, entry.key);
            append_part(&mut scope, entry.namespace);
            entry_of_scope(group, scope, entry)?;
        }
    }
    Ok(())
}
