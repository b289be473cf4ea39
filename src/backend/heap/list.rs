//! TEMPORARY
use std::sync::Arc;
pub struct CopyOnWriteList<T>(Arc<Vec<T>>);
impl<T> Default for CopyOnWriteList<T> {
    fn default() -> Self {
        CopyOnWriteList(Arc::default())
    }
}
impl<T> Clone for CopyOnWriteList<T> {
    fn clone(&self) -> Self {
        CopyOnWriteList(self.0.clone())
    }
}
impl<T> CopyOnWriteList<T> {
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
}
impl<T: Clone> CopyOnWriteList<T> {
    pub fn push(&mut self, t: T) {
        Arc::make_mut(&mut self.0).push(t)
    }
}
impl<T: Clone> FromIterator<T> for CopyOnWriteList<T> {
    fn from_iter<I: IntoIterator<Item = T>>(i: I) -> Self {
        CopyOnWriteList(Arc::new(i.into_iter().collect()))
    }
}
