use super::image::RawList;
use super::snapshot::OperatorStateHeader;
use super::{ListStateDescriptor, OperatorImage, StateError, StateValue};
use crate::codec::{BlockWriter, CodecError, value_from_bytes};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::marker::PhantomData;
use std::sync::Arc;

/// The operator state of one subtask: named lists, independent of any key.
#[derive(Default)]
pub struct OperatorStateBackend {
    lists: Vec<OpenList>,
    /// What was restored and not opened yet.
    unclaimed: BTreeMap<String, RawList>,
}

struct OpenList {
    name: String,
    item_type: String,
    /// An `Arc<Vec<T>>`.
    items: Box<dyn AnyList>,
}

/// An opened list of operator state. It belongs to the backend that opened it.
#[derive(Debug)]
pub struct OperatorListState<T> {
    index: usize,
    marker: PhantomData<fn() -> T>,
}

impl<T> Clone for OperatorListState<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for OperatorListState<T> {}

impl OperatorStateBackend {
    /// A backend without any state.
    #[must_use]
    pub fn new() -> Self {
        OperatorStateBackend::default()
    }

    /// A backend with the state of a snapshot.
    #[must_use]
    pub fn restore(image: OperatorImage) -> Self {
        OperatorStateBackend { lists: Vec::new(), unclaimed: image.lists }
    }

    /// Opens a list; the same name gives the same list. A restored list is decoded now.
    ///
    /// # Errors
    /// The name is in use, or was restored, with another type; or a restored item cannot be decoded. The
    /// backend has not changed then.
    pub fn list_state<T: StateValue>(
        &mut self,
        descriptor: &ListStateDescriptor<T>,
    ) -> Result<OperatorListState<T>, StateError> {
        let type_id = descriptor.serializer().snapshot().id;
        let mismatch = |existing: &str| StateError::TypeMismatch {
            state: descriptor.name().to_owned(),
            existing: existing.to_owned(),
            requested: type_id.clone(),
        };
        if let Some(index) = self.lists.iter().position(|list| list.name == descriptor.name()) {
            let list = &self.lists[index];
            let items: &dyn Any = &*list.items;
            return if list.item_type == type_id && items.is::<Items<T>>() {
                Ok(OperatorListState { index, marker: PhantomData })
            } else {
                Err(mismatch(&list.item_type))
            };
        }
        let items = match self.unclaimed.get(descriptor.name()) {
            None => Vec::new(),
            Some(raw) if raw.item_type != type_id => return Err(mismatch(&raw.item_type)),
            Some(raw) => decode_items::<T>(descriptor.name(), raw)?,
        };
        self.unclaimed.remove(descriptor.name());
        self.lists.push(OpenList {
            name: descriptor.name().to_owned(),
            item_type: type_id,
            items: Box::new(Items(Arc::new(items))),
        });
        Ok(OperatorListState { index: self.lists.len() - 1, marker: PhantomData })
    }

    /// Captures all lists, opened or not. The cost does not depend on their length; a list is copied when it is
    /// changed by [`OperatorListState::add`] while the snapshot lives.
    #[must_use]
    pub fn snapshot(&self) -> OperatorSnapshot {
        let mut lists = BTreeMap::new();
        for list in &self.lists {
            lists.insert(list.name.clone(), (list.item_type.clone(), list.items.share()));
        }
        for (name, raw) in &self.unclaimed {
            lists.insert(name.clone(), (raw.item_type.clone(), Box::new(RawItems(Arc::clone(&raw.items)))));
        }
        OperatorSnapshot { lists }
    }
}

impl fmt::Debug for OperatorStateBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.lists.iter().map(|list| &list.name).collect();
        let unclaimed: Vec<_> = self.unclaimed.keys().collect();
        f.debug_struct("OperatorStateBackend").field("lists", &names).field("unclaimed", &unclaimed).finish()
    }
}

fn decode_items<T: StateValue>(name: &str, raw: &RawList) -> Result<Vec<T>, StateError> {
    let decoded = raw.items.iter().enumerate().map(|(index, item)| {
        value_from_bytes(item).ok_or_else(|| StateError::Undecodable {
            state: name.to_owned(),
            key_group: None,
            what: format!("item {index} is not a {}", raw.item_type),
        })
    });
    decoded.collect()
}

impl<T: StateValue> OperatorListState<T> {
    /// The items in their order.
    ///
    /// # Panics
    /// `backend` is not the one that opened this list.
    #[must_use]
    pub fn get<'a>(&self, backend: &'a OperatorStateBackend) -> &'a [T] {
        let items = backend.lists.get(self.index).and_then(|list| {
            let items: &dyn Any = &*list.items;
            items.downcast_ref::<Items<T>>()
        });
        &items.expect("a list state is used with the backend that opened it").0
    }

    /// Puts `items` in the place of all items.
    ///
    /// # Panics
    /// `backend` is not the one that opened this list.
    pub fn replace(&self, backend: &mut OperatorStateBackend, items: Vec<T>) {
        self.items(backend).0 = Arc::new(items);
    }

    /// Adds an item at the end.
    ///
    /// # Panics
    /// `backend` is not the one that opened this list.
    pub fn add(&self, backend: &mut OperatorStateBackend, item: T) {
        Arc::make_mut(&mut self.items(backend).0).push(item);
    }

    fn items<'a>(&self, backend: &'a mut OperatorStateBackend) -> &'a mut Items<T> {
        let items = backend.lists.get_mut(self.index).and_then(|list| {
            let items: &mut dyn Any = &mut *list.items;
            items.downcast_mut::<Items<T>>()
        });
        items.expect("a list state is used with the backend that opened it")
    }
}

struct Items<T>(Arc<Vec<T>>);

struct RawItems(Arc<Vec<Vec<u8>>>);

trait AnyList: Any + Send {
    fn share(&self) -> Box<dyn ListSnapshot>;
}

trait ListSnapshot: Send {
    fn len(&self) -> u64;
    fn write(&self, blocks: &mut BlockWriter<&mut dyn Write>) -> Result<(), CodecError>;
}

impl<T: StateValue> AnyList for Items<T> {
    fn share(&self) -> Box<dyn ListSnapshot> {
        Box::new(Items(Arc::clone(&self.0)))
    }
}

impl<T: StateValue> ListSnapshot for Items<T> {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn write(&self, blocks: &mut BlockWriter<&mut dyn Write>) -> Result<(), CodecError> {
        self.0.iter().try_for_each(|item| blocks.write_value(item))
    }
}

impl ListSnapshot for RawItems {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn write(&self, blocks: &mut BlockWriter<&mut dyn Write>) -> Result<(), CodecError> {
        self.0.iter().try_for_each(|item| blocks.write_record(item))
    }
}

/// The operator state of a subtask at one moment.
#[derive(Default)]
pub struct OperatorSnapshot {
    /// By name: the id of the item type, and the items.
    lists: BTreeMap<String, (String, Box<dyn ListSnapshot>)>,
}

impl OperatorSnapshot {
    /// Whether there is no item in any list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.values().all(|(_, items)| items.len() == 0)
    }

    pub(super) fn headers(&self) -> Vec<OperatorStateHeader> {
        let header = |(name, (item_type, items)): (&String, &(String, Box<dyn ListSnapshot>))| {
            OperatorStateHeader { name: name.clone(), item_type: item_type.clone(), items: items.len() }
        };
        self.lists.iter().map(header).collect()
    }

    pub(super) fn write_items(&self, blocks: &mut BlockWriter<&mut dyn Write>) -> Result<(), CodecError> {
        self.lists.values().try_for_each(|(_, items)| items.write(blocks))
    }
}
