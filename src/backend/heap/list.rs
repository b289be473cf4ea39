use super::few;
use super::sync::Arc;
use std::fmt;

/// A list whose clones share all but its end, in chunks. No more than a chunk is ever copied.
///
/// Elements are added at the end and removed from the end. The end belongs to the list alone, so that adding touches no
/// atomic.
pub struct CopyOnWriteList<T> {
    /// The chunks that are full, once there is one.
    full: Option<Arc<Vec<Chunk<T>>>>,
    /// What will be the next chunk.
    end: Vec<T>,
}

type Chunk<T> = Arc<Vec<T>>;

impl<T> Default for CopyOnWriteList<T> {
    fn default() -> Self {
        CopyOnWriteList { full: None, end: Vec::new() }
    }
}

impl<T: Clone> Clone for CopyOnWriteList<T> {
    fn clone(&self) -> Self {
        CopyOnWriteList { full: self.full.clone(), end: self.end.clone() }
    }
}

impl<T> CopyOnWriteList<T> {
    /// How many elements a chunk holds.
    pub const ELEMENTS_PER_CHUNK: usize = few::<T>();

    /// The number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.full().len() * Self::ELEMENTS_PER_CHUNK + self.end.len()
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        let (chunk, at) = (index / Self::ELEMENTS_PER_CHUNK, index % Self::ELEMENTS_PER_CHUNK);
        match self.full().get(chunk) {
            Some(chunk) => chunk.get(at),
            None if chunk == self.full().len() => self.end.get(at),
            None => None,
        }
    }

    /// The elements in their order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.full().iter().flat_map(|chunk| chunk.iter()).chain(&self.end)
    }

    fn full(&self) -> &[Chunk<T>] {
        self.full.as_ref().map_or(&[], |full| full)
    }

    /// Adds an element at the end.
    #[inline]
    pub fn push(&mut self, element: T) {
        if self.end.len() == Self::ELEMENTS_PER_CHUNK {
            self.begin_chunk();
        }
        self.end.push(element);
    }

    #[cold]
    #[inline(never)]
    fn begin_chunk(&mut self) {
        let chunk = Arc::new(std::mem::replace(&mut self.end, Vec::with_capacity(Self::ELEMENTS_PER_CHUNK)));
        Arc::make_mut(self.full.get_or_insert_default()).push(chunk);
    }
}

impl<T: Clone> CopyOnWriteList<T> {
    /// Keeps the first `len` elements.
    pub fn truncate(&mut self, len: usize) {
        let (chunks, rest) = (len / Self::ELEMENTS_PER_CHUNK, len % Self::ELEMENTS_PER_CHUNK);
        if let Some(full) = self.full.as_mut().filter(|full| chunks < full.len()) {
            self.end = full[chunks][..rest].to_vec();
            Arc::make_mut(full).truncate(chunks);
        } else if chunks == self.full().len() {
            self.end.truncate(rest);
        }
    }
}

impl<T> Extend<T> for CopyOnWriteList<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        elements.into_iter().for_each(|element| self.push(element));
    }
}

impl<T> FromIterator<T> for CopyOnWriteList<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut list = CopyOnWriteList::default();
        list.extend(elements);
        list
    }
}

impl<T: fmt::Debug> fmt::Debug for CopyOnWriteList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
