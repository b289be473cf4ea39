//! TEMPORARY
use std::collections::BTreeMap;
use std::sync::Arc;
pub struct SegmentedMap<Q, V> {
    m: Arc<BTreeMap<u64, Vec<(Q, V)>>>,
    len: usize,
}
pub struct SharedMap<Q, V> {
    m: Arc<BTreeMap<u64, Vec<(Q, V)>>>,
}
impl<Q, V> Default for SegmentedMap<Q, V> {
    fn default() -> Self {
        SegmentedMap { m: Arc::default(), len: 0 }
    }
}
impl<Q, V> SharedMap<Q, V> {
    pub fn is_empty(&self) -> bool {
        self.m.values().all(|v| v.is_empty())
    }
    pub fn iter(&self) -> impl Iterator<Item = (&Q, &V)> {
        self.m.values().flatten().map(|(q, v)| (q, v))
    }
}
impl<Q: Clone, V: Clone> SegmentedMap<Q, V> {
    pub fn get(&self, hash: u64, is: impl Fn(&Q) -> bool) -> Option<&V> {
        self.m.get(&hash)?.iter().find(|(q, _)| is(q)).map(|(_, v)| v)
    }
    pub fn get_mut(&mut self, hash: u64, is: impl Fn(&Q) -> bool) -> Option<&mut V> {
        Arc::make_mut(&mut self.m).get_mut(&hash)?.iter_mut().find(|(q, _)| is(q)).map(|(_, v)| v)
    }
    pub fn get_or_insert_with(
        &mut self,
        hash: u64,
        is: impl Fn(&Q) -> bool,
        _: impl Fn(&Q) -> u64,
        make: impl FnOnce() -> (Q, V),
    ) -> &mut V {
        let bucket = Arc::make_mut(&mut self.m).entry(hash).or_default();
        if let Some(i) = bucket.iter().position(|(q, _)| is(q)) {
            return &mut bucket[i].1;
        }
        self.len += 1;
        bucket.push(make());
        &mut bucket.last_mut().unwrap().1
    }
    pub fn modify(
        &mut self,
        hash: u64,
        is: impl Fn(&Q) -> bool,
        rehash: impl Fn(&Q) -> u64,
        make_key: impl FnOnce() -> Q,
        change: impl FnOnce(Option<V>) -> Option<V>,
    ) {
        let old = self.remove(hash, &is);
        if let Some(new) = change(old) {
            self.get_or_insert_with(hash, is, rehash, || (make_key(), new));
        }
    }
    pub fn remove(&mut self, hash: u64, is: impl Fn(&Q) -> bool) -> Option<V> {
        let bucket = Arc::make_mut(&mut self.m).get_mut(&hash)?;
        let i = bucket.iter().position(|(q, _)| is(q))?;
        self.len -= 1;
        Some(bucket.remove(i).1)
    }
    pub fn share(&mut self) -> SharedMap<Q, V> {
        SharedMap { m: self.m.clone() }
    }
}
impl<Q, V> SegmentedMap<Q, V> {
    pub fn iter(&self) -> impl Iterator<Item = (&Q, &V)> {
        self.m.values().flatten().map(|(q, v)| (q, v))
    }
    pub fn len(&self) -> usize {
        self.len
    }
}
