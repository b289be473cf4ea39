//! TEMPORARY
use hashbrown::HashMap;
use std::hash::Hash;
use std::sync::Arc;
type S = foldhash::fast::FixedState;
pub struct CopyOnWriteMap<K, V>(Arc<HashMap<K, V, S>>);
impl<K, V> Default for CopyOnWriteMap<K, V> {
    fn default() -> Self {
        CopyOnWriteMap(Arc::new(HashMap::with_hasher(S::with_seed(1))))
    }
}
impl<K, V> Clone for CopyOnWriteMap<K, V> {
    fn clone(&self) -> Self {
        CopyOnWriteMap(self.0.clone())
    }
}
impl<K, V> CopyOnWriteMap<K, V> {
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter()
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
impl<K: Clone + Eq + Hash, V: Clone> CopyOnWriteMap<K, V> {
    pub fn get(&self, k: &K) -> Option<&V> {
        self.0.get(k)
    }
    pub fn contains(&self, k: &K) -> bool {
        self.0.contains_key(k)
    }
    pub fn insert(&mut self, k: K, v: V) -> Option<V> {
        Arc::make_mut(&mut self.0).insert(k, v)
    }
    pub fn remove(&mut self, k: &K) -> Option<V> {
        Arc::make_mut(&mut self.0).remove(k)
    }
    pub fn retain(&mut self, f: impl FnMut(&K, &mut V) -> bool) {
        Arc::make_mut(&mut self.0).retain(f)
    }
}
