//! What an access does to a single value that has its time.

use crate::backend::heap::{Visit, Visited};
use crate::state::keyed::layout::Layout;
use crate::state::keyed::single::Single;
use crate::state::keyed::ttl::RemovedBy;
use crate::state::keyed::view::ViewMut;
use crate::state::keyed::{CurrentKey, Namespace, StateKey};
use crate::state::{StateError, StateObject};
use crate::ttl::{CellMerge, CellRead, Stamped, StateTtlConfig};
use std::borrow::Cow;

impl<'a, K: StateKey, N: Namespace, V: StateObject> ViewMut<'a, K, N, Single<Stamped<V>>> {
    /// Reads the value.
    #[inline]
    pub(super) fn read(
        self,
        current: &CurrentKey<K>,
        namespace: &N,
        ttl: &StateTtlConfig,
        now: i64,
    ) -> Result<Option<Cow<'a, V>>, StateError> {
        match self {
            ViewMut::Objects(table) => {
                let decide = |cell: &Stamped<V>, layout: &Single<_>| match ttl.read_cell(cell.updated, now) {
                    CellRead::Keep => Visit::Keep,
                    CellRead::Refresh => Visit::Change,
                    CellRead::LastTime | CellRead::Remove => {
                        layout.count_removed(RemovedBy::Access, 1);
                        Visit::Remove
                    }
                };
                Ok(match table.visit(current, namespace, decide) {
                    None => None,
                    Some(Visited::Kept(cell)) => Some(Cow::Borrowed(&cell.value)),
                    Some(Visited::Changed(cell)) => {
                        cell.updated = now;
                        Some(Cow::Borrowed(&cell.value))
                    }
                    Some(Visited::Removed(cell)) => {
                        ttl.is_visible(cell.updated, now).then_some(Cow::Owned(cell.value))
                    }
                })
            }
            ViewMut::Bytes(table, backend) => {
                let Some(cell) = table.get(&*backend, current, namespace)? else { return Ok(None) };
                match ttl.read_cell(cell.updated, now) {
                    CellRead::Keep => Ok(Some(Cow::Owned(cell.value))),
                    CellRead::Refresh => {
                        let refreshed = Stamped { updated: now, ..cell };
                        table.put(backend, current, namespace, &refreshed)?;
                        Ok(Some(Cow::Owned(refreshed.value)))
                    }
                    CellRead::LastTime | CellRead::Remove => {
                        table.delete(backend, current, namespace)?;
                        table.schema.layout.count_removed(RemovedBy::Access, 1);
                        Ok(ttl.is_visible(cell.updated, now).then_some(Cow::Owned(cell.value)))
                    }
                }
            }
        }
    }

    /// Puts what `change` makes of the value, if an addition may build on it, in its place.
    #[inline]
    pub(super) fn build_on(
        mut self,
        current: &CurrentKey<K>,
        namespace: &N,
        ttl: &StateTtlConfig,
        now: i64,
        change: impl FnOnce(Option<V>) -> Option<V>,
    ) -> Result<(), StateError> {
        let mut expired = 0;
        self.again().modify(current, namespace, |old| {
            let old = old.filter(|cell| {
                let builds_on = ttl.builds_on(cell.updated, now);
                expired = usize::from(!builds_on);
                builds_on
            });
            change(old.map(|cell| cell.value)).map(|value| Stamped { updated: now, value })
        })?;
        self.count_removed(expired);
        Ok(())
    }

    /// Changes the value in its place, which is `insert()` if an addition may not build on what is there.
    #[inline]
    pub(super) fn build_in_place<R>(
        self,
        current: &CurrentKey<K>,
        namespace: &N,
        ttl: &StateTtlConfig,
        now: i64,
        insert: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> Result<R, StateError> {
        let builds_on = |cell: &Stamped<V>| ttl.builds_on(cell.updated, now);
        match self {
            ViewMut::Objects(table) => {
                let decide = |cell: &_, layout: &Single<_>| match builds_on(cell) {
                    true => Visit::Change,
                    false => {
                        layout.count_removed(RemovedBy::Access, 1);
                        Visit::Remove
                    }
                };
                if let Some(Visited::Changed(cell)) = table.visit(current, namespace, decide) {
                    cell.updated = now;
                    return Ok(change(&mut cell.value));
                }
                let mut value = insert();
                let result = change(&mut value);
                table.get_or_insert_with(current, namespace, || Stamped { updated: now, value });
                Ok(result)
            }
            ViewMut::Bytes(table, backend) => {
                let old = table.get(&*backend, current, namespace)?.filter(|cell| {
                    let builds_on = builds_on(cell);
                    if !builds_on {
                        table.schema.layout.count_removed(RemovedBy::Access, 1);
                    }
                    builds_on
                });
                let mut value = old.map_or_else(insert, |cell| cell.value);
                let result = change(&mut value);
                table.put(backend, current, namespace, &Stamped { updated: now, value })?;
                Ok(result)
            }
        }
    }

    /// Merges the values of other namespaces, as far as they may be seen, into that of `target`, and removes them.
    pub(super) fn merge(
        &mut self,
        current: &CurrentKey<K>,
        target: &N,
        sources: impl Iterator<Item = N>,
        ttl: &StateTtlConfig,
        now: i64,
        combine: impl Fn(V, V) -> V,
    ) -> Result<(), StateError> {
        for source in sources {
            let Some(moved) = self.again().take(current, &source)? else { continue };
            let mut expired = 0;
            self.again().modify(current, target, |old| {
                let there = old.as_ref().map(|old| old.updated);
                match (ttl.merge_cell(there, moved.updated, now), old) {
                    (CellMerge::Combine, Some(old)) => {
                        Some(Stamped { updated: now, value: combine(old.value, moved.value) })
                    }
                    (CellMerge::Drop, old) => {
                        expired = 1;
                        old
                    }
                    (CellMerge::Move | CellMerge::Combine, old) => {
                        expired = usize::from(old.is_some());
                        Some(moved)
                    }
                }
            })?;
            self.count_removed(expired);
        }
        Ok(())
    }

    /// Counts values that an access has removed because they had expired.
    #[inline]
    fn count_removed(&self, values: usize) {
        if values > 0 {
            self.layout().count_removed(RemovedBy::Access, values);
        }
    }
}
