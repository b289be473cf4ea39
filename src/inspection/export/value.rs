//! Values as they are shown.

use super::types::{Aliases, ValueType, type_of};
use crate::codec::value_at_front;
use crate::state::serializer::SerializerSnapshot;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use std::fmt::Write;

/// A value of a type that is known, or its bytes. Numbers of 128 bits and floats that JSON does not know are texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Exported {
    /// The value of `()`, and what is not there.
    Nothing,
    /// A truth value.
    Bool(bool),
    /// A number without sign.
    Unsigned(u64),
    /// A number with a sign.
    Signed(i64),
    /// A float.
    Float(f64),
    /// A text.
    Text(String),
    /// A list, a set, an array or a tuple.
    List(Vec<Exported>),
    /// Pairs of a key and its value.
    Map(Vec<(Exported, Exported)>),
    /// A time window.
    Window {
        /// Its first millisecond.
        start: i64,
        /// The one behind its last.
        end: i64,
    },
    /// Bytes of which nobody here knows what they are.
    Unknown {
        /// What has written them.
        serializer: String,
        /// The bytes.
        hex: Hex,
    },
}

/// Bytes that are shown in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(2 * self.0.len());
        for byte in &self.0 {
            // To a text it never fails.
            let _ = write!(text, "{byte:02x}");
        }
        serializer.serialize_str(&text)
    }
}

/// Shows what a serializer has written.
pub(super) struct Decoder {
    serializer: String,
    value_type: Option<ValueType>,
}

impl Decoder {
    /// Types that changed over time have versions of their own, which nobody here knows.
    pub(super) fn new(written: &SerializerSnapshot, aliases: &Aliases) -> Self {
        let is_serdes = written.version == 0 && written.configuration.is_empty();
        let value_type = type_of(&written.id, aliases).filter(|_| is_serdes);
        Decoder { serializer: written.to_string(), value_type }
    }

    /// A value, which is exactly these bytes.
    pub(super) fn decode(&self, bytes: &[u8]) -> Exported {
        let mut rest = bytes;
        let value = self.value_type.as_ref().and_then(|value_type| take(&mut rest, value_type));
        match value.filter(|_| rest.is_empty()) {
            Some(value) => value,
            None => Exported::Unknown { serializer: self.serializer.clone(), hex: Hex(bytes.to_owned()) },
        }
    }
}

/// The value at the front of `bytes`.
fn take(bytes: &mut &[u8], value_type: &ValueType) -> Option<Exported> {
    Some(match value_type {
        ValueType::Unit => Exported::Nothing,
        ValueType::Bool => Exported::Bool(value(bytes)?),
        ValueType::U8 => Exported::Unsigned(value::<u8>(bytes)?.into()),
        ValueType::U16 => Exported::Unsigned(value::<u16>(bytes)?.into()),
        ValueType::U32 => Exported::Unsigned(value::<u32>(bytes)?.into()),
        ValueType::U64 => Exported::Unsigned(value(bytes)?),
        ValueType::U128 => Exported::Text(value::<u128>(bytes)?.to_string()),
        ValueType::I8 => Exported::Signed(value::<i8>(bytes)?.into()),
        ValueType::I16 => Exported::Signed(value::<i16>(bytes)?.into()),
        ValueType::I32 => Exported::Signed(value::<i32>(bytes)?.into()),
        ValueType::I64 => Exported::Signed(value(bytes)?),
        ValueType::I128 => Exported::Text(value::<i128>(bytes)?.to_string()),
        ValueType::F32 => float(value::<f32>(bytes)?.into()),
        ValueType::F64 => float(value(bytes)?),
        ValueType::Char => Exported::Text(value::<char>(bytes)?.to_string()),
        ValueType::Text => Exported::Text(value(bytes)?),
        ValueType::Option(inner) => match value::<u8>(bytes)? {
            0 => Exported::Nothing,
            1 => take(bytes, inner)?,
            _ => return None,
        },
        ValueType::List(element) => Exported::List(take_all(bytes, |bytes| take(bytes, element))?),
        ValueType::Map(key, value) => {
            Exported::Map(take_all(bytes, |bytes| Some((take(bytes, key)?, take(bytes, value)?)))?)
        }
        ValueType::Tuple(parts) => {
            Exported::List(parts.iter().map(|part| take(bytes, part)).collect::<Option<_>>()?)
        }
        ValueType::Window => Exported::Window { start: value(bytes)?, end: value(bytes)? },
    })
}

fn value<T: DeserializeOwned>(bytes: &mut &[u8]) -> Option<T> {
    value_at_front(bytes)
}

fn float(value: f64) -> Exported {
    if value.is_finite() { Exported::Float(value) } else { Exported::Text(value.to_string()) }
}

/// As many as the number in front of them says.
fn take_all<T>(bytes: &mut &[u8], mut take: impl FnMut(&mut &[u8]) -> Option<T>) -> Option<Vec<T>> {
    let count: u64 = value(bytes)?;
    let mut found = Vec::new();
    for _ in 0..count {
        let before = bytes.len();
        found.push(take(bytes)?);
        // Nobody writes a great many values of no bytes; a wrong number would.
        if bytes.len() == before && count > MAX_EMPTY {
            return None;
        }
    }
    Some(found)
}

/// The most values of no bytes that are shown of a list.
const MAX_EMPTY: u64 = 1024;
