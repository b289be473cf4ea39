use super::WithTtl;
use super::serializer::{MAX_RECORD_BYTES, SerdeSerializer, StateSerializer};
use crate::ttl::StateTtlConfig;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;
use std::sync::Arc;

/// What a type needs to be kept in state with a serializer of its own.
pub trait StateObject: Clone + Send + Sync + 'static {}

impl<T: Clone + Send + Sync + 'static> StateObject for T {}

/// What a type needs to be kept in state without one: any owned serde type that threads may share.
pub trait StateValue: StateObject + Serialize + DeserializeOwned {}

impl<T: StateObject + Serialize + DeserializeOwned> StateValue for T {}

/// How the accumulator of an [`AggregatingState`](super::AggregatingState) takes in values and gives results.
///
/// Flink: `AggregateFunction`.
pub trait AggregateFunction: Send + Sync + 'static {
    /// What is added.
    type In;
    /// What is kept.
    type Accumulator: StateObject;
    /// What is read.
    type Out;

    /// An accumulator that has taken in nothing.
    fn create_accumulator(&self) -> Self::Accumulator;

    /// Takes a value in.
    fn add(&self, value: Self::In, accumulator: &mut Self::Accumulator);

    /// The result of all that was taken in.
    fn result(&self, accumulator: &Self::Accumulator) -> Self::Out;

    /// Takes in what `other` has taken in.
    fn merge(&self, accumulator: &mut Self::Accumulator, other: Self::Accumulator);
}

/// Combines two values of a [`ReducingState`](super::ReducingState) into one of the same type.
pub type ReduceFunction<T> = Arc<dyn Fn(T, T) -> T + Send + Sync>;

/// Defines what a descriptor with one serializer has.
macro_rules! with_serializer {
    ($descriptor:ident<$parameter:ident: $bound:path>, $value:ty) => {
        impl<$parameter: $bound> $descriptor<$parameter> {
            /// The name of the state.
            #[must_use]
            pub fn name(&self) -> &str {
                &self.name
            }

            /// Gives its values a time to live.
            #[must_use]
            pub fn with_ttl(self, ttl: StateTtlConfig) -> WithTtl<Self> {
                WithTtl::new(self, ttl)
            }

            /// What turns its values into bytes and back.
            #[must_use]
            pub fn serializer(&self) -> &Arc<dyn StateSerializer<$value>> {
                &self.serializer
            }

            /// Uses another serializer.
            #[must_use]
            pub fn with_serializer(mut self, serializer: impl StateSerializer<$value> + 'static) -> Self {
                self.serializer = Arc::new(serializer);
                self
            }

            /// Gives the type an id of its own, under which it is found again when it has been renamed or moved.
            #[must_use]
            pub fn with_type_id(self, type_id: impl Into<String>) -> Self
            where
                $value: StateValue,
            {
                self.with_serializer(SerdeSerializer::with_id(type_id))
            }
        }

        impl<$parameter: $bound> fmt::Debug for $descriptor<$parameter> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($descriptor))
                    .field("name", &self.name)
                    .field("serializer", &self.serializer.snapshot())
                    .finish_non_exhaustive()
            }
        }
    };
}

/// Describes keyed state of one value per key.
#[derive(Clone)]
pub struct ValueStateDescriptor<T> {
    name: String,
    serializer: Arc<dyn StateSerializer<T>>,
}

with_serializer!(ValueStateDescriptor<T: StateObject>, T);

impl<T: StateValue> ValueStateDescriptor<T> {
    /// Describes the state `name`; the id of its type is the name Rust gives to it.
    pub fn new(name: impl Into<String>) -> Self {
        ValueStateDescriptor { name: name.into(), serializer: Arc::new(SerdeSerializer::new()) }
    }
}

/// Describes state that is a list: of a key, or of an operator.
#[derive(Clone)]
pub struct ListStateDescriptor<T> {
    name: String,
    serializer: Arc<dyn StateSerializer<T>>,
    /// The most bytes that the list of one key may have, which is [`MAX_RECORD_BYTES`] but for tests.
    max_list_bytes: usize,
}

with_serializer!(ListStateDescriptor<T: StateObject>, T);

impl<T: StateValue> ListStateDescriptor<T> {
    /// Describes the state `name`; the id of its type is the name Rust gives to it.
    pub fn new(name: impl Into<String>) -> Self {
        let serializer = Arc::new(SerdeSerializer::new());
        ListStateDescriptor { name: name.into(), serializer, max_list_bytes: MAX_RECORD_BYTES }
    }
}

impl<T> ListStateDescriptor<T> {
    pub(super) fn max_list_bytes(&self) -> usize {
        self.max_list_bytes
    }

    /// Lowers the limit of a list, so that tests can reach it.
    #[cfg(any(test, feature = "testkit"))]
    pub(crate) fn with_max_list_bytes(self, max_list_bytes: usize) -> Self {
        ListStateDescriptor { max_list_bytes, ..self }
    }
}

/// Describes keyed state of one value per key into which others are reduced.
#[derive(Clone)]
pub struct ReducingStateDescriptor<T> {
    name: String,
    serializer: Arc<dyn StateSerializer<T>>,
    function: ReduceFunction<T>,
}

with_serializer!(ReducingStateDescriptor<T: StateObject>, T);

impl<T: StateValue> ReducingStateDescriptor<T> {
    /// Describes the state `name`, whose values `reduce` makes of the one that is there and the one that is added.
    pub fn new(name: impl Into<String>, reduce: impl Fn(T, T) -> T + Send + Sync + 'static) -> Self {
        let serializer = Arc::new(SerdeSerializer::new());
        ReducingStateDescriptor { name: name.into(), serializer, function: Arc::new(reduce) }
    }
}

impl<T> ReducingStateDescriptor<T> {
    /// What makes one value of two.
    #[must_use]
    pub fn function(&self) -> &ReduceFunction<T> {
        &self.function
    }
}

/// Describes keyed state of one accumulator per key.
pub struct AggregatingStateDescriptor<A: AggregateFunction> {
    name: String,
    serializer: Arc<dyn StateSerializer<A::Accumulator>>,
    function: Arc<A>,
}

with_serializer!(AggregatingStateDescriptor<A: AggregateFunction>, A::Accumulator);

impl<A: AggregateFunction> AggregatingStateDescriptor<A> {
    /// Describes the state `name`, whose accumulators are those of `function`.
    pub fn new(name: impl Into<String>, function: A) -> Self
    where
        A::Accumulator: StateValue,
    {
        let serializer = Arc::new(SerdeSerializer::new());
        AggregatingStateDescriptor { name: name.into(), serializer, function: Arc::new(function) }
    }

    /// What the accumulators do.
    #[must_use]
    pub fn function(&self) -> &Arc<A> {
        &self.function
    }
}

impl<A: AggregateFunction> Clone for AggregatingStateDescriptor<A> {
    fn clone(&self) -> Self {
        let (name, serializer) = (self.name.clone(), Arc::clone(&self.serializer));
        AggregatingStateDescriptor { name, serializer, function: Arc::clone(&self.function) }
    }
}

/// Describes state that is a map: of a key, or the broadcast state of an operator.
#[derive(Clone)]
pub struct MapStateDescriptor<UK, UV> {
    name: String,
    key_serializer: Arc<dyn StateSerializer<UK>>,
    value_serializer: Arc<dyn StateSerializer<UV>>,
}

impl<UK: StateValue, UV: StateValue> MapStateDescriptor<UK, UV> {
    /// Describes the state `name`; the ids of its types are the names Rust gives to them.
    pub fn new(name: impl Into<String>) -> Self {
        MapStateDescriptor {
            name: name.into(),
            key_serializer: Arc::new(SerdeSerializer::new()),
            value_serializer: Arc::new(SerdeSerializer::new()),
        }
    }
}

impl<UK: StateObject, UV: StateObject> MapStateDescriptor<UK, UV> {
    /// The name of the state.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives its entries a time to live, each for itself.
    #[must_use]
    pub fn with_ttl(self, ttl: StateTtlConfig) -> WithTtl<Self> {
        WithTtl::new(self, ttl)
    }

    /// What turns the keys of the map into bytes and back.
    #[must_use]
    pub fn key_serializer(&self) -> &Arc<dyn StateSerializer<UK>> {
        &self.key_serializer
    }

    /// What turns its values into bytes and back.
    #[must_use]
    pub fn value_serializer(&self) -> &Arc<dyn StateSerializer<UV>> {
        &self.value_serializer
    }

    /// Uses another serializer for the keys of the map.
    #[must_use]
    pub fn with_key_serializer(mut self, serializer: impl StateSerializer<UK> + 'static) -> Self {
        self.key_serializer = Arc::new(serializer);
        self
    }

    /// Uses another serializer for its values.
    #[must_use]
    pub fn with_value_serializer(mut self, serializer: impl StateSerializer<UV> + 'static) -> Self {
        self.value_serializer = Arc::new(serializer);
        self
    }
}

impl<UK: StateObject, UV: StateObject> fmt::Debug for MapStateDescriptor<UK, UV> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapStateDescriptor")
            .field("name", &self.name)
            .field("key_serializer", &self.key_serializer.snapshot())
            .field("value_serializer", &self.value_serializer.snapshot())
            .finish()
    }
}
