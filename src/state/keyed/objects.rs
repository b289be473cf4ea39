//! A state whose content is objects in memory.

use super::layout::{Expired, Expiring, Layout, append_serialized};
use super::schema::{AnyTable, Schema, SnapshotTime, TableSnapshot};
use super::times::{CleanUp, Times};
use super::ttl::{ExpiredButPresent, RemovedBy};
use super::{CurrentKey, Namespace, StateKey};
use crate::backend::heap::{SegmentedMap, SharedMap, Visit, Visited, hash_of};
use crate::keygroup::{KeyGroup, KeyGroupRange, MaxParallelism, key_group_of};
use crate::state::backend::BackendSnapshot;
use crate::state::{KeyedStateHeader, KeyedStateWriter, RawGroup, RawKeyedState, StateError};
use crate::ttl::OldestUpdate;
use std::cell::Cell;
use std::sync::Arc;

/// What the content of a state belongs to.
#[derive(Clone, Debug)]
pub(super) struct Scope<K, N> {
    pub(super) key: K,
    pub(super) namespace: N,
}

impl<K: StateKey, N: Namespace> Scope<K, N> {
    #[inline]
    fn is(&self, key: &K, namespace: &N) -> bool {
        self.key == *key && self.namespace == *namespace
    }

    #[inline]
    fn hash(&self) -> u64 {
        scope_hash(hash_of(&self.key), &self.namespace)
    }
}

/// What is wrong with a restored key that belongs to the group `found`.
pub(super) fn key_in_wrong_group(found: KeyGroup) -> String {
    format!("a key of group {found} stands there: has its `KeyHash` changed?")
}

/// The hash of a scope whose key has this hash.
#[inline]
fn scope_hash<N: Namespace>(key_hash: u64, namespace: &N) -> u64 {
    match size_of::<N>() {
        0 => key_hash,
        _ => hash_of(&(key_hash, namespace)),
    }
}

/// One state as objects: a map per key group of the range.
pub(super) struct ObjectTable<K, N, L: Layout> {
    name: String,
    range: KeyGroupRange,
    schema: Arc<Schema<K, N, L>>,
    groups: Vec<SegmentedMap<Scope<K, N>, L::Stored>>,
    cleaner: Cleaner,
}

/// How far incremental clean-up has come. It looks at a whole segment at once, as soon as it may look at so many
/// entries: what is in a segment changes its place too often to go on in the middle.
#[derive(Default)]
struct Cleaner {
    group: usize,
    segment: usize,
    /// How many entries it may look at.
    credit: usize,
}

impl<K: StateKey, N: Namespace, L: Layout> ObjectTable<K, N, L> {
    pub(super) fn new(name: &str, range: KeyGroupRange, schema: Schema<K, N, L>) -> Self {
        let groups = range.groups().map(|_| SegmentedMap::default()).collect();
        ObjectTable {
            name: name.to_owned(),
            range,
            schema: Arc::new(schema),
            groups,
            cleaner: Cleaner::default(),
        }
    }

    #[inline]
    pub(super) fn get(&self, current: &CurrentKey<K>, namespace: &N) -> Option<&L::Stored> {
        let hash = scope_hash(current.hash, namespace);
        self.groups[current.group].get(hash, |scope| scope.is(&current.key, namespace))
    }

    /// The content, to be changed.
    // A call costs a fifth of the access.
    #[inline(always)]
    pub(super) fn get_mut(&mut self, current: &CurrentKey<K>, namespace: &N) -> Option<&mut L::Stored> {
        let hash = scope_hash(current.hash, namespace);
        self.groups[current.group].get_mut(hash, |scope| scope.is(&current.key, namespace))
    }

    /// The content, to be changed; `make()` if there is none.
    #[inline]
    pub(super) fn get_or_insert_with(
        &mut self,
        current: &CurrentKey<K>,
        namespace: &N,
        make: impl FnOnce() -> L::Stored,
    ) -> &mut L::Stored {
        let hash = scope_hash(current.hash, namespace);
        let scope = || Scope { key: current.key.clone(), namespace: namespace.clone() };
        self.groups[current.group].get_or_insert_with(
            hash,
            |scope| scope.is(&current.key, namespace),
            Scope::hash,
            || (scope(), make()),
        )
    }

    /// Puts content where there is none. To be inlined it is too large: whoever changes what is there would pay for it.
    #[inline(never)]
    pub(super) fn insert(&mut self, current: &CurrentKey<K>, namespace: &N, stored: L::Stored) {
        self.get_or_insert_with(current, namespace, || stored);
    }

    pub(super) fn layout(&self) -> &L {
        &self.schema.layout
    }

    /// Looks at the content and does to it what `decide` says.
    #[inline]
    pub(super) fn visit(
        &mut self,
        current: &CurrentKey<K>,
        namespace: &N,
        decide: impl FnOnce(&L::Stored, &L) -> Visit,
    ) -> Option<Visited<'_, L::Stored>> {
        let hash = scope_hash(current.hash, namespace);
        let layout = &self.schema.layout;
        let decide = |stored: &L::Stored| decide(stored, layout);
        self.groups[current.group].visit(hash, |scope| scope.is(&current.key, namespace), decide)
    }

    /// Puts what `change` makes of the content in its place.
    #[inline]
    pub(super) fn modify(
        &mut self,
        current: &CurrentKey<K>,
        namespace: &N,
        change: impl FnOnce(Option<L::Stored>) -> Option<L::Stored>,
    ) {
        let hash = scope_hash(current.hash, namespace);
        self.groups[current.group].modify(
            hash,
            |scope| scope.is(&current.key, namespace),
            Scope::hash,
            || Scope { key: current.key.clone(), namespace: namespace.clone() },
            change,
        );
    }

    #[inline]
    pub(super) fn remove(&mut self, current: &CurrentKey<K>, namespace: &N) -> Option<L::Stored> {
        let hash = scope_hash(current.hash, namespace);
        self.groups[current.group].remove(hash, |scope| scope.is(&current.key, namespace))
    }

    /// All scopes with their content, by key group.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Scope<K, N>, &L::Stored)> {
        self.groups.iter().flat_map(SegmentedMap::iter)
    }

    pub(super) fn len(&self) -> usize {
        self.groups.iter().map(SegmentedMap::len).sum()
    }

    /// Decodes what was restored of a state, which `schema` reads. All its groups lie in the range.
    pub(super) fn fill_from(
        &mut self,
        raw: &RawKeyedState,
        schema: &Schema<K, N, L>,
        max: MaxParallelism,
    ) -> Result<(), StateError> {
        for (&group, entries) in &raw.groups {
            self.fill_group(group, entries, schema, max).map_err(|what| StateError::Undecodable {
                state: self.name.clone(),
                key_group: Some(group),
                what,
            })?;
        }
        Ok(())
    }

    fn fill_group(
        &mut self,
        group: KeyGroup,
        raw: &RawGroup,
        schema: &Schema<K, N, L>,
        max: MaxParallelism,
    ) -> Result<(), String> {
        let position = self.range.position(group).ok_or("the key group belongs to another subtask")?;
        let map = &mut self.groups[position];
        let Schema { key, namespace, layout, kind } = schema;
        for entry in raw.iter(*kind) {
            let key = key.deserialize(entry.key)?;
            let found = key_group_of(key.key_hash(), max);
            if found != group {
                return Err(key_in_wrong_group(found));
            }
            let scope = Scope { key, namespace: namespace.read_restored(entry.namespace)? };
            let hash = scope.hash();
            let is = |other: &Scope<K, N>| other.is(&scope.key, &scope.namespace);
            let stored = map.get_mut(hash, is);
            if let Some(begun) = layout.read(stored, entry.user_key, entry.value)? {
                map.get_or_insert_with(hash, |_| false, Scope::hash, || (scope, begun));
            }
        }
        Ok(())
    }
}

impl<K: StateKey, N: Namespace, L: Layout> AnyTable<K> for ObjectTable<K, N, L> {
    fn expiring(&self) -> Option<&Expiring> {
        self.schema.layout.expiring()
    }

    fn clean_up(
        &mut self,
        times: &Times,
        entries: usize,
        by: RemovedBy,
        oldest: &mut OldestUpdate,
    ) -> Option<CleanUp> {
        let layout = &self.schema.layout;
        let ttl = &layout.expiring()?.ttl;
        let now = times.now(ttl.time_domain());
        if !oldest.goes_on(ttl, now) {
            return Some(CleanUp { removed: 0, is_pass_over: true });
        }
        let oldest_left = Cell::new(i64::MAX);
        let leave = |updated: i64| oldest_left.set(oldest_left.get().min(updated));
        let decide = |stored: &L::Stored| match layout.expired(stored, now) {
            Expired::Nothing { oldest } => {
                leave(oldest);
                Visit::Keep
            }
            Expired::Some => Visit::Change,
            Expired::All => Visit::Remove,
        };
        //= spec/ttl.md#ttl-12-clean-up-looks-at-everything
        //# A pass of incremental clean-up MUST look at every value that is there from its beginning to its end.
        let Cleaner { group, segment, credit } = &mut self.cleaner;
        *credit += entries;
        let (mut removed, mut values) = (0, 0);
        while let Some(map) = self.groups.get_mut(*group) {
            let cost = map.segment_len(*segment).unwrap_or(0).max(1);
            if cost > *credit {
                break;
            }
            *credit -= cost;
            let before = map.len();
            map.visit_segment(*segment, decide, |stored, visit| {
                values += layout.values(stored);
                if visit == Visit::Change {
                    leave(layout.purge(stored, now));
                    values -= layout.values(stored);
                }
            });
            removed += before - map.len();
            *segment += 1;
            if map.segment_len(*segment).is_none() {
                (*group, *segment) = (*group + 1, 0);
            }
        }
        oldest.left(oldest_left.get());
        let is_pass_over = *group == self.groups.len();
        if is_pass_over {
            self.cleaner = Cleaner::default();
            oldest.passed();
        }
        if values > 0 {
            layout.count_removed(by, values);
        }
        Some(CleanUp { removed, is_pass_over })
    }

    fn share(&mut self, times: &Times) -> Box<dyn TableSnapshot> {
        Box::new(SharedTable {
            time: self.schema.snapshot_time(times),
            name: self.name.clone(),
            range: self.range,
            schema: Arc::clone(&self.schema),
            groups: self.groups.iter_mut().map(SegmentedMap::share).collect(),
        })
    }
}

struct SharedTable<K, N, L: Layout> {
    name: String,
    range: KeyGroupRange,
    schema: Arc<Schema<K, N, L>>,
    groups: Vec<SharedMap<Scope<K, N>, L::Stored>>,
    time: Option<SnapshotTime>,
}

impl<K: StateKey, N: Namespace, L: Layout> TableSnapshot for SharedTable<K, N, L> {
    fn header(&self) -> KeyedStateHeader {
        self.schema.header(&self.name)
    }

    fn is_empty(&self, _: Option<&dyn BackendSnapshot>) -> bool {
        let is_empty = self.groups.iter().all(SharedMap::is_empty);
        if is_empty {
            // Then it is not written.
            self.schema.layout.note_found_by_snapshot(ExpiredButPresent::default());
        }
        is_empty
    }

    fn write(
        &self,
        _: Option<&dyn BackendSnapshot>,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError> {
        let Schema { key, namespace, layout, .. } = &*self.schema;
        let (mut namespace_record, mut in_record) = (Vec::new(), None);
        let mut expired = ExpiredButPresent::default();
        let left_out_at = self.time.filter(|time| time.leaves_out).map(|time| time.now);
        for (group, map) in self.range.groups().zip(&self.groups).filter(|(_, map)| !map.is_empty()) {
            target.begin_group(group)?;
            for (scope, stored) in map.iter() {
                // Where there are no namespaces this serializes just one.
                if in_record != Some(&scope.namespace) {
                    namespace_record.clear();
                    append_serialized(&mut namespace_record, namespace.serializer(), &scope.namespace)?;
                    in_record = Some(&scope.namespace);
                }
                let append_scope = |bytes: &mut Vec<u8>| {
                    append_serialized(bytes, key, &scope.key)?;
                    match *namespace_record {
                        // That of no namespace.
                        [byte] => bytes.push(byte),
                        ref more => bytes.extend_from_slice(more),
                    }
                    Ok(())
                };
                layout.write(append_scope, stored, left_out_at, target)?;
                if let Some(SnapshotTime { now, .. }) = self.time {
                    // What refuses to be serialized was left out, or the snapshot has failed.
                    expired += layout.measure_expired(stored, now).unwrap_or_default();
                }
            }
            target.end_group()?;
        }
        layout.note_found_by_snapshot(expired);
        Ok(())
    }
}
