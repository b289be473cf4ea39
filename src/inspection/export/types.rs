//! The types whose values can be shown, by the names under which serde's serializer records them.

use std::collections::BTreeMap;

/// What postcard writes for a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ValueType {
    Unit,
    Bool,
    U8,
    I8,
    U16,
    U32,
    U64,
    U128,
    I16,
    I32,
    I64,
    I128,
    F32,
    F64,
    Char,
    Text,
    Option(Box<ValueType>),
    List(Box<ValueType>),
    Map(Box<ValueType>, Box<ValueType>),
    Tuple(Vec<ValueType>),
    Window,
}

/// A type within a type, deeper than any that somebody has written.
const MAX_DEPTH: u32 = 32;

/// Names that mean another type.
pub(super) type Aliases = BTreeMap<String, String>;

/// The type whose name this is, if it is known.
pub(super) fn type_of(name: &str, aliases: &Aliases) -> Option<ValueType> {
    parse(name.trim(), aliases, MAX_DEPTH)
}

fn parse(name: &str, aliases: &Aliases, depth: u32) -> Option<ValueType> {
    let depth = depth.checked_sub(1)?;
    let inner = |name: &str| parse(name.trim(), aliases, depth);
    if let Some(alias) = aliases.get(name) {
        return inner(alias);
    }
    if let Some(parts) = name.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        let parts = arguments(parts).into_iter().map(inner).collect::<Option<Vec<_>>>()?;
        return Some(if parts.is_empty() { ValueType::Unit } else { ValueType::Tuple(parts) });
    }
    if let Some(array) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let (element, length) = array.rsplit_once(';')?;
        let (element, length) = (inner(element)?, length.trim().parse::<usize>().ok()?);
        let is_shown = element.size().checked_mul(length).is_some_and(|size| size <= MAX_ARRAY);
        return is_shown.then(|| ValueType::Tuple(vec![element; length]));
    }
    let Some((outer, parts)) = name.strip_suffix('>').and_then(|name| name.split_once('<')) else {
        return plain(last(name));
    };
    let parts = arguments(parts).into_iter().map(inner).collect::<Option<Vec<_>>>()?;
    match (last(outer), &parts[..]) {
        ("Box" | "Arc" | "Rc" | "Reverse" | "Wrapping", [inner]) => Some(inner.clone()),
        ("Option", [inner]) => Some(ValueType::Option(Box::new(inner.clone()))),
        ("Vec" | "VecDeque" | "LinkedList" | "BTreeSet", [element]) | ("HashSet", [element, ..]) => {
            Some(ValueType::List(Box::new(element.clone())))
        }
        ("BTreeMap", [key, value]) | ("HashMap", [key, value, ..]) => {
            Some(ValueType::Map(Box::new(key.clone()), Box::new(value.clone())))
        }
        _ => None,
    }
}

impl ValueType {
    /// How many types are written down in this one, itself at least.
    fn size(&self) -> usize {
        match self {
            ValueType::Tuple(parts) => parts.iter().map(ValueType::size).sum::<usize>().max(1),
            ValueType::Option(inner) | ValueType::List(inner) => inner.size(),
            ValueType::Map(key, value) => key.size() + value.size(),
            _ => 1,
        }
    }
}

/// How many elements the longest array has that is shown, with those of the arrays in it.
const MAX_ARRAY: usize = 1024;

/// The name behind the path to it.
fn last(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

fn plain(name: &str) -> Option<ValueType> {
    Some(match name {
        "bool" => ValueType::Bool,
        "u8" => ValueType::U8,
        "i8" => ValueType::I8,
        "u16" => ValueType::U16,
        "u32" => ValueType::U32,
        "u64" | "usize" => ValueType::U64,
        "u128" => ValueType::U128,
        "i16" => ValueType::I16,
        "i32" => ValueType::I32,
        "i64" | "isize" => ValueType::I64,
        "i128" => ValueType::I128,
        "f32" => ValueType::F32,
        "f64" => ValueType::F64,
        "char" => ValueType::Char,
        "String" | "str" | "CompactString" => ValueType::Text,
        "TimeWindow" => ValueType::Window,
        _ => return None,
    })
}

/// Splits at the commas that are in no brackets.
fn arguments(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let parts = text.split(|c| {
        depth += i32::from(matches!(c, '<' | '(' | '[')) - i32::from(matches!(c, '>' | ')' | ']'));
        c == ',' && depth == 0
    });
    // A tuple of one has a comma behind it.
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}
