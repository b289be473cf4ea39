//! What a backend of bytes calls a state: its name, and a mark of the serializers that its entries are written with.
//!
//! When a serializer changes, new entries go into a state of the backend of their own, and the older ones stay where they are
//! until they are touched. Subtasks whose serializers changed at different times, or that began without state, never have
//! bytes of different serializers under one name.

use crate::codec::{self, append_value};
use crate::state::KeyedStateHeader;

/// Stands between name and mark.
const SEPARATOR: char = '@';

/// The characters of a mark.
const MARK_CHARS: usize = 8;

/// What a backend calls a state with this header.
pub(in crate::state) fn version_name(header: &KeyedStateHeader) -> String {
    let KeyedStateHeader { name, kind, namespace, user_key, value } = header;
    let mut bytes = Vec::new();
    // They are strings, numbers and bytes, which postcard never refuses.
    let _ = append_value(&mut bytes, &(kind, namespace, user_key, value));
    format!("{name}{SEPARATOR}{:0MARK_CHARS$x}", codec::checksum(0, &bytes))
}

/// The name of the state that a [backend calls so](super::StateDescription::name). Older checkpoints have names without a mark.
#[must_use]
pub fn state_name(version: &str) -> &str {
    split(version).0
}

/// The mark of the serializers in what a [backend calls](super::StateDescription::name) a state.
#[must_use]
pub fn mark_of_serializers(version: &str) -> Option<&str> {
    split(version).1
}

fn split(version: &str) -> (&str, Option<&str>) {
    match version.rsplit_once(SEPARATOR) {
        Some((name, mark)) if is_mark(mark) => (name, Some(mark)),
        _ => (version, None),
    }
}

fn is_mark(text: &str) -> bool {
    text.len() == MARK_CHARS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::StateKind;
    use crate::state::serializer::SerializerSnapshot;

    fn header(name: &str, version: u32) -> KeyedStateHeader {
        KeyedStateHeader {
            name: name.to_owned(),
            kind: StateKind::Value,
            namespace: SerializerSnapshot::new("()", 0),
            user_key: None,
            value: SerializerSnapshot::new("number", version),
        }
    }

    #[test]
    fn version_names_tell_serializers_apart_and_are_the_same_everywhere() {
        let (one, two) = (version_name(&header("count", 1)), version_name(&header("count", 2)));
        assert_ne!(one, two);
        assert_eq!(one, version_name(&header("count", 1)));
        // It is part of the format of checkpoints.
        assert_eq!(one, "count@ce492a7e");
        assert_eq!((state_name(&one), state_name(&two)), ("count", "count"));
    }

    #[test]
    fn version_names_are_found_out_only_by_their_mark() {
        for name in ["", "count", "a@b", "a@1234567", "a@123456789", "a@1234567G", "a@1234567A", "@", "ä@ö"]
        {
            assert_eq!((state_name(name), mark_of_serializers(name)), (name, None));
            assert_eq!(state_name(&version_name(&header(name, 1))), name);
        }
        assert_eq!(mark_of_serializers("a@01234567"), Some("01234567"));
        assert_eq!((state_name("@89abcdef"), mark_of_serializers("@89abcdef")), ("", Some("89abcdef")));
    }
}
