use serde::{Serialize, de::DeserializeOwned};
use std::any::type_name;
use std::marker::PhantomData;

/// What a type needs to be kept in state: any owned serde type that threads may share.
pub trait StateValue: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> StateValue for T {}

/// Defines a descriptor: a name, and the id of the type behind it.
macro_rules! descriptor {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name<T> {
            name: String,
            type_id: String,
            marker: PhantomData<fn() -> T>,
        }

        impl<T: StateValue> $name<T> {
            /// Describes the state `name`; the id of its type is the name Rust gives to it.
            pub fn new(name: impl Into<String>) -> Self {
                $name { name: name.into(), type_id: type_name::<T>().to_owned(), marker: PhantomData }
            }

            /// Gives the type an id of its own, under which it is found again when it has been renamed or moved.
            #[must_use]
            pub fn with_type_id(mut self, type_id: impl Into<String>) -> Self {
                self.type_id = type_id.into();
                self
            }

            /// The name of the state.
            #[must_use]
            pub fn name(&self) -> &str {
                &self.name
            }

            /// The id of the type, which a snapshot records and a restore compares.
            #[must_use]
            pub fn type_id(&self) -> &str {
                &self.type_id
            }
        }
    };
}

descriptor! {
    /// Describes keyed state of one value per key.
    ValueStateDescriptor
}

descriptor! {
    /// Describes operator state that is a list of items.
    ListStateDescriptor
}
