use super::sync::Arc;
use std::fmt;

/// A list whose clones share their content in chunks. The first change to a chunk that is shared copies it, and nothing
/// else.
///
/// Elements are added at the end and removed from the end; so all chunks but the last are full.
pub struct CopyOnWriteList<T> {
    /// The chunks that are full, once there is one.
    full: Option<Arc<Vec<Arc<Vec<T>>>>>,
    last: Arc<Vec<T>>,
}

impl<T> Default for CopyOnWriteList<T> {
    fn default() -> Self {
        CopyOnWriteList { full: None, last: Arc::new(Vec::new()) }
    }
}

impl<T> Clone for CopyOnWriteList<T> {
    fn clone(&self) -> Self {
        CopyOnWriteList { full: self.full.clone(), last: Arc::clone(&self.last) }
    }
}

impl<T> CopyOnWriteList<T> {
    /// How many elements a chunk holds: some 16 KiB, a power of two because that is how vectors grow.
    pub const ELEMENTS_PER_CHUNK: usize = {
        let most = 16 * 1024 / if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
        if most <= 64 {
            64
        } else if most >= 1_024 {
            1_024
        } else {
            most.next_power_of_two() / 2
        }
    };

    /// The number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.full().len() * Self::ELEMENTS_PER_CHUNK + self.last.len()
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
            None if chunk == self.full().len() => self.last.get(at),
            None => None,
        }
    }

    /// The elements in their order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.full().iter().chain([&self.last]).flat_map(|chunk| chunk.iter())
    }

    fn full(&self) -> &[Arc<Vec<T>>] {
        self.full.as_ref().map_or(&[], |full| full)
    }
}

impl<T: Clone> CopyOnWriteList<T> {
    /// Adds an element at the end.
    #[inline]
    pub fn push(&mut self, element: T) {
        match Arc::get_mut(&mut self.last) {
            Some(last) if last.len() < Self::ELEMENTS_PER_CHUNK => last.push(element),
            _ => self.push_beside(element),
        }
    }

    /// Adds an element to a chunk that nobody else sees.
    #[cold]
    #[inline(never)]
    fn push_beside(&mut self, element: T) {
        if self.last.len() == Self::ELEMENTS_PER_CHUNK {
            let full = self.full.get_or_insert_with(|| Arc::new(Vec::new()));
            Arc::make_mut(full).push(std::mem::replace(&mut self.last, Arc::new(vec![element])));
        } else {
            let mut copy = Vec::with_capacity((self.last.len() + 1).next_power_of_two());
            copy.extend_from_slice(&self.last);
            copy.push(element);
            self.last = Arc::new(copy);
        }
    }

    /// Keeps the first `len` elements.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len() {
            return;
        }
        let (chunks, rest) = (len / Self::ELEMENTS_PER_CHUNK, len % Self::ELEMENTS_PER_CHUNK);
        if let Some(full) = &mut self.full
            && chunks < full.len()
        {
            let full = Arc::make_mut(full);
            self.last = Arc::clone(&full[chunks]);
            full.truncate(chunks);
        }
        match Arc::get_mut(&mut self.last) {
            Some(last) => last.truncate(rest),
            None => self.last = Arc::new(self.last[..rest].to_vec()),
        }
    }
}

impl<T: Clone> Extend<T> for CopyOnWriteList<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        elements.into_iter().for_each(|element| self.push(element));
    }
}

impl<T: Clone> FromIterator<T> for CopyOnWriteList<T> {
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
