use super::sync::Arc;

/// A value that is changed in place as long as it is not shared.
///
/// Reading is one branch; changing a value that is not shared touches no atomic. What was shared never changes: the
/// first change afterwards copies it, or takes it back if everybody else has dropped it in the meantime.
#[derive(Debug)]
pub enum CopyOnWrite<T> {
    /// Nobody else sees the value.
    Owned(T),
    /// Somebody else may see it.
    Shared(Arc<T>),
}

impl<T: Default> Default for CopyOnWrite<T> {
    fn default() -> Self {
        CopyOnWrite::Owned(T::default())
    }
}

impl<T> CopyOnWrite<T> {
    /// The value, to be read.
    #[inline]
    pub fn read(&self) -> &T {
        match self {
            CopyOnWrite::Owned(value) => value,
            CopyOnWrite::Shared(shared) => shared,
        }
    }

    /// Whether a change may have to copy the value.
    #[inline]
    pub fn is_shared(&self) -> bool {
        matches!(self, CopyOnWrite::Shared(_))
    }
}

impl<T: Default> CopyOnWrite<T> {
    /// The value as it is now, for somebody else.
    pub fn share(&mut self) -> Arc<T> {
        if let CopyOnWrite::Owned(value) = self {
            *self = CopyOnWrite::Shared(Arc::new(std::mem::take(value)));
        }
        match self {
            CopyOnWrite::Shared(shared) => Arc::clone(shared),
            CopyOnWrite::Owned(_) => unreachable!("it is shared now"),
        }
    }
}

impl<T: Default + Clone> CopyOnWrite<T> {
    /// The value, to be changed, which nobody else sees. A panic of its `clone` changes nothing.
    #[inline]
    pub fn write(&mut self) -> &mut T {
        if self.is_shared() {
            self.own();
        }
        match self {
            CopyOnWrite::Owned(value) => value,
            CopyOnWrite::Shared(_) => unreachable!("it is owned now"),
        }
    }

    #[cold]
    #[inline(never)]
    fn own(&mut self) {
        if let CopyOnWrite::Shared(shared) = self {
            let value = match Arc::get_mut(shared) {
                Some(alone) => std::mem::take(alone),
                None => T::clone(shared),
            };
            *self = CopyOnWrite::Owned(value);
        }
    }
}
